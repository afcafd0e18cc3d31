--- Long sequences of random operations against the model; see README.md. What piles up, wraps or
-- leaks shows here, and not in the short ones of invariants_spec. Too long for sanitizers, so a
-- test of the optimized build: $TIDEWIRE_SEEDS is FIRST-LAST.
local check = require "spec.sim.invariants.check"

local WORKERS = tonumber(os.getenv "TIDEWIRE_WORKERS" or "1")
local FIRST, LAST = (os.getenv "TIDEWIRE_SEEDS" or "1-5"):match "^(%d+)-(%d+)$"
local STEPS = 10000

describe("the broker, whatever happens for long", function()
  for seed = tonumber(FIRST), tonumber(LAST) do
    it(("keeps its promises over %d operations, seed %d"):format(STEPS, seed), function()
      check.seed(seed, WORKERS, STEPS)
    end)
  end
end)
