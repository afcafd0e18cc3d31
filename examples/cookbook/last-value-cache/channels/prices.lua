-- Who comes gets the last price of each symbol first, then what is new.
local SYMBOLS = 1000 -- at most; the price of another one is passed on, and not kept

return {
  init = function(channel)
    channel.state.last, channel.state.count = {}, 0
  end,

  transform = function(message, channel)
    local data, state = message.data, channel.state
    if type(data) ~= "table" or type(data.symbol) ~= "string" then return nil end
    if not state.last[data.symbol] then
      if state.count >= SYMBOLS then return message end
      state.count = state.count + 1
    end
    state.last[data.symbol] = data
    return message
  end,

  on_subscribe = function(client, channel)
    client:send { type = "snapshot", last = channel.state.last, offset = channel.offset }
  end,
}
