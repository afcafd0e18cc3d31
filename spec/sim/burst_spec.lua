-- What one turn brings may pass the bounds of a queue until the turn's end, and not beyond it; also
-- when the same turn closes the client.
local sim = require "tidewire.sim"

local SIZE, SEEDS, BURST = 4, 10, 80

describe("a burst within one turn", function()
  after_each(sim.teardown)

  -- A crowd of messages from one client, then, in the same turn, what ends the other one.
  local function start(seed, overflow)
    local queue = ("queue = { size = %d, overflow = %q%s }"):format(SIZE, overflow,
      overflow == "conflate" and ', key = "k"' or "")
    local broker = assert(sim.broker { seed = seed, settings = { limits = { violations = 1 } },
      files = {
        ["auth.lua"] = "return function(request) return { user = request.query.token } end",
        ["channels/chat.lua"] = ("return { publish = 'authorize', %s, " ..
          "authorize = function(client, action) " ..
          "return action == 'subscribe' or client.user == 'loud' end }"):format(queue),
      } })
    local slow = broker:connect("/ws/chat", { token = "mute", down_buffer = 1000 })
    slow:stall()
    local loud = broker:connect("/ws/chat", { token = "loud" })
    for n = 1, BURST do
      loud:send(('{"n":%d,"k":"k%d","pad":"%s"}'):format(n, n, ("x"):rep(n % 2 * 40)))
    end
    return broker, slow
  end

  for _, overflow in ipairs { "drop_oldest", "drop_newest", "conflate", "disconnect" } do
    it("leaves no more than queue.size to a client that it closes: " .. overflow, function()
      for seed = 1, SEEDS do
        local broker, slow = start(seed, overflow)
        slow:send "1" -- it may not
        local queued = broker:stats().queued
        -- One may be half-written.
        assert.is_true(queued <= SIZE + 1, ("seed %d: %d queued"):format(seed, queued))
        slow:resume()
        assert.truthy(slow:wait_closed())
        sim.teardown()
      end
    end)

    it("leaves no more to a client whose channel goes: " .. overflow, function()
      for seed = 21, 20 + SEEDS do -- with 29, the channel goes in the turn of the burst
        local broker, slow = start(seed, overflow)
        assert.is_true(broker:reload({ ["channels/chat.lua"] = false }, { wait = false }))
        local queued = broker:stats().queued
        assert.is_true(queued <= SIZE + 1, ("seed %d: %d queued"):format(seed, queued))
        slow:resume()
        assert.truthy(slow:wait_closed())
        sim.teardown()
      end
    end)
  end

  it("costs a client that reads nothing, also when it is closed", function()
    local most = 0
    for seed = 1, SEEDS do
      local _, slow = start(seed, "drop_newest")
      slow:configure { down_buffer = 1000000, stalled = false }
      slow:send "1"
      assert.closed_with(slow, 4429)
      local list = slow:messages()
      for n, payload in ipairs(list) do
        local got = tonumber(payload:match '"n":(%d+)')
        if got ~= n then assert.equal(n, got) end
      end
      most = math.max(most, #list)
      sim.teardown()
    end
    assert.equal(BURST, most) -- less when it was closed first
  end)
end)
