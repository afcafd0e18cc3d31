-- No script can take the broker down: whatever handlers do, each is stopped, alone; no client is
-- dropped, other channels flow on, and the memory comes back.
--
-- In `./dev test` each configuration (jit, workers) runs a share of the rounds, with short
-- deadlines; `./dev guard` runs all of it (TIDEWIRE_GUARD=full) and prints what it measured.
local files = require "spec.support.files"
local flow = require "spec.support.flow"
local hostile = require "spec.support.hostile"
local live = require "spec.support.live"
local loop = require "spec.support.loop"

local IS_FULL = os.getenv("TIDEWIRE_GUARD") == "full"
local ROUNDS = IS_FULL and 100 or 25 -- of each kind; four configurations share the hundred
local ENTRY_ROUNDS = IS_FULL and 100 or 3
local RANDOM_SECONDS = IS_FULL and 60 or 3
local CROWD = IS_FULL and 2000 or 50
local DEADLINE = IS_FULL and 0.02 or 0.01
local RANDOM_DEADLINE = IS_FULL and 0.1 or DEADLINE -- 0.1 is the default

-- Seconds of processor time that the broker may take between two ticks of a channel that does
-- nothing hostile: a deadline, 10 ms until that is noticed, 20 ms of stage 1, a new VM. Of
-- processor time, since what else the machine does is no fault of ours; stretched, since while the
-- watchdog waits for a processor the handler may have one. `./dev guard` prints the real gap.
-- Workers have a processor each, so what several take in the same time adds up.
local WORST_GAP = 0.25 * loop.factor * (os.getenv "TIDEWIRE_WORKERS" == "1" and 1 or 2)
-- Of the process, in bytes, once everything hostile has run once: freed memory that malloc keeps.
local WORST_GROWTH = 64 * 1024 * 1024

local FLOWS = { "flow1", "flow2", "flow3", "flow4" } -- so that each worker is likely home to one

-- A sanitizer keeps what is freed, to tell who uses it.
local ENVIRONMENT = { ASAN_OPTIONS = "quarantine_size_mb=8" }

