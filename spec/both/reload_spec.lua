-- Hot reload: new scripts take over between two messages; what is live stays, what is broken never
-- gets in.
local harness = require "tidewire.harness"

-- A transform that marks messages with its version.
local function version(v, more)
  return ("return { publish = true, %s transform = function(m) m.data.v = %d return m end }\n")
    :format(more or "", v)
end

describe("a reload", function()
  after_each(harness.teardown)

  local function start(files, settings)
    files["channels/market.lua"] = files["channels/market.lua"] or version(1)
    return assert(harness.broker { files = files, settings = settings })
  end

  it("gives live clients the new script at once", function()
    local broker = start {}
    local client = broker:connect "/ws/market"
    assert.equal(1, broker:stats().generation)
    broker:publish("market", "{}")
    assert.is_true((broker:reload { ["channels/market.lua"] = version(2) }))
    broker:publish("market", "{}")
    assert.receives(client, { v = 1 })
    assert.receives(client, { v = 2 })
    assert.is_true(broker:stats().generation > 1)
    assert.equal(1, broker:stats().connections)
  end)

  it("takes a change of a transform that a channel uses", function()
    local broker = start {
      ["channels/market.lua"] = 'return { transform = require "transforms.mark" }',
      ["transforms/mark.lua"] = "return function(m) m.data.v = 1 return m end",
    }
    local client = broker:connect "/ws/market"
    assert.is_true((broker:reload {
      ["transforms/mark.lua"] = "return function(m) m.data.v = 2 return m end",
    }))
    broker:publish("market", "{}")
    assert.receives(client, { v = 2 })
  end)

  describe("of something broken changes nothing and says where:", function()
    local function keeps(title, path, text, line, hint)
      it(title, function()
        local broker = start {
          ["broker.lua"] = "return {}",
          ["channels/market.lua"] = 'return { transform = require "transforms.mark" }',
          ["transforms/mark.lua"] = "return function(m) m.data.v = 1 return m end",
        }
        local client = broker:connect "/ws/market"
        broker:allow_log(path .. (line and ":" .. line or ""))
        local ok, errors = broker:reload { [path] = text }
        assert.is_false(ok)
        assert.truthy(errors[1].file:find(path, 1, true))
        if line then assert.equal(line, errors[1].line) end
        if hint then assert.truthy(errors[1].message:find(hint, 1, true), errors[1].message) end
        assert.equal(1, broker:stats().generation)
        broker:publish("market", "{}")
        assert.receives(client, { v = 1 })
        local mended = { ["channels/market.lua"] = version(2) }
        if path == "broker.lua" then mended[path] = "return {}"
        elseif path ~= "channels/market.lua" then mended[path] = false end
        assert.is_true((broker:reload(mended)))
        broker:publish("market", "{}")
        assert.receives(client, { v = 2 })
        assert.is_true(client:is_open())
      end)
    end

    keeps("a syntax error", "channels/market.lua", "return {\n  oops oops\n}\n", 2)
    keeps("an error while loading", "channels/market.lua",
      'local x\nlocal y = x.z\nreturn {}\n', 2)
    keeps("no table", "channels/market.lua", "return 42\n")
    keeps("a misspelt key", "channels/market.lua",
      "return { tranform = function(m) return m end }\n", nil, "transform")
    keeps("a broken policy", "auth.lua", "return function(request)\n  return (\nend\n", 3)
    keeps("a setting of the wrong type", "broker.lua", 'return { limits = { violations = "x" } }\n',
      nil, "violations")
    keeps("a required file that is broken", "transforms/mark.lua", "return +\n")
  end)

  it("of an app that is broken from the start does not start it", function()
    local broker, errors = harness.broker { files = { ["auth.lua"] = "return {\n  oops oops\n}" } }
    assert.is_nil(broker)
    assert.truthy(errors[1].file:find("auth.lua", 1, true))
    assert.equal(2, errors[1].line)
    assert.is_string(errors[1].message)
  end)

  it("twice during a flood loses, doubles and reorders nothing", function()
    local broker = start({}, { limits = { messages = { rate = 0 } }, ["queue.size"] = 10000 })
    local publisher, reader = broker:connect "/ws/market", broker:connect "/ws/market"
    local n = 0
    local function send(count)
      for _ = 1, count do
        n = n + 1
        publisher:send(('{"n":%d}'):format(n))
      end
    end
    send(400)
    for v = 2, 3 do
      assert.is_true((broker:reload({ ["channels/market.lua"] = version(v) }, { wait = false })))
      send(400)
      assert.truthy(broker:wait(function() return broker:stats().generation == v end, 10))
    end
    send(1)
    local last = 1
    for i = 1, n do
      local message = reader:receive_json(10)
      assert.equal(i, message.n)
      assert.is_true(message.v >= last, "an old script after a new one")
      last = message.v
    end
    assert.equal(3, last)
    assert.equal(n, #publisher:receive_many(n))
    assert.equal(n, broker:channel("market").offset)
  end)

  it("is told by every line of the log", function()
    local function logging(v)
      return ('return { transform = function(m) require("tidewire").log.info("v%d") return m end }')
        :format(v)
    end
    local broker = start { ["channels/market.lua"] = logging(1) }
    broker:publish("market", "{}")
    for v = 2, 3 do
      assert.is_true((broker:reload { ["channels/market.lua"] = logging(v) }))
      broker:publish("market", "{}")
    end
    local log = broker:log()
    for v = 1, 3 do assert.truthy(log:find(("generation=%d v%d"):format(v, v), 1, true), log) end
    for line in log:gmatch("[^\n]+") do assert.truthy(line:find("generation=%d"), line) end
  end)

  it("applies new limits to live clients", function()
    local broker = start {
      ["broker.lua"] = "return { limits = { message_size = 100000 } }",
      ["channels/market.lua"] = "return { publish = true }",
    }
    local client = broker:connect "/ws/market"
    client:send(("x"):rep(1000), { binary = true })
    assert.receives(client, ("x"):rep(1000))
    assert.is_true((broker:reload {
      ["broker.lua"] = "return { limits = { message_size = 100 } }",
    }))
    client:send(("x"):rep(1000), { binary = true })
    assert.closed_with(client, 1009)
  end)

  it("applies a new queue to live clients", function()
    local broker = start({ ["channels/market.lua"] = "return { queue = { size = 1000 } }" },
      { socket_buffer = 4096, ["queue.bytes"] = 10000000 })
    local slow = broker:connect("/ws/market", { down_buffer = 4096 })
    slow:stall()
    assert.is_true((broker:reload {
      ["channels/market.lua"] = "return { queue = { size = 2 } }",
    }))
    for n = 1, 100 do broker:publish("market", { n = n, pad = ("x"):rep(8000) }) end
    slow:resume()
    local got = 0
    repeat got = got + 1 until slow:receive_json().n == 100
    assert.is_true(got < 50)
    assert.equal(100 - got, broker:channel("market").dropped)
  end)

  it("applies a new heartbeat to live clients", function()
    local broker = start { ["broker.lua"] = "return { heartbeat = { interval = 1000 } }" }
    local client = broker:connect "/ws/market"
    assert.is_true((broker:reload {
      ["broker.lua"] = "return { heartbeat = { interval = 0.1 } }",
    }))
    assert.truthy(broker:wait(function() return client.pings >= 2 end))
  end)

  it("closes the clients of a channel that is gone, with 4404", function()
    local broker = start { ["channels/foreign.lua"] = "return {}" }
    local foreign, market = broker:connect "/ws/foreign", broker:connect "/ws/market"
    assert.is_true((broker:reload { ["channels/foreign.lua"] = false }))
    local _, reason = assert.closed_with(foreign, 4404)
    assert.is_true(#reason > 0)
    assert.refused_with(broker:connect "/ws/foreign", 404)
    assert.is_string(broker:publish("foreign", "{}").error)
    assert.truthy(broker:wait_connections(1))
    assert.is_true(market:is_open())
  end)

  it("opens a channel that is new", function()
    local broker = start {}
    assert.refused_with(broker:connect "/ws/index", 404)
    assert.is_true((broker:reload { ["channels/index.lua"] = "return {}" }))
    local client = broker:connect "/ws/index"
    broker:publish("index", "1")
    assert.receives(client, "1")
  end)

  it("asks a changed authorize again for who is already in", function()
    local broker = start { ["auth.lua"] = "return function(r) return { user = r.query.token } end" }
    local alice = broker:connect("/ws/market", { token = "alice" })
    local bob = broker:connect("/ws/market", { token = "bob" })
    assert.is_true((broker:reload { ["channels/market.lua"] = version(2,
      'authorize = function(client) return client.user == "alice" end,') }))
    local _, reason = assert.closed_with(bob, 4403)
    assert.is_true(#reason > 0)
    broker:publish("market", "{}")
    assert.receives(alice, { v = 2 })
    assert.truthy(broker:wait_connections(1))
  end)

  it("carries the state of a channel over, and the offset", function()
    local counting = [[return { %s transform = function(m, channel)
      channel.state.n = (channel.state.n or 0) + 1
      m.data.n = channel.state.n
      return m
    end }]]
    local broker = start { ["channels/market.lua"] = counting:format("") }
    local client = broker:connect "/ws/market"
    local first = broker:publish("market", "{}")
    broker:publish("market", "{}")
    assert.is_true((broker:reload {
      ["channels/market.lua"] = counting:format("init = function(c) c.state.n = 1000 end,"),
    }))
    local third = broker:publish("market", "{}")
    assert.equal(3, third.offset)
    assert.equal(first.epoch, third.epoch)
    for n = 1, 3 do assert.receives(client, { n = n }) end
  end)

  it("hands the old state and its generation to migrate", function()
    local broker = start { ["channels/market.lua"] =
      "return { transform = function(m, c) c.state.n = (c.state.n or 0) + 1 return m end }" }
    local client = broker:connect "/ws/market"
    broker:publish("market", "{}")
    broker:publish("market", "{}")
    assert.is_true((broker:reload { ["channels/market.lua"] = [[return {
      migrate = function(old, generation) return { count = old.n, from = generation } end,
      transform = function(m, c) m.data = c.state return m end }]] }))
    broker:publish("market", "{}")
    assert.equal(2, #client:receive_many(2))
    assert.receives(client, { count = 2, from = 1 })
  end)

  it("says which part of a state cannot be carried over, and begins it anew", function()
    local broker = start { ["channels/market.lua"] =
      "return { init = function(c) c.state.handlers = { 1, { print } } end }" }
    broker:expect_log("channel=market error=.*state%.handlers%[2%]%[1%] is a function")
    assert.is_true((broker:reload { ["channels/market.lua"] = [[return {
      init = function(c) c.state.new = true end,
      transform = function(m, c) m.data = c.state return m end }]] }))
    local client = broker:connect "/ws/market"
    broker:publish("market", "{}")
    assert.receives(client, { new = true })
  end)
end)
