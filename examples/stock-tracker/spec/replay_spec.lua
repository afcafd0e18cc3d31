local here = debug.getinfo(1, "S").source:match("^@(.*)/[^/]*$") or "."
local app = dofile(here .. "/support.lua")

describe("replay", function()
  local replay
  before_each(function()
    app.reset()
    replay = require "transforms.replay"
  end)

  describe("dates", function()
    it("become sortable", function()
      assert.equal("2000-01-01", replay.iso_date("Jan 1 2000"))
      assert.equal("2009-12-31", replay.iso_date("Dec 31 2009"))
    end)

    it("of another form are an error", function()
      for _, text in ipairs { "", "2000-01-01", "Foo 1 2000", "Jan 1", "jan 1 2000" } do
        assert.error_matches(function() replay.iso_date(text) end, "not a date")
      end
    end)
  end)

  describe("of stocks", function()
    local text = "symbol,date,price\n"
      .. "A,Feb 1 2000,2\nA,Jan 1 2000,1\nB,Jan 1 2000,10.129\nC,Jan 1 2000,7\n"

    it("goes by date, then by the order asked for, and leaves out the rest", function()
      assert.same({
        { symbol = "B", date = "2000-01-01", price = 10.13 },
        { symbol = "A", date = "2000-01-01", price = 1 },
        { symbol = "A", date = "2000-02-01", price = 2 },
      }, replay.stocks(text, { "B", "A" }))
    end)

    it("names a symbol that has no prices", function()
      assert.error_matches(function() replay.stocks(text, { "A", "TSLA" }) end, "no prices of TSLA")
    end)

    it("names the row whose price is none", function()
      for _, bad in ipairs { "x", "", "-1", "0", "nan", "inf" } do
        assert.error_matches(function()
          replay.stocks("symbol,date,price\nA,Jan 1 2000," .. bad .. "\n", { "A" })
        end, "A, Jan 1 2000: not a price")
      end
    end)

    it("has all that the file has, in order", function()
      local symbols = { "MSFT", "AMZN", "GOOG", "IBM", "AAPL" }
      local rows = replay.stocks(app.tidewire.file("data/stocks.csv"), symbols)
      assert.equal(560, #rows)
      assert.same({ symbol = "MSFT", date = "2000-01-01", price = 39.81 }, rows[1])
      assert.same({ symbol = "AAPL", date = "2010-03-01", price = 223.02 }, rows[560])
      for i = 2, #rows do
        assert.is_true(rows[i - 1].date <= rows[i].date)
      end
    end)
  end)

  describe("of the index", function()
    it("has each day of the file, priced at its close", function()
      local rows = replay.index(app.tidewire.file("data/sp500-2000.csv"), "SP500")
      assert.equal(5105, #rows)
      assert.same({
        symbol = "SP500", date = "2000-01-03",
        open = 1469.25, high = 1478, low = 1438.36, price = 1455.22,
      }, rows[1])
      assert.equal("2020-04-17", rows[5105].date)
      assert.equal(2874.56, rows[5105].price)
      for i = 2, #rows do
        assert.is_true(rows[i - 1].date < rows[i].date)
      end
    end)

    it("refuses a file without days", function()
      local header = "date,open,high,low,close\n"
      assert.error_matches(function() replay.index(header, "X") end, "no days")
    end)
  end)

  describe("next", function()
    local rows = { { symbol = "A", price = 1 }, { symbol = "A", price = 2 } }

    it("goes row by row, then starts over and forgets the last prices", function()
      local state = { row = 0, last = { A = 99 } }
      assert.equal(1, replay.next(state, rows).price)
      assert.equal(2, replay.next(state, rows).price)
      assert.same({ A = 99 }, state.last)
      assert.equal(1, replay.next(state, rows).price)
      assert.same({}, state.last)
    end)

    it("gives copies", function()
      local state = {}
      replay.next(state, rows).price = 1000
      assert.equal(1, rows[1].price)
    end)

    it("starts over when a reload left fewer rows", function()
      local state = { row = 500, last = {} }
      assert.equal(1, replay.next(state, rows).price)
      assert.equal(1, state.row)
    end)
  end)
end)
