--- Runs a seed; a failure says all that is needed to play it again.
local run = require "spec.sim.invariants.run"
local shrink = require "spec.sim.invariants.shrink"

local check = {}

-- The model branches too much for traces: compiling them costs more than it brings.
jit.off()
-- Most of what it makes is garbage soon.
collectgarbage("setpause", 400)

local SHRINK_S = tonumber(os.getenv "TIDEWIRE_SHRINK" or "30")

local REPORT = [[
seed %d, step %d: %s
replay: TIDEWIRE_SEED=%d TIDEWIRE_STEPS=%d TIDEWIRE_WORKERS=%d \
  build/dev/tidewire-test scripts spec/sim/invariants/soak.lua
shrunk to %d operations (%s):
%s
]]

function check.seed(seed, workers, steps)
  local list = run.generate(seed, steps)
  local failure = run.play(seed, workers, list)
  if not failure then return end
  local function fails(shorter) return run.play(seed, workers, shorter) end
  local short, last = shrink.shrink(list, failure, fails, SHRINK_S)
  error(REPORT:format(seed, failure.step, failure.message, seed, steps, workers, #short,
    last.message, shrink.text(short)), 0)
end

return check
