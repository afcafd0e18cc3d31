-- How long the loops are away from their sockets: /v1/stats. On the clock only lower bounds: what
-- else the machine does lengthens a pause. Upper bounds are of processor time, ten times what it
-- takes.
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

describe("a reload of thousands of channels", function()
  after_each(live.teardown)

  local ROOMS, SLICE = 4000, 256

  local function room(version)
    return ([[-- %d
      return { name = "room:{id}", publish = true,
        init = function(channel)
          channel.state.members = {}
          for i = 1, 10 do channel.state.members[i] = { name = "member" .. i } end
        end,
        transform = function(message, channel)
          channel.state.count = (channel.state.count or 0) + 1
          message.data = { channel.state.count, #channel.state.members, %d }
          return message
        end }]]):format(version, version)
  end

  local function worst_and_turns(stats)
    local worst, turns = 0, 0
    for worker = 1, stats.workers do
      worst = math.max(worst, stats.pauses[worker].cpu.max)
      turns = turns + stats.pauses[worker].turns
    end
    return worst, turns
  end

  it("takes many turns, none of them long, and the states are carried", function()
    local broker = live.broker { files = {
      ["broker.lua"] = "return { script = { deadline = 1 } }",
      ["channels/room.lua"] = room(1),
      ["channels/spawn.lua"] = [[local tidewire = require "tidewire"
        return { transform = function(message)
          for i = 1, 200 do tidewire.publish("room:" .. message.data * 200 + i, 0) end
          return message
        end }]] } }
    for i = 0, ROOMS / 200 - 1 do broker:publish("spawn", tostring(i)) end
    broker:until_(function() return broker:stats().published == ROOMS + ROOMS / 200 end, nil,
      "every room has its state")
    local client = broker:connect("/ws/room:" .. ROOMS)
    local worst, turns = worst_and_turns(broker:stats())
    assert.equal(200, (broker:reload { ["channels/room.lua"] = room(2) }))
    local worst_of_reload, turns_then = worst_and_turns(broker:stats())
    assert.is_true(turns_then - turns >= ROOMS / SLICE)
    assert.is_true(worst_of_reload <= math.max(worst, 0.05),
      ("a turn of %.1f ms; %.1f before"):format(worst_of_reload * 1000, worst * 1000))
    broker:publish("room:" .. ROOMS, "0")
    assert.equal("[2,10,2]", client:receive())
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
