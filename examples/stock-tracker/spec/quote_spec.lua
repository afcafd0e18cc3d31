local here = debug.getinfo(1, "S").source:match("^@(.*)/[^/]*$") or "."
local app = dofile(here .. "/support.lua")

describe("quote", function()
  local quote, channel
  before_each(function()
    app.reset()
    quote = require "transforms.quote"
    channel = { name = "market", state = { last = {} } }
  end)

  local function transform(data)
    return quote.transform({ data = data }, channel)
  end

  it("has no change at first, and then the one since the last price of its symbol", function()
    local first = transform { symbol = "MSFT", price = 39.81 }.data
    assert.is_nil(first.change)
    assert.is_nil(first.percent)
    transform { symbol = "IBM", price = 100 }

    local second = transform { symbol = "MSFT", price = 36.35 }.data
    assert.equal(-3.46, second.change)
    assert.equal(-8.69, second.percent)

    local third = transform { symbol = "MSFT", price = 36.35 }.data
    assert.equal(0, third.change)
    assert.equal(0, third.percent)
  end)

  it("keeps its other fields and is the message that came", function()
    local message = { data = { symbol = "MSFT", price = 1, date = "2000-01-01", open = 2 } }
    assert.equal(message, quote.transform(message, channel))
    assert.same({ symbol = "MSFT", price = 1, date = "2000-01-01", open = 2 }, message.data)
  end)

  it("does not believe a change that was posted", function()
    local data = transform { symbol = "MSFT", price = 1, change = 1e6, percent = 1e6 }.data
    assert.is_nil(data.change)
    assert.is_nil(data.percent)
  end)

  describe("is dropped, with the reason in the log and nothing remembered,", function()
    local cases = {
      { "when it is no object", 42, "an object, this is a number" },
      { "when it is null", nil, "an object, this is a nil" },
      { "when it is text", "MSFT", "an object, this is a string" },
      { "when it is a list", { 1, 2 }, "symbol is a string, this is a nil" },
      { "without a symbol", { price = 1 }, "symbol is a string" },
      { "with a number for a symbol", { symbol = 7, price = 1 }, "symbol is a string" },
      { "with an empty symbol", { symbol = "", price = 1 }, "1 to 12" },
      { "with a symbol of 13 letters", { symbol = ("A"):rep(13), price = 1 }, "1 to 12" },
      { "with markup for a symbol", { symbol = "<b>", price = 1 }, "1 to 12" },
      { "with a line break in its symbol", { symbol = "A\nB", price = 1 }, "1 to 12" },
      { "without a price", { symbol = "A" }, "price is a number" },
      { "with text for a price", { symbol = "A", price = "42" }, "price is a number" },
      { "with a price of 0", { symbol = "A", price = 0 }, "greater than 0" },
      { "with a price below 0", { symbol = "A", price = -1 }, "greater than 0" },
      { "with a price that is NaN", { symbol = "A", price = 0 / 0 }, "greater than 0" },
      { "with a price without end", { symbol = "A", price = math.huge }, "less than 1e12" },
      { "with another date", { symbol = "A", price = 1, date = "Jan 1" }, "YYYY%-MM%-DD" },
      { "with a number for a date", { symbol = "A", price = 1, date = 2000 }, "YYYY%-MM%-DD" },
    }
    for _, case in ipairs(cases) do
      local name, data, why = case[1], case[2], case[3]
      it(name, function()
        assert.is_nil(transform(data))
        assert.equal(1, #app.log)
        assert.matches(why, app.log[1])
        assert.matches("channel=market", app.log[1], 1, true)
        assert.same({}, channel.state.last)
      end)
    end
  end)

  it("returns nil on purpose, not nothing, when it drops", function()
    assert.equal(1, select("#", transform(42)))
  end)

  it("remembers a bounded number of symbols, and goes on with those", function()
    for i = 1, quote.max_symbols do
      assert.is_table(transform { symbol = "S" .. i, price = 1 })
    end
    assert.is_nil(transform { symbol = "ONEMORE", price = 1 })
    assert.matches("more than 100 symbols", app.log[1], 1, true)
    assert.is_nil(channel.state.last.ONEMORE)
    assert.equal(1, transform({ symbol = "S1", price = 2 }).data.change)
  end)

  it("mends a state without last prices", function()
    channel.state = {}
    assert.is_table(transform { symbol = "A", price = 1 })
    assert.same({ A = 1 }, channel.state.last)
  end)
end)
