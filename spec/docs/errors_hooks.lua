--- What provokes the messages of failing hooks: by the quote, a function that returns the log.
local live = require "tidewire.live"
local sim = require "tidewire.sim"

local HEAD = "local tidewire = require 'tidewire'\n"

-- The log of an app after `act(broker)`; by default something is published to `a`.
local function log_of(texts, act, settings)
  if type(texts) == "string" then texts = { ["channels/a.lua"] = HEAD .. texts } end
  local broker = assert(sim.broker { files = texts, settings = settings })
  broker:allow_log("")
  if act then act(broker) else broker:publish("a", { x = 1 }) end
  broker:wait(function() return false end, 0.1)
  return broker:log()
end

-- The log of an app whose transform of `a` is this, run twice.
local function transform(body, settings)
  return log_of("local kept\nreturn { transform = function(message, channel, client)\n" .. body
    .. "\nend }", function(broker) for _ = 1, 2 do broker:publish("a", { x = 1 }) end end, settings)
end

local function connect(broker)
  return broker:connect "/ws/a"
end

return {
  ["HOOK of CHANNEL returned nothing; return the message, or nil to drop it"] = function()
    return transform "message.data.x = 2"
  end,
  ["transform of CHANNEL returned 7; return …"] = function() return transform "return 7" end,
  ['authorize of CHANNEL returned the text "yes"; return true, or false and a reason'] = function()
    return log_of("return { authorize = function() return 'yes' end }", connect)
  end,
  ["attempt to index …"] = function() return transform "return message.data.y.z" end,
  ["attempt to perform arithmetic on field 'price' (a nil value)"] = function()
    return transform "message.data.change = message.data.price - 1 return message"
  end,
  ["attempt to index global 'io' (a nil value)"] = function()
    return transform "io.write('x') return message"
  end,
  ["deadline of 100 ms passed"] = function() return transform "while true do end" end,
  ["killed: it did not stop when its deadline … had passed"] = function()
    local broker = assert(live.broker { files = {
      ["channels/a.lua"] = "return { transform = function(message) "
        .. "string.find(('a'):rep(30000) .. 'b', ('a*'):rep(30) .. 'c') return message end }",
    } })
    broker:allow_log("killed")
    assert(broker:publish("a", {}).error)
    return broker:log()
  end,
  ["not loaded again FILE:2: …"] = function()
    return log_of { ["channels/a.lua"] = HEAD
      .. [[if tidewire.shared.get "killed" then error "not now" end
      return { transform = function(message)
        tidewire.shared.set("killed", true)
        string.find(('a'):rep(30000) .. 'b', ('a*'):rep(30) .. 'c')
      end }]] }
  end,
  ["not enough memory (script.memory is … bytes)"] = function()
    return transform("local t = {} while true do t[#t + 1] = {} end",
      { ["script.memory"] = 4194304, ["script.deadline"] = 10 })
  end,
  ["tidewire.env.NAME: not in `env` of broker.lua"] = function()
    return transform "return tidewire.env.HOME and message"
  end,
  ["message used after its handler ended"] = function()
    return transform "kept = kept or message message.data.x = kept.data.x return message"
  end,
  ["… expected, got … (a method is called with a colon: …)"] = function()
    return log_of("return { on_subscribe = function(client) client.send({}) end }", connect)
  end,
  ["string.foo: string is read-only"] = function()
    return transform "string.foo = print return message"
  end,
  ["channel:publish: not in authorize, which only decides"] = function()
    return log_of("return { authorize = function(client, action, channel) "
      .. "channel:publish({}) return true end }", connect)
  end,
  ["message.data.x is not a finite number, which JSON cannot hold"] = function()
    return transform "message.data.x = 0 / 0 return message"
  end,
  ["publish of a handler dropped channel=NAME reason=no-such-channel"] = function()
    return transform "tidewire.publish('markett', {}) return message"
  end,
  ["client:subscribe failed channel=NAME reason=…"] = function()
    return log_of("return { on_subscribe = function(client) client:subscribe('b') end }", connect)
  end,
  ["effects of a handler dropped … reason=handlers-call-each-other-in-a-circle"] = function()
    local function to(name)
      return HEAD .. "return { transform = function(message) tidewire.publish('" .. name
        .. "', {}) return message end }"
    end
    return log_of({ ["channels/a.lua"] = to "b", ["channels/b.lua"] = to "a" })
  end,
  ["channel quarantined channel=… publishes=refused"] = function()
    return transform("error('no')", { ["script.quarantine.failures"] = 2 })
  end,
}
