-- What happens when memory runs out: in each scenario the first allocation that may fail does, then
-- the second one, and so on until the scenario gets through without. Whatever fails, somebody is
-- refused, closed or told; nothing crashes or leaks (run with ASan), no check fails, no count stays
-- off, and the broker serves on.
local core = require "tidewire.sim.core"
local sim = require "tidewire.sim"
local rfc = require "spec.sim.rfc6455"

local MOST = 20000
-- Scripts allocate much, and one failure in a load is like the next: all of the first ones, then
-- some. TIDEWIRE_EVERY_ALLOCATION=1 tries each.
local ALL_OF_THE_FIRST, STEP = 150, 37
if os.getenv("TIDEWIRE_EVERY_ALLOCATION") then STEP = 1 end

local APP = {
  ["auth.lua"] = [[
    return function(request)
      if request.query.token == "bad" then return nil, "a bad token: " .. request.query.token end
      return { user = "user-" .. (request.query.token or "none"), claims = { plan = "pro" } }
    end]],
  ["transforms/count.lua"] = [[
    return function(message, channel)
      channel.state.count = (channel.state.count or 0) + 1
      message.data.count = channel.state.count
      return message
    end]],
  ["channels/chat.lua"] = [[
    local tidewire = require "tidewire"
    local count = require "transforms.count"
    return {
      publish = "authorize",
      authorize = function(client, action) return client.user ~= "user-nobody", "not you" end,
      init = function(channel) channel.state = { names = {}, count = 0 } end,
      transform = function(message, channel, client)
        if message.binary then return message end
        tidewire.publish("plain", { from = channel.name, text = ("x"):rep(200) })
        return count(message, channel)
      end,
      on_subscribe = function(client, channel)
        channel.state.names[client.id] = client.user
        client:send { hello = client.user }
      end,
      on_unsubscribe = function(client, channel)
        channel.state.names[client.id] = nil
        channel:publish { bye = client.user, count = 0 }
      end,
      tick = { every = 10, run = function(channel) channel:publish { tick = channel.offset } end },
      queue = { size = 4, overflow = "conflate", key = function(message)
        return not message.binary and message.data.key or nil
      end },
    }]],
  ["channels/plain.lua"] = "return { publish = true, queue = { size = 4 } }",
  ["channels/strict.lua"] = [[
    return { publish = true, queue = { size = 4, overflow = "disconnect" } }]],
  ["channels/room.lua"] = "return { name = 'room:{id}', publish = true, queue = { key = 'key' } }",
}

-- The app is written once; `first` is the broker that brought it.
local function start(first, settings)
  local all = { limits = { messages = { rate = 0 }, bytes = { rate = 0 }, violations = 1000 } }
  for name, value in pairs(settings or {}) do all[name] = value end
  local broker = assert(sim.broker { app = first and first.folder, files = not first and APP or nil,
    settings = all })
  broker:allow_log(".")
  broker.source = (first or broker).folder
  return broker
end

-- What sim.teardown looks at, for one of many brokers.
local function finish(broker)
  for _, client in ipairs(broker.clients) do assert.is_nil(client.fault) end
  broker:free()
  assert.equal(broker.checks, core.checks())
end

local function connect(broker, channel, options)
  options = options or {}
  options.token = options.token or "abc"
  return assert(broker:connect("/ws/" .. channel, options))
end

local function set(...)
  local members = {}
  for _, member in ipairs { ... } do members[member] = true end
  return members
end
local ANSWERS = set(0, 101, 401, 403, 404, 503)
local ENDS = set(1000, 1001, 1006, 1011, 1013, 4401, 4403, 4404, 4431)

-- Each client is served, or was refused or closed with a reason for it.
local function check_clients(broker)
  for _, client in ipairs(broker.clients) do
    local look = broker.core:look(client.number)
    assert.is_true(ANSWERS[look.status] or false, "status " .. look.status)
    if look.status == 101 and look.state == "ended" then
      assert.is_true(ENDS[look.close_code] or false, "close " .. look.close_code)
    end
    if look.status == 0 then assert.equal("ended", look.state) end
  end
