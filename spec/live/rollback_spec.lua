-- What of rollbacks only the process shows: the answers over HTTP, the file watch, and going back
-- by itself beside other loads. (What a rollback does is in spec/both.)
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
    -- It is decided while a load is under way, and waits behind it; then there is another
    -- generation than the one that was to be left.
    it("does nothing when a reload has been quicker", function()
      local broker = start { ["script.rollback.window"] = 0.4, ["script.rollback.calls"] = 10,
        ["script.quarantine.failures"] = 0, ["script.deadline"] = 1 }
      assert.equal(200, (broker:reload { ["channels/market.lua"] = BROKEN, ["channels/go.lua"] =
        'return { transform = function() require("tidewire").shared.set("go", true) end }' }))
      broker:allow_log "go of go returned nothing"
      local began = broker:stats().uptime
      broker:write("channels/market.lua", 'local tidewire = require "tidewire" '
        .. 'tidewire.log.info("loading") while not tidewire.shared.get "go" do end ' .. version(3))
      local reload = broker:open { admin = true }
      reload:send("POST", "/v1/reload", nil, "")
      broker:wait_log("loading", 5)
      for _ = 1, 20 do broker:post("market", "{}") end
      broker:until_(function() return broker:stats().uptime > began + 0.5 end, 5)
      broker:post("go", "{}")
      assert.equal(200, reload:response().status)
      assert.equal(3, mark(broker))
      local stats = broker:stats()
      assert.same({ 3, 0 }, { stats.generation, stats.rollbacks })
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
  end)
end)
