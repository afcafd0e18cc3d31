-- Quarantine: a channel whose hooks keep failing is set aside, says why, and the others run on.
-- (Its times are in spec/sim.)
local harness = require "tidewire.harness"

-- Fails when the message says so.
local FRAGILE = [[
return { publish = true, %s transform = function(message)
  if message.data.bad then error("cannot read this") end
  message.data.seen = true
  return message
end }
]]

describe("a quarantined channel", function()
  after_each(harness.teardown)

  local function start(files, quarantine)
    files["channels/market.lua"] = files["channels/market.lua"] or FRAGILE:format ""
    files["channels/index.lua"] = "return { transform = function(m) m.data.ok = 1 return m end }"
    local broker = assert(harness.broker { files = files, settings = {
      ["script.quarantine.failures"] = 3,
      ["script.quarantine.window"] = 1000,
      ["script.quarantine.retry"] = quarantine and quarantine.retry or 1000,
    } })
    broker:allow_log "hook failed"
    broker:allow_log "channel quarantined"
    return broker
  end

  local function break_it(broker)
    for _ = 1, 3 do broker:publish("market", { bad = true }) end
  end

  it("refuses publishes and says why, while others run on", function()
    local broker = start {}
    broker:expect_log "channel quarantined channel=market .*hook=transform error=cannot read this"
    local market, index = broker:connect "/ws/market", broker:connect "/ws/index"
    assert.is_false(broker:channel("market").quarantined)
    for _ = 1, 2 do
      assert.equal("cannot read this", broker:publish("market", { bad = true }).message)
    end
    assert.equal(1, broker:publish("market", { n = 1 }).offset) -- two are not too many
    broker:publish("market", { bad = true })
    local refused = broker:publish("market", { n = 2 })
    assert.truthy(refused.error:find "quarantined")
    assert.equal("transform", refused.hook)
    assert.equal("channels/market.lua", refused.script)
    assert.equal(2, refused.line)
    assert.equal("cannot read this", refused.message)
    assert.is_true(refused.retry_after > 900 and refused.retry_after <= 1000)
    assert.equal(1, broker:publish("index", {}).offset)
    assert.receives(index, { ok = 1 })
    assert.receives(market, { n = 1, seen = true })
    local stats = broker:channel "market"
    assert.is_true(stats.quarantined)
    assert.equal("cannot read this", stats.reason)
    assert.is_true(stats["until"] > broker:now() + 900 and stats["until"] <= broker:now() + 1001)
    assert.equal(3, broker:stats().hook_failures)
    assert.is_false(broker:channel("index").quarantined)
  end)

  it("does not count its refusals against raw clients", function()
    local broker = start({ ["broker.lua"] = "return { limits = { violations = 2 } }" })
    local client = broker:connect "/ws/market"
    break_it(broker)
    for n = 1, 10 do client:send(('{"n":%d}'):format(n)) end
    client:ping "are you there"
    assert.truthy(broker:wait(function() return broker:stats().messages_in == 10 end))
    assert.is_true(client:is_open())
    assert.equal(0, broker:channel("market").offset)
    assert.equal(0, broker:stats().refused)
  end)

  it("lets nobody in whom it would have to ask about", function()
    local broker = start { ["channels/market.lua"] =
      FRAGILE:format "authorize = function() return true end, " }
    local inside = broker:connect "/ws/market"
    break_it(broker)
    local outside = broker:connect "/ws/market"
    assert.equal(503, outside.status)
    assert.truthy(tonumber(outside:header "retry-after") > 900)
    assert.truthy(outside:json().error:find "quarantined")
    assert.is_true(inside:is_open())
  end)

  it("without authorize takes subscribers, whom its hooks do not hear of", function()
    local broker = start { ["channels/market.lua"] = FRAGILE:format [[
      on_subscribe = function(client) client:send "welcome" end,]] }
    assert.receives(broker:connect "/ws/market", '"welcome"')
    break_it(broker)
    local client = broker:connect "/ws/market"
    assert.equal(101, client.status)
    assert.receives_nothing(client)
  end)

  it("with quarantine = \"pass\" lets publishes pass as they are", function()
    local broker = start { ["channels/market.lua"] = FRAGILE:format [[
      quarantine = "pass",
      authorize = function(client) return client.user ~= "mallory" end,]],
      ["auth.lua"] = "return function(r) return { user = r.query.token } end" }
    local client = broker:connect "/ws/market"
    break_it(broker)
    assert.is_true(broker:channel("market").quarantined)
    assert.equal(1, broker:publish("market", '{"n":  1}').offset)
    assert.receives(client, '{"n":  1}')
    client:send '{"n":  2}'
    assert.receives(client, '{"n":  2}')
    assert.equal(101, broker:connect("/ws/market", { token = "alice" }).status)
    assert.refused_with(broker:connect("/ws/market", { token = "mallory" }), 403)
  end)

  it("is none with quarantine = false", function()
    local broker = start { ["channels/market.lua"] = FRAGILE:format "quarantine = false, " }
    for _ = 1, 10 do broker:publish("market", { bad = true }) end
    assert.is_false(broker:channel("market").quarantined)
    assert.equal(1, broker:publish("market", { n = 1 }).offset)
  end)

  it("is one no more after a reload that changes the app", function()
    local broker = start {}
    break_it(broker)
    assert.is_true((broker:reload {}))
    assert.is_true(broker:channel("market").quarantined)
    assert.is_true((broker:reload { ["channels/market.lua"] = FRAGILE:format "tick = nil, " }))
    assert.is_false(broker:channel("market").quarantined)
    assert.equal(1, broker:publish("market", { n = 1 }).offset)
    assert.truthy(broker:log():find("quarantine ended channel=market .*reason=reload"))
  end)

  it("comes back when a call on trial succeeds", function()
    local broker = start({}, { retry = 0.05 })
    break_it(broker)
    assert.truthy(broker:wait(function() return broker:publish("market", { n = 1 }).offset end))
    assert.is_false(broker:channel("market").quarantined)
    assert.truthy(broker:log():find("quarantine ended channel=market .*reason=trial"))
  end)
end)
