-- The second board: IBM and AAPL.
--
-- We have no prices of a foreign exchange and do not make any up. This is the board that
-- foreign listings would go to; until you have a feed for it, two of the five US stocks
-- live here, with their real prices. To replace them, delete `tick` and POST your quotes
-- to /v1/channels/foreign/messages (README.md).
local tidewire = require "tidewire"
local quote = require "transforms.quote"
local replay = require "transforms.replay"

local symbols = { "IBM", "AAPL" }
local rows = replay.stocks(tidewire.file("data/stocks.csv"), symbols)

return {
  queue = { size = 64, overflow = "conflate", key = "symbol" },
  publish = false,

  init = function(channel)
    channel.state.row = 0
    channel.state.last = {}
  end,

  tick = {
    every = 0.4, -- not in step with the market, as boards are not
    run = function(channel)
      channel:publish(replay.next(channel.state, rows))
    end,
  },

  transform = quote.transform,
}
