-- The S&P 500, each trading day from January 2000 to April 2020: a year of it a minute.
local tidewire = require "tidewire"
local quote = require "transforms.quote"
local replay = require "transforms.replay"

local rows = replay.index(tidewire.file("data/sp500-2000.csv"), "SP500")

return {
  -- A chart wants each point in its place, so nothing is conflated. Who falls more than
  -- 256 days behind loses the oldest.
  queue = { size = 256, overflow = "drop_oldest" },
  publish = false,

  init = function(channel)
    channel.state.row = 0
    channel.state.last = {}
  end,

  tick = {
    every = 0.25,
    run = function(channel)
      channel:publish(replay.next(channel.state, rows))
    end,
  },

  transform = quote.transform,
}
