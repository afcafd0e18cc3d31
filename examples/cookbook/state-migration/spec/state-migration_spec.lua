local harness = require "tidewire.harness"

-- What ran before, as it was then.
local FIRST = [[
return {
  publish = true,
  transform = function(message, channel)
    local choice = message.data.choice
    channel.state[choice] = (channel.state[choice] or 0) + 1
    message.data = channel.state
    return message
  end,
}]]
local SECOND = [[
return {
  publish = true,
  init = function(channel) channel.state.version, channel.state.votes = 2, {} end,
  transform = function(message, channel)
    local votes, choice = channel.state.votes, message.data.choice
    votes[choice] = (votes[choice] or 0) + 1
    message.data = votes
    return message
  end,
}]]
local file = assert(io.open "channels/votes.lua")
local NOW = file:read "*a"
file:close()

describe("a migration of state", function()
  after_each(harness.teardown)

  local function start(votes)
    local broker = assert(harness.broker { files = { ["channels/votes.lua"] = votes } })
    return broker, broker:connect "/ws/votes"
  end

  local function vote(client, choice)
    client:send { choice = choice }
    return client:receive_json()
  end

  for name, old in pairs { first = FIRST, second = SECOND } do
    it("keeps what was counted by the " .. name .. " version, and the clients", function()
      local broker, client = start(old)
      vote(client, "tea")
      vote(client, "coffee")
      assert.same({ tea = 2, coffee = 1 }, vote(client, "tea"))
      assert.is_true((broker:reload { ["channels/votes.lua"] = NOW }))
      assert.same({ votes = { tea = 3, coffee = 1 }, total = 4 }, vote(client, "tea"))
    end)
  end

  it("changes nothing that is of today", function()
    local broker, client = start(NOW)
    vote(client, "tea")
    assert.is_true((broker:reload { ["channels/votes.lua"] = NOW .. "\n" }))
    assert.same({ votes = { tea = 2 }, total = 2 }, vote(client, "tea"))
  end)

  it("begins with nothing where nothing was", function()
    local _, client = start(NOW)
    assert.same({ votes = { coffee = 1 }, total = 1 }, vote(client, "coffee"))
  end)
end)
