-- What the scripts of all workers have in common: tidewire.shared, metrics, random numbers, keys.
local harness = require "tidewire.harness"

describe("what workers share:", function()
  after_each(harness.teardown)

  local function start(files, settings)
    return assert(harness.broker { files = files, settings = settings })
  end

  -- Each of its channels counts what it hears, and how many it heard itself.
  local COUNTER = [[
    return { name = "count:{n}", publish = true, transform = function(message, channel)
      channel.state.n = (channel.state.n or 0) + 1
      message.data = { sum = tidewire.shared.incr "sum", own = channel.state.n }
      tidewire.metrics.count("heard_total", 1, { channel = channel.name:sub(-1) })
      tidewire.metrics.observe("spent_seconds", 0.002)
      return message
    end }]]

  local function publish_all(broker, channels, times)
    local seen, most = {}, 0
    for _ = 1, times do
      for n = 1, channels do
        local client = broker.listeners[n]
        client:send("1")
        local sum = client:receive_json().sum
        assert.is_nil(seen[sum], "counted twice")
        seen[sum], most = true, math.max(most, sum)
      end
    end
    return most
  end

  local function listen(broker, channels)
    broker.listeners = {}
    for n = 1, channels do broker.listeners[n] = broker:connect("/ws/count:" .. n) end
  end

  it("a number counts what all channels hear, over reloads", function()
    local broker = start { ["channels/count.lua"] = COUNTER }
    listen(broker, 8)
    assert.equal(40, publish_all(broker, 8, 5))
    assert.is_true(broker:reload { ["channels/count.lua"] = COUNTER .. "\n-- another" })
    assert.equal(80, publish_all(broker, 8, 5))
    local stats = broker:stats()
    assert.equal(1, stats.shared.keys)
    assert.is_true(stats.shared.bytes > 0 and stats.shared.bytes < 1000)
    assert.equal(16777216, stats.shared.memory)
    for n = 1, 8 do assert.equal(10, stats.metrics[('heard_total{channel="%d"}'):format(n)]) end
    local spent = stats.metrics.spent_seconds
    assert.equal(80, spent.count)
    assert.is_true(math.abs(spent.sum - 0.16) < 1e-9)
    assert.same({ { 0.0025, 80 } }, spent.buckets)
  end)

  it("counts nothing twice when all publish at once", function()
    local broker = start { ["channels/count.lua"] = COUNTER }
    listen(broker, 8)
    for _ = 1, 20 do
      for n = 1, 8 do broker.listeners[n]:send("1") end
    end
    local seen, count = {}, 0
    for n = 1, 8 do
      for i = 1, 20 do
        local data = broker.listeners[n]:receive_json()
        assert.equal(i, data.own)
        assert.is_nil(seen[data.sum])
        seen[data.sum], count = true, count + 1
      end
    end
    for sum = 1, count do assert.is_true(seen[sum]) end
  end)

  it("what a killed handler wrote stays, and so does what others did", function()
    local broker = start({ ["channels/market.lua"] = [[
      return { transform = function(message)
        message.data = tidewire.shared.incr "n"
        tidewire.metrics.gauge("last", message.data)
        if message.raw == "2" then
          string.find(("a"):rep(30000) .. "b", ("a*"):rep(30) .. "c")
        end
        return message
      end }]] }, { script = { deadline = 0.02 } })
    local client = broker:connect "/ws/market"
    broker:expect_log "killed"
    broker:publish("market", "1")
    assert.receives(client, "1")
    assert.is_string(broker:publish("market", "2").error)
    broker:publish("market", "3")
    assert.receives(client, "3")
    assert.equal(3, broker:stats().metrics.last)
  end)

  it("full is an answer, and a reload makes room", function()
    local SET = [[
      return { transform = function(message)
        local ok, why = tidewire.shared.set("key", ("x"):rep(message.data))
        message.data = { ok = ok, why = why }
        return message
      end }]]
    local broker = start {
      ["broker.lua"] = "return { shared = { memory = 1000 } }", ["channels/market.lua"] = SET,
    }
    local client = broker:connect "/ws/market"
    broker:publish("market", "5000")
    assert.receives(client, { why = "full" })
    broker:publish("market", "500")
    assert.receives(client, { ok = true })
    assert.is_true(broker:reload { ["broker.lua"] = "return { shared = { memory = 10000 } }" })
    broker:publish("market", "5000")
    assert.receives(client, { ok = true })
    assert.equal(10000, broker:stats().shared.memory)
  end)

  it("limits logins in auth, which may write", function()
    local broker = start {
      ["auth.lua"] = [[
        return function(request)
          local tries = tidewire.shared.incr("tries:" .. (request.query.user or ""), 1, 0, 3600)
          if tries > 2 then return nil, "too many tries" end
          return { user = request.query.user }
        end]],
      ["channels/market.lua"] = "return {}",
    }
    broker:connect "/ws/market?user=a"
    broker:connect "/ws/market?user=a"
    assert.refused_with(broker:connect "/ws/market?user=a", 401)
    broker:connect "/ws/market?user=b"
  end)

  it("tokens let in, and a new file of keys is believed at once", function()
    local AUTH = [[
      local keys = tidewire.jwt.jwks "keys.json"
      return function(request)
        local claims, why = tidewire.jwt.verify(request.query.token, { jwks = keys })
        if not claims then return nil, why end
        return { user = claims.iss, claims = claims }
      end]]
    -- RFC 7515 A.3, with a payload that has no time in it, cannot be had; so the token expired.
    local token = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9"
      .. "leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5"
      .. "djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
    local function keys(kid)
      return '{"keys":[{"kty":"EC","crv":"P-256","kid":"' .. kid .. '",'
        .. '"x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",'
        .. '"y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}'
    end
    local broker = start({
      ["auth.lua"] = AUTH, ["keys.json"] = keys "a", ["channels/market.lua"] = [[
        return { transform = function()
          string.find(("a"):rep(30000) .. "b", ("a*"):rep(30) .. "c")
        end }]],
    }, { script = { deadline = 0.02 } })
    local function reason(text)
      local client = broker:connect("/ws/market?token=" .. text)
      assert.refused_with(client, 401)
      return client:json().error
    end
    assert.equal("token expired", reason(token))
    assert.equal("wrong signature", reason(token:gsub("DtEh", "DtEi")))
    assert.equal("not a JWT", reason "x")
    broker:expect_log "killed" -- with one worker, the keys were its
    assert.is_string(broker:publish("market", "1").error)
    assert.equal("token expired", reason(token))
    local ed = '{"keys":[{"kty":"OKP","crv":"Ed25519",'
      .. '"x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}'
    assert.is_true(broker:reload { ["keys.json"] = ed })
    assert.equal("no such key", reason(token))
    broker:allow_log "keys.json"
    assert.is_false(broker:reload { ["keys.json"] = "{}" })
    assert.equal("no such key", reason(token))
  end)

  it("a token that the app made lets in", function()
    local broker = start {
      ["auth.lua"] = [[
        local SECRET = tidewire.random.bytes(32)
        return function(request)
          local secret = tidewire.shared.get "secret" or SECRET
          tidewire.shared.add("secret", secret)
          if request.query.token then
            local claims, why = tidewire.jwt.verify(request.query.token,
              { secret = secret, audience = "market", algorithms = { "HS256" } })
            if not claims then return nil, why end
            return { user = claims.sub, claims = claims }
          end
          return { user = "guest", claims = { token = tidewire.jwt.sign(
            { sub = "alice", aud = "market", exp = tidewire.now() + 60 }, { secret = secret }) } }
        end]],
      ["channels/market.lua"] = [[
        return { on_subscribe = function(client)
          client:send { user = client.user, token = client.claims.token }
        end }]],
    }
    local token = broker:connect("/ws/market"):receive_json().token
    local client = broker:connect("/ws/market?token=" .. token)
    assert.receives(client, { user = "alice" })
    assert.refused_with(broker:connect("/ws/market?token=" .. token .. "A"), 401)
  end)

  it("a variable of the environment that is not listed is not read", function()
    local broker, errors = harness.broker { files = { ["channels/market.lua"] =
      "local home = tidewire.env.HOME\nreturn {}" } }
    assert.is_nil(broker)
    assert.equal(1, errors[1].line)
    assert.equal("tidewire.env.HOME: not in `env` of broker.lua", errors[1].message)
  end)
end)
