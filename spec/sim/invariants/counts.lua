--- What the stats count must be what the model counts.
local app = require "spec.sim.invariants.app"

local counts = {}

local function check_places(world, stats)
  local least, most = 0, 0
  for _ in pairs(world.logs) do least, most = least + 1, most + 1 end
  for _, client in ipairs(world.clients) do
    if client.has_place then least = least + 1 end
    if client.may_have_place then most = most + 1 end
  end
  assert(stats.connections >= least and stats.connections <= most,
    ("%d connections, not %d to %d"):format(stats.connections, least, most))
  assert(stats.clients <= most, "more clients than connections")
  assert(stats.mail == 0, "mail lies around: " .. stats.mail)
  local most_bytes, most_queued = 0, 0 -- with those who are fast, nothing waits
  for _, client in ipairs(world.clients) do
    if client.may_have_place and not client.is_fast then
      most_bytes = most_bytes + math.max(world.most_bytes, app.MESSAGE_SIZE + 200)
      most_queued = most_queued + (world.most_sizes[client.channel] or 0) + 1
    end
  end
  assert(stats.queued_bytes <= most_bytes, "queued_bytes: " .. stats.queued_bytes)
  assert(stats.queued <= most_queued, "queued: " .. stats.queued .. " of " .. most_queued)
  assert(stats.script_memory <= stats.workers * app.MEMORY, "scripts take " .. stats.script_memory)
  assert(stats.generation == world.generation,
    ("generation %d, not %d"):format(stats.generation, world.generation))
end

-- Who the home counts: at least those of whom nothing final is known, at most all who have a place.
local function check_subscribers(world, stats)
  local least, most = {}, {}
  for _, client in ipairs(world.clients) do
    local name = client.channel
    local is_sure = client.is_fast and client.state == "open" and not client.must_end
    if is_sure then least[name] = (least[name] or 0) + 1 end
    if client.may_have_place then most[name] = (most[name] or 0) + 1 end
  end
  for name in pairs(world.logs) do
    local count = stats.channels[name].subscribers - 1
    local low, high = least[name] or 0, most[name] or 0
    assert(count >= low and count <= high,
      ("%s has %d subscribers, not %d to %d"):format(name, count, low, high))
  end
end

function counts.check(world, stats)
  check_places(world, stats)
  check_subscribers(world, stats)
end

return counts