end

-- Everybody leaves, a newcomer is served, and then nothing is left.
local function check_broker(broker)
  broker.core:settle()
  for _, client in ipairs(broker.clients) do client:reset() end
  broker.core:settle()
  assert.equal(0, broker:stats().connections)
  for _, name in ipairs { "chat", "plain", "strict", "room:1" } do
    local client = connect(broker, name, { token = "new" })
    assert.equal(101, client.status)
    broker.core:settle()
    client:messages()
    client:send { key = "k", n = 42 }
    assert.truthy(assert(client:receive(0)):find('"n":42', 1, true))
    client:reset()
  end
  broker.core:settle()
  local stats = broker:stats()
  assert.same({ 0, 0, 0, 0 }, { stats.clients, stats.subscriptions, stats.queued, stats.mail })
  for name, channel in pairs(stats.channels) do
    assert.same({ name, 0 }, { name, channel.subscribers })
  end
end

local function each_failure(title, prepare, scenario, check, settings)
  it(title, function()
    local n, first = 1, start()
    while n < MOST do
      local broker = start(first, settings)
      local clients, began = prepare and prepare(broker), broker:now()
      core.fail_after(n)
      local is_good, fault = pcall(scenario, broker, clients)
      broker.core:settle()
      local left = core.fail_after(-1)
      is_good, fault = pcall(function()
        if not is_good then error(fault, 0) end
        assert.is_true(broker.is_timed or broker:now() == began, "somebody waited for an answer")
        check_clients(broker)
        if not check or check(broker, clients, left > 0) ~= "over" then check_broker(broker) end
        finish(broker)
      end)
      if not is_good then error(("allocation %d: %s"):format(n, tostring(fault)), 0) end
      if left > 0 then return end
      n = n + (n < ALL_OF_THE_FIRST and 1 or STEP)
    end
    error("it never got through")
  end)
end

