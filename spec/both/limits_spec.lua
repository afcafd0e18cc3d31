-- Limits of connections and rates: exact at their boundary, and given back at every end.
local harness = require "tidewire.harness"

local FILES = {
  ["channels/chat.lua"] = "return { publish = true }",
  ["channels/market.lua"] = [[
    return { on_subscribe = function(client) client:send { ip = client.ip } end }]],
}

describe("the limit", function()
  after_each(harness.teardown)

  local function start(settings, text)
    local files = { ["broker.lua"] = text }
    for path, script in pairs(FILES) do files[path] = script end
    return assert(harness.broker { files = files, settings = settings })
  end

  local function refused(broker, status, options)
    local client = broker:connect("/ws/chat", options)
    assert.refused_with(client, status)
    assert.is_string(client:json().error)
    assert.matches("^[1-9]%d*$", client:header "retry-after")
  end

  local function admitted(broker, options)
    local client = broker:connect("/ws/chat", options)
    assert.equal(101, client.status)
    return client
  end

  describe("of connections per address", function()
    it("admits as many as it says, and no more", function()
      local broker = start { ["limits.connections_per_ip"] = 2 }
      local first = admitted(broker)
      broker:connect "/ws/market"
      refused(broker, 429)
      refused(broker, 429)
      admitted(broker, { ip = "127.0.0.2" })
      assert.equal(3, broker:stats().connections)
      first:close(1000)
      assert.truthy(broker:wait_connections(2))
      admitted(broker)
      refused(broker, 429)
    end)

    it("gives a place back however a client leaves", function()
      local broker = start { limits = {
        connections_per_ip = 1, violations = 1, message_size = 1000,
      } }
      local ways = {
        function(client) client:close(1000) end,
        function(client) client:reset() end,
        function(client) client:half_close() end,
        function(client) client:write_raw("\129\1x") end, -- not masked
        function(client) client:send "not JSON" end,
        function(client) client:send(("x"):rep(1001), { binary = true }) end,
      }
      for _, leave in ipairs(ways) do
        local client = admitted(broker)
        refused(broker, 429)
        leave(client)
        assert.truthy(broker:wait_connections(0))
      end
      admitted(broker)
    end)

    it("gives a place back when a handshake fails", function()
      local broker = start { ["limits.connections_per_ip"] = 1 }
      for _ = 1, 3 do
        assert.refused_with(broker:connect "/ws/nowhere", 404)
        assert.refused_with(broker:connect("/ws/chat",
          { headers = { ["Sec-WebSocket-Version"] = "8" } }), 426)
        broker:dial("/ws/chat", { raw = "GET /ws/chat HT" }):reset()
      end
      assert.truthy(broker:wait(function() return broker:connect("/ws/chat").status == 101 end))
      assert.truthy(broker:wait_connections(1))
    end)

    it("is exact when many arrive at once from several addresses", function()
      local broker = start { ["limits.connections_per_ip"] = 5 }
      local clients, counts = {}, {}
      for i = 1, 60 do clients[i] = broker:dial("/ws/chat", { ip = "127.0.0." .. i % 3 + 1 }) end
      for i, client in ipairs(clients) do
        assert.truthy(broker:wait(function() return client.status ~= 0 end))
        if client.status == 101 then
          counts[i % 3 + 1] = (counts[i % 3 + 1] or 0) + 1
        else
          assert.refused_with(client, 429)
        end
      end
      assert.same({ 5, 5, 5 }, counts)
      assert.truthy(broker:wait_connections(15))
    end)
  end)

  it("of connections in all refuses with 503 until one leaves", function()
    local broker = start { ["limits.connections"] = 3 }
    local first = admitted(broker)
    admitted(broker, { ip = "127.0.0.2" })
    admitted(broker, { ip = "127.0.0.3" })
    refused(broker, 503, { ip = "127.0.0.4" })
    first:close(1000)
    assert.truthy(broker:wait_connections(2))
    admitted(broker)
    refused(broker, 503)
  end)

  it("of connections in all is exact when many arrive at once", function()
    local broker = start { ["limits.connections"] = 7 }
    local clients, open = {}, 0
    for i = 1, 40 do clients[i] = broker:dial "/ws/chat" end
    for _, client in ipairs(clients) do
      assert.truthy(broker:wait(function() return client.status ~= 0 end))
      if client.status == 101 then open = open + 1 end
    end
    assert.equal(7, open)
  end)

  it("of handshakes per address refuses with 429 who is too fast", function()
    local broker = start { limits = { handshakes_per_ip = { rate = 0.1, burst = 3 } } }
    for _ = 1, 3 do admitted(broker):close(1000) end
    refused(broker, 429)
    admitted(broker, { ip = "127.0.0.2" })
  end)

  it("of messages lets a burst pass, then refuses, then ends who insists", function()
    local broker = start { limits = { messages = { rate = 0.1, burst = 5 }, violations = 3 } }
    local client, other = admitted(broker), admitted(broker)
    for i = 1, 20 do client:send(tostring(i)) end
    local _, reason = assert.closed_with(client, 4429)
    assert.is_true(#reason > 0)
    broker:publish("chat", '"fence"')
    assert.same({ "1", "2", "3", "4", "5", '"fence"' }, other:receive_many(6))
  end)

  it("of bytes lets a burst pass, then refuses, then ends who insists", function()
    local broker = start { limits = { bytes = { rate = 1, burst = 2500 }, violations = 2 } }
    local client, other = admitted(broker), admitted(broker)
    for _ = 1, 4 do client:send(("x"):rep(1000), { binary = true }) end
    assert.closed_with(client, 4429)
    broker:publish("chat", '"fence"')
    assert.same({ 1000, 1000, 7 }, { #other:receive(), #other:receive(), #other:receive() })
  end)

  it("of a message's size ends who exceeds it with 1009", function()
    local broker = start { ["limits.message_size"] = 10 }
    local client = admitted(broker)
    client:send(("x"):rep(10), { binary = true })
    assert.receives(client, ("x"):rep(10))
    client:send(("x"):rep(11), { binary = true })
    assert.closed_with(client, 1009)
  end)

  it("of a message's size holds for a publish from outside", function()
    local broker = start { ["limits.message_size"] = 10 }
    local client = admitted(broker)
    assert.is_string(broker:publish("chat", '"' .. ("x"):rep(9) .. '"').error)
    assert.is_nil(broker:publish("chat", '"' .. ("x"):rep(8) .. '"').error)
    assert.receives(client, '"xxxxxxxx"')
  end)

  describe("per address behind a proxy", function()
    local function from(address, ip)
      return { headers = { ["X-Forwarded-For"] = address }, ip = ip }
    end

    local TRUSTS = [[return {
      trusted_proxies = { "127.0.0.1/32", "10.0.0.0/8" },
      limits = { connections_per_ip = 1 },
    }]]

    local function told(broker, ...)
      return broker:connect("/ws/market", from(...)):receive_json().ip
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
      assert.equal("127.0.0.2", told(broker, "203.0.113.1", "127.0.0.2"))
      refused(broker, 429, from("203.0.113.2", "127.0.0.2"))
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
end)
