--- Reloads, good and bad, and what follows from what an app says now.
local app = require "spec.sim.invariants.app"

local reloads = {}

local function pick(list, number)
  return list[number % #list + 1]
end

local SIZES = { 2, 4, 8, 64, 256 }
local POLICIES = { "drop_oldest", "drop_newest", "conflate", "disconnect" }

-- Each changes one choice, perhaps to what it is already.
local CHANGES = {
  function(choices, c, d)
    choices.queues[pick(app.CHANNELS, c)] = { pick(SIZES, d), pick(POLICIES, math.floor(d / 7)) }
  end,
  function(choices, c) choices.bytes = pick({ 1048576, 200000, 40000, 20000 }, c) end,
  function(choices, c) choices.tick = pick({ 0, 1, 5 }, c) end,
  function(choices, c) choices.transform = pick({ "stamp", "none" }, c) end,
  function(choices)
    choices.gone = not choices.gone
    choices.connections = 1000 -- its watcher must find a place
  end,
  function(choices, c) choices.strict = c % 2 == 0 end,
  function(choices) choices.guard = choices.guard == "open" and "closed" or "open" end,
  function(choices) choices.guard = choices.guard == "open" and "closed" or "open" end,
  function(choices, c) choices.per_ip = pick({ 0, 0, 2, 5 }, c) end,
  function(choices, c) choices.connections = pick({ 1000, 1000, 10, 16 }, c) end,
  function(choices, c) choices.rate = pick({ 0, 0, 20 }, c) end,
  function(choices, c) choices.violations = pick({ 5, 20, 1000 }, c) end,
  function(choices, c) choices.heartbeat = pick({ 5, 25 }, c) end,
  function(choices, c) choices.greets = c % 2 == 0 end,
  function() end,
}

reloads.NO_CHANGE = #CHANGES - 1

local function copy(value)
  if type(value) ~= "table" then return value end
  local result = {}
  for name, one in pairs(value) do result[name] = copy(one) end
  return result
end

local function same(a, b, path)
  if type(a) ~= "table" or type(b) ~= "table" then
    assert(a == b, ("%s is %s, was %s"):format(path, tostring(b), tostring(a)))
    return
  end
  for name in pairs(a) do same(a[name], b[name], path .. "." .. tostring(name)) end
  for name in pairs(b) do same(a[name], b[name], path .. "." .. tostring(name)) end
end

--- What a change means for a client; one that still knocks may find all as it will be later.
function reloads.note_consequences(client, before, now)
  local is_open = client.state == "open"
  if now.rate > 0 then client.is_limited = true end
  if client.channel == "gone" and before.gone and not now.gone then
    client.reasons[4404], client.is_limited, client.expected[404] = true, true, true
    client.must_end = client.must_end or is_open
  end
  if client.channel == "guard" and client.token == "guest" and now.guard == "closed"
    and before.guard == "open" then
    client.reasons[4403], client.expected[403] = true, true
    client.must_end = client.must_end or is_open
  end
end

--- `is_going_on`: returns when it is loaded; the workers swap later, one by one.
function reloads.good(world, a, c, d, is_going_on)
  local before = copy(world.choices)
  pick(CHANGES, a)(world.choices, c, d)
  local loaded, errors = world.broker:reload(world:changed_files(), { wait = not is_going_on })
  assert(loaded, "a good reload failed: " .. (errors[1] and errors[1].message or ""))
  world.generation = world.generation + 1
  world.old_choices = before
  world:widen_bounds()
  for _, client in ipairs(world.clients) do
    reloads.note_consequences(client, before, world.choices)
  end
end

--- A reload that fails changes nothing.
function reloads.bad(world, files)
  local before = world.broker:stats()
  for path, text in pairs(files) do world.on_disk[path] = text end
  local loaded, errors = world.broker:reload(files)
  assert(not loaded, "a bad reload went well")
  assert(#errors > 0 and errors[1].file ~= "" and errors[1].message ~= "", "no error says why")
  local after = world.broker:stats()
  before.script_memory, after.script_memory = nil, nil
  same(before, after, "stats")
  assert(not world.broker:reload {}, "a second try went well")
end

-- --- who may come in ---

local function status(choices, fields, held, held_ip)
  if held >= choices.connections then return 503 end
  if choices.per_ip > 0 and held_ip >= choices.per_ip then return 429 end
  if fields.token == "bad" or (fields.token == "guest" and choices.strict) then return 401 end
  local is_gone = fields.channel == "gone" and not choices.gone
  if is_gone or fields.channel == "nowhere" then return 404 end
  if fields.channel == "guard" and fields.token == "guest" and choices.guard ~= "open" then
    return 403
  end
  return 101
end

--- The statuses that may be the answer to somebody who connects now; exactly one, as a rule.
function reloads.expected_statuses(world, fields, is_instant)
  local least, most, least_ip, most_ip = 0, 0, 0, 0
  local is_reloading = world.old_choices ~= nil -- who has to go for it may still be there, or not
  for name in pairs(world.logs) do
    if not (is_reloading and name == "gone") then least = least + 1 end
    most = most + 1
  end
  for _, client in ipairs(world.clients) do
    local is_near = client.ip == fields.ip
    if client.has_place and not (is_reloading and client.must_end) then
      least, least_ip = least + 1, least_ip + (is_near and 1 or 0)
    end
    if client.may_have_place then
      most, most_ip = most + 1, most_ip + (is_near and 1 or 0)
    end
  end
  if is_reloading then least, least_ip = least - 1, least_ip - 1 end -- who sends may be kicked
  if not is_instant then
    return { [101] = true, [401] = true, [403] = true, [404] = true, [429] = true, [503] = true }
  end
  local expected = {}
  for _, choices in ipairs { world.choices, world.old_choices } do
    for _, held in ipairs { least, most } do
      expected[status(choices, fields, held, least_ip)] = true
      expected[status(choices, fields, held, most_ip)] = true
    end
  end
  return expected
end

return reloads
