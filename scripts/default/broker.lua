-- The settings of the playground. An app of yours may start as a copy of this folder.
return {
  -- Loopback only, because here everybody may publish to everything. That includes any web
  -- page in a browser on this machine: an app names its own in `allowed_origins`.
  listen = "127.0.0.1:8080",
  workers = "auto",
  heartbeat = { interval = 25, timeout = 10 },
  limits = {
    connections_per_ip = 100,
    messages = { rate = 100, burst = 200 }, -- per client and second
    message_size = 65536,
  },
  queue = { size = 256, bytes = 1048576, overflow = "drop_oldest" },
  env = {}, -- scripts read nothing of the environment
  drain = { window = 1, timeout = 5 },
}
