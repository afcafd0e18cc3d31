-- Going back to the generation before, whatever the disk says meanwhile.
local harness = require "tidewire.harness"

local function version(v, more)
  return ("return { publish = true, %s transform = function(m) m.data.v = %d return m end }\n")
    :format(more or "", v)
end

describe("a rollback", function()
  after_each(harness.teardown)

  local function start(files, settings)
    files["channels/market.lua"] = files["channels/market.lua"] or version(1)
    return assert(harness.broker { files = files, settings = settings })
  end

  local function deploy(broker, v, more)
    assert.is_true((broker:reload { ["channels/market.lua"] = version(v, more) }))
  end

  local function speaks(broker, client, v)
    broker:publish("market", "{}")
    assert.receives(client, { v = v })
  end

  it("is a new generation with the files of the one before", function()
    local broker = start {}
    local client = broker:connect "/ws/market"
    deploy(broker, 2)
    speaks(broker, client, 2)
    assert.is_true((broker:rollback()))
    speaks(broker, client, 1)
    assert.equal(3, broker:stats().generation)
    assert.is_true(client:is_open())
    assert.equal(2, broker:channel("market").offset)
  end)

  it("needs one before", function()
    local broker = start {}
    local ok, errors = broker:rollback()
    assert.is_false(ok)
    assert.equal(0, #errors)
    assert.equal(1, broker:stats().generation)
  end)

  it("does not go on to the broken one when it is asked for twice", function()
    local broker = start {}
    local client = broker:connect "/ws/market"
    deploy(broker, 2)
    assert.is_true((broker:rollback()))
    assert.is_false((broker:rollback()))
    speaks(broker, client, 1)
    deploy(broker, 5)
    assert.is_true((broker:rollback()))
    speaks(broker, client, 1)
  end)

  it("goes past reloads that changed nothing", function()
    local broker = start {}
    local client = broker:connect "/ws/market"
    deploy(broker, 2)
    for _ = 1, 3 do assert.is_true((broker:reload())) end
    assert.is_true((broker:rollback()))
    speaks(broker, client, 1)
  end)

  it("does not ask the disk", function()
    local broker = start {
      ["channels/market.lua"] = 'return { transform = require "transforms.mark" }',
      ["channels/old.lua"] = "return {}",
      ["transforms/mark.lua"] = 'local v = require "tidewire".file "v.txt"\n'
        .. "return function(m) m.data.v = tonumber(v) return m end",
      ["v.txt"] = "1",
      ["auth.lua"] = "return function(r) return { user = r.query.token } end",
      ["broker.lua"] = "return { limits = { message_size = 100 } }",
    }
    local old = broker:connect "/ws/old"
    assert.is_true((broker:reload {
      ["channels/market.lua"] = false, ["channels/old.lua"] = false, ["auth.lua"] = false,
      ["transforms/mark.lua"] = false, ["v.txt"] = false, ["broker.lua"] = "return {}",
      ["channels/new.lua"] = "return {}",
    }))
    assert.closed_with(old, 4404)
    assert.is_true((broker:rollback()))
    local client = broker:connect("/ws/market", { token = "alice" })
    speaks(broker, client, 1)
    assert.equal(101, broker:connect("/ws/old").status)
    assert.equal(404, broker:connect("/ws/new").status)
    assert.is_string(broker:publish("market", ("1"):rep(200)).error)
  end)

  it("carries states as a reload does", function()
    local counting = [[return { %s transform = function(m, channel)
      channel.state.n = (channel.state.n or 0) + 1
      m.data.n = channel.state.n
      return m
    end }]]
    local broker = start { ["channels/market.lua"] = counting:format
      "migrate = function(old, generation) old.n = old.n + 10 * generation return old end," }
    local client = broker:connect "/ws/market"
    broker:publish("market", {})
    assert.is_true((broker:reload { ["channels/market.lua"] = counting:format "" }))
    broker:publish("market", {})
    assert.is_true((broker:rollback()))
    broker:publish("market", {})
    assert.receives(client, { n = 1 })
    assert.receives(client, { n = 2 })
    assert.receives(client, { n = 23 })
  end)

  it("is followed by what the disk says when that is asked for", function()
    local broker = start {}
    local client = broker:connect "/ws/market"
    deploy(broker, 2)
    assert.is_true((broker:rollback()))
    assert.is_true((broker:reload()))
    speaks(broker, client, 2)
    assert.equal(4, broker:stats().generation)
    assert.is_true((broker:rollback()))
    speaks(broker, client, 1)
  end)

  it("ends a quarantine", function()
    local broker = start({}, { ["script.quarantine.failures"] = 1 })
    broker:allow_log "hook failed"
    broker:allow_log "channel quarantined"
    assert.is_true((broker:reload { ["channels/market.lua"] =
      "return { transform = function() error 'no' end }" }))
    broker:publish("market", {})
    assert.is_true(broker:channel("market").quarantined)
    assert.is_true((broker:rollback()))
    assert.is_false(broker:channel("market").quarantined)
    assert.equal(1, broker:publish("market", {}).offset)
  end)

  describe("by itself", function()
    local BROKEN = "return { transform = function(m) return m.x.y end }"
    local SETTINGS = {
      ["script.rollback.window"] = 5, ["script.rollback.calls"] = 10,
      ["script.rollback.share"] = 0.5, ["script.quarantine.failures"] = 0,
    }

    local function breaks(broker)
      broker:allow_log "hook failed"
      assert.is_true((broker:reload { ["channels/market.lua"] = BROKEN }))
    end

    it("happens when hooks fail right after a reload", function()
      local broker = start({}, SETTINGS)
      local client = broker:connect "/ws/market"
      for _ = 1, 20 do broker:publish("market", "{}") end
      broker:expect_log "reload generation=3 rolled back from=2 to=1 reason=\"%d+ of %d+ hook calls"
      breaks(broker)
      assert.truthy(broker:wait(function()
        broker:publish("market", "{}")
        return broker:stats().rollbacks == 1
      end, 5))
      client:messages()
      speaks(broker, client, 1)
      local last = broker:stats().last_rollback
      assert.truthy(last.reason:find "hook calls failed after the reload, 0 of 20 before")
      assert.same({ 2, 1, 3 }, { last.from, last.to, last.generation })
      assert.is_true(math.abs(last.at - broker:now()) < 60)
    end)

    it("is off unless the settings say so", function()
      local broker = start({}, { ["script.quarantine.failures"] = 0 })
      breaks(broker)
      for _ = 1, 100 do broker:publish("market", "{}") end
      assert.equal(0, broker:stats().rollbacks)
      assert.equal(2, broker:stats().generation)
    end)

    it("is told from one that was asked for", function()
      local broker = start({}, SETTINGS)
      deploy(broker, 2)
      assert.equal(0, broker:stats().rollbacks)
      assert.is_true((broker:rollback()))
      assert.equal(1, broker:stats().rollbacks)
      assert.equal("asked for", broker:stats().last_rollback.reason)
    end)
  end)
end)
