-- What scripts share, where time and chance are the simulator's.
local sim = require "tidewire.sim"

describe("in the simulator", function()
  after_each(sim.teardown)

  local function start(seed, market)
    return assert(sim.broker { seed = seed, files = { ["channels/market.lua"] = market } })
  end

  local function answers(broker, count)
    local client, texts = broker:connect "/ws/market", {}
    for i = 1, count do
      broker:publish("market", tostring(i))
      texts[i] = (client:receive())
    end
    return table.concat(texts, " ")
  end

  it("tidewire.random repeats with the seed", function()
    local RANDOM = [[
      return { transform = function(message)
        local r = tidewire.random
        message.data = { r.uuid(), r.number(), r.integer(1, 6), r.hex(5), #r.bytes(3) }
        return message
      end }]]
    local first = answers(start(1, RANDOM), 5)
    assert.equal(first, answers(start(1, RANDOM), 5))
    assert.not_equal(first, answers(start(2, RANDOM), 5))
  end)

  it("each broker has a dictionary of its own, whose keys come in an order", function()
    local KEYS = [[
      return { transform = function(message)
        tidewire.shared.set("key" .. message.raw, true)
        message.data = tidewire.shared.keys("", 3)
        return message
      end }]]
    local one, other = start(1, KEYS), start(1, KEYS)
    assert.equal(answers(one, 10), answers(other, 10))
    assert.equal(10, one:stats().shared.keys)
  end)

  it("a shared value expires to the millisecond", function()
    local broker = start(1, [[
      return { transform = function(message)
        if message.raw == "0" then tidewire.shared.set("a", "there", 86400) end
        message.data = tidewire.shared.get "a" or "gone"
        return message
      end }]])
    local client = broker:connect "/ws/market"
    local function is(payload, wanted)
      broker:publish("market", payload)
      assert.receives(client, '"' .. wanted .. '"')
    end
    is("0", "there")
    broker:advance(86399.998)
    is("1", "there")
    broker:advance(0.004)
    is("1", "gone")
    assert.equal(0, broker:stats().shared.keys)
  end)

  it("a full dictionary takes what is new when the old has expired", function()
    local broker = assert(sim.broker { files = {
      ["broker.lua"] = "return { shared = { memory = 2000 } }",
      ["channels/market.lua"] = [[
        return { transform = function(message)
          local ok, why, code = tidewire.shared.set("key" .. message.data, ("x"):rep(300), 10)
          message.data = { ok = ok, why = why, code = code }
          return message
        end }]],
    } })
    local client = broker:connect "/ws/market"
    for i = 1, 4 do
      broker:publish("market", tostring(i))
      assert.receives(client, { ok = true })
    end
    broker:publish("market", "5")
    assert.receives(client, { why = "full", code = -10002 })
    broker:advance(10)
    for i = 6, 9 do
      broker:publish("market", tostring(i))
      assert.receives(client, { ok = true })
    end
  end)
end)
