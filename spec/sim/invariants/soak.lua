--- Random runs for as long as $TIDEWIRE_SOAK says (seconds), or the one run of $TIDEWIRE_SEED. Not
-- one of the tests: `./dev soak SECONDS`.
local check = require "spec.sim.invariants.check"

local STEPS = tonumber(os.getenv "TIDEWIRE_STEPS" or "400")
local SEED, SECONDS = os.getenv "TIDEWIRE_SEED", tonumber(os.getenv "TIDEWIRE_SOAK" or "60")
local RUNS = tonumber(os.getenv "TIDEWIRE_RUNS" or "1e9")
local WORKERS = tonumber(os.getenv "TIDEWIRE_WORKERS" or "")

describe("soak", function()
  it("keeps its promises", function()
    if SEED then return check.seed(tonumber(SEED), WORKERS or 1, STEPS) end
    local first, began, runs = os.time() % 1000000 * 100, os.time(), 0
    first = tonumber(os.getenv "TIDEWIRE_FIRST" or first)
    while os.time() - began < SECONDS and runs < RUNS do
      check.seed(first + runs, WORKERS or (runs % 2 == 0 and 4 or 1), STEPS)
      runs = runs + 1
      if runs % 20 == 0 then
        io.write(("soak: %d runs, %d steps, %d s, seeds %d to %d\n"):format(runs, runs * STEPS,
          os.time() - began, first, first + runs - 1))
        io.flush()
      end
    end
  end)
end)
