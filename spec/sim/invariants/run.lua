--- One run: a sequence of operations from a seed, or a given one.
local new_random = require "spec.sim.invariants.random"
local new_world = require "spec.sim.invariants.world"
local operations = require "spec.sim.invariants.operations"
local reloads = require "spec.sim.invariants.reloads"
local sim = require "tidewire.sim"

local run = {}

function run.generate(seed, steps)
  local random, list = new_random(seed), {}
  for i = 1, steps do list[i] = operations.make(random) end
  return list
end

-- Goodbye to all: what was accepted arrives, nobody and nothing stays.
local function drain(world)
  world.choices.tick = 0
  reloads.good(world, reloads.NO_CHANGE)
  world:look(world.step)
  world:settle_all()
  for i = 0, 5 do operations.publish(world, i, 40, 1, 1, 12) end
  world:look(world.step)
  world.goodbye = 1001
  world.broker:drain()
  assert(world.broker:publish("main", "{}").error, "published while draining")
  assert(not world.broker:dial "/ws/main", "somebody listens while draining")
  for _ = 1, 40 do
    world.broker:advance(1)
    world:look(world.step)
  end
  assert(#world.clients == 0, #world.clients .. " clients outlive the drain")
  for name, channel in pairs(world.logs) do
    assert(channel.watcher.close_code == 1001, "the watcher got " .. channel.watcher.close_code)
    channel:settle(world.stats.channels[name])
  end
  local counts = { "connections", "clients", "subscriptions", "queued", "queued_bytes", "mail" }
  for _, name in ipairs(counts) do
    assert(world.stats[name] == 0, name .. " at the end: " .. world.stats[name])
  end
end

local function play(seed, workers, list, progress)
  local world = new_world(seed, workers)
  for i, op in ipairs(list) do
    progress.step = i
    operations[op[1]](world, op[2], op[3], op[4], op[5], op[6])
    world:look(i)
  end
  progress.step = #list + 1
  world:look(#list)
  world:settle_all()
  drain(world)
end

--- Plays it. nil, or the failure: { message, step }; step #list + 1 is the end.
function run.play(seed, workers, list)
  local progress = { step = 0 }
  local went_well, message = xpcall(play, function(text)
    return os.getenv "TIDEWIRE_TRACE" and debug.traceback(text, 2) or tostring(text)
  end, seed, workers, list, progress)
  local is_clean, faults = pcall(sim.teardown)
  if went_well and is_clean then return nil end
  if went_well then message = "teardown: " .. tostring(faults) end
  return { message = message, step = progress.step }
end

return run