describe("without memory #hunt", function()
  after_each(sim.teardown)

  each_failure("a client is refused, or it is served", nil, function(broker)
    connect(broker, "chat", { query = { a = "b c", d = "e" }, headers = { Cookie = "a=b; c=d" } })
  end, function(broker, _, all_went_well)
    local client = broker.clients[1]
    if client.status == 101 and client.state ~= "ended" then
      client:send { n = 1 }
      assert.truthy(client:receive(0))
    end
    if all_went_well then assert.equal(101, client.status) end
  end)

  each_failure("a refusal is still a refusal", nil, function(broker)
    connect(broker, "chat", { token = "bad" })
    connect(broker, "chat", { token = "nobody" })
    connect(broker, "none")
    connect(broker, "chat", { query = { long = ("x"):rep(3000) } }):reset()
  end, function(broker)
    for i = 1, 3 do assert.is_true(broker.clients[i].status ~= 101) end
  end)

  each_failure("the same by a close frame", nil, function(broker)
    connect(broker, "chat", { token = "bad" })
    connect(broker, "none")
  end, function(broker)
    for i = 1, 2 do assert.equal("ended", broker.clients[i].state) end
  end, { reject_with = "close" })

  local function two(channel)
    return function(broker) return { connect(broker, channel), connect(broker, channel) } end
  end

  -- What the second client hears is what the first one said, in order, without doubles.
  local function in_order(_, clients, all_went_well)
    local last, heard = 0, 0
    for _, payload in ipairs(clients[2]:messages()) do
      local n = tonumber(payload:match '"n": ?(%d+)')
      if n then
        assert.is_true(n > last)
        last, heard = n, heard + 1
      end
    end
    if all_went_well then assert.equal(4, heard) end
  end

  local function speak(_, clients)
    local client = clients[1]
    client:send { n = 1 }
    client:write_raw(rfc.part(1, '{"n":', false) .. rfc.ping("p") .. rfc.part(0, " ", false))
    clients[1].broker.core:settle()
    client:write_raw(rfc.part(0, "2}") .. rfc.binary('"n":3') .. rfc.pong("q"))
    client:send { n = 4, key = "k", long = ("x"):rep(5000) }
  end

  each_failure("a publish is ordered or refused", two "plain", speak, in_order)
  each_failure("a publish through hooks is ordered or refused", two "chat", speak,
    function(broker, clients)
      in_order(broker, clients)
    end)

  each_failure("a publish from outside is ordered or refused", two "chat", function(broker)
    for _, name in ipairs { "chat", "plain", "room:1", "none" } do
      local answer = broker:publish(name, { n = 1 })
      assert.is_true(answer.offset ~= nil or answer.error ~= nil)
    end
    broker:publish("chat", "bytes", { binary = true })
  end)

  for _, channel in ipairs { "plain", "strict", "chat", "room:1" } do
    each_failure("a slow reader of " .. channel .. " costs nobody else", function(broker)
      local slow = connect(broker, channel, { down_buffer = 600 })
      broker.core:settle()
      slow:messages()
      slow:stall()
      return { connect(broker, channel), slow }
    end, function(broker, clients)
      for n = 1, 12 do
        clients[1]:send { n = n, key = "k" .. n % 7, long = ("x"):rep(100) }
        if n % 3 == 0 then broker.core:settle() end
      end
      clients[2]:ping("still there?")
      broker.core:settle()
      clients[2]:resume()
      broker.core:settle()
    end)
  end

  each_failure("a client that leaves has left", two "chat", function(broker, clients)
    clients[1]:close(1000, "bye")
    clients[2]:reset()
    broker.core:settle()
  end)

  each_failure("time goes on: ticks and heartbeats", two "chat", function(broker)
    broker.is_timed = true
    broker:advance(61)
  end)

  local function said(errors)
    assert.is_true(#errors > 0)
    for _, e in ipairs(errors) do assert.is_true(#e.message > 0 and #e.file > 0) end
  end

  it("an app is loaded, or an error says why not", function()
    local n, first = 1, start()
    while n < MOST do
      core.fail_after(n)
      local is_good, broker, errors = pcall(core.new, first.folder, 1, { "workers=2" })
      local left = core.fail_after(-1)
      assert(is_good, broker)
      if broker then broker:free() else said(errors) end
      if left > 0 then
        assert.is_nil(errors)
        return
      end
      n = n + (n < ALL_OF_THE_FIRST and 1 or STEP)
    end
    error("it never got through")
  end)

  local function with_state(broker)
    local clients = two "chat"(broker)
    clients[1]:send { n = 1 }
    clients[1]:send { n = 2 }
    broker.core:settle()
    return clients
  end

  each_failure("a reload takes over, or changes nothing", with_state, function(broker)
    broker.is_reloaded, broker.errors = broker:reload()
  end, function(broker, clients, all_went_well)
    if not broker.is_reloaded then said(broker.errors) end
    assert.equal(broker.is_reloaded and 2 or 1, broker:stats().generation)
    for _, client in ipairs(clients) do
      assert.equal("open", client.state)
      client:messages()
    end
    clients[1]:send { n = 3 }
    local answer = clients[2]:receive_json(0)
    assert.equal(3, answer.n)
    if all_went_well or not broker.is_reloaded then assert.equal(3, answer.count) end
  end)

  each_failure("a reload of a bad app changes nothing", with_state, function(broker)
    local file = assert(io.open(broker.source .. "/channels/bad.lua", "w"))
    file:write("return { publish = }")
    file:close()
    local is_good, errors = broker:reload()
    assert.is_false(is_good)
    said(errors)
  end, function(broker, clients)
    os.remove(broker.source .. "/channels/bad.lua")
    assert.equal(1, broker:stats().generation)
    clients[2]:messages()
    clients[1]:send { n = 3 }
    assert.equal(3, clients[2]:receive_json(0).count)
  end)

  each_failure("a drain ends all", two "chat", function(broker)
    broker.is_timed = true
    broker:drain()
    broker:advance(10)
  end, function(broker, clients)
    for _, client in ipairs(clients) do assert.equal("ended", client.state) end
    assert.equal(0, broker:stats().connections)
    return "over"
  end)
end)
