--- The app under test, as the text of its files, for one set of choices. A reload changes one
-- choice. Messages say what is to happen to them: cmd = "fail1" .. "fail8", "drop", "relay",
-- "echo", "kick".
local app = {}

app.CHANNELS = { "main", "chat", "quotes", "gone", "guard", "feed" }
app.MESSAGE_SIZE = 16384
app.MEMORY = 8388608

--- What a run begins with.
function app.choices()
  return {
    queues = {
      main = { 64, "drop_oldest" }, chat = { 8, "drop_newest" }, quotes = { 16, "conflate" },
      gone = { 256, "drop_oldest" }, guard = { 16, "disconnect" }, feed = { 4, "drop_oldest" },
    },
    bytes = 60000, tick = 0, transform = "stamp", gone = true, strict = false, guard = "open",
    per_ip = 0, connections = 1000, rate = 0, violations = 20, heartbeat = 25, greets = false,
  }
end

-- What a failing handler asked for before it failed carries `ghost`: nobody may see it.
local TRANSFORM = [[
local tidewire = require "tidewire"
local function fail(kind, channel, client)
  channel:publish { p = "ghost", n = 1 }
  tidewire.publish("main", { p = "ghost", n = 2 })
  if client then
    client:send { p = "ghost", n = 3 }
    client:disconnect(4999, "ghost")
  end
  if kind == "fail1" then error "on purpose" end
  if kind == "fail2" then error({}) end
  if kind == "fail3" then return kind.nothing.here end
  if kind == "fail4" then
    local function deeper(n) return 1 + deeper(n + 1) end
    return deeper(1)
  end
  if kind == "fail5" then return ("x"):rep(2 ^ 26) end
  if kind == "fail7" then while true do end end -- ends by an error
  if kind == "fail8" then return ("x"):rep(100):find(("x-"):rep(100) .. "y") end -- with its VM
  return "nonsense"
end
return function(message, channel, client)
  if message.binary then return message end
  local data, cmd = message.data, message.data.cmd
  if cmd == "drop" then return nil end
  if cmd and cmd:sub(1, 4) == "fail" then return fail(cmd, channel, client) end
  if cmd == "relay" then
    local to = channel.name == "main" and "chat" or "main"
    tidewire.publish(to, { p = "r/" .. channel.name .. "/" .. data.p, n = data.n })
  elseif cmd == "echo" and client then
    client:send { echo = data.n }
  elseif cmd == "kick" and client then
    client:disconnect(4001, "kicked")
  end
  channel.state.s = (channel.state.s or 0) + 1
  data.s = channel.state.s
  data.o = channel.offset + 1
  return message
end
]]

local CHANNEL = [[
local tidewire = require "tidewire"
return {
  publish = %s, queue = { size = %d, overflow = %q%s },
  %s
  transform = %s,
  on_subscribe = %s,
  on_unsubscribe = function(client, channel)
    if channel.subscribers %% 3 == 0 then channel:publish { p = "ghost", n = 4 } error "left" end
  end,
  tick = %s,
}
]]

local AUTHORIZE = [[authorize = function(client, action)
    if client.claims.role == "watch" then return true end
    if action == "publish" and client.claims.role == "guest" then error "guests do not speak" end
    return client.claims.role == "ok" or %s, "not you"
  end,]]

local TICK = [[{ every = %g, run = function(channel)
    local state = channel.state
    state.since, state.ticks = state.since or tidewire.now(), (state.ticks or 0) + 1
    channel:publish { p = ("tick/%%.3f"):format(state.since), n = state.ticks }
  end }]]

local function channel_text(choices, name)
  local queue = choices.queues[name]
  local publish = name == "feed" and "false" or name == "guard" and '"authorize"' or "true"
  local guard = name == "guard" and AUTHORIZE:format(tostring(choices.guard == "open")) or ""
  local stamps = choices.transform == "stamp" or name == "quotes"
  local ticks = choices.tick > 0 and (name == "main" or name == "gone" or name == "feed")
  local hello = 'function(client) client:send { hello = client.id } end'
  return CHANNEL:format(publish, queue[1], queue[2], queue[2] == "conflate" and ', key = "k"' or "",
    guard, stamps and 'require "transforms.stamp"' or "nil", choices.greets and hello or "nil",
    ticks and TICK:format(choices.tick) or "nil")
end

local AUTH = [[return function(request)
  local token = request.query.token
  if token == "guest" and %s then return nil, "no guests" end
  if token ~= "ok" and token ~= "guest" and token ~= "watch" then return nil, "who?" end
  return { user = token, claims = { role = token } }
end
]]

local BROKER = [[return {
  heartbeat = { interval = %g, timeout = 3 },
  limits = {
    connections = %d, connections_per_ip = %d, message_size = %d, violations = %d,
    messages = { rate = %d, burst = 20 }, bytes = { rate = 0 },
  },
  queue = { bytes = %d }, drain = { window = 3 }, script = { memory = %d, deadline = 0.02 },
}
]]

--- path -> text; false: the file is not there.
function app.files(choices)
  local files = {
    ["broker.lua"] = BROKER:format(choices.heartbeat, choices.connections, choices.per_ip,
      app.MESSAGE_SIZE, choices.violations, choices.rate, choices.bytes, app.MEMORY),
    ["auth.lua"] = AUTH:format(tostring(choices.strict)),
    ["transforms/stamp.lua"] = TRANSFORM,
    ["channels/bad.lua"] = false,
  }
  for _, name in ipairs(app.CHANNELS) do
    files["channels/" .. name .. ".lua"] = channel_text(choices, name)
  end
  if not choices.gone then files["channels/gone.lua"] = false end
  return files
end

--- Files that do not load; each may be written over good ones.
app.BAD = {
  { ["channels/bad.lua"] = "return {" },
  { ["channels/bad.lua"] = "error 'at load'" },
  { ["channels/bad.lua"] = "return { tranform = function(m) return m end }" },
  { ["channels/bad.lua"] = "return { queue = { size = 0 } }" },
  { ["channels/main.lua"] = "return { publish = 3 }" },
  { ["channels/bad.lua"] = "return { name = 'main' }" },
  { ["auth.lua"] = "return nil" },
  { ["broker.lua"] = "return { limit = {} }" },
  { ["broker.lua"] = "return nil .. 1" },
  { ["transforms/stamp.lua"] = "return function() end }" },
}

return app
