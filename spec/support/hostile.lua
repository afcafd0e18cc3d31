--- An app whose handlers last for ever or eat all memory, each in a way of its own, when they are
-- asked to. See spec/live/guard_spec.lua.
local hostile = {}

--- By name: the body of function(message, channel). Each must fail, by an error or by the guard.
hostile.failing = {
  loop = "while true do end",
  in_pcall = "while true do pcall(function() while true do end end) end",
  in_nested_pcall = "pcall(pcall, pcall, function() while true do end end) "
    .. "while true do pcall(pcall, pcall, error) end",
  in_coroutine = "coroutine.wrap(function() while true do end end)()",
  in_error_handler = "xpcall(function() error('x') end, function() while true do end end)",
  in_metamethod = "return setmetatable({}, { __index = function() while true do end end }).x",
  in_comparator = "table.sort({ 1, 2, 3, 4, 5, 6, 7, 8 }, function() while true do end end)",
  in_callback = "string.gsub(('x'):rep(100), 'x', function() while true do end end)",
  backtracking = "string.find(('a'):rep(30000) .. 'b', ('a*'):rep(30) .. 'c')",
  repeated_text = "return ('x'):rep(1e9)",
  joined_text = "local s = 'x' while true do s = s .. s end",
  table_bomb = "local t = {} while true do t[#t + 1] = {} end",
  recursion = "local function f() return f() + 1 end f()",
  recursion_in_pcall = "local function f() pcall(f) f() end f()",
  looping_error = "error(setmetatable({}, { __tostring = function() while true do end end }))",
  error_nil = "error(nil)",
  huge_result = "return ('0123456789'):rep(1e7)",
  huge_payload = "message.data = { ('0123456789'):rep(1e7) } return message",
  deep_payload = "local t = {} for _ = 1, 1e5 do t = { t } end message.data = t return message",
  sparse_payload = "message.data = { [1] = 1, [2 ^ 40] = 1 } return message",
  sparse_numbers = "local t = {} for i = 1, 50 do t[2 ^ i] = i end message.data = t return message",
  suspended = "local t = {} for i = 1, 1e6 do "
    .. "t[i] = coroutine.create(function() coroutine.yield() end) coroutine.resume(t[i]) end "
    .. "while true do end",
  effects = "while true do tidewire.publish('sink', { n = 1 }) end",
  garbage = "while true do local x = ('x'):rep(1000) end",
}

--- These end well, or may: what counts is what they leave behind.
hostile.passing = {
  deep_text = "tidewire.json.decode(('['):rep(1e5))",
  some_effects = "for i = 1, 500 do tidewire.publish('sink', i) end",
}

-- One that an error ends, and one that takes its VM along.
hostile.of_entries = { "loop", "backtracking" }

local function sorted_keys(...)
  local keys = {}
  for _, t in ipairs { ... } do for key in pairs(t) do keys[#keys + 1] = key end end
  table.sort(keys)
  return keys
end

--- Names of all kinds, in order.
function hostile.kinds()
  return sorted_keys(hostile.failing, hostile.passing)
end

local function handlers()
  local lines = { "local tidewire = require 'tidewire'", "local hostile = {}" }
  for _, kind in ipairs(hostile.kinds()) do
    local body = hostile.failing[kind] or hostile.passing[kind]
    lines[#lines + 1] = ("hostile[%q] = function(message) %s end"):format(kind, body)
  end
  lines[#lines + 1] = "return hostile"
  return table.concat(lines, "\n")
end

local HEAD = "local hostile = require 'transforms.hostile'\n"
  .. "local function run(kind, message) "
  .. "if hostile[kind] then return hostile[kind](message) end end\n"

-- Channels "ENTRY:KIND": the entry runs the kind. A tick waits until it is asked.
local ENTRIES = {
  authorize = "authorize = function(_, action, channel) "
    .. "if action == 'subscribe' then run(channel.params.kind) end return true end",
  may_publish = "publish = 'authorize', authorize = function(_, action, channel) "
    .. "if action == 'publish' then run(channel.params.kind) end return true end",
  on_subscribe = "on_subscribe = function(_, channel) run(channel.params.kind) end",
  on_unsubscribe = "on_unsubscribe = function(_, channel) run(channel.params.kind) end",
  key = "queue = { overflow = 'conflate', key = function(message) run(message.data.kind) end }",
  tick = "transform = function(message, channel) channel.state.is_asked = true return message end, "
    .. "tick = { every = 0.01, run = function(channel) if channel.state.is_asked then "
    .. "channel.state.is_asked = nil run(channel.params.kind) end end }",
}

-- Numbered where they are ordered: a tick may wait, and the next one overtake it, before that.
local function counting(every, number)
  return ("local tidewire = require 'tidewire'\nreturn { tick = { %s, "
    .. "run = function(channel) channel:publish(0) end }, "
    .. "transform = function(message, channel) %s return message end }"):format(every, number)
end

--- The app's files: `evil` (publish { kind = NAME }), "ENTRY:KIND" for each entry, `auth` (the
-- query's `kind`), flows that tick, a crowd, and a sink for effects.
function hostile.app(flows)
  local files = {
    ["transforms/hostile.lua"] = handlers(),
    ["auth.lua"] = HEAD .. "return function(request) run(request.query.kind) return {} end",
    ["channels/evil.lua"] = HEAD .. "return { publish = true, transform = function(message) "
      .. "return run(message.data.kind, message) or message end }",
    ["channels/crowd.lua"] = counting("every = 1", "message.data = channel.offset + 1"),
    ["channels/sink.lua"] = "return {}",
  }
  for entry, text in pairs(ENTRIES) do
    files["channels/" .. entry .. ".lua"] = HEAD
      .. ("return { name = '%s:{kind}', %s }"):format(entry, text)
  end
  for _, name in ipairs(flows) do
    files["channels/" .. name .. ".lua"] = counting("every = 0.02",
      "message.data = { n = channel.offset + 1, at = tidewire.now(), used = os.clock() }")
  end
  for _, kind in ipairs(hostile.of_entries) do -- two, since one that kills is not run again
    files["channels/init_" .. kind .. ".lua"] = HEAD
      .. ("return { name = 'init_%s:{id}', init = function() run(%q) end }"):format(kind, kind)
  end
  return files
end

--- An app's file whose `migrate` runs the kind, in the generation `number`.
function hostile.migrating(kind, number)
  return HEAD .. ("-- %d\nreturn { init = function(channel) channel.state.n = %d end, "
    .. "migrate = function(state) run(%q) return state end }"):format(number, number, kind)
end

return hostile
