-- The hard ends: backlogs, slow and endless scripts, loads under way, peers that hold on.
local frame = require "spec.support.frame"
local http = require "spec.support.http"
local live = require "spec.support.live"
local loop = require "spec.support.loop"

-- For scripts: busy(seconds) works that long, by the clock of the process.
local BUSY = [[
  local function busy(seconds)
    local at = os.clock() + seconds
    while os.clock() < at do end
  end
]]

-- The broker may take this long to see that a worker does not end (AT_ONCE_MS), and a little more.
local AT_ONCE = 3

describe("a drain", function()
  after_each(live.teardown)

  local function start(market, settings, files)
    local all = { ["channels/market.lua"] = BUSY .. market }
    for path, text in pairs(files or {}) do all[path] = text end
    local slow = { ["script.deadline"] = 3600 } -- the guard is for other specs
    for name, value in pairs(settings or {}) do slow[name] = value end
    return live.broker { files = all, settings = slow }
  end

  it("delivers a backlog of thousands that slow handlers have still before them", function()
    local step = 100
    local broker = start(
      "return { publish = true, transform = function(m) busy(0.00005) return m end }", {
        ["limits.messages.rate"] = 0, ["limits.bytes.rate"] = 0,
        ["queue.size"] = 50000, ["queue.bytes"] = 10000000,
      })
    local publisher, reader = broker:connect("/ws/market"), broker:connect("/ws/market")
    broker:wait_subscribers("market", 2)
    local frames = {}
    for n = 1, 14000 do
      frames[#frames + 1] = frame.text(tostring(n))
      if n % step == 0 then
        frames[#frames + 1] = frame.encode { opcode = frame.PING, payload = "" }
      end
    end
    publisher:write_raw(table.concat(frames))
    -- A pong says that all before its ping is accepted, though not that it is ordered.
    publisher:wait_pong(100, 10)
    local accepted = #publisher.pongs * step
    broker:signal("sigterm")
    for _, client in ipairs { publisher, reader } do
      local code = client:wait_closed(20)
      local got = client:messages()
      assert.is_true(#got >= accepted, ("%d of %d"):format(#got, accepted))
      for n, payload in ipairs(got) do
        if payload ~= tostring(n) then error(("message %d is %s"):format(n, payload)) end
      end
      assert.equal(1001, code)
    end
    assert.equal(0, broker:wait_exit(2))
  end)

  it("ends by its timeout though a handler never returns, with exit code 1", function()
    local broker = start([[
      return { publish = true, transform = function()
        require("tidewire").log.info("for ever")
        while true do end
      end }]], { ["drain.timeout"] = 0.3 })
    local clients = {}
    for i = 1, 8 do clients[i] = broker:connect("/ws/market") end
    broker:expect_log("a worker does not end")
    broker.ended_at_once = true
    clients[1]:send("1")
    broker:wait_log("for ever")
    broker:signal("sigterm")
    assert.equal(1, broker:wait_exit(0.3 + AT_ONCE))
  end)

  it("asked for twice ends at once though a handler never returns", function()
    local broker = start([[
      return { publish = true, transform = function()
        require("tidewire").log.info("for ever")
        while true do end
      end }]])
    broker:expect_log("a worker does not end")
    broker.ended_at_once = true
    broker:connect("/ws/market"):send("1")
    broker:wait_log("for ever")
    broker:signal("sigterm")
    broker:wait_log("draining")
    broker:signal("sigterm")
    assert.equal(1, broker:wait_exit(AT_ONCE))
  end)

  describe("while scripts are being loaded", function()
    -- The second load of this says "loading", and then takes its time.
    local function load_slowly(broker, script)
      broker:write("channels/market.lua",
        BUSY .. 'require("tidewire").log.info("loading")\n' .. script .. "\nreturn {}")
      broker:signal("sighup")
      broker:wait_log("loading")
    end

    it("waits for the load, says goodbye meanwhile, and swaps nothing", function()
      local broker = start("return {}", nil)
      local client = broker:connect("/ws/market")
      load_slowly(broker, "busy(0.1)") -- for each worker
      broker:signal("sigterm")
      assert.equal(1001, (client:wait_closed()))
      assert.equal(0, broker:wait_exit(3))
      assert.is_nil(broker:log():find("generation=2", 1, true))
    end)

    it("ends by its timeout though the load never does", function()
      local broker = start("return {}", { ["drain.timeout"] = 0.3 })
      local client = broker:connect("/ws/market")
      broker.ended_at_once = true
      load_slowly(broker, "while true do end")
      broker:signal("sigterm")
      assert.equal(1001, (client:wait_closed()))
      assert.equal(0, broker:wait_exit(0.3 + AT_ONCE))
    end)

    it("asked for twice ends though the load never does", function()
      local broker = start("return {}")
      local client = broker:connect("/ws/market")
      broker.ended_at_once = true
      load_slowly(broker, "while true do end")
      broker:signal("sigterm")
      assert.equal(1001, (client:wait_closed()))
      broker:signal("sigterm")
      assert.equal(0, broker:wait_exit(AT_ONCE))
    end)

    it("answers who asked for another load", function()
      local broker = start("return {}", { ["drain.window"] = 20 })
      -- Two of them at one worker keep the drain going; the second SIGTERM ends it.
      for _ = 1, broker.workers + 1 do broker:connect("/ws/market") end
      local asked = broker:open { admin = true }
      load_slowly(broker, "busy(0.1)")
      asked:send("POST", "/v1/reload", nil, "")
      asked.tcp:wait_read_by_peer()
      broker:signal("sigterm")
      local response = assert(asked:response { within = 10 })
      assert.equal(503, response.status)
      assert.is_string(response:json().error)
      broker:signal("sigterm")
      broker.ended_at_once = true
      assert.equal(0, broker:wait_exit(1))
    end)
  end)

  it("answers every question for stats, or refuses it, and leaks none", function()
    -- Handlers that keep a worker busy make the steps of the end long.
    local broker = start("return { tick = { every = 0.02, run = function() busy(0.05) end } }")
    local statuses, asking = {}, {}
    local function ask(index)
      local ok, connection = pcall(http.open, { port = broker.admin_port })
      if not ok then return end -- nobody listens any more
      connection:send("GET", "/v1/stats")
      asking[index] = connection
    end
    local function step()
      for index, connection in pairs(asking) do
        if not connection:is_open() or #connection.chunks > 0 then
          local response, why = connection:response()
          table.insert(statuses, response and response.status or why)
          connection:close()
          asking[index] = nil
          ask(index)
        end
      end
    end
    for i = 1, 16 do ask(i) end
    loop.wait(function() step() return #statuses > 50 end, 10)
    broker:signal("sigterm")
    loop.wait(function() step() return broker.process:has_ended() end, 5)
    assert.equal(0, broker:wait_exit(2))
    step()
    for _, status in ipairs(statuses) do
      -- At the very end the listener goes: who comes then is turned away.
      assert.is_true(status == 200 or status == 503 or status:find("^ended") ~= nil, status)
    end
  end)

  it("is not held up by a connection that is kept alive", function()
    local broker = live.broker { files = { ["public/index.html"] = "hello" } }
    local connection = broker:open()
    connection:send("GET", "/")
    assert.equal("hello", connection:response().body)
    assert.is_true(connection:is_open())
    broker:signal("sigterm")
    assert.equal("eof", connection:wait_end())
    assert.equal(0, broker:wait_exit())
  end)

  it("lets a download end, and then its connection", function()
    local size = 1000000
    local broker = live.broker {
      files = { ["public/big.bin"] = ("x"):rep(size) }, settings = { ["socket_buffer"] = 4096 },
    }
    local connection = broker:open {
      receive_buffer = 4096, on_bytes = function(it) if not it.is_on then it:stall() end end,
    }
    connection:send("GET", "/big.bin")
    assert.is_truthy(loop.wait(function() return #connection.chunks > 0 end))
    broker:signal("sigterm")
    broker:wait_log("draining")
    connection.is_on = true
    connection:resume()
    assert.equal(size, #assert(connection:response { within = 10 }).body)
    assert.equal("eof", connection:wait_end())
    assert.equal(0, broker:wait_exit(1))
  end)

  it("refuses a handshake that ends too late with 503, by HTTP", function()
    local broker = start("return {}", { ["drain.window"] = 20 })
    for _ = 1, 4 do broker:connect("/ws/market") end
    local late = {}
    for i = 1, 8 do
      late[i] = broker:open()
      late[i]:write("GET /ws/market HTTP/1.1\r\nHost: a\r\n")
      late[i].tcp:wait_read_by_peer()
    end
    broker:signal("sigterm")
    broker:until_(function() return broker:admin("GET", "/readyz").status == 503 end)
    broker:until_(function() -- the goodbyes have begun
      for _, client in ipairs(broker.clients) do if client.close_code then return true end end
    end)
    for _, connection in ipairs(late) do
      connection:write("Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        .. "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
      local response = assert(connection:response())
      assert.equal(503, response.status)
      assert.is_true(tonumber(response.headers["retry-after"]) >= 1)
      assert.equal("eof", connection:wait_end())
    end
    broker:signal("sigterm")
    broker.ended_at_once = true
    broker:wait_exit(1)
  end)

  it("answers what came before it, however late it is read, and resets nobody", function()
    local broker = start([[
      return { publish = true, transform = function(m)
        require("tidewire").log.info("busy")
        busy(0.5)
        return m
      end }]], nil, { ["public/index.html"] = "hello" })
    local early = {}
    for i = 1, 10 do early[i] = broker:dial("/ws/market", { silent = true }) end
    for _, client in ipairs(early) do assert(client:begin()) end
    local reader = broker:open()
    reader:send("GET", "/")
    assert.equal("hello", reader:response().body)
    broker:connect("/ws/market"):send("1")
    broker:wait_log("busy")
    -- Their worker may be busy now: it reads this when the drain has begun.
    for _, client in ipairs(early) do client:write_raw(client.request) end
    local late = {}
    for i = 1, 10 do
      late[i] = broker:dial("/ws/market")
      assert(late[i]:begin())
    end
    reader:send("GET", "/")
    broker:signal("sigterm")
    for _, clients in ipairs { early, late } do
      for _, client in ipairs(clients) do
        local status = client:wait_answer(5)
        assert.is_true(status == 503 or status == 101, client:describe())
        if status == 503 then
          assert.is_true(tonumber(client.headers["retry-after"]) >= 1)
          client:wait_closed(5)
          assert.equal("eof", client.tcp.why)
        else
          assert.equal(1001, (client:wait_closed(5)))
        end
      end
    end
    local response = assert(reader:response { within = 5 })
    assert.equal("hello", response.body)
    assert.equal("eof", reader:wait_end())
    assert.equal(0, broker:wait_exit(2))
  end)
end)
