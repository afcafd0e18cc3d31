-- Hot reload: new scripts take over between two messages; what is live stays, what is broken never
-- gets in.
local frame = require "spec.support.frame"
local live = require "spec.support.live"

-- A transform that marks messages with its version.
local function version(v, more)
  return ("return { publish = true, %s transform = function(m) m.data.v = %d return m end }\n")
    :format(more or "", v)
end

describe("a reload", function()
  after_each(live.teardown)

  local function start(files, settings)
    files["channels/market.lua"] = files["channels/market.lua"] or version(1)
    return live.broker { files = files, settings = settings }
  end

  local function wait_version(broker, v)
    broker:until_(function()
      local client = broker:connect("/ws/market")
      broker:publish("market", "{}")
      local got = client:receive_json().v
      client:close(1000)
      return got == v
    end, 5, "version " .. v)
  end

  local function assert_newer(broker, before)
    assert.is_true(broker:stats().generation > before)
  end

  describe("is asked for", function()
    it("over HTTP, and live clients hear the new script at once", function()
      local broker = start {}
      local client = broker:connect("/ws/market")
      local before = broker:stats().generation
      assert.equal(1, before)
      broker:publish("market", "{}")
      local status, answer = broker:reload { ["channels/market.lua"] = version(2) }
      assert.equal(200, status)
      assert.is_true(answer.generation > before)
      broker:publish("market", "{}")
      assert.equal(1, client:receive_json().v)
      assert.equal(2, client:receive_json().v)
      assert_newer(broker, before)
      assert.equal(1, broker:stats().connections)
    end)

    it("by SIGHUP", function()
      local broker = start {}
      local client = broker:connect("/ws/market")
      broker:write("channels/market.lua", version(2))
      broker:signal("sighup")
      wait_version(broker, 2)
      assert_newer(broker, 1)
      assert.is_true(client:is_open())
    end)

    it("by writing a file", function()
      local broker = start {}
      broker:write("channels/market.lua", version(2))
      wait_version(broker, 2)
      broker:write("channels/market.lua", version(3))
      wait_version(broker, 3)
    end)

    it("by renaming a new file over the old, again and again", function()
      local broker = start {}
      for v = 2, 4 do
        broker:write_by_rename("channels/market.lua", version(v))
        wait_version(broker, v)
      end
    end)

    it("by a change of a transform that a channel uses", function()
      local broker = start {
        ["channels/market.lua"] = 'return { transform = require "transforms.mark" }',
        ["transforms/mark.lua"] = "return function(m) m.data.v = 1 return m end",
      }
      broker:write("transforms/mark.lua", "return function(m) m.data.v = 2 return m end")
      wait_version(broker, 2)
    end)
  end)

  describe("of something broken keeps the old scripts and says where:", function()
    local function keeps(title, path, text, line, hint)
      it(title, function()
        local broker = start {
          ["broker.lua"] = "return {}",
          ["channels/market.lua"] = 'return { transform = require "transforms.mark" }',
          ["transforms/mark.lua"] = "return function(m) m.data.v = 1 return m end",
        }
        local client = broker:connect("/ws/market")
        broker:expect_log(path .. (line and ":" .. line or ""))
        local status, answer = broker:reload { [path] = text }
        assert.equal(422, status)
        local first = answer.errors[1]
        assert.truthy(first.file:find(path, 1, true))
        if line then assert.equal(line, first.line) end
        if hint then assert.truthy(first.message:find(hint, 1, true), first.message) end
        assert.equal(1, broker:stats().generation)
        broker:publish("market", "{}")
        assert.equal(1, client:receive_json().v)
        if path == "broker.lua" then broker:write(path, "return {}\n") else broker:remove(path) end
        broker:write("channels/market.lua", version(2))
        wait_version(broker, 2)
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

  it("twice during a flood loses, doubles and reorders nothing", function()
    local broker = start({}, {
      ["limits.messages.rate"] = 1e6, ["limits.messages.burst"] = 1e6, ["queue.size"] = 10000,
    })
    local publisher, reader = broker:connect("/ws/market"), broker:connect("/ws/market")
    local n = 0
    local function send(count)
      local frames = {}
      for i = 1, count do
        n = n + 1
        frames[i] = frame.text(('{"n":%d}'):format(n))
      end
      publisher:write_raw(table.concat(frames))
    end
    for v = 2, 3 do
      send(400)
      assert.equal(200, (broker:reload { ["channels/market.lua"] = version(v) }))
      send(400)
    end
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

  it("applies new limits to live clients", function()
    local broker = start {
      ["broker.lua"] = "return { limits = { message_size = 100000 } }",
      ["channels/market.lua"] = "return { publish = true }",
    }
    local client = broker:connect("/ws/market")
    client:send_binary(("x"):rep(1000))
    assert.equal(1000, #client:receive())
    assert.equal(200, (broker:reload {
      ["broker.lua"] = "return { limits = { message_size = 100 } }",
    }))
    client:send_binary(("x"):rep(1000))
    assert.equal(1009, (client:wait_closed()))
  end)

  it("applies a new queue to live clients", function()
    local broker = start({
      ["channels/market.lua"] = "return { queue = { size = 1000 } }",
    }, { ["socket_buffer"] = 4096, ["queue.bytes"] = 10000000 })
    local slow = broker:connect("/ws/market", { receive_buffer = 4096 })
    slow:stall()
    assert.equal(200, (broker:reload {
      ["channels/market.lua"] = "return { queue = { size = 2 } }",
    }))
    for n = 1, 100 do broker:publish("market", { n = n, pad = ("x"):rep(8000) }) end
    assert.is_true(broker:channel("market").dropped > 50)
    slow:resume()
    local message
    repeat message = slow:receive_json() until message.n == 100
    assert.is_true(#slow:messages() < 50)
  end)

  it("applies a new heartbeat to live clients", function()
    local broker = start { ["broker.lua"] = "return { heartbeat = { interval = 1000 } }" }
    local client = broker:connect("/ws/market")
    assert.equal(200, (broker:reload {
      ["broker.lua"] = "return { heartbeat = { interval = 0.1, timeout = 5 } }",
    }))
    client:wait_ping(2)
  end)

  it("says which settings need a restart", function()
    local broker = start({
      ["broker.lua"] = 'return { listen = "127.0.0.1:0", workers = 1 }',
    }, { listen = false, workers = false })
    local client = broker:connect("/ws/market")
    broker:expect_log("restart")
    local changes = {
      listen = 'return { listen = "127.0.0.1:1", workers = 1 }',
      workers = 'return { listen = "127.0.0.1:0", workers = 2 }',
    }
    for setting, text in pairs(changes) do
      assert.equal(200, (broker:reload { ["broker.lua"] = text }))
      broker:until_(function()
        for line in broker:log():gmatch("[^\n]+") do
          if line:find("restart") and line:find(setting) then return true end
        end
      end, nil, "a log line that says restart and " .. setting)
    end
    assert.equal(1, broker:stats().workers)
    broker:publish("market", "{}")
    assert.equal(1, client:receive_json().v)
  end)

  it("closes the clients of a channel that is gone, with 4404", function()
    local broker = start { ["channels/foreign.lua"] = "return {}" }
    local foreign, market = broker:connect("/ws/foreign"), broker:connect("/ws/market")
    broker:remove("channels/foreign.lua")
    assert.equal(200, (broker:reload()))
    local code, reason = foreign:wait_closed()
    assert.equal(4404, code)
    assert.is_true(#reason > 0)
    assert.equal(404, (broker:refusal("/ws/foreign")))
    assert.equal(404, (broker:post("foreign", "{}")))
    broker:wait_connections(1)
    assert.is_true(market:is_open())
  end)

  it("opens a channel that is new", function()
    local broker = start {}
    assert.equal(404, (broker:refusal("/ws/index")))
    assert.equal(200, (broker:reload { ["channels/index.lua"] = "return {}" }))
    local client = broker:connect("/ws/index")
    broker:publish("index", "1")
    assert.equal("1", client:receive())
  end)

  it("asks a changed authorize again for who is already in", function()
    local broker = start { ["auth.lua"] = "return function(r) return { user = r.query.token } end" }
    local alice = broker:connect("/ws/market", { token = "alice" })
    local bob = broker:connect("/ws/market", { token = "bob" })
    assert.equal(200, (broker:reload { ["channels/market.lua"] = version(2,
      'authorize = function(client) return client.user == "alice" end,') }))
    local code, reason = bob:wait_closed()
    assert.equal(4403, code)
    assert.is_true(#reason > 0)
    broker:publish("market", "{}")
    assert.equal(2, alice:receive_json().v)
    broker:wait_connections(1)
  end)

  it("carries the state of a channel over, and the offset", function()
    local counting = [[return { %s transform = function(m, channel)
      channel.state.n = (channel.state.n or 0) + 1
      m.data.n = channel.state.n
      return m
    end }]]
    local broker = start { ["channels/market.lua"] = counting:format("") }
    local client = broker:connect("/ws/market")
    local first = broker:publish("market", "{}")
    broker:publish("market", "{}")
    assert.equal(200, (broker:reload {
      ["channels/market.lua"] = counting:format("init = function(c) c.state.n = 1000 end,"),
    }))
    local third = broker:publish("market", "{}")
    assert.equal(3, third.offset)
    assert.equal(first.epoch, third.epoch)
    for n = 1, 3 do assert.equal(n, client:receive_json().n) end
  end)
end)