describe("a handler that never ends", function()
  after_each(live.teardown)

  local function start(jit, deadline)
    local broker = live.broker {
      files = hostile.app(FLOWS),
      settings = {
        ["script.deadline"] = deadline, ["script.jit"] = jit,
        ["limits.messages.rate"] = 0, -- who publishes is not what is tried here,
        ["script.quarantine.failures"] = 0, -- nor what a channel is spared that fails so often
      },
      env = ENVIRONMENT,
      args = { "--no-watch" }, -- a load that is under way would hold up the end
    }
    broker:allow_log("hook failed")
    broker:allow_log("publishes of a handler dropped")
    broker.crowd = {}
    for i = 1, CROWD do broker.crowd[i] = broker:dial("/ws/crowd") end
    for _, client in ipairs(broker.crowd) do assert(client:begin(60)) end
    for _, client in ipairs(broker.crowd) do assert.equal(101, client:wait_answer(60)) end
    broker.flow = flow.watch(broker, FLOWS)
    broker.is_jit = jit
    return broker
  end

  local function count_in_log(broker, text)
    local count, at = 0, 0
    local log = broker:log()
    while true do
      at = log:find(text, at + 1, true)
      if not at then return count end
      count = count + 1
    end
  end

  local function publish(broker, kind)
    local status, answer = broker:post("evil", { kind = kind })
    if hostile.failing[kind] then
      assert.equal(500, status, kind)
      assert.equal("transform", answer.hook, kind)
    else
      assert.equal(200, status, kind)
    end
    broker.flow:look()
  end

  -- The thread sanitizer's memory grows with what is touched and does not come back, and its
  -- threads wait for each other: there only what happens is checked, not what it takes.
  local function is_measured(broker)
    local maps = files.read("/proc/" .. broker.process.pid .. "/maps")
    return not maps:find("libtsan", 1, true)
  end

  local function check_memory(broker, before)
    if not is_measured(broker) then return end
    local grown
    local is_back = loop.wait(function() -- VMs that were thrown away are freed by other threads
      grown = broker:memory() - before
      return grown < WORST_GROWTH
    end, 5)
    assert.truthy(is_back, ("grown by %.1f MB"):format(grown / 2 ^ 20))
  end

  -- The crowd is whole, and has missed nothing; the flows go on, and never paused for long.
  local function check_others(broker, what)
    broker.flow:wait(5)
    for _, client in ipairs(broker.crowd) do
      if not client:is_open() then client:fail("a client was dropped") end
      local first = client.inbox[1] and tonumber(client.inbox[1].payload:match("%d+"))
      for i, message in ipairs(client.inbox) do
        assert.equal(first + i - 1, tonumber(message.payload:match("%d+")))
      end
    end
    if not is_measured(broker) then return end
    assert.is_true(broker.flow.worst_used < WORST_GAP,
      ("%s: the broker worked %.3f s between two ticks"):format(what, broker.flow.worst_used))
  end

  local function tell(broker, what, before)
    if not IS_FULL then return end
    print(("guard: %s jit=%s workers=%d failed=%d thrown_away=%d worst_gap_ms=%.0f "
      .. "worst_gap_of_processor_time_ms=%.0f memory_before_mb=%.1f memory_after_mb=%.1f "
      .. "load=%s"):format(
      what, tostring(broker.is_jit), broker.workers, count_in_log(broker, "hook failed"),
      count_in_log(broker, "killed: it did not stop"), broker.flow.worst_gap * 1000,
      broker.flow.worst_used * 1000, before / 2 ^ 20, broker:memory() / 2 ^ 20,
      files.read("/proc/loadavg"):match("%S+")))
  end

  for _, jit in ipairs { false, true } do
    local how = jit and " (compiled)" or ""

    it("is stopped, each kind many times in a row, and nobody else notices" .. how, function()
      local broker = start(jit, DEADLINE)
      for _, kind in ipairs(hostile.kinds()) do publish(broker, kind) end
      local before = broker:memory()
      for _, kind in ipairs(hostile.kinds()) do
        for _ = 1, ROUNDS do publish(broker, kind) end
        publish(broker, "peaceful")
      end
      check_others(broker, "kinds")
      tell(broker, "each kind in a row", before)
      check_memory(broker, before)
    end)

    it("is stopped, in any order" .. how, function()
      local broker = start(jit, RANDOM_DEADLINE)
      local kinds, seed = hostile.kinds(), os.time()
      math.randomseed(seed)
      for _, kind in ipairs(kinds) do publish(broker, kind) end
      local before, till = broker:memory(), loop.now() + RANDOM_SECONDS
      while loop.now() < till do publish(broker, kinds[math.random(#kinds)]) end
      check_others(broker, "in any order, seed " .. seed)
      tell(broker, "all kinds at random", before)
      check_memory(broker, before)
    end)

    -- They wait in one queue, so one turn could run them all.
    it("lets others in between when many come at once" .. how, function()
      local broker = start(jit, DEADLINE)
      local publisher = broker:connect("/ws/evil")
      for _ = 1, 60 do
        publisher:send { kind = "loop" }
        publisher:send { kind = "backtracking" }
      end
      publisher:send { kind = "peaceful" }
      assert.same({ kind = "peaceful" }, publisher:receive_json(30))
      check_others(broker, "many at once")
      tell(broker, "120 at once", broker:memory())
    end)

    it("is stopped wherever Lua is entered" .. how, function()
      local broker = start(jit, DEADLINE)
      local before, failed = broker:memory(), 0
      local function wait_failure(what)
        failed = failed + 1
        broker:until_(function() return broker:stats().hook_failures >= failed end, 10, what)
        broker.flow:look()
      end
      for round = 1, ENTRY_ROUNDS do
        for _, kind in ipairs(hostile.of_entries) do
          assert.equal(401, (broker:refusal("/ws/crowd?kind=" .. kind)))
          assert.equal(403, (broker:refusal("/ws/authorize:" .. kind)))
          failed = broker:stats().hook_failures
          local client = broker:connect("/ws/may_publish:" .. kind)
          client:send("1")
          wait_failure("authorize for a publish")
          client:reset()
          client = broker:connect("/ws/on_subscribe:" .. kind)
          wait_failure("on_subscribe")
          client:reset()
          client = broker:connect("/ws/on_unsubscribe:" .. kind)
          client:reset()
          wait_failure("on_unsubscribe")
          if round == 1 then
            broker:connect("/ws/init_" .. kind .. ":1")
            wait_failure("init")
          end
          assert.equal(500, (broker:post("key:x", { kind = kind })))
          failed = broker:stats().hook_failures
          broker:publish("tick:" .. kind, {})
          wait_failure("tick")
        end
      end
      for _, hook in ipairs { "auth", "authorize", "on_subscribe", "on_unsubscribe", "init",
        "queue.key", "tick" } do
        if not jit then broker:wait_log("hook=" .. hook .. " .*deadline of") end
        broker:wait_log("hook=" .. hook .. " .*killed") -- so is a loop that is compiled
      end
      check_others(broker, "entries")
      tell(broker, "each entry", before)
    end)

    it("is stopped at load and in migrate" .. how, function()
      local broker = start(jit, DEADLINE)
      broker:allow_log("channels/moving.lua")
      local before = broker:memory()
      local good = hostile.migrating("peaceful", 0)
      assert.equal(200, (broker:reload { ["channels/moving.lua"] = good }))
      for round = 1, ENTRY_ROUNDS do
        for _, kind in ipairs(hostile.of_entries) do
          local generation = broker:stats().generation
          local status, answer = broker:reload {
            ["channels/moving.lua"] = "require('transforms.hostile')." .. kind .. "()\nreturn {}",
          }
          assert.equal(422, status)
          assert.equal("channels/moving.lua", answer.errors[1].file)
          assert.equal(generation, broker:stats().generation)
          assert.equal(200, (broker:reload {
            ["channels/moving.lua"] = hostile.migrating(kind, round),
          }))
          assert.equal(generation + 1, broker:stats().generation)
          broker.flow:look()
        end
      end
      if not jit then broker:wait_log("hook=migrate .*deadline of") end
      broker:wait_log("hook=migrate .*killed")
      check_others(broker, "load and migrate")
      tell(broker, "load and migrate", before)
    end)
  end
end)
