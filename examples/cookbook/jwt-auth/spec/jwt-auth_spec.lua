local sim = require "tidewire.sim"

local SECRET = ("k"):rep(32)

-- The login service: an app of one channel, which signs what its /ws/KIND is for.
local LOGIN = [[
local tidewire = require "tidewire"
local tokens = {
  good = {}, late = { exp = 60 }, stranger = { iss = "elsewhere" }, other = { aud = "chat" },
  forever = { exp = false }, forged = { secret = ("x"):rep(32) },
}
return {
  name = "{kind}",
  on_subscribe = function(client, channel)
    local t = tokens[channel.params.kind]
    client:send(tidewire.jwt.sign({
      sub = "alice", plan = "pro", iss = t.iss or "login.example.com", aud = t.aud or "quotes",
      exp = t.exp ~= false and math.floor(tidewire.now()) + (t.exp or 3600) or nil,
    }, { secret = t.secret or ("k"):rep(32) }))
  end,
}]]

describe("jwt-auth", function()
  after_each(sim.teardown)

  local function token(kind)
    local login = assert(sim.broker { files = { ["channels/login.lua"] = LOGIN } })
    return login:connect("/ws/" .. kind):receive_json()
  end

  local function start(secret)
    return assert(sim.broker { env = { JWT_SECRET = secret } })
  end

  it("lets in who has a good token, in the query or in the header", function()
    local broker, good = start(SECRET), token "good"
    local browser = broker:connect("/ws/quotes", { token = good })
    assert.receives(browser, { hello = "alice", plan = "pro" })
    local headers = { Authorization = "Bearer " .. good }
    local program = broker:connect("/ws/quotes", { headers = headers })
    assert.receives(program, { hello = "alice", plan = "pro" })
  end)

  for kind, reason in pairs {
    stranger = "wrong issuer", other = "not for this audience", forged = "wrong signature",
    forever = "token has no end",
  } do
    it("refuses a token: " .. reason, function()
      local client = start(SECRET):connect("/ws/quotes", { token = token(kind) })
      assert.refused_with(client, 401)
      assert.equal(reason, client:json().error)
    end)
  end

  it("refuses who has none, or rubbish", function()
    local broker = start(SECRET)
    assert.equal("token missing", broker:connect("/ws/quotes"):json().error)
    assert.equal("not a JWT", broker:connect("/ws/quotes", { token = "x" }):json().error)
  end)

  it("closes the connection when the token ends", function()
    local broker = start(SECRET)
    local client = broker:connect("/ws/quotes", { token = token "late" })
    broker:advance(50)
    assert.is_true(client:is_open())
    broker:advance(20)
    assert.closed_with(client, 4401)
  end)

  it("refuses everybody when it has no secret", function()
    local broker = start(false)
    broker:expect_log "auth"
    assert.not_equal(101, broker:connect("/ws/quotes", { token = token "good" }).status)
  end)
end)
