-- Requests and responses on connections that are kept alive: answers that come late, requests that
-- come early, bodies that are large, and peers that take their time.
local live = require "spec.support.live"
local loop = require "spec.support.loop"
local websocket = require "spec.support.websocket"

local BUSY = [[
  local function busy(seconds)
    local at = os.clock() + seconds
    while os.clock() < at do end
  end
]]
local BIG = 8000000

describe("an answer that comes later than limits.handshake_timeout", function()
  after_each(live.teardown)

  local function start(market, settings)
    -- The guard is for other specs.
    local all = { ["limits.handshake_timeout"] = 0.2, ["script.deadline"] = 3600 }
    for name, value in pairs(settings or {}) do all[name] = value end
    return live.broker {
      files = { ["channels/market.lua"] = BUSY .. market }, settings = all, args = { "--no-watch" },
    }
  end

  -- A script whose load, for all workers, takes that long.
  local function slow_load(broker, seconds)
    return ('%s require("tidewire").log.info("loading") busy(%f) return {}'):format(BUSY,
      seconds / broker.workers)
  end

  it("arrives, when a load takes that long", function()
    local broker = start("return {}")
    broker:write("channels/market.lua", slow_load(broker, 0.6))
    local connection = broker:open { admin = true }
    connection:send("POST", "/v1/reload", nil, "")
    local response = assert(connection:response { within = 10 })
    assert.equal(200, response.status)
    assert.equal(2, response:json().generation)
  end)

  it("arrives, when a handler takes that long, and the connection goes on", function()
    local broker = start("return { transform = function(m) busy(0.6) return m end }")
    local connection = broker:open { admin = true }
    connection:send("POST", "/v1/channels/market/messages", nil, "1")
    local response = assert(connection:response { within = 10 })
    assert.equal(200, response.status)
    assert.equal(1, response:json().offset)
    connection:send("GET", "/healthz")
    assert.equal(200, assert(connection:response()).status)
  end)

  it("is thrown away, when nobody waits for it any more", function()
    local broker = start("return {}")
    broker:write("channels/market.lua", slow_load(broker, 0.5))
    local connection = broker:open { admin = true }
    connection:send("POST", "/v1/reload", nil, "")
    broker:wait_log("loading")
    connection:reset()
    broker:until_(function() return broker:stats().generation == 2 end, 10)
  end)

  for reject_with, check in pairs {
    http = function(client)
      assert.equal(503, client.status)
      assert.is_true(tonumber(client.headers["retry-after"]) >= 1)
    end,
    close = function(client)
      assert.equal(101, client.status)
      local code, reason = client:wait_closed(5)
      assert.equal(1013, code)
      assert.is_true(#reason > 0)
    end,
  } do
    it("to a handshake is a refusal, said by " .. reject_with, function()
      local broker = start([[
        return { publish = true, transform = function(m)
          require("tidewire").log.info("busy")
          busy(1)
          return m
        end }]], { reject_with = reject_with })
      broker:connect("/ws/market"):send("1")
      broker:wait_log("busy")
      local clients, late = {}, 0
      for i = 1, 12 do
        clients[i] = broker:dial("/ws/market")
        assert(clients[i]:begin())
      end
      for _, client in ipairs(clients) do
        client:wait_answer(10)
        -- Those at the busy worker itself are read when it has time for them.
        local is_late = client.status == 503
          or (client.status == 101 and reject_with == "close" and client.close_code)
        if is_late then check(client) end
        late = late + (is_late and 1 or 0)
      end
      assert.is_true(late > 0 or broker.workers == 1)
      broker:wait_connections(1 + #clients - late)
    end)
  end
end)

describe("requests on one connection", function()
  after_each(live.teardown)

  local function start(settings)
    return live.broker {
      files = {
        ["channels/market.lua"] = "return {}",
        ["public/index.html"] = "hello",
        ["public/big.bin"] = ("0123456789abcdef"):rep(BIG / 16),
      },
      settings = settings,
    }
  end

  local GET = "GET /index.html HTTP/1.1\r\nHost: a\r\n\r\n"

  it("are answered in their order, also when all come at once", function()
    local broker = start()
    local connection = broker:open()
    connection:write(GET:rep(50) .. GET:gsub("GET", "HEAD") .. GET:gsub("index", "none")
      .. GET:gsub("Host: a", "Host: a\r\nConnection: close"))
    for _ = 1, 50 do assert.equal("hello", connection:response().body) end
    local head = connection:response { is_head = true }
    assert.equal("5", head.headers["content-length"])
    local missing = connection:response()
    assert.equal(404, missing.status)
    assert.equal("close", missing.headers.connection)
    assert.equal("eof", connection:wait_end())
  end)

  it("may be for stats, whose answers take their way through all workers", function()
    local broker = start()
    local connection = broker:open { admin = true }
    connection:write(("GET /v1/stats HTTP/1.1\r\nHost: a\r\n\r\n"):rep(30))
    for _ = 1, 30 do
      local response = assert(connection:response())
      assert.equal(200, response.status)
      assert.equal(broker.workers, response:json().workers)
    end
    assert.is_true(connection:is_open())
  end)

  it("may end with a handshake, and frames behind it", function()
    local broker = start()
    local connection = broker:open()
    connection:write(GET .. GET .. websocket.handshake("/ws/market", {}))
    for _ = 1, 2 do assert.equal("hello", connection:response().body) end
    assert.is_truthy(loop.wait(function()
      return table.concat(connection.chunks):find("^HTTP/1.1 101 .*\r\n\r\n")
    end))
    broker:wait_subscribers("market", 1)
  end)

  it("are no longer awaited after limits.handshake_timeout", function()
    local broker = start { ["limits.handshake_timeout"] = 0.2 }
    local used, fresh, half = broker:open(), broker:open(), broker:open()
    used:write(GET)
    assert.equal("hello", used:response().body)
    half:write("GET / HT")
    for _, connection in ipairs { used, fresh, half } do
      assert.equal("eof", connection:wait_end())
    end
  end)

  it("may be for a large file, by HEAD only for its length", function()
    local connection = start():open()
    connection:write("HEAD /big.bin HTTP/1.1\r\nHost: a\r\n\r\n" .. GET)
    local head = assert(connection:response { is_head = true })
    assert.equal(200, head.status)
    assert.equal(tostring(BIG), head.headers["content-length"])
    assert.equal("hello", connection:response().body)
  end)

  it("may be for a large file, and then for others", function()
    local connection = start():open()
    connection:write("GET /big.bin HTTP/1.1\r\nHost: a\r\n\r\n" .. GET)
    local response = assert(connection:response { within = 10 })
    assert.is_true(response.body == ("0123456789abcdef"):rep(BIG / 16))
    assert.equal("hello", connection:response().body)
  end)

  it("that nobody reads the answers of cost little memory", function()
    local broker = start()
    local before, begun, connections = broker:memory(), 0, {}
    for i = 1, 30 do
      connections[i] = broker:open {
        receive_buffer = 4096,
        on_bytes = function(it)
          if not it.tcp.is_stalled then begun = begun + 1 end
          it:stall()
        end,
      }
      connections[i]:send("GET", "/big.bin")
    end
    broker:until_(function() return begun == #connections end, nil, "the begin of each answer")
    local more = broker:memory() - before
    assert.is_true(more < 30e6, ("%d MB more for %d files of 8 MB"):format(more / 1e6, begun))
  end)

  it("may be read slowly, as long as they are read", function()
    local timeout = 0.3 * loop.factor
    local broker = start {
      ["limits.handshake_timeout"] = timeout, ["socket_buffer"] = 4096,
    }
    broker:write("public/some.bin", ("x"):rep(300000))
    local connection = broker:open {
      receive_buffer = 4096, on_bytes = function(it) it:stall() end,
    }
    connection:send("GET", "/some.bin")
    local began, next_at = loop.now(), 0
    local response
    loop.wait(function() -- a few KB at a time
      if loop.now() >= next_at then
        next_at = loop.now() + timeout / 20
        connection:resume()
      end
      response = connection.tcp.received > 300000 and connection:response()
      return response or connection.tcp.state == "ended"
    end, 20)
    assert.is_true(loop.now() - began > 2 * timeout, "that was not slow")
    assert(response, connection.tcp.why)
    assert.equal(300000, #response.body)
  end)

  it("that are not read at all are cut off", function()
    local broker = start { ["limits.handshake_timeout"] = 0.2, ["socket_buffer"] = 4096 }
    local stalled = broker:open { receive_buffer = 4096, on_bytes = function(it) it:stall() end }
    stalled:send("GET", "/big.bin")
    assert.is_truthy(loop.wait(function() return stalled.tcp.is_stalled end))
    -- One that begins to wait later is cut off later.
    assert.equal("eof", broker:open():wait_end())
    assert.equal("eof", broker:open():wait_end())
    stalled.tcp.on_bytes = function() end
    stalled:resume()
    assert.is_truthy(stalled:wait_end())
    assert.is_true(stalled.tcp.received < BIG / 2)
  end)

  it("that end with the peer's half-close are answered all the same", function()
    local connection = start():open { admin = true }
    connection:send("GET", "/v1/stats")
    connection:half_close()
    assert.equal(200, assert(connection:response()).status)
    assert.equal("eof", connection:wait_end())
  end)

  it("from a peer that goes away in the middle of the answer cost nothing", function()
    local broker = start { ["socket_buffer"] = 4096 }
    for _ = 1, 10 do
      local connection = broker:open {
        receive_buffer = 4096, on_bytes = function(it) it:stall() end,
      }
      connection:send("GET", "/big.bin")
      assert.is_truthy(loop.wait(function() return connection.tcp.is_stalled end))
      connection:reset()
    end
    assert.equal("hello", broker:get("/").body)
  end)
end)
