-- All connect to /ws/market. Who pays hears quotes at once, who does not 15 s later, through
-- market-delayed.
local tidewire = require "tidewire"

local DELAY = 15 -- seconds
local WAITING = 10000 -- quotes at most; beyond, the oldest is forgotten

-- Takes the oldest out of the queue.
local function take(state)
  local oldest = state.waiting[state.first]
  state.waiting[state.first] = nil
  state.first = state.first + 1
  return oldest.data
end

return {
  init = function(channel)
    local state = channel.state
    state.waiting, state.first, state.last = {}, 1, 0
  end,

  audience = function(client) return client.claims.plan end,
  views = { free = function() return nil end }, -- withheld, whatever else happens

  on_subscribe = function(client)
    if client.claims.plan ~= "pro" then client:subscribe "market-delayed" end
  end,

  transform = function(message, channel)
    if message.binary then return nil end
    local state = channel.state
    state.last = state.last + 1
    state.waiting[state.last] = { at = tidewire.now() + DELAY, data = message.data }
    if state.last - state.first >= WAITING then take(state) end
    return message
  end,

  tick = {
    every = 0.5,
    run = function(channel)
      local state, now = channel.state, tidewire.now()
      while state.first <= state.last and state.waiting[state.first].at <= now do
        tidewire.publish("market-delayed", take(state))
      end
    end,
  },
}
