-- Timers: to the millisecond.
local sim = require "tidewire.sim"

describe("tidewire.after", function()
  after_each(sim.teardown)

  local function start(market, settings)
    return assert(sim.broker {
      files = { ["channels/market.lua"] = 'local tidewire = require "tidewire" ' .. market },
      settings = settings,
    })
  end

  it("runs after exactly its time, once", function()
    local broker = start [[return { on_subscribe = function()
      tidewire.after(1.5, function(channel) channel:publish { at = tidewire.now() } end)
    end }]]
    local began, client = broker:now(), broker:connect "/ws/market"
    broker:advance(1.499)
    assert.receives_nothing(client)
    broker:advance(0.001)
    assert.equal(began + 1.5, client:receive_json().at)
    broker:advance(100)
    assert.receives_nothing(client)
  end)

  it("is late rather than early, and at least a millisecond away", function()
    local broker = start [[return { on_subscribe = function()
      for _, seconds in ipairs { 0, 0.0001, 0.0011, 0.002 } do
        tidewire.after(seconds, function(channel) channel:publish(seconds) end)
      end
    end }]]
    local client = broker:connect "/ws/market"
    assert.receives_nothing(client)
    broker:advance(0.001)
    assert.same({ "0", "0.0001" }, client:messages())
    broker:advance(0.001)
    assert.same({ "0.0011", "0.002" }, client:messages())
  end)

  it("runs each in the order of time, then of asking", function()
    local broker = start [[return { on_subscribe = function()
      for n = 1, 300 do
        tidewire.after(n * 7 % 5, function(channel) channel:publish { n * 7 % 5, n } end)
      end
    end }]]
    local client = broker:connect "/ws/market"
    broker:advance(5)
    local last = { -1, 0 }
    for _ = 1, 300 do
      local data = client:receive_json(0)
      assert.is_true(data[1] > last[1] or (data[1] == last[1] and data[2] > last[2]))
      last = data
    end
    assert.receives_nothing(client)
  end)

  it("a day long is the longest", function()
    local broker = start [[return { on_subscribe = function()
      tidewire.after(86400, function(channel) channel:publish "a day" end)
    end }]]
    local client = broker:connect "/ws/market"
    broker:advance(86399.999)
    assert.receives_nothing(client)
    broker:advance(0.001)
    assert.receives(client, '"a day"')
  end)

  it("has its place again when it ran or was cancelled: 10,000 in a row #load", function()
    local broker = start([[
      local function again(n)
        return function(channel)
          channel.state.runs = n
          local spare = tidewire.after(1, function() error "cancelled" end)
          tidewire.cancel(spare)
          if n < 10000 then tidewire.after(0, again(n + 1)) end
        end
      end
      return {
        init = function() tidewire.after(0, again(1)) end,
        transform = function(message, channel) message.data = channel.state.runs return message end,
      }]])
    local client = broker:connect "/ws/market"
    broker:advance(11)
    broker:publish("market", "0")
    assert.receives(client, "10000")
  end)

  it("is forgotten with its channel", function()
    local broker = assert(sim.broker { files = {
      ["channels/market.lua"] = "return {}",
      ["channels/room.lua"] = [[
        local tidewire = require "tidewire"
        return { name = "room:{id}", on_subscribe = function(client, channel)
          local name = channel.name
          tidewire.after(50, function() tidewire.publish("market", name) end)
          tidewire.after(100, function() tidewire.publish("market", "never") end)
        end }]],
    } })
    local market = broker:connect "/ws/market"
    broker:connect("/ws/room:1"):close(1000)
    broker:connect("/ws/room:2"):close(1000)
    broker:advance(101)
    local got = market:messages()
    table.sort(got)
    assert.same({ '"room:1"', '"room:2"' }, got)
    assert.is_nil(broker:channel "room:1")
  end)
end)
