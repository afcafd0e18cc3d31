--- The environment of this process, for brokers that run in it; teardowns put it back.
local uv = require "luv"

local environment = { before = {} }

local function put(name, value)
  if value then uv.os_setenv(name, value) else uv.os_unsetenv(name) end
end

--- Sets variables (false removes one).
function environment.set(variables)
  for name, value in pairs(variables or {}) do
    if environment.before[name] == nil then environment.before[name] = os.getenv(name) or false end
    put(name, value)
  end
end

function environment.restore()
  for name, value in pairs(environment.before) do put(name, value) end
  environment.before = {}
end

return environment
