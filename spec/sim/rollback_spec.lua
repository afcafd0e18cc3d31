-- A rollback to files that do not load any more; when one happens by itself, and when it does not.
-- (What a rollback does is in spec/both.)
local sim = require "tidewire.sim"

describe("a rollback", function()
  after_each(sim.teardown)

  it("to what no longer loads changes nothing and says why", function()
    local broker = assert(sim.broker { files = { ["channels/market.lua"] = [[
      local tidewire = require "tidewire"
      if tidewire.now() % 86400 > 500 then error "too late" end
      return {}]] } })
    assert.is_true((broker:reload { ["channels/market.lua"] =
      "return { transform = function(m) m.data.v = 2 return m end }" }))
    broker:advance(1000)
    local ok, errors = broker:rollback()
    assert.is_false(ok)
    assert.equal("channels/market.lua", errors[1].file)
    assert.equal(2, errors[1].line)
    assert.equal(2, broker:stats().generation)
    local client = broker:connect "/ws/market"
    broker:publish("market", {})
    assert.receives(client, { v = 2 })
  end)

  describe("by itself", function()
    local GOOD = "return { transform = function(m) if m.data.bad then error 'bad' end "
      .. "return m end }"
    local BROKEN = "return { transform = function(m) error('broken') end }"
    local broker

    local function start(settings)
      local rollback = { window = 10, calls = 20, share = 0.5 }
      for name, value in pairs(settings or {}) do rollback[name] = value end
      broker = assert(sim.broker { files = { ["channels/market.lua"] = GOOD }, settings = {
        script = { rollback = rollback, quarantine = { failures = 0 } } } })
      broker:allow_log "hook failed"
      broker:allow_log "rolled back"
    end

    local function reload(text)
      assert.is_true((broker:reload { ["channels/market.lua"] = text }))
    end

    local function publish(good, bad)
      for _ = 1, good do broker:publish("market", {}) end
      for _ = 1, bad or 0 do broker:publish("market", { bad = true }) end
    end

    local function rollbacks()
      return broker:stats().rollbacks
    end

    it("happens when it is asked next, ten times in the window", function()
      start { window = 4 }
      reload(BROKEN)
      publish(20)
      broker:advance(0.399)
      assert.equal(0, rollbacks())
      broker:advance(0.001)
      assert.equal(1, rollbacks())
      publish(1)
      assert.equal(1, broker:channel("market").offset)
    end)

    it("takes so many calls", function()
      start()
      reload(BROKEN)
      publish(18) -- and the state's way here, which may be by migrate
      broker:advance(9)
      assert.equal(0, rollbacks())
      publish(1)
      broker:advance(0.5)
      assert.equal(1, rollbacks())
    end)

    it("takes so large a share of them, and twice that of before", function()
      start()
      reload(GOOD .. " ")
      publish(11, 9)
      broker:advance(5)
      assert.equal(0, rollbacks())
      publish(0, 4)
      broker:advance(0.5)
      assert.equal(1, rollbacks())
      reload(GOOD .. "  ")
      publish(70, 30)
      broker:advance(20)
      reload(GOOD .. "   ")
      publish(42, 58) -- not twice the 30 of 100 of before
      broker:advance(5)
      assert.equal(1, rollbacks())
      publish(0, 20)
      broker:advance(0.5)
      assert.equal(2, rollbacks())
    end)

    it("does not when the window is over", function()
      start()
      reload(BROKEN)
      broker:advance(10)
      publish(100)
      broker:advance(100)
      assert.equal(0, rollbacks())
    end)

    it("is of the newest reload: another one begins anew, one without changes does not", function()
      start()
      reload(BROKEN)
      publish(20)
      reload(GOOD .. " ")
      broker:advance(100)
      assert.equal(0, rollbacks())
      reload(BROKEN)
      publish(20)
      assert.is_true((broker:reload()))
      broker:advance(100)
      assert.equal(0, rollbacks())
    end)

    it("leaves nothing behind to go back from, whatever fails then", function()
      start()
      reload(BROKEN)
      publish(20)
      broker:advance(1)
      assert.equal(1, rollbacks())
      publish(0, 100)
      broker:advance(100)
      assert.equal(1, rollbacks())
      assert.equal(3, broker:stats().generation)
    end)

    it("does not begin in a drain", function()
      start()
      local client = broker:connect("/ws/market", { no_close_reply = true })
      reload(BROKEN)
      publish(20)
      broker:drain()
      broker:advance(1)
      assert.equal(0, rollbacks())
      assert.closed_with(client, 1001)
    end)
  end)
end)
