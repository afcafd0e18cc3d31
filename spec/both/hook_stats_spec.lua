-- What each hook costs: calls, failures, time and memory, for all workers together.
local harness = require "tidewire.harness"

describe("the hooks in the stats", function()
  after_each(harness.teardown)

  local function start(files, settings)
    local broker = assert(harness.broker { files = files, settings = settings })
    broker:allow_log "hook failed"
    return broker
  end

  local function hook(broker, name, channel)
    for _, row in ipairs(broker:stats().hooks) do
      if row.hook == name and row.channel == channel then return row end
    end
  end

  it("count calls, failures, time and memory of each", function()
    local broker = start {
      ["auth.lua"] = "return function() return { user = 'alice' } end",
      ["channels/market.lua"] = [[return {
        on_subscribe = function() end,
        transform = function(message)
          if message.data.bad then error "no" end
          if message.data.big then message.data.text = ("x"):rep(1000000) end
          return message
        end }]],
    }
    assert.equal(0, #broker:stats().hooks)
    for _ = 1, 3 do broker:connect "/ws/market" end
    for _ = 1, 10 do broker:publish("market", {}) end
    local small = hook(broker, "transform", "market")
    broker:publish("market", { bad = true })
    broker:publish("market", { big = true })
    local row = hook(broker, "transform", "market")
    assert.equal(12, row.calls)
    assert.equal(1, row.failures)
    assert.equal(0, row.interrupted + row.killed)
    assert.is_true(row.seconds > 0 and row.max <= row.seconds)
    assert.is_true(row.p50 > 0 and row.p50 <= row.p99 and row.p99 <= row.max)
    assert.is_true(small.bytes > 0 and small.max_bytes <= small.bytes)
    assert.is_true(row.max_bytes > 1000000 and row.max_bytes > small.max_bytes)
    assert.is_true(row.bytes >= small.bytes + row.max_bytes)
    assert.equal(3, hook(broker, "on_subscribe", "market").calls)
    assert.equal(3, hook(broker, "auth").calls)
  end)

  it("are of a definition, whatever its channels are called and wherever they live", function()
    local broker = start { ["channels/room.lua"] =
      'return { name = "room:{id}", transform = function(m) return m end }' }
    for id = 1, 20 do broker:publish("room:" .. id, {}) end
    assert.equal(20, hook(broker, "transform", "room:{id}").calls)
    assert.equal(1, #broker:stats().hooks)
  end)

  it("are sorted by time, and count what the guard stops", function()
    local broker = start({
      ["channels/slow.lua"] = [[return { transform = function(message)
        if message.data.find then string.find(("a"):rep(30000) .. "b", ("a*"):rep(30) .. "c") end
        if message.data.loop then while true do end end
        return message
      end }]],
      ["channels/fast.lua"] = "return { transform = function(m) return m end }",
    }, { script = { deadline = 0.02 } })
    broker:publish("fast", {})
    broker:publish("slow", { loop = true })
    broker:publish("slow", { find = true })
    broker:publish("slow", {}) -- by the VM that was built anew
    local row = broker:stats().hooks[1]
    assert.equal("slow", row.channel)
    assert.same({ 3, 2, 1, 1 }, { row.calls, row.failures, row.interrupted, row.killed })
    assert.is_true(row.max >= 0.02)
  end)

  it("begin anew with each generation", function()
    local broker = start {
      ["channels/market.lua"] = "return { transform = function(m) return m end }",
    }
    broker:publish("market", {})
    assert.is_true((broker:reload()))
    assert.is_nil(hook(broker, "transform", "market"))
    broker:publish("market", {})
    assert.equal(1, hook(broker, "transform", "market").calls)
  end)
end)
