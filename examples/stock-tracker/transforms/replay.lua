-- The recorded prices as a list of quotes, and the step from one to the next.
-- Only prices that are in the files are replayed: nothing between two of them is made up.
local csv = require "transforms.csv"

local replay = {}

local months = {
  Jan = 1, Feb = 2, Mar = 3, Apr = 4, May = 5, Jun = 6,
  Jul = 7, Aug = 8, Sep = 9, Oct = 10, Nov = 11, Dec = 12,
}

--- "Jan 1 2000" as "2000-01-01", which sorts.
function replay.iso_date(text)
  local month, day, year = text:match("^(%a%a%a) (%d%d?) (%d%d%d%d)$")
  if not months[month] then error(("not a date: %q"):format(text), 2) end
  return ("%s-%02d-%02d"):format(year, months[month], tonumber(day))
end

local function price(text, where)
  local value = tonumber(text)
  if not value or not (value > 0 and value < math.huge) then
    error(("%s: not a price: %q"):format(where, text), 0)
  end
  -- The index comes as 1455.219971: a 32-bit float's idea of 1455.22.
  return math.floor(value * 100 + 0.5) / 100
end

--- The quotes of `symbols` in stocks.csv, by date, within a date in the order of `symbols`.
function replay.stocks(text, symbols)
  local rank, seen = {}, {}
  for i, symbol in ipairs(symbols) do
    rank[symbol] = i
  end

  local rows = {}
  for _, row in ipairs(csv.parse(text)) do
    if rank[row.symbol] then
      seen[row.symbol] = true
      rows[#rows + 1] = {
        symbol = row.symbol,
        date = replay.iso_date(row.date),
        price = price(row.price, row.symbol .. ", " .. row.date),
      }
    end
  end
  for _, symbol in ipairs(symbols) do
    if not seen[symbol] then error(("no prices of %s in the data"):format(symbol), 2) end
  end

  table.sort(rows, function(a, b)
    if a.date ~= b.date then return a.date < b.date end
    return rank[a.symbol] < rank[b.symbol]
  end)
  return rows
end

--- The days of sp500-2000.csv as quotes of `symbol`; the price is the day's close.
function replay.index(text, symbol)
  local rows = {}
  for i, row in ipairs(csv.parse(text)) do
    rows[i] = {
      symbol = symbol,
      date = row.date,
      open = price(row.open, row.date),
      high = price(row.high, row.date),
      low = price(row.low, row.date),
      price = price(row.close, row.date),
    }
  end
  if #rows == 0 then error("no days in the data", 2) end
  return rows
end

--- The quote after the one that `state` is at, as a copy: who gets it may change it.
--- After the last one it starts over and forgets the last prices, since from the end of
--- the data to its beginning no price has changed.
function replay.next(state, rows)
  local row = (state.row or 0) + 1
  if row > #rows then -- also after a reload with fewer rows
    row = 1
    state.last = {}
  end
  state.row = row

  local quote = {}
  for key, value in pairs(rows[row]) do
    quote[key] = value
  end
  return quote
end

return replay
