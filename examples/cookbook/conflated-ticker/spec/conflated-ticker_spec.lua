local sim = require "tidewire.sim"

describe("a conflated ticker", function()
  after_each(sim.teardown)

  local broker
  before_each(function()
    broker = assert(sim.broker { settings = { socket_buffer = 4096 } })
  end)

  local function publish(from, to)
    for n = from, to do
      for _, symbol in ipairs { "AAPL", "IBM", "MSFT" } do
        broker:publish("ticker", { symbol = symbol, price = n })
      end
    end
  end

  it("gives who reads every quote, in order", function()
    local client = broker:connect "/ws/ticker"
    publish(1, 100)
    for n = 1, 100 do
      for _, symbol in ipairs { "AAPL", "IBM", "MSFT" } do
        assert.receives(client, { symbol = symbol, price = n })
      end
    end
  end)

  it("gives who reads slowly fewer quotes, and the newest of each symbol at the end", function()
    local slow = broker:connect("/ws/ticker", { down_buffer = 256 })
    local fast = broker:connect "/ws/ticker"
    slow:stall()
    publish(1, 5000)
    broker:advance(1)
    assert.is_true(broker:stats().queued <= 4, "a quote of each symbol, and one that is half sent")
    slow:resume()
    broker:advance(1)
    local got = slow:messages()
    assert.is_true(#got > 3 and #got < 2000, #got .. " quotes")
    local last = {}
    for _, text in ipairs(got) do
      local symbol, price = text:match '"symbol":"(%u+)"', tonumber(text:match '"price":(%d+)')
      assert.is_true(price > (last[symbol] or 0), "never an older one after a newer one")
      last[symbol] = price
    end
    assert.same({ AAPL = 5000, IBM = 5000, MSFT = 5000 }, last)
    assert.equal(15000, #fast:messages())
  end)

  it("keeps the newest of a symbol that is seldom quoted, however often others are", function()
    local slow = broker:connect("/ws/ticker", { down_buffer = 256 })
    slow:stall()
    publish(1, 1000)
    broker:publish("ticker", { symbol = "IBM", price = 1001 })
    for n = 1001, 2000 do broker:publish("ticker", { symbol = "AAPL", price = n }) end
    slow:resume()
    broker:advance(1)
    local got = table.concat(slow:messages(), "\n")
    assert.matches('"price":1001,"symbol":"IBM"', got, 1, true)
    assert.matches('"price":2000,"symbol":"AAPL"', got, 1, true)
  end)

  it("drops what is no quote", function()
    local client = broker:connect "/ws/ticker"
    assert.is_true(broker:publish("ticker", { symbol = "XYZ", price = 1 }).dropped)
    assert.is_true(broker:publish("ticker", "1").dropped)
    assert.receives_nothing(client)
  end)
end)
