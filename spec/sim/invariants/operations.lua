--- What can happen. An operation is a plain table: its name and five numbers, which it resolves
-- modulo what exists when it runs, so that it keeps a meaning when others before it are left out.
local app = require "spec.sim.invariants.app"
local reloads = require "spec.sim.invariants.reloads"

local operations = {}
-- name -> how often, of the sum of all. Reloads take as long as ten others, and a handler that must
-- be killed as long as a thousand.
local WEIGHTS = {
  connect = 160, send = 260, publish = 140, close = 30, half_close = 10, reset = 20, silence = 10,
  stall = 50, resume = 40, speed = 30, ping = 40, junk = 10, oversize = 10, bad_json = 20,
  reload = 8, bad_reload = 1, kill = 1,
  advance = 160, settle = 15, bad_publish = 10,
}
local names, sum = {}, 0
for name, weight in pairs(WEIGHTS) do
  names[#names + 1] = name
  sum = sum + weight
end
table.sort(names)

--- One operation, by chance.
function operations.make(random)
  local at, i = random:between(1, sum), 0
  repeat
    i = i + 1
    at = at - WEIGHTS[names[i]]
  until at <= 0
  local op = { names[i] }
  for n = 2, 6 do op[n] = random:next() % 100000 end
  return op
end

local function pick(list, number)
  return list[number % #list + 1]
end

-- A client that is open and of which nothing final is known.
local function pick_client(world, number)
  local open = {}
  for _, client in ipairs(world.clients) do
    if client.state == "open" and not client.must_end then open[#open + 1] = client end
  end
  return #open > 0 and pick(open, number) or nil
end

local function on_client(action)
  return function(world, a, ...)
    local client = pick_client(world, a)
    if client then action(world, client, ...) end
  end
end

-- --- connecting ---

local CHANNELS = {
  "main", "main", "chat", "chat", "quotes", "quotes", "gone", "guard", "guard", "feed", "nowhere",
}
local TOKENS = { "ok", "ok", "ok", "guest", "guest", "bad" }
local MAX_CLIENTS = 24

function operations.connect(world, a, b, c, d, e)
  if #world.clients >= MAX_CLIENTS then return end
  local kind = d % #world.LINKS + 1
  local link, is_fast = world.LINKS[kind](e)
  local fields = {
    channel = pick(CHANNELS, a), token = pick(TOKENS, b), ip = "10.0.0." .. c % 3 + 1,
    is_fast = is_fast, is_limited = world.choices.rate > 0,
  }
  local client = world:dial(fields, link, reloads.expected_statuses(world, fields, not link.delay))
  if world.old_choices then
    reloads.note_consequences(client, world.old_choices, world.choices)
  end
end

-- --- publishing ---

-- fail4, an endless recursion, takes 50 times as long as the others: see message_text.
local CMDS = {
  "fail1", "fail2", "fail3", "fail4", "fail5", "fail6", "drop", "relay", "relay", "relay", "echo",
  "echo", "kick", "fail1", "fail2", "fail3", "fail5", "fail6", "drop", "relay", "relay", "relay",
  "echo", "echo", "kick", "drop", "fail1", "fail2", "fail3", "fail5", "fail6", "drop", "relay",
  "relay", "relay", "echo", "echo", "kick", "drop",
}

local function message_text(p, n, c, d)
  local pad = d % 16 == 0 and (", \"pad\":\"%s\""):format(("x"):rep(d % 12000)) or ""
  if c % 11 == 0 then return ('B{"p":"%s","n":%d%s}'):format(p, n, pad), nil, true end
  local cmd = c % 5 == 0 and pick(CMDS, math.floor(c / 5)) or nil
  if cmd == "fail4" and n % 8 > 0 then cmd = "fail1" end
  local word = cmd and ('"cmd":"%s",'):format(cmd) or ""
  return ('{%s"k":"k%d","p":"%s","n":%d%s}'):format(word, n % 5, p, n, pad), cmd, false
end

local function may_publish(client, cmd)
  if client.channel == "feed" then
    client.reasons[4429] = true
    return "never"
  end
  if client.channel == "guard" and client.token == "guest" then return "never" end
  return cmd and (cmd == "drop" or cmd:match "^fail") and "perhaps" or nil
end

function operations.send_one(client, c, d)
  local n = client.next_n
  client.next_n = n + 1
  local text, cmd, is_binary = message_text(client.id, n, c, d)
  client.sent[n] = { text = text, may = may_publish(client, cmd) }
  if c % 7 == 0 then
    local half = math.floor(#text / 2)
    client.conn:send_frame(is_binary and 2 or 1, text:sub(1, half))
    client.conn:ping "between"
    client.conn:send_frame(0x80, text:sub(half + 1))
  else
    client.conn:send(text, { binary = is_binary })
  end
end

-- So that a slow link is not still sending when all is to be idle.
local function has_much_to_send(client)
  return (client.unsent or 0) > 30000
end

operations.send = on_client(function(world, client, b, c, d, e)
  local count = e % 40 == 0 and b % 40 or 1 + b % 2
  if has_much_to_send(client) then return end
  for i = 1, count do operations.send_one(client, c + i, d + i) end
  client.silent_until = client.silent_until and world.broker:now() + 40
end)

local function pick_slow_client(world, number)
  local slow = {}
  for _, client in ipairs(world.clients) do
    if client.state == "open" and not client.is_fast then slow[#slow + 1] = client end
  end
  return #slow > 0 and pick(slow, number) or nil
end

-- Where somebody listens, as a rule; in bursts at times, so that queues of the slow overflow.
function operations.publish(world, a, b, c, d, e)
  local name, is_large, is_burst = pick(CHANNELS, a), e % 5 == 0, e % 12 == 0
  local listener = is_burst and pick_slow_client(world, a)
    or #world.clients > 0 and pick(world.clients, a)
  if d % 4 > 0 and listener then name = listener.channel end
  for i = 1, is_burst and 1 + b % 50 or 1 do
    world.api_n = world.api_n + 1
    local n = world.api_n
    local text, cmd, is_binary = message_text("api", n, c + i, is_large and d - d % 16 or d + i)
    local answer = world.broker:publish(name, text, { binary = is_binary })
    local stamps = not is_binary and (world.choices.transform == "stamp" or name == "quotes")
    local what = name .. " " .. text:sub(1, 80) .. ": " .. tostring(answer.error)
    if name == "nowhere" or (name == "gone" and not world.choices.gone) then
      assert(answer.error, "published on no channel: " .. what)
    elseif stamps and cmd == "drop" then
      assert(answer.dropped, "not dropped: " .. what)
    elseif stamps and cmd and cmd:match "^fail" then
      assert(answer.error and answer.hook, "did not fail: " .. what)
    else
      assert(answer.offset, "not published: " .. what)
      world.published[n] = { text = text, offset = answer.offset }
    end
  end
end

-- Handlers that do not end. Each takes its deadline of real time, so few of them happen.
function operations.kill(world, a, b, c)
  if c % 4 > 0 or world.choices.transform ~= "stamp" then return end
  local kind, name = pick({ "fail7", "fail8" }, b), pick(app.CHANNELS, a)
  local answer = world.broker:publish(name, ('{"cmd":"%s","p":"api","n":0}'):format(kind))
  if name == "gone" and not world.choices.gone then return assert(answer.error) end
  assert(answer.error and answer.hook == "transform", kind .. " was not killed on " .. name)
  local is_killed = answer.message:find("killed", 1, true) ~= nil
  assert(is_killed == (kind == "fail8"), answer.message)
  if not is_killed then return end
  for _, log in pairs(world.logs) do log:may_lose_state() end
end

function operations.bad_publish(world, a, b)
  local text = pick({ "{", "", "nan", '"\255"', ("9"):rep(app.MESSAGE_SIZE + 1) }, b)
  local answer = world.broker:publish(pick(app.CHANNELS, a), text)
  assert(answer.error and not answer.offset, "accepted: " .. text:sub(1, 20))
end

operations.bad_json = on_client(function(world, client, b, c)
  local count = c % 3 == 0 and 1 + b % 25 or 1
  for i = 1, count do client.conn:send(pick({ "{", "[1,]", "x", "{} {}" }, b + i)) end
  client.reasons[4429] = true
  client.bad = (client.bad or 0) + count
  if client.is_fast and client.bad >= world.choices.violations then client.must_end = true end
  client.silent_until = client.silent_until and world.broker:now() + 40
end)

-- --- ending ---

operations.close = on_client(function(_, client, b)
  local code = pick({ 1000, 1001, 4002, 1005 }, b)
  client.conn:close(code ~= 1005 and code or nil, code ~= 1005 and "bye" or nil)
  client.has_closed, client.reasons[code], client.must_end = code, true, true
end)

operations.half_close = on_client(function(_, client)
  client.conn:half_close()
  client.reasons[1006], client.must_end = true, true
end)

operations.reset = on_client(function(_, client)
  client.conn:reset()
  client.reasons[1006], client.must_end = true, true
end)

operations.silence = on_client(function(world, client)
  client.conn:configure { no_pong = true }
  client.reasons[4408], client.silent_until = true, world.broker:now() + 40
end)

local JUNK = {
  { 0xc1, "{}", 1002 }, { 0x83, "", 1002 }, { 0x81, '"\255"', 1007 }, { 0x88, "x", 1002 },
  { 0x09, "", 1002 }, { 0x89, ("x"):rep(126), 1002 }, { 0x80, "{}", 1002 },
  { 0x88, "\3\237", 1002 }, { 0x88, "\3\232\255", 1007 },
}

operations.junk = on_client(function(_, client, b)
  local junk = pick(JUNK, b)
  client.conn:send_frame(junk[1], junk[2])
  client.reasons[junk[3]], client.must_end = true, true
end)

operations.oversize = on_client(function(_, client, b)
  local part = ("x"):rep(app.MESSAGE_SIZE - b % 2)
  if b % 3 == 0 then
    client.conn:send_frame(0x82, part .. "xx")
  else
    client.conn:send_frame(0x02, part)
    client.conn:send_frame(0x80, "xx")
  end
  client.reasons[1009], client.must_end = true, true
end)

-- --- links and time ---

operations.stall = on_client(function(_, client, b)
  client.is_fast = false
  client.conn:configure { stalled = true, down_buffer = 1 + b % 3000 }
end)

operations.resume = on_client(function(_, client)
  client.conn:resume()
end)

operations.speed = on_client(function(_, client, b)
  client.is_fast = false
  client.conn:configure {
    down_speed = 4000 + b, delay = b % 4 * 0.03, down_buffer = 500 + b % 8000,
  }
end)

operations.ping = on_client(function(world, client, b)
  for _ = 1, 1 + b % 5 do client.conn:ping(("p"):rep(b % 126)) end
  client.silent_until = client.silent_until and world.broker:now() + 40
end)

local SPANS = { 0, 0.001, 0.01, 0.05, 0.1, 0.2, 0.5, 1, 3, 8, 40 }

function operations.advance(world, a)
  world.broker:advance(pick(SPANS, a))
end

function operations.settle(world)
  world:look(world.step)
  world:settle_all()
end

-- --- reloading ---

function operations.reload(world, a, b, c, d, e)
  local client = pick_client(world, a)
  local function burst()
    for i = 1, client and e % 3 * 5 or 0 do operations.send_one(client, c + i, d + i) end
  end
  if client and (has_much_to_send(client) or client.silent_until) then client = nil end
  burst()
  reloads.good(world, b, c, d, e % 2 == 0)
  burst()
  if e % 4 == 0 then operations.connect(world, c, d, e, 0, 0) end
end

function operations.bad_reload(world, a)
  reloads.bad(world, pick(app.BAD, a))
end

return operations
