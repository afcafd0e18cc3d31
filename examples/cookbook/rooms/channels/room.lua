-- One file, any number of rooms: /ws/room:tea is there as soon as a member wants it.
return {
  name = "room:{id}",
  publish = true,

  authorize = function(client, _, channel)
    if not client then return true end -- the HTTP API
    if client.claims.rooms[channel.params.id] then return true end
    return false, "not a member of this room"
  end,

  transform = function(message, channel, client)
    local data = message.data
    if type(data) ~= "table" or type(data.text) ~= "string" then return nil end
    channel.state.count = (channel.state.count or 0) + 1
    message.data = {
      room = channel.params.id, from = client and client.user, n = channel.state.count,
      text = data.text,
    }
    return message
  end,
}
