-- What concerns all. Who listens here hears his own channel on the same socket.
return {
  on_subscribe = function(client) client:subscribe("user:" .. client.user) end,
}
