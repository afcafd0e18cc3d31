-- What ./dev bench measures: one worker, and no limit that a benchmark would meet.
return {
  listen = "127.0.0.1:0",
  workers = 1,
  limits = {
    connections = 1000000,
    messages = { rate = 0 },
    bytes = { rate = 0 },
    message_size = 1048576,
  },
}
