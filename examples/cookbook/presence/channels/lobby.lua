local tidewire = require "tidewire"

-- state.here: user -> how many connections; a user with two tabs is here once.
local function list(here)
  local users = tidewire.json.array()
  for user in pairs(here) do users[#users + 1] = user end
  table.sort(users)
  return users
end

return {
  name = "lobby:{id}",
  publish = false, -- or a client could say that another one left

  init = function(channel) channel.state.here = {} end,

  on_subscribe = function(client, channel)
    local here = channel.state.here
    here[client.user] = (here[client.user] or 0) + 1
    client:send { type = "here", users = list(here) }
    if here[client.user] == 1 then channel:publish { type = "join", user = client.user } end
  end,

  on_unsubscribe = function(client, channel)
    local here = channel.state.here
    local left = (here[client.user] or 1) - 1
    here[client.user] = left > 0 and left or nil
    if left <= 0 then channel:publish { type = "leave", user = client.user } end
  end,
}
