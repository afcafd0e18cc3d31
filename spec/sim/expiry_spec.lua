-- The ends of tokens, and who may stay all the same: to the millisecond.
local sim = require "tidewire.sim"

local function start(channels, settings, auth)
  local files = { ["auth.lua"] = auth }
  for name, text in pairs(channels) do files["channels/" .. name .. ".lua"] = text end
  return assert(sim.broker { files = files, settings = settings })
end

describe("on_expire", function()
  after_each(sim.teardown)

  local function policy(body, expires)
    return ([[local tidewire = require "tidewire"
      return {
        auth = function(request)
          return { user = request.query.token, expires = tidewire.now() + %s }
        end,
        on_expire = function(client) %s end,
      }]]):format(expires or "0.2", body)
  end

  for _, body in ipairs {
    "", "return false", "return tidewire.now() - 1", "return tidewire.now() + 0.9", "return 0",
  } do
    it("ends a client's stay: " .. body, function()
      local broker = start({ market = "return {}" }, nil, policy(body))
      assert.closed_with(broker:connect "/ws/market", 4401)
    end)
  end

  for _, body in ipairs {
    "error 'no'", "return 'tomorrow'", "return {}", "return true", "return 0/0", "return 1/0",
    "client:send(1) return tidewire.now() + 100",
  } do
    it("ends a client's stay when it is wrong, and says so: " .. body, function()
      local broker = start({ market = "return {}" }, nil, policy(body))
      broker:expect_log "hook=on_expire"
      assert.closed_with(broker:connect "/ws/market", 4401)
    end)
  end

  it("has authorize and audience asked again", function()
    local broker = start({ market = [[
      local asked = 0
      return {
        audience = function(client)
          asked = asked + 1
          return asked > 1 and "second" or "first"
        end,
        views = { second = function(m) m.data = "second" return m end } }]] }, nil,
      policy("return tidewire.now() + 1000"))
    local client = broker:connect "/ws/market"
    broker:publish("market", "1")
    assert.receives(client, "1")
    assert.truthy(broker:wait(function()
      broker:publish("market", "1")
      for _, text in ipairs(client:messages()) do
        if text == '"second"' then return true end
      end
      return false
    end))
  end)

  it("closes at once a client that is not allowed any more", function()
    local broker = start({ market = [[
      local asked = 0
      return { authorize = function() asked = asked + 1 return asked == 1 end }]] }, nil,
      policy("return tidewire.now() + 1000"))
    assert.closed_with(broker:connect "/ws/market", 4403)
  end)

  it("may come by a reload; what is wrong in it is said", function()
    local broker = start({ market = "return {}" }, nil, "return function() return {} end")
    assert.is_true((broker:reload { ["auth.lua"] = policy "return nil" }))
    assert.closed_with(broker:connect "/ws/market", 4401)
    for text, wanted in pairs {
      ["return { auht = function() end }"] = "auth",
      ["return { on_expire = function() end }"] = "function(request)",
      ["return { auth = function() end, on_expire = 5 }"] = "function(client)",
      ["return 5"] = "function(request)",
    } do
      broker:allow_log "auth.lua"
      local ok, errors = broker:reload { ["auth.lua"] = text }
      assert.is_false(ok)
      assert.truthy(errors[1].message:find(wanted, 1, true), errors[1].message)
    end
  end)
end)

describe("a token", function()
  after_each(sim.teardown)

  local function enter(expires, on_expire, market)
    return assert(sim.broker { files = {
      ["channels/market.lua"] = market or "return {}",
      ["auth.lua"] = ([[
        local tidewire = require "tidewire"
        local asked = 0
        return {
          auth = function() return { expires = tidewire.now() + %s } end,
          on_expire = function(client) asked = asked + 1 %s end,
        }]]):format(expires, on_expire),
    } })
  end

  it("ends after exactly its time", function()
    local broker = enter("10", "return nil")
    local client = broker:connect "/ws/market"
    broker:advance(9.999)
    assert.is_true(client:is_open())
    broker:advance(0.001)
    assert.closed_with(client, 4401)
  end)

  it("is renewed for as long as on_expire says", function()
    local broker = enter("10", "if asked <= 3 then return tidewire.now() + 5 end return nil")
    local client = broker:connect "/ws/market"
    broker:advance(24.999)
    assert.is_true(client:is_open())
    broker:advance(0.001)
    assert.closed_with(client, 4401)
  end)

  it("a thousand may end in the same instant #load", function()
    local broker = enter("20 - tidewire.now() % 20",
      "return asked % 2 == 0 and tidewire.now() + 20",
      "return { audience = function() return 'a' end, views = { a = function(m) return m end } }")
    local clients, open = {}, 0
    for i = 1, 1000 do clients[i] = broker:connect "/ws/market" end
    broker:advance(20)
    for i = 1, 1000 do
      local stays = clients[i]:is_open()
      if stays then open = open + 1 else assert.equal(4401, clients[i].close_code) end
    end
    assert.equal(open, broker:stats().connections)
    assert.is_true(math.abs(open - 500) <= 2, open .. " stay")
    broker:publish("market", "1")
    for i = 1, 1000 do
      if clients[i]:is_open() then assert.receives(clients[i], "1") end
    end
  end)
end)
