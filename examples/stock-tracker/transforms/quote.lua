-- What a quote is, and what is added to it on its way. Used by all three channels, for
-- the quotes of the replay and for those that come by HTTP, which nobody has checked yet.
local tidewire = require "tidewire"

local quote = {}

-- `state.last` has an entry per symbol and lives as long as the broker: whoever posts
-- symbols by the million must not fill it.
quote.max_symbols = 100

local function round(value)
  return math.floor(value * 100 + 0.5) / 100
end

local function count(map)
  local n = 0
  for _ in pairs(map) do
    n = n + 1
  end
  return n
end

--- True if `data` is a quote, as { symbol = "MSFT", price = 42, date = "2000-01-31" } is one, or
--- false and why not. The date is optional: without it the quote is of now.
function quote.check(data)
  if type(data) ~= "table" then return false, "a quote is an object, this is a " .. type(data) end
  local symbol, value, date = data.symbol, data.price, data.date
  if type(symbol) ~= "string" then
    return false, "symbol is a string, this is a " .. type(symbol)
  end
  if #symbol > 12 or not symbol:find("^[A-Z0-9][A-Z0-9.-]*$") then
    return false, "symbol is 1 to 12 of A-Z 0-9 . and -"
  end
  if type(value) ~= "number" then return false, "price is a number, this is a " .. type(value) end
  -- This also refuses NaN and the infinities, which a JSON decoder may let in.
  if not (value > 0 and value < 1e12) then
    return false, "price is greater than 0 and less than 1e12"
  end
  if date ~= nil and not (type(date) == "string" and date:find("^%d%d%d%d%-%d%d%-%d%d$")) then
    return false, "date is YYYY-MM-DD, or left out"
  end
  return true
end

--- Sets `change` and `percent` against the last price of the symbol, and remembers this one.
--- The first quote of a symbol has neither: there is nothing that it has changed from.
--- True, or false and why.
function quote.add_change(data, last)
  local before = last[data.symbol]
  if before == nil and count(last) >= quote.max_symbols then
    return false, ("more than %d symbols"):format(quote.max_symbols)
  end
  -- Also when there is none: a posted quote may bring a `change` of its own.
  data.change = before and round(data.price - before)
  data.percent = before and round((data.price - before) / before * 100)
  last[data.symbol] = data.price
  return true
end

--- The `transform` of a channel. A value that is no quote is dropped, and the log says why;
--- what was in it is not logged, since it is a stranger's text.
function quote.transform(message, channel)
  local data = message.data
  local ok, why = quote.check(data)
  if ok then
    channel.state.last = channel.state.last or {}
    ok, why = quote.add_change(data, channel.state.last)
  end
  if not ok then
    tidewire.log.info(("quote dropped: channel=%s why=%q"):format(channel.name, why))
    return nil
  end
  return message
end

return quote
