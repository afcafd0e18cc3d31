-- Limits of connections and rates: exact at their boundary, and given back at every end.
local frame = require "spec.support.frame"
local live = require "spec.support.live"
local loop = require "spec.support.loop"
local websocket = require "spec.support.websocket"

local FILES = {
  ["channels/chat.lua"] = "return { publish = true }",
  ["channels/market.lua"] = [[
    return { on_subscribe = function(client) client:send { ip = client.ip } end }]],
}

describe("the limit", function()
  after_each(live.teardown)

  local function start(settings, broker)
    local files = { ["broker.lua"] = broker }
    for path, text in pairs(FILES) do files[path] = text end
    return live.broker { files = files, settings = settings }
  end

  local function refused(broker, expected, options)
    local status, body, headers = broker:refusal("/ws/chat", options)
    assert.equal(expected, status)
    assert.is_string(body.error)
    local seconds = tonumber(headers["retry-after"])
    assert.is_true(seconds ~= nil and seconds >= 1 and seconds % 1 == 0,
      "Retry-After: " .. tostring(headers["retry-after"]))
  end

  describe("of connections per address", function()
    it("admits as many as it says, and no more", function()
      local broker = start { ["limits.connections_per_ip"] = 2 }
      broker:connect("/ws/chat")
      broker:connect("/ws/market")
      refused(broker, 429)
      refused(broker, 429)
      broker:connect("/ws/chat", { ip = "127.0.0.2" })
      broker:wait_connections(3)
    end)

    it("gives a place back however a client leaves", function()
      local broker = start {
        ["limits.connections_per_ip"] = 1, ["limits.violations"] = 1,
        ["limits.message_size"] = 1000,
      }
      local ways = {
        function(client) client:close(1000) end,
        function(client) client:drop() end,
        function(client) client:reset() end,
        function(client) client:half_close() end,
        function(client) client:write_raw(frame.encode { mask = false }) end,
        function(client) client:send("not JSON") end,
        function(client) client:send_binary(("x"):rep(1001)) end,
      }
      for _, leave in ipairs(ways) do
        local client = broker:connect("/ws/chat")
        refused(broker, 429)
        leave(client)
        broker:wait_connections(0)
      end
      broker:connect("/ws/chat")
    end)

    it("gives a place back when a handshake fails", function()
      local broker = start { ["limits.connections_per_ip"] = 1 }
      for _ = 1, 3 do
        broker:refusal("/ws/nowhere")
        broker:refusal("/ws/chat", { headers = { ["Sec-WebSocket-Version"] = "8" } })
        local client = broker:dial("/ws/chat", { silent = true })
        client:begin()
        client:write_raw("GET /ws/chat HT")
        client:reset()
      end
      broker:until_(function()
        return broker:handshake("/ws/chat").status == 101
      end)
      broker:wait_connections(1)
    end)

    it("is exact when many arrive at once from several addresses", function()
      local broker = start { ["limits.connections_per_ip"] = 5 }
      local clients, counts = {}, {}
      for i = 1, 60 do
        local ip = "127.0.0." .. (i % 3 + 1)
        clients[i] = broker:dial("/ws/chat", { ip = ip })
        clients[i].from = ip
      end
      for _, client in ipairs(clients) do assert(client:begin()) end
      for _, client in ipairs(clients) do
        local status = client:wait_answer()
        assert.is_true(status == 101 or status == 429, "status " .. tostring(status))
        if status == 101 then counts[client.from] = (counts[client.from] or 0) + 1 end
      end
      assert.same({ ["127.0.0.1"] = 5, ["127.0.0.2"] = 5, ["127.0.0.3"] = 5 }, counts)
      broker:wait_connections(15)
    end)
  end)

  it("of connections in all refuses with 503 until one leaves", function()
    local broker = start { ["limits.connections"] = 3 }
    local first = broker:connect("/ws/chat")
    broker:connect("/ws/chat", { ip = "127.0.0.2" })
    broker:connect("/ws/chat", { ip = "127.0.0.3" })
    refused(broker, 503, { ip = "127.0.0.4" })
    first:close(1000)
    broker:wait_connections(2)
    broker:connect("/ws/chat")
    refused(broker, 503)
  end)

  it("of connections in all is exact when many arrive at once", function()
    local broker = start { ["limits.connections"] = 7 }
    local clients, open = {}, 0
    for i = 1, 40 do clients[i] = broker:dial("/ws/chat") end
    for _, client in ipairs(clients) do assert(client:begin()) end
    for _, client in ipairs(clients) do
      if client:wait_answer() == 101 then open = open + 1 end
    end
    assert.equal(7, open)
  end)

  it("of handshakes per address refuses with 429 who is too fast", function()
    local broker = start {
      ["limits.handshakes_per_ip.rate"] = 0.1, ["limits.handshakes_per_ip.burst"] = 3,
    }
    for _ = 1, 3 do broker:connect("/ws/chat"):close(1000) end
    refused(broker, 429)
    broker:connect("/ws/chat", { ip = "127.0.0.2" })
  end)

  it("of handshakes per address fills up again", function()
    local broker = start {
      ["limits.handshakes_per_ip.rate"] = 5, ["limits.handshakes_per_ip.burst"] = 1,
    }
    broker:connect("/ws/chat")
    broker:until_(function() return broker:handshake("/ws/chat").status == 101 end)
  end)

  it("of messages lets a burst pass, then refuses, then ends who insists", function()
    local broker = start {
      ["limits.messages.rate"] = 0.1, ["limits.messages.burst"] = 5, ["limits.violations"] = 3,
    }
    local client, other = broker:connect("/ws/chat"), broker:connect("/ws/chat")
    local frames = {}
    for i = 1, 20 do frames[i] = frame.text(tostring(i)) end
    client:write_raw(table.concat(frames))
    local code, reason = client:wait_closed()
    assert.equal(4429, code)
    assert.is_true(#reason > 0)
    broker:publish("chat", '"fence"')
    assert.same({ "1", "2", "3", "4", "5", '"fence"' }, other:receive_many(6))
  end)

  it("of bytes lets a burst pass, then refuses, then ends who insists", function()
    local broker = start {
      ["limits.bytes.rate"] = 1, ["limits.bytes.burst"] = 2500, ["limits.violations"] = 2,
    }
    local client, other = broker:connect("/ws/chat"), broker:connect("/ws/chat")
    client:write_raw(frame.binary(("x"):rep(1000)):rep(4))
    assert.equal(4429, (client:wait_closed()))
    broker:publish("chat", '"fence"')
    assert.same({ 1000, 1000, 7 },
      { #other:receive(), #other:receive(), #other:receive() })
  end)

  it("of a message's size ends who exceeds it with 1009", function()
    local broker = start { ["limits.message_size"] = 10 }
    local client = broker:connect("/ws/chat")
    client:send_binary(("x"):rep(10))
    assert.equal(10, #client:receive())
    client:send_binary(("x"):rep(11))
    assert.equal(1009, (client:wait_closed()))
  end)

  describe("per address behind a proxy", function()
    local function from(address)
      return { headers = { ["X-Forwarded-For"] = address } }
    end

    local TRUSTS = [[return {
      trusted_proxies = { "127.0.0.1/32", "10.0.0.0/8" },
      limits = { connections_per_ip = 1 },
    }]]

    local function told(broker, address)
      return broker:connect("/ws/market", from(address)):receive_json().ip
    end

    it("counts the address that the proxy names", function()
      local broker = start(nil, TRUSTS)
      assert.equal("203.0.113.1", told(broker, "203.0.113.1"))
      assert.equal("203.0.113.2", told(broker, "203.0.113.2"))
      refused(broker, 429, from("203.0.113.1"))
    end)

    it("believes no more of the list than its proxies wrote", function()
      local broker = start(nil, TRUSTS)
      assert.equal("203.0.113.9", told(broker, "198.51.100.1, 203.0.113.9, 10.1.2.3"))
      refused(broker, 429, from("198.51.100.2, 203.0.113.9"))
    end)

    it("believes nobody else", function()
      local broker = start(nil, TRUSTS)
      local options = from("203.0.113.1")
      options.ip = "127.0.0.2"
      assert.equal("127.0.0.2", broker:connect("/ws/market", options):receive_json().ip)
      options = from("203.0.113.2")
      options.ip = "127.0.0.2"
      refused(broker, 429, options)
    end)

    it("takes nonsense for no address", function()
      local broker = start(nil, TRUSTS)
      assert.equal("127.0.0.1", told(broker, "unknown, <script>"))
      refused(broker, 429)
    end)

    it("counts IPv6 by its /64, and v4-mapped as v4", function()
      local broker = start(nil, TRUSTS)
      told(broker, "2001:db8:1:2::1")
      refused(broker, 429, from("2001:db8:1:2:ffff::2"))
      told(broker, "2001:db8:1:3::1")
      assert.equal("203.0.113.1", told(broker, "::ffff:203.0.113.1"))
      refused(broker, 429, from("203.0.113.1"))
    end)
  end)

  it("of connections counts none that never became one", function()
    local broker = start { ["limits.connections_per_ip"] = 1, ["limits.handshake_timeout"] = 0.2 }
    local silent = broker:dial("/ws/chat", { silent = true })
    silent:begin()
    silent:write_raw(websocket.handshake("/ws/chat", {}):sub(1, 20))
    silent:wait_closed()
    assert.is_true(loop.wait(function()
      return broker:handshake("/ws/chat").status == 101
    end))
  end)
end)
