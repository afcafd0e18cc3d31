-- The home board: MSFT, AMZN and GOOG, replayed from their real prices by the month.
--
-- Edit this file while the page is open: save, and the broker swaps it in without
-- dropping a socket. With a mistake in it, the version before stays in charge.
local tidewire = require "tidewire"
local quote = require "transforms.quote"
local replay = require "transforms.replay"

local symbols = { "MSFT", "AMZN", "GOOG" } -- GOOG is listed since August 2004
local rows = replay.stocks(tidewire.file("data/stocks.csv"), symbols)

return {
  -- When 64 wait for a slow reader, only the newest price of each symbol stays.
  queue = { size = 64, overflow = "conflate", key = "symbol" },

  -- Clients listen. Quotes come from `tick`, and from POST /v1/channels/market/messages.
  publish = false,

  -- Runs when the channel is new. `state` outlives reloads, so it holds plain data only.
  init = function(channel)
    channel.state.row = 0 -- the row of the replay that was published last
    channel.state.last = {} -- symbol -> price
  end,

  -- One real price each quarter of a second, in the order of the calendar.
  tick = {
    every = 0.25,
    run = function(channel)
      channel:publish(replay.next(channel.state, rows))
    end,
  },

  -- For each quote, ticked or posted: checks it, adds `change` and `percent`.
  transform = quote.transform,
}
