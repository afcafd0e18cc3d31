-- Quotes { symbol, price }, hundreds a second; readers of all speeds.
local symbols = { "AAPL", "IBM", "MSFT" }
local is_known = {}
for _, symbol in ipairs(symbols) do is_known[symbol] = true end

return {
  -- A place for each symbol: conflating begins when the queue is full.
  queue = { size = #symbols, overflow = "conflate", key = "symbol" },

  transform = function(message)
    local data = message.data
    if type(data) ~= "table" or not is_known[data.symbol] or type(data.price) ~= "number" then
      return nil
    end
    return message
  end,
}
