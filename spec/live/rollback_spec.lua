-- What of rollbacks only the process shows: the answers over HTTP, the file watch, and going back
-- by itself. (What a rollback does is in spec/both.)
local live = require "spec.support.live"

local function version(v)
  return ("return { transform = function(m) m.data.v = %d return m end }\n"):format(v)
end

local BROKEN = "return { transform = function(m) return m.x.y end }\n"

describe("a rollback", function()
  after_each(live.teardown)

  local function start(settings)
    local broker = live.broker {
      files = { ["channels/market.lua"] = version(1) }, settings = settings,
    }
    broker:allow_log "expected that the file returns a table" -- seen while it is written
    broker:allow_log "hook failed"
    return broker
  end

  local function rollback(broker)
    local response = broker:admin("POST", "/v1/rollback", "")
    return response.status, response:json()
  end

  local function mark(broker)
    local client = broker:connect "/ws/market"
    broker:publish("market", "{}")
    local v = client:receive_json().v
    client:close(1000)
    return v
  end

  it("says what it did, or that there is nothing to go back to", function()
    local broker = start()
    local status, answer = rollback(broker)
    assert.equal(409, status)
    assert.is_string(answer.error)
    assert.equal(0, broker:stats().rollbacks)
    assert.is_nil(broker:stats().last_rollback)
    assert.equal(200, (broker:reload { ["channels/market.lua"] = version(2) }))
    status, answer = rollback(broker)
    assert.equal(200, status)
    assert.equal(1, answer.rolled_back_to)
    local stats = broker:stats()
    assert.equal(answer.generation, stats.generation)
    assert.equal(1, stats.rollbacks)
    local last = stats.last_rollback
    assert.equal(answer.generation, last.generation)
    assert.equal(answer.generation - 1, last.from)
    assert.equal(1, last.to)
    assert.equal("asked for", last.reason)
    assert.is_true(math.abs(last.at - os.time()) < 60)
    assert.equal(405, broker:admin("GET", "/v1/rollback").status)
    assert.equal(1, mark(broker))
  end)

  it("is not undone by the file watch, until the files change anew", function()
    local broker = start()
    assert.equal(200, (broker:reload { ["channels/market.lua"] = version(2) }))
    assert.equal(200, (rollback(broker)))
    broker:write("channels/market.lua", version(2))
    broker:wait_log("not loaded: these files were rolled back from", 5)
    assert.equal(1, mark(broker))
    broker:write("channels/market.lua", version(3))
    broker:until_(function() return mark(broker) == 3 end, 5)
    broker:write("channels/market.lua", version(2))
    broker:until_(function() return mark(broker) == 2 end, 5)
  end)

  it("asked for while a load is under way undoes that load", function()
    local broker = start()
    local slow = 'require("tidewire").log.info("loading") '
      .. "local n = 0 while n < 3e6 do n = n + 1 end "
    local first, second = broker:open { admin = true }, broker:open { admin = true }
    broker:write("channels/market.lua", slow .. version(2))
    first:send("POST", "/v1/reload", nil, "")
    broker:wait_log("loading", 5)
    second:send("POST", "/v1/rollback", nil, "")
    assert.equal(200, first:response().status)
    local response = second:response()
    assert.equal(200, response.status)
    assert.equal(1, response:json().rolled_back_to)
    assert.equal(1, mark(broker))
  end)

  describe("by itself", function()
    local SETTINGS = {
      ["script.rollback.window"] = 5, ["script.rollback.calls"] = 10,
      ["script.rollback.share"] = 0.5, ["script.quarantine.failures"] = 0,
    }

    it("happens when hooks fail right after a reload", function()
      local broker = start(SETTINGS)
      for _ = 1, 20 do broker:publish("market", "{}") end
      broker:expect_log "reload generation=3 rolled back from=2 to=1 reason=\"%d+ of %d+ hook calls"
      assert.equal(200, (broker:reload { ["channels/market.lua"] = BROKEN }))
      broker:until_(function()
        broker:post("market", "{}")
        return broker:stats().rollbacks == 1
      end, 5)
      assert.equal(1, mark(broker))
      local last = broker:stats().last_rollback
      assert.truthy(last.reason:find "hook calls failed after the reload, 0 of 20 before")
      assert.same({ 2, 1, 3 }, { last.from, last.to, last.generation })
    end)

    it("does not when they failed before as well, nor when few do", function()
      local broker = start {
        ["script.rollback.window"] = 0.5, ["script.rollback.calls"] = 30, -- asks each 50 ms
        ["script.quarantine.failures"] = 0,
      }
      local function keep_posting(text)
        local ends, n = broker:stats().uptime + 0.3, 0
        assert.equal(200, (broker:reload { ["channels/market.lua"] = text }))
        broker:until_(function()
          n = n + 1
          broker:post("market", n % 4 == 0 and '{"bad":1}' or "{}")
          return n >= 60 and broker:stats().uptime > ends
        end, 5)
        assert.equal(0, broker:stats().rollbacks)
      end
      keep_posting [[return {
        transform = function(m) if m.data.bad then error 'b' end return m end }]]
      assert.equal(200, (broker:reload { ["channels/market.lua"] =
        "return { transform = function(m) error('a') end }" }))
      for _ = 1, 5 do broker:post("market", "{}") end -- fewer than script.rollback.calls
      keep_posting(BROKEN)
    end)

    it("is off unless the settings say so", function()
      local broker = start { ["script.quarantine.failures"] = 0 }
      assert.equal(200, (broker:reload { ["channels/market.lua"] = BROKEN }))
      for _ = 1, 100 do broker:post("market", "{}") end
      assert.equal(0, broker:stats().rollbacks)
      assert.equal(2, broker:stats().generation)
    end)
  end)
end)
