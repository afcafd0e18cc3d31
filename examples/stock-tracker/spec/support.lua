-- Loads this app's files without a broker: a fake `tidewire`, and `require` that finds the
-- app's folder from wherever busted was started. Each spec file: local app = dofile(…).
local here = debug.getinfo(1, "S").source:match("^@(.*)/[^/]*$") or "."
local root = here .. "/.."

local app = { root = root, log = {} }

app.tidewire = {
  env = {},
  equal = rawequal,
  log = {
    info = function(line)
      app.log[#app.log + 1] = line
    end,
  },
  file = function(path)
    local file = assert(io.open(root .. "/" .. path, "rb"))
    local text = file:read("*a")
    file:close()
    return text
  end,
}

--- Each call gives a fresh fake to modules that are loaded from now on.
function app.reset()
  for name in pairs(package.loaded) do
    if name == "tidewire" or name:find("^transforms%.") then package.loaded[name] = nil end
  end
  package.preload.tidewire = function()
    return app.tidewire
  end
  if not package.path:find(root .. "/?.lua", 1, true) then
    package.path = root .. "/?.lua;" .. package.path
  end
  app.tidewire.env = {}
  app.log = {}
end

--- What an app's file returns, as the broker would load it.
function app.load(path)
  return assert(loadfile(root .. "/" .. path))()
end

--- A channel as the hooks see it: publishes go through the transform and into `sent`.
function app.channel(name, definition)
  local channel = { name = name, state = {}, sent = {} }
  function channel:publish(data)
    local message = definition.transform({ data = data }, self, nil)
    if message then self.sent[#self.sent + 1] = message.data end
    return message
  end
  if definition.init then definition.init(channel) end
  return channel
end

app.reset()
return app
