-- How long the loops are away from their sockets, in /v1/stats. Only lower bounds: what else the
-- machine does lengthens a pause.
local live = require "spec.support.live"

describe("the pauses in the stats", function()
  after_each(live.teardown)

  it("show a handler that takes its time, at the worker that is home to its channel", function()
    local broker = live.broker { files = { ["channels/slow.lua"] = [[
      local tidewire = require "tidewire"
      return { transform = function(message)
        local start = tidewire.now()
        while tidewire.now() - start < message.data do end
        return message
      end }]] } }
    local before = broker:stats().pauses
    assert.equal(broker:stats().workers + 1, #before)
    for i, pause in ipairs(before) do
      assert.equal(i - 1, pause.worker)
      assert.is_true(pause.p99 <= pause.max and pause.recent <= pause.max)
      assert.is_true(pause.cpu.p99 <= pause.cpu.max and pause.cpu.max <= pause.max)
    end
    broker:publish("slow", "0.05")
    local slow = 0
    for i, pause in ipairs(broker:stats().pauses) do
      assert.is_true(pause.turns > before[i].turns)
      if pause.max >= 0.05 and pause.recent >= 0.05 and before[i].max < pause.max then
        slow = slow + 1
      end
    end
    assert.is_true(slow >= 1)
  end)
end)

describe("the garbage of scripts", function()
  after_each(live.teardown)

  it("goes while nothing else happens", function()
    local broker = live.broker { files = { ["channels/market.lua"] = [[
      return { transform = function(message)
        local held = {}
        for i = 1, message.data do held[i] = { at = i } end
        return message
      end }]] } }
    broker:publish("market", "1")
    local before = broker:stats().script_memory
    broker:publish("market", "20000")
    broker:until_(function()
      return broker:stats().script_memory < before + 500000
    end, nil, "the memory comes back")
  end)
end)
