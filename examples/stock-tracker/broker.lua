-- Settings of the stock tracker. Save this file while the broker runs: everything
-- but `listen` and `workers` takes effect at once, on the connections that are open.
return {
  -- Loopback only: the page, and the sockets under /ws/. Put a proxy with TLS in
  -- front (and name it in trusted_proxies) before you listen on a public address.
  listen = "127.0.0.1:8080",

  -- One thread per CPU. Each channel lives on one of them, so the Lua code of a
  -- channel never runs twice at the same time, however many workers there are.
  workers = "auto",

  -- A client that was silent for 25 s is pinged; 10 s without an answer end it.
  heartbeat = { interval = 25, timeout = 10 },

  limits = {
    -- The page opens three sockets, so this is six tabs per address and two sockets
    -- to spare. The next handshake is refused with 429.
    connections_per_ip = 20,
    -- Nobody publishes here by WebSocket (publish = false in every channel), so what
    -- a client sends is noise: read little of it, and slowly.
    messages = { rate = 10, burst = 20 },
    message_size = 4096,
  },

  -- What waits for a client that reads too slowly, per channel. A stale price is
  -- worth less than none: the boards conflate (see channels/market.lua).
  queue = { size = 256, bytes = 1048576, overflow = "drop_oldest" },

  -- What scripts may read of the environment: auth.lua asks for WS_TOKEN.
  env = { "WS_TOKEN" },

  -- At Ctrl-C: say goodbye (1001) to everybody within 1 s, be gone after 5.
  drain = { window = 1, timeout = 5 },
}
