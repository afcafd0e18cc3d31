return {
  limits = {
    -- The core's own guard, for each connection and before any Lua runs: what is above it costs
    -- nothing, and 20 refusals close the connection with 4429.
    messages = { rate = 5, burst = 20 },
    message_size = 2048,
    connections_per_ip = 20,
  },
}
