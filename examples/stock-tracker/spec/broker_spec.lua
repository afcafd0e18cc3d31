-- The whole app in the simulator, as clients see it. Run by `tidewire test`.
local sim = require "tidewire.sim"

describe("the stock tracker", function()
  after_each(sim.teardown)

  local function start(env, settings)
    return assert(sim.broker { env = env or { WS_TOKEN = false }, settings = settings })
  end

  it("sends four quotes of the market a second, with what has changed", function()
    local broker = start()
    local client = broker:connect "/ws/market"
    broker:advance(1)
    assert.receives(client, { symbol = "MSFT", date = "2000-01-01", price = 39.81 })
    assert.receives(client, { symbol = "AMZN", date = "2000-01-01", price = 64.56 })
    assert.receives(client,
      { symbol = "MSFT", date = "2000-02-01", price = 36.35, change = -3.46, percent = -8.69 })
    assert.receives(client,
      { symbol = "AMZN", date = "2000-02-01", price = 68.87, change = 4.31, percent = 6.68 })
    assert.receives_nothing(client)
  end)

  it("sends each board its own", function()
    local broker = start()
    local symbols = { market = "AMZN MSFT", foreign = "AAPL IBM", index = "SP500" }
    local clients = {}
    for name in pairs(symbols) do clients[name] = broker:connect("/ws/" .. name) end
    broker:advance(2)
    for name, expected in pairs(symbols) do
      local seen, list = {}, {}
      for quote in function() return clients[name]:receive_json(0) end do
        seen[quote.symbol] = true
      end
      for symbol in pairs(seen) do list[#list + 1] = symbol end
      table.sort(list)
      assert.equal(expected, table.concat(list, " "))
    end
  end)

  it("takes a quote from outside between two of the replay", function()
    local broker = start()
    local client = broker:connect "/ws/market"
    broker:advance(0.25)
    assert.receives(client, { symbol = "MSFT", date = "2000-01-01", price = 39.81 })
    local answer = broker:publish("market", '{"symbol":"MSFT","price":42}')
    assert.equal(2, answer.offset)
    assert.receives(client, { symbol = "MSFT", price = 42, change = 2.19, percent = 5.5 })
  end)

  it("drops what is no quote, and says why in the log", function()
    local broker = start()
    local client = broker:connect "/ws/market"
    assert.is_true(broker:publish("market", '{"symbol":"MSFT","price":-1}').dropped)
    assert.matches("quote dropped: channel=market", broker:log(), 1, true)
    assert.receives_nothing(client)
  end)

  it("gives a slow reader the newest price of each symbol, not all the old ones", function()
    local broker = start(nil, { socket_buffer = 4096 })
    local reader = broker:connect "/ws/market"
    local slow = broker:connect("/ws/market", { down_buffer = 200 })
    slow:stall()
    local newest = {}
    for n = 1, 2000 do
      local symbol = ({ "MSFT", "AMZN", "GOOG" })[n % 3 + 1]
      broker:publish("market", { symbol = symbol, price = n })
      newest[symbol] = reader:receive_json()
    end
    slow:resume()
    local got, count = {}, 0
    for quote in function() return slow:receive_json(0) end do
      got[quote.symbol], count = quote, count + 1
    end
    assert.same(newest, got)
    assert.is_true(count < 200, count .. " messages")
    assert.equal(2000 - count, broker:channel("market").dropped)
  end)

  it("lets everybody listen while WS_TOKEN is not set, and nobody publish", function()
    local broker = start()
    local client = broker:connect "/ws/market"
    client:send { symbol = "MSFT", price = 1 }
    assert.receives_nothing(client)
    assert.equal(1, broker:stats().connections)
  end)

  it("asks for the token when WS_TOKEN is set", function()
    local broker = start { WS_TOKEN = "s3cret" }
    assert.refused_with(broker:connect "/ws/market", 401)
    assert.refused_with(broker:connect("/ws/market", { token = "wrong" }), 401)
    assert.equal(101, broker:connect("/ws/market", { token = "s3cret" }).status)
    assert.equal(101, broker:connect("/ws/index",
      { headers = { Authorization = "Bearer s3cret" } }).status)
  end)

  it("keeps a viewer's connection, however long it only listens", function()
    local broker = start()
    local viewer = broker:connect "/ws/index"
    broker:advance(600)
    assert.is_true(viewer:is_open())
    assert.equal(600 * 4, #viewer:messages())
  end)

  it("says goodbye to all within a second when it stops", function()
    local broker = start()
    local clients = {}
    for i = 1, 6 do clients[i] = broker:connect "/ws/market" end
    broker:drain()
    broker:advance(1)
    for _, client in ipairs(clients) do assert.equal(1001, client.close_code) end
    assert.equal(0, broker:stats().connections)
  end)
end)
