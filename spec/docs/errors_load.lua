--- What provokes the messages of loading an app: by the quote, a function that returns what is
-- told.
local process = require "tidewire.harness.process"
local files = require "tidewire.harness.files"
local sim = require "tidewire.sim"

-- The errors of an app that must not load.
local function load(texts, settings)
  local broker, errors = sim.broker { files = texts, settings = settings }
  assert(not broker, "it loads")
  local list = {}
  for _, it in ipairs(errors) do list[#list + 1] = it.file .. ": " .. it.message end
  return table.concat(list, "\n")
end

local function channel(text)
  return load { ["channels/a.lua"] = text }
end

-- The log of an app that loads.
local function warned(texts)
  local broker = assert(sim.broker { files = texts })
  broker:allow_log("")
  return broker:log()
end

-- What `tidewire check` prints of a folder.
local function check_folder(folder)
  local child = process.spawn {
    command = os.getenv "TIDEWIRE_BIN", args = { "check", folder },
  }
  assert(child:wait_exit(20), "check does not end")
  child:kill()
  return child:stdout() .. child:stderr()
end

local function check(texts, is_bare)
  local folder = files.app(texts)
  if is_bare then files.write(folder, "broker.lua", false) end
  return check_folder(folder)
end

-- The log of a broker whose files are changed.
local function changed(before, after)
  local broker = assert(sim.broker { files = before })
  broker:allow_log("")
  broker:publish("a", {})
  assert((broker:reload(after)))
  return broker:log()
end

local KEEPS = "return { transform = function(message, channel) "
  .. "channel.state.f = function() end return message end } -- "

return {
  ["KEY: unknown key; did you mean 'OTHER'?"] = function()
    return channel "return { transfrom = print }"
  end,
  ["KEY: expected …, got …"] = function() return channel "return { publish = 5 }" end,
  ["'end' expected near '}'"] = function()
    return channel "return { init = function() return 1 }"
  end,
  ["expected that the file returns a table, the definition, got nothing: "
    .. "it ends without `return ...`"] = function() return channel "local a = {}" end,
  ["expected that the file returns a function(request), …"] = function()
    return load { ["auth.lua"] = "local function auth() end" }
  end,
  ["name: a channel's name is 1 to 200 bytes of UTF-8 without spaces, …"] = function()
    return channel "return { name = 'a b' }"
  end,
  ['publish: "authorize" needs a function `authorize`'] = function()
    return channel "return { publish = 'authorize' }"
  end,
  ['queue.overflow: "conflate" needs queue.key'] = function()
    return channel "return { queue = { overflow = 'conflate' } }"
  end,
  ['the name "NAME" is that of FILE, too'] = function()
    return load { ["channels/a.lua"] = "return { name = 'b' }", ["channels/b.lua"] = "return {}" }
  end,
  ["transforms/NAME.lua: there is no such file"] = function()
    return channel "local quote = require 'transforms.quote' return {}"
  end,
  ['tidewire.file("NAME"): there is no such file'] = function()
    return channel "require('tidewire').file('data/stocks.csv') return {}"
  end,
  ["tidewire.publish: not while the app is loaded, only in a hook"] = function()
    return channel "require('tidewire').publish('a', {}) return {}"
  end,
  ["deadline of … ms passed"] = function()
    return load({ ["channels/a.lua"] = "while true do end" }, { ["script.deadline"] = 0.005 })
  end,
  ["not enough memory (script.memory is … bytes)"] = function()
    return load({ ["channels/a.lua"] = "local t = {} for i = 1, 1e6 do t[i] = {} end return {}" },
      { ["script.memory"] = 1048576 })
  end,
  ["no app here: neither broker.lua nor auth.lua nor channels/"] = function()
    return check({ ["public/index.html"] = "" }, true)
  end,
  ["history has no effect yet"] = function()
    return warned { ["channels/a.lua"] = "return { history = { size = 5 } }" }
  end,
  ["presence has no effect yet"] = function()
    return warned { ["channels/a.lua"] = "return { presence = true }" }
  end,
  ["transform may end here without returning anything"] = function()
    return check { ["channels/a.lua"] = "return { transform = function(message)\n"
      .. "  if message.data.x then return message end\nend }" }
  end,
  ["global 'NAME' is written"] = function()
    return check { ["channels/a.lua"] = "count = 0\nreturn {}" }
  end,
  ["a change of this setting needs a restart setting=NAME"] = function()
    local live = require "tidewire.live"
    local broker = assert(live.broker {
      files = { ["broker.lua"] = "return { listen = '127.0.0.1:0' }" },
      settings = { listen = false },
    })
    broker:allow_log("needs a restart")
    assert((broker:reload { ["broker.lua"] = "return { listen = '127.0.0.2:0' }" }))
    return broker:log()
  end,
  ["state not carried over channel=CHANNEL error=state.X is a function"] = function()
    return changed({ ["channels/a.lua"] = KEEPS }, { ["channels/a.lua"] = KEEPS .. "2" })
  end,
  ["error=to copy it takes longer than script.deadline"] = function()
    local live = require "tidewire.live"
    local text = [[return { tick = { every = 0.001, run = function(channel)
      local state = channel.state
      for i = #state + 1, math.min(#state + 2000, 200000) do state[i] = { i } end
      if #state == 200000 then channel:publish("full") end
    end } }
    ]]
    local broker = assert(live.broker {
      files = { ["channels/a.lua"] = text }, settings = { ["script.deadline"] = 0.02 },
    })
    broker:allow_log("not carried over")
    assert(broker:connect("/ws/a"):receive(30))
    assert((broker:reload { ["channels/a.lua"] = text .. "-- changed" }))
    broker:wait(function() return broker:log():find("not carried over", 1, true) end, 10)
    return broker:log()
  end,
}
