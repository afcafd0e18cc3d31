local tidewire = require "tidewire"

-- Each user, in all rooms and on all connections together:
local WINDOW = 10 -- seconds
local SPOKEN = 5 -- messages are heard,
local WARNED = 10 -- so many are answered with a warning; the next ends the connection

return {
  name = "chat:{room}",
  publish = true,

  transform = function(message, channel, client)
    local text = type(message.data) == "table" and message.data.text
    if type(text) ~= "string" or text == "" then return nil end
    if not client then
      message.data = { text = text } -- the HTTP API: no limit
      return message
    end

    local count = tidewire.shared.incr("chat:" .. client.user, 1, 0, WINDOW)
    if not count then return nil end -- shared.memory is full: nobody floods meanwhile
    if count > WARNED then
      tidewire.log.info("flood", { user = client.user, room = channel.params.room })
      client:disconnect(4429, "flood")
      return nil
    end
    if count > SPOKEN then
      client:send { error = "slow down", limit = SPOKEN, seconds = WINDOW }
      return nil
    end
    message.data = { from = client.user, text = text }
    return message
  end,
}
