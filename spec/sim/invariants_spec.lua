-- Random operations against a model; see invariants/README.md. A failure prints the seed, a short
-- sequence that fails, and how to play it again.
local cases = require "spec.sim.invariants_cases"
local check = require "spec.sim.invariants.check"
local run = require "spec.sim.invariants.run"

local WORKERS = tonumber(os.getenv "TIDEWIRE_WORKERS" or "1")
local SEEDS, STEPS = 50, 100 -- long ones: invariants/long.lua

describe("the broker, whatever happens #hunt", function()
  for first = 1, SEEDS, 10 do
    it(("keeps its promises with seeds %d to %d"):format(first, first + 9), function()
      for seed = first, first + 9 do check.seed(seed, WORKERS, STEPS) end
    end)
  end

  for _, case in ipairs(cases) do
    it(case.name, function()
      local failure = run.play(case.seed, case.workers, case)
      assert.equal(nil, failure and failure.message)
    end)
  end
end)
