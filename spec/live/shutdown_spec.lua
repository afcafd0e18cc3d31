-- How the broker goes: everyone hears it, nothing accepted is lost, the exit code is 0.
local json = require "spec.support.json"
local live = require "spec.support.live"
local loop = require "spec.support.loop"

describe("the shutdown", function()
  after_each(live.teardown)

  local function start(settings)
    return live.broker {
      files = { ["channels/market.lua"] = "return { publish = true }" }, settings = settings,
    }
  end

  local function connect_many(broker, count)
    local clients = {}
    for i = 1, count do clients[i] = broker:connect("/ws/market") end
    broker:wait_connections(count)
    return clients
  end

  for _, signal in ipairs { "sigterm", "sigint" } do
    it("by " .. signal .. " says 1001 to everyone, and then there is nobody left", function()
      local broker = start()
      local clients = connect_many(broker, 20)
      broker:signal(signal)
      for _, client in ipairs(clients) do
        local code, reason = client:wait_closed()
        assert.equal(1001, code)
        assert.is_true(#reason > 0)
      end
      assert.equal(0, broker:wait_exit())
      broker:wait_log("stopped connections=0 checks=0$")
    end)
  end

  it("with nobody there is at once and clean", function()
    local broker = start()
    broker:signal("sigterm")
    assert.equal(0, broker:wait_exit())
  end)

  it("waits no longer than drain.timeout for who does not read", function()
    local broker = start { ["drain.timeout"] = 0.5, ["socket_buffer"] = 4096 }
    local slow = broker:connect("/ws/market", { receive_buffer = 4096 })
    local reader = broker:connect("/ws/market")
    slow:stall()
    for n = 1, 100 do broker:publish("market", { n = n, pad = ("x"):rep(8000) }) end
    broker:signal("sigterm")
    assert.equal(1001, (reader:wait_closed()))
    assert.equal(100, json.decode(reader:messages()[100]).n)
    assert.equal(0, broker:wait_exit(2))
  end)

  it("waits no longer than drain.timeout for who does not answer", function()
    local broker = start { ["drain.timeout"] = 0.5 }
    local client = broker:connect("/ws/market", { auto_close = false })
    broker:signal("sigterm")
    assert.equal(1001, (client:wait_close_frame()))
    assert.equal(0, broker:wait_exit(2))
  end)

  it("is not held up by handshakes that are not complete", function()
    local broker = start { ["drain.timeout"] = 0.5 }
    local silent, half = broker:dial("/ws/market", { silent = true }),
      broker:dial("/ws/market", { silent = true })
    silent:begin()
    half:begin()
    half:write_raw("GET /ws/market HTTP/1.1\r\n")
    broker:signal("sigterm")
    assert.equal(0, broker:wait_exit(2))
  end)

  it("spreads the goodbyes over drain.window", function()
    local broker = start { ["drain.window"] = 1 }
    local clients = connect_many(broker, 20)
    local began = loop.now()
    broker:signal("sigterm")
    local first, last
    for _ = 1, #clients do
      loop.wait(function()
        for i, client in ipairs(clients) do
          if client.tcp.state == "ended" then
            last = loop.now() - began
            first = first or last
            assert.equal(1001, client.close_code)
            return table.remove(clients, i)
          end
        end
      end)
    end
    assert.equal(0, #clients)
    assert.is_true(last - first > 0.5, ("%.2f to %.2f s"):format(first, last))
    assert.equal(0, broker:wait_exit())
  end)

  it("lets in nobody new, and is not ready any more", function()
    local broker = start { ["drain.window"] = 20 }
    local clients = connect_many(broker, 4)
    broker:signal("sigterm")
    broker:until_(function()
      local client = broker:dial("/ws/market")
      if not client:begin() then return true end -- nobody listens
      local status = client:wait_answer()
      if status == 503 then assert.truthy(client.headers["retry-after"]) end
      client:reset()
      return status ~= 101
    end)
    assert.equal(503, broker:admin("GET", "/readyz").status)
    assert.equal(200, broker:admin("GET", "/healthz").status)
    local status = broker:post("market", "1")
    assert.equal(503, status)
    local open = 0
    for _, client in ipairs(clients) do open = open + (client:is_open() and 1 or 0) end
    assert.is_true(open > 0, "the window is long")
    broker:signal("sigterm")
    broker.ended_at_once = true
    broker:wait_exit(1)
  end)

  it("is at once when it is asked for twice", function()
    local broker = start { ["drain.window"] = 30 }
    connect_many(broker, 3)
    broker:signal("sigterm")
    broker:wait_log("drain")
    broker:signal("sigterm")
    broker.ended_at_once = true
    broker:wait_exit(1)
  end)

  it("ends well, however often it is asked for", function()
    for _ = 1, 20 do
      local broker = start { ["drain.window"] = 0 }
      repeat broker:signal("sigterm") until broker.process:wait_exit(0.0005)
      broker.ended_at_once = true
      assert.equal(0, broker:wait_exit(1)) -- raises if it was a signal that ended it
    end
  end)
end)
