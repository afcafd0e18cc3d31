-- Votes, { choice = "tea" }. The state has changed its form twice:
--   1: { tea = 3, coffee = 1 }                        choices were keys beside everything else
--   2: { version = 2, votes = { tea = 3 } }
--   3: { version = 3, votes = { tea = 3 }, total = 3 }
local steps = {
  [1] = function(old) return { version = 2, votes = old } end,
  [2] = function(old)
    local total = 0
    for _, count in pairs(old.votes) do total = total + count end
    return { version = 3, votes = old.votes, total = total }
  end,
}
local VERSION = #steps + 1

return {
  publish = true,

  init = function(channel)
    channel.state.version, channel.state.votes, channel.state.total = VERSION, {}, 0
  end,

  migrate = function(state)
    while (state.version or 1) < VERSION do state = steps[state.version or 1](state) end
    return state
  end,

  transform = function(message, channel)
    local choice = type(message.data) == "table" and message.data.choice
    if choice ~= "tea" and choice ~= "coffee" then return nil end
    local state = channel.state
    state.votes[choice] = (state.votes[choice] or 0) + 1
    state.total = state.total + 1
    message.data = { votes = state.votes, total = state.total }
    return message
  end,
}
