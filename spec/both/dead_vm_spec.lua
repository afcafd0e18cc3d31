-- A VM that a handler took along and that cannot be built again, since its files do not load any
-- more: nobody is let in whom it would have to ask about, nothing passes that it would have to see,
-- and it is tried again.
local harness = require "tidewire.harness"

local HEAD = [[
local tidewire = require "tidewire"
local function die()
  tidewire.shared.set("broken", true, %s)
  string.find(("a"):rep(30000) .. "b", ("a*"):rep(30) .. "c")
end
]]
local BREAKS = 'if tidewire.shared.get "broken" then error "does not load now" end\n'
local LONG = 1000

describe("a VM that cannot be built again", function()
  after_each(harness.teardown)

  -- `broken`: seconds.
  local function start(files, broken)
    for name, text in pairs(files) do files[name] = text:gsub("HEAD", (HEAD:format(broken))) end
    local broker = assert(harness.broker { files = files, settings = {
      script = { deadline = 0.02, quarantine = { failures = 2 } },
    } })
    broker:allow_log "does not load now"
    broker:expect_log "killed"
    broker:expect_log "not loaded again"
    return broker
  end

  -- Runs `act(broken)` until it could say what it says while they were: this machine may be slow.
  local function while_broken(act)
    local broken, broker = 0.9
    repeat
      if broker then broker:free() end
      local since
      broker, since = act(broken)
      broken = 2 * broken
    until broker:now() - since < broken / 2 - 0.1
    return broker
  end

  local ROOM = "HEAD %s" .. [[return {
    name = "room:{id}", publish = true,
    init = function(channel) channel.state.n = 100 end,
    authorize = function(client, action, channel) return client.user == "alice" end,
    transform = function(message, channel)
      if message.data.die then die() end
      channel.state.n = channel.state.n + 1
      message.data.n = channel.state.n
      return message
    end }]]

  local function has_died(broker, name)
    local answer = broker:publish(name, { die = true })
    assert.truthy(answer.message:find "killed")
  end

  it("refuses what its hooks would have to decide, says why, and comes back", function()
    local alice
    local broker = while_broken(function(broken)
      local broker = start({ ["channels/room.lua"] = ROOM:format(BREAKS),
        ["auth.lua"] = "return function(r) return { user = r.query.token } end" }, broken)
      alice = broker:connect("/ws/room:1", { token = "alice" })
      broker:publish("room:1", {})
      assert.receives(alice, { n = 101 })
      local since = broker:now()
      has_died(broker, "room:1")
      for _ = 1, 3 do -- more than are needed for a quarantine
        local refused = broker:publish("room:1", {})
        if refused.offset then return broker, 0 end
        assert.equal("the scripts of this worker were killed and do not load again", refused.error)
        assert.equal("does not load now", refused.message)
        assert.equal("channels/room.lua", refused.script)
        assert.is_true(refused.retry_after > 0 and refused.retry_after <= 1)
      end
      assert.equal(1, broker:stats().dead_vms)
      local bob = broker:connect("/ws/room:1", { token = "bob" })
      if bob.status == 403 then return broker, 0 end
      assert.equal(503, bob.status)
      assert.equal("1", bob:header "retry-after")
      return broker, since
    end)
    assert.equal(1, broker:channel("room:1").offset)
    assert.is_false(broker:channel("room:1").quarantined)
    assert.equal(1, broker:stats().hook_failures)
    assert.is_true(alice:is_open())
    assert.truthy(broker:wait(function() return broker:publish("room:1", {}).offset == 2 end, 5))
    assert.receives(alice, { n = 101 }) -- init has run
    assert.refused_with(broker:connect("/ws/room:1", { token = "bob" }), 403)
    assert.equal(0, broker:stats().dead_vms)
    assert.truthy(broker:log():find("loaded again", 1, true))
  end)

  it("lets nobody in whom auth would have to ask about", function()
    local inside
    local broker = while_broken(function(broken)
      local broker = start({ ["channels/market.lua"] = "return {}",
        ["auth.lua"] = "HEAD" .. BREAKS .. [[return function(request)
          if request.query.die then die() end
          return request.query.token == "secret" and { user = "alice" } or nil, "wrong token"
        end]] }, broken)
      inside = broker:connect("/ws/market", { token = "secret" })
      local since = broker:now()
      assert.equal(401, broker:connect("/ws/market?die=1").status)
      for _ = 1, 5 do
        local status = broker:connect("/ws/market").status
        assert.is_true(status == 503 or status == 401, status) -- 401: by a worker that lives
      end
      broker:publish("market", "1") -- needs no hook
      assert.receives(inside, "1")
      return broker, since
    end)
    assert.truthy(broker:wait(function() return broker:stats().dead_vms == 1 end))
    assert.truthy(broker:wait(function()
      for _ = 1, 20 do broker:connect("/ws/market") end -- one of them to that worker
      return broker:stats().dead_vms == 0
    end, 10))
    assert.equal(101, broker:connect("/ws/market", { token = "secret" }).status)
  end)

  it("is built by a reload to files that load", function()
    local broker = start({ ["channels/room.lua"] = ROOM:format(BREAKS),
      ["auth.lua"] = "return function(r) return { user = r.query.token } end" }, LONG)
    local alice = broker:connect("/ws/room:1", { token = "alice" })
    has_died(broker, "room:1")
    assert.is_false((broker:reload()))
    assert.is_string(broker:publish("room:1", {}).error)
    assert.is_true((broker:reload { ["channels/room.lua"] = ROOM:format "":gsub("HEAD", HEAD) }))
    assert.equal(1, broker:publish("room:1", {}).offset)
    assert.receives(alice, { n = 101 })
  end)

  it("does not end the broker, nor hold up the drain", function()
    local broker = start({ ["channels/room.lua"] = ROOM:format(BREAKS):gsub("transform =", [[
      on_subscribe = function() tidewire.after(0.05, die) end,
      on_unsubscribe = function() end,
      tick = { every = 0.01, run = function(channel) channel.state.ticked = true end },
      audience = function(client) return client.user end,
      views = { alice = function(message) return message end },
      transform =]]),
      ["auth.lua"] = "return function(r) return { user = r.query.token } end" }, LONG)
    local alice = broker:connect("/ws/room:1", { token = "alice" })
    local other = broker:connect("/ws/room:1", { token = "alice" })
    assert.truthy(broker:wait(function() return broker:stats().dead_vms == 1 end))
    alice:send "{}"
    other:close(1000)
    assert.truthy(broker:wait(function() return broker:channel("room:1").subscribers == 1 end))
    broker:drain()
    assert.closed_with(alice, 1001)
  end)
end)
