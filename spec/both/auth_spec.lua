-- Who may connect, from where, and to what.
local harness = require "tidewire.harness"

local TOKEN = [[
local tidewire = require "tidewire"
return function(request)
  if not tidewire.env.WS_TOKEN then return { user = "guest" } end
  if request.query.token ~= tidewire.env.WS_TOKEN then return nil, "invalid token" end
  return { user = "alice", claims = { plan = "pro" } }
end
]]

describe("auth", function()
  after_each(harness.teardown)

  local function start(auth, settings, market, env)
    return assert(harness.broker {
      env = env or { WS_TOKEN = "secret" },
      files = {
        ["auth.lua"] = auth,
        ["broker.lua"] = settings or "return {}",
        ["channels/market.lua"] = market or "return {}",
      },
    })
  end

  it("lets in who has the right token", function()
    local broker = start(TOKEN)
    local client = broker:connect("/ws/market", { token = "secret" })
    broker:publish("market", "1")
    assert.receives(client, "1")
  end)

  it("refuses a wrong token and a missing one, and says why", function()
    local broker = start(TOKEN)
    for _, path in ipairs { "/ws/market?token=wrong", "/ws/market", "/ws/market?token=",
      "/ws/market?Token=secret", "/ws/market?token=secret%00", "/ws/market?x=token=secret" } do
      local client = broker:connect(path)
      assert.refused_with(client, 401)
      assert.equal("invalid token", client:json().error)
    end
    assert.truthy(broker:wait_connections(0))
  end)

  it("lets everyone in while it is switched off", function()
    local broker = start(TOKEN, nil, nil, { WS_TOKEN = false })
    assert.equal(101, broker:connect("/ws/market").status)
    assert.equal(101, broker:connect("/ws/market", { token = "whatever" }).status)
    assert.equal(2, broker:stats().connections)
  end)

  it("lets everyone in when there is no auth.lua", function()
    local broker = start(nil)
    broker:connect "/ws/market"
    broker:connect("/ws/market", { token = "whatever" })
    assert.truthy(broker:wait_connections(2))
  end)

  it("refuses everyone when it fails", function()
    local broker = start 'return function() error("no database") end'
    broker:expect_log "auth.lua:1"
    local client = broker:connect("/ws/market", { token = "secret" })
    assert.is_true(client.status == 401 or client.status == 500)
    assert.is_nil(client.body:find("no database", 1, true), "inner errors are not for strangers")
    assert.truthy(broker:wait_connections(0))
  end)

  for _, value in ipairs { "true", "1", '"alice"', "function() end", "", "{ user = {} }" } do
    it("refuses everyone when it returns nonsense: " .. value, function()
      local broker = start(("return function() return %s end"):format(value))
      broker:allow_log "auth"
      local status = broker:connect("/ws/market").status
      assert.is_true(status == 401 or status == 500)
    end)
  end

  it("tells the channel's handlers who the client is", function()
    local broker = start(TOKEN, nil, [[
      return { on_subscribe = function(client)
        client:send { user = client.user, plan = client.claims.plan, ip = client.ip }
      end }]])
    local client = broker:connect("/ws/market", { token = "secret", ip = "127.0.0.3" })
    assert.receives(client, { user = "alice", plan = "pro", ip = "127.0.0.3" })
  end)

  it("sees all of the request that matters", function()
    local broker = start([[
      return function(request)
        return { user = "u", claims = {
          path = request.path, a = request.query.a, b = request.query["b c"],
          header = request.headers["x-thing"], cookie = request.cookies.session,
          ip = request.ip, origin = request.origin, dialect = request.dialect,
        } }
      end]], nil, "return { on_subscribe = function(client) client:send(client.claims) end }")
    local client = broker:connect("/ws/market?a=1%2B1&b%20c=d+e", {
      headers = {
        ["X-Thing"] = "some thing", Cookie = "other=1; session=abc", Origin = "https://o.example",
      },
    })
    assert.receives(client, {
      path = "/ws/market", a = "1+1", b = "d e", header = "some thing", cookie = "abc",
      ip = "127.0.0.1", origin = "https://o.example", dialect = "raw",
    })
  end)

  it("leaves the choice of channels to authorize", function()
    local broker = start("return function(request) return { user = request.query.token } end", nil,
      [[return { authorize = function(client, action, channel)
        return client.user == "alice" and action == "subscribe" and channel.name == "market"
      end }]])
    assert.equal(101, broker:connect("/ws/market", { token = "alice" }).status)
    local bob = broker:connect("/ws/market", { token = "bob" })
    assert.refused_with(bob, 403)
    assert.is_string(bob:json().error)
    assert.truthy(broker:wait_connections(1))
  end)

  for _, body in ipairs { 'error "no"', "return", "return 1", 'return "yes"' } do
    it("refuses when authorize is wrong: " .. body, function()
      local broker = start(nil, nil, ("return { authorize = function() %s end }"):format(body))
      broker:allow_log "authorize"
      broker:allow_log "market.lua"
      local status = broker:connect("/ws/market").status
      assert.is_true(status == 403 or status == 500)
      assert.truthy(broker:wait_connections(0))
    end)
  end

  it("admits browsers from allowed origins only", function()
    local broker = start(nil, 'return { allowed_origins = { "https://good.example" } }')
    local good = broker:connect("/ws/market", { headers = { Origin = "https://good.example" } })
    assert.equal(101, good.status)
    for _, origin in ipairs { "https://evil.example", "http://good.example", "null",
      "https://good.example.evil.example", "https://good.example:8443" } do
      local client = broker:connect("/ws/market", { headers = { Origin = origin } })
      assert.refused_with(client, 403)
      assert.is_string(client:json().error)
    end
  end)

  it("admits any origin when none is listed", function()
    local options = { headers = { Origin = "https://any.example" } }
    assert.equal(101, start(nil):connect("/ws/market", options).status)
  end)

  describe("with reject_with = close", function()
    local CLOSE = [[return {
      reject_with = "close", allowed_origins = { "https://good.example" },
      limits = { connections_per_ip = 2 },
    }]]
    local good = { Origin = "https://good.example" }

    local function closes(title, code, path, headers, market)
      it(("closes with %d: %s"):format(code, title), function()
        local broker = start(TOKEN, CLOSE, market)
        local client = broker:connect(path, { headers = headers })
        local _, reason = assert.closed_with(client, code)
        assert.is_true(#reason > 0)
        assert.equal(0, #client:messages())
        assert.truthy(broker:wait_connections(0))
        assert.equal(0, (broker:channel "market" or { subscribers = 0 }).subscribers)
      end)
    end

    closes("a wrong token", 4401, "/ws/market?token=wrong", good)
    closes("an origin that is not allowed", 4403, "/ws/market?token=secret",
      { Origin = "https://evil.example" })
    closes("what authorize refuses", 4403, "/ws/market?token=secret", good,
      "return { authorize = function() return false end }")
    closes("no such channel", 4404, "/ws/nowhere?token=secret", good)

    it("closes with 4429: one too many of an address", function()
      local broker = start(TOKEN, CLOSE)
      local options = { headers = good, token = "secret" }
      broker:connect("/ws/market", options)
      broker:connect("/ws/market", options)
      assert.closed_with(broker:connect("/ws/market", options), 4429)
      assert.truthy(broker:wait_connections(2))
    end)

    it("still answers a bad handshake with a status", function()
      local broker = start(TOKEN, CLOSE)
      assert.refused_with(broker:connect("/ws/market?token=secret",
        { headers = { ["Sec-WebSocket-Version"] = "8" } }), 426)
    end)
  end)
end)
