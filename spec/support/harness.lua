--- Finds modules of scripts/tidewire/harness, also when LUA_PATH does not lead there.
local SCRIPTS = "scripts/?.lua;"

if not package.path:find(SCRIPTS, 1, true) then package.path = SCRIPTS .. package.path end

return function(name) return require("tidewire.harness." .. name) end
