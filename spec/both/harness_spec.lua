-- The harness itself: what its functions return, what its assertions say, what its stubs promise.
local harness = require "tidewire.harness"

local FILES = { ["channels/chat.lua"] = "return { publish = true }" }

-- The names in "function OBJECT:NAME(" of the stubs.
local function stubs(object, file)
  local names = {}
  for line in io.lines(("scripts/tidewire/meta/%s.lua"):format(file or "harness")) do
    local name = line:match("^function " .. object .. "[.:]([%w_]+)%(")
    if name then names[#names + 1] = name end
  end
  table.sort(names)
  return names
end

local function functions(class)
  local names = {}
  for name, value in pairs(class) do
    if type(value) == "function" and not name:find("^__") then names[#names + 1] = name end
  end
  table.sort(names)
  return names
end

describe("the harness " .. harness.name, function()
  after_each(harness.teardown)

  local function start(options)
    options = options or {}
    options.files = options.files or FILES
    return assert(harness.broker(options))
  end

  it("writes a table the same each time: its names in order", function()
    local broker = start()
    local client = broker:connect "/ws/chat"
    broker:publish("chat", { z = 1, b = { y = {}, x = { 1, { q = "é", p = true } } }, a = 0.5 })
    assert.equal('{"a":0.5,"b":{"x":[1,{"p":true,"q":"é"}],"y":{}},"z":1}', client:receive())
  end)

  local function failure(run, ...)
    local ok, message = pcall(run, ...)
    assert.is_false(ok)
    return type(message) == "table" and tostring(message.message or message) or tostring(message)
  end

  it("has the functions that its stubs name, and no others", function()
    local broker = start()
    local client = broker:connect "/ws/chat"
    assert.same(stubs "harness", functions(harness))
    assert.same(stubs "broker", functions(getmetatable(broker)))
    assert.same(stubs "client", functions(getmetatable(client)))
    if harness.name == "live" then
      for _, name in ipairs(stubs("broker", "live")) do assert.is_function(broker[name]) end
    end
    for _, name in ipairs(stubs("luassert", "luassert")) do assert.is_table(assert[name]) end
  end)

  it("shows what came instead, what came then, and the log", function()
    local broker = start()
    local client = broker:connect "/ws/chat"
    broker:publish("chat", '{"n":1}')
    broker:publish("chat", '{"n":2}')
    broker:wait(function() return client.count == 2 end)
    local said = failure(assert.receives, client, { n = 3 })
    for _, text in ipairs { 'wanted: {"n":3}', 'got:    {"n":1}', 'then came: {"n":2}', "/ws/chat",
      "the broker's log:" } do
      assert.truthy(said:find(text, 1, true), said)
    end
    said = failure(assert.receives, client, "x", 0)
    assert.truthy(said:find("got:    nothing", 1, true), said)
  end)

  it("compares text exactly, and tables by what they hold", function()
    local broker = start()
    local client = broker:connect "/ws/chat"
    for _ = 1, 3 do broker:publish("chat", '{"a":{"b":[1,2]}, "c":"x"}') end
    assert.receives(client, { c = "x", a = { b = { 1, 2 } } })
    assert.receives(client, '{"a":{"b":[1,2]}, "c":"x"}')
    failure(assert.receives, client, '{"a":{"b":[1,2]},"c":"x"}')
    assert.receives_nothing(client, 0)
  end)

  it("says what came where nothing should have", function()
    local broker = start()
    local client = broker:connect "/ws/chat"
    broker:publish("chat", "1")
    broker:wait(function() return client.count == 1 end)
    local said = failure(assert.receives_nothing, client)
    assert.truthy(said:find("wanted: nothing\n  got:    1", 1, true), said)
  end)

  it("says how a connection ended, and how a handshake was answered", function()
    local broker = start()
    local client = broker:connect "/ws/chat"
    client:close(1000, "bye")
    local said = failure(assert.closed_with, client, 4408)
    assert.truthy(said:find("wanted: 4408", 1, true) and said:find("got:    1000", 1, true), said)
    said = failure(assert.refused_with, client, 404)
    assert.truthy(said:find("status 101", 1, true), said)
    said = failure(assert.refused_with, broker:connect "/ws/nowhere", 401)
    assert.truthy(said:find("no such channel", 1, true), said)
  end)

  it("says why an app does not load", function()
    local said = failure(assert, harness.broker { files = { ["auth.lua"] = "return {\n  oops\n" } })
    assert.truthy(said:find("the app does not load:\n  auth.lua:3: ", 1, true), said)
  end)

  it("takes clients only", function()
    assert.truthy(failure(assert.receives, {}, "1"):find("takes a client first", 1, true))
  end)

  it("has fields for all that a client may know", function()
    local broker = start()
    local client = broker:connect "/ws/chat"
    local ended = broker:connect "/ws/nowhere"
    assert.same({ "open", 101, 1006, "", 0, 0, 0 }, { client.state, client.status,
      client.close_code, client.close_reason, client.pings, client.count, client.unsent })
    assert.is_nil(client.fault)
    assert.is_false(client.was_reset)
    assert.truthy(client.head:find("^HTTP/1.1 101 "))
    assert.equal("websocket", client:header "upgrade")
    assert.is_nil(client:header "retry-after")
    assert.equal(404, ended.status)
    assert.is_string(ended:json().error)
    assert.is_true(client:is_open())
    assert.is_false(ended:is_open())
  end)

  it("fails a spec whose log has an error that it did not expect", function()
    local broker = start { files = {
      ["channels/chat.lua"] = "return { transform = function() error 'oh no' end }",
    } }
    broker:publish("chat", "1")
    local said = failure(harness.teardown)
    assert.truthy(said:find("unexpected in the log", 1, true), said)
    assert.truthy(said:find("oh no", 1, true), said)
  end)

  it("fails a spec whose log lacks what it expected", function()
    start():expect_log "never to be seen"
    assert.truthy(failure(harness.teardown):find("missing in the log: never", 1, true))
  end)

  it("lays files over a copy of an app, and changes no app that is not its own", function()
    local broker = start { app = "scripts/default", files = {
      ["channels/any.lua"] = false, ["channels/mine.lua"] = "return {}",
    } }
    assert.equal(101, broker:connect("/ws/mine").status)
    assert.equal(101, broker:connect("/ws/room:1").status)
    assert.refused_with(broker:connect "/ws/other", 404)
    assert.is_true((broker:reload { ["channels/other.lua"] = "return {}" }))
    assert.equal(101, broker:connect("/ws/other").status)
    local other = assert(harness.broker { app = "scripts/default" })
    assert.truthy(failure(other.reload, other, { ["channels/x.lua"] = "return {}" })
      :find("may be changed", 1, true))
  end)

  it("moves virtual time only", function()
    local broker = start()
    local before = broker:now()
    if harness.name == "live" then
      assert.truthy(failure(broker.advance, broker, 1):find("virtual time", 1, true))
      assert.truthy(failure(broker.connect, broker, "/ws/chat", { speed = 10 })
        :find("virtual links", 1, true))
    else
      broker:advance(1.5)
      assert.equal(1.5, broker:now() - before)
    end
    assert.is_nil(broker:wait(function() return false end, 0.01))
    assert.equal("yes", broker:wait(function() return "yes" end))
  end)
end)
