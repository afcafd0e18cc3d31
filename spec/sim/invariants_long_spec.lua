-- One long sequence of random operations against the model; see invariants/README.md. What piles
-- up, wraps or leaks shows here, and not in the fifty short ones of invariants_spec.
local check = require "spec.sim.invariants.check"

local WORKERS = tonumber(os.getenv "TIDEWIRE_WORKERS" or "1")
local STEPS = 10000

describe("the broker, whatever happens for long #hunt", function()
  it(("keeps its promises over %d operations"):format(STEPS), function()
    check.seed(1000 + WORKERS, WORKERS, STEPS)
  end)
end)
