local here = debug.getinfo(1, "S").source:match("^@(.*)/[^/]*$") or "."
local app = dofile(here .. "/support.lua")

-- The definitions themselves, ticked by hand over the real data.
describe("channel", function()
  before_each(app.reset)

  local function ticked(name, times)
    local definition = app.load("channels/" .. name .. ".lua")
    local channel = app.channel(name, definition)
    for _ = 1, times do
      definition.tick.run(channel)
    end
    return channel.sent, channel, definition
  end

  it("market replays MSFT and AMZN, and GOOG from August 2004", function()
    local sent = ticked("market", 123 * 2 + 68)
    assert.equal(314, #sent)
    assert.same({ symbol = "MSFT", date = "2000-01-01", price = 39.81 }, sent[1])
    assert.same({ symbol = "AMZN", date = "2000-01-01", price = 64.56 }, sent[2])
    assert.same({
      symbol = "MSFT", date = "2000-02-01", price = 36.35, change = -3.46, percent = -8.69,
    }, sent[3])
    local seen = {}
    for _, data in ipairs(sent) do
      seen[data.symbol] = seen[data.symbol] or data.date
    end
    assert.same({ MSFT = "2000-01-01", AMZN = "2000-01-01", GOOG = "2004-08-01" }, seen)
  end)

  it("market starts over after March 2010, with no change from there", function()
    local sent = ticked("market", 315)
    assert.equal("GOOG", sent[314].symbol)
    assert.equal("2010-03-01", sent[314].date)
    assert.same(sent[1], sent[315])
  end)

  it("foreign replays IBM and AAPL", function()
    local sent = ticked("foreign", 246)
    assert.same({ symbol = "IBM", date = "2000-01-01", price = 100.52 }, sent[1])
    assert.same({ symbol = "AAPL", date = "2000-01-01", price = 25.94 }, sent[2])
    assert.equal("2010-03-01", sent[246].date)
  end)

  it("index replays the days", function()
    local sent = ticked("index", 2)
    assert.equal("2000-01-03", sent[1].date)
    assert.is_nil(sent[1].change)
    assert.equal("2000-01-04", sent[2].date)
    assert.equal(-55.8, sent[2].change)
    assert.equal(-3.83, sent[2].percent)
  end)

  it("goes on where it was when it is loaded again", function()
    local _, channel = ticked("market", 3)
    local again = app.load("channels/market.lua")
    again.tick.run(channel)
    assert.same({
      symbol = "AMZN", date = "2000-02-01", price = 68.87, change = 4.31, percent = 6.68,
    }, channel.sent[4])
  end)

  it("takes a posted quote between two of the replay", function()
    local sent, channel = ticked("market", 1)
    channel:publish { symbol = "MSFT", price = 42 }
    assert.same({ symbol = "MSFT", price = 42, change = 2.19, percent = 5.5 }, sent[2])
  end)

  for _, name in ipairs { "market", "foreign", "index" } do
    it(name .. " keeps only plain data in its state", function()
      local _, channel = ticked(name, 5)
      for key, value in pairs(channel.state) do
        assert.is_true(key == "row" or key == "last")
        if key == "last" then
          for symbol, price in pairs(value) do
            assert.equal("string", type(symbol))
            assert.equal("number", type(price))
          end
        else
          assert.equal(5, value)
        end
      end
    end)

    it(name .. " is for listening", function()
      local _, _, definition = ticked(name, 0)
      assert.is_false(definition.publish)
    end)
  end

  it("boards conflate by symbol, the index keeps its order", function()
    for _, name in ipairs { "market", "foreign" } do
      local queue = app.load("channels/" .. name .. ".lua").queue
      assert.equal("conflate", queue.overflow)
      assert.equal("symbol", queue.key)
    end
    assert.equal("drop_oldest", app.load("channels/index.lua").queue.overflow)
  end)

  it("settings leave a few tabs their three sockets", function()
    local settings = app.load("broker.lua")
    assert.is_true(settings.limits.connections_per_ip >= 9)
    assert.equal("127.0.0.1:8080", settings.listen)
  end)
end)
