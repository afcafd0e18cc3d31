--- The harness that a run picks: `local harness = require "tidewire.harness"`.
--
-- TIDEWIRE_HARNESS=sim (the default) is tidewire.sim, =live is tidewire.live: the same functions. A
-- spec that does not move the clock runs on both. `harness.name` is "sim" or "live".
local name = os.getenv("TIDEWIRE_HARNESS") or "sim"

if name ~= "sim" and name ~= "live" then
  error(("TIDEWIRE_HARNESS is sim or live; got: %s"):format(name), 0)
end
return require("tidewire." .. name)
