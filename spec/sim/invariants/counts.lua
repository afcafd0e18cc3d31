--- What the stats count must be what the model counts.
local app = require "spec.sim.invariants.app"

local counts = {}

local function demand(is_true, text, ...)
  if not is_true then error(text:format(...), 2) end
end

local function check_places(world, stats)
  local least, most = 0, 0
  local most_bytes, most_queued = 0, 0 -- with those who are fast, nothing waits
  for _ in pairs(world.logs) do least, most = least + 1, most + 1 end
  for _, client in ipairs(world.clients) do
    if client.has_place then least = least + 1 end
    if client.may_have_place then
      most = most + 1
      if not client.is_fast then
        most_bytes = most_bytes + math.max(world.most_bytes, app.MESSAGE_SIZE + 200)
        most_queued = most_queued + (world.most_sizes[client.channel] or 0) + 1
      end
    end
  end
  local count = stats.connections
  demand(count >= least and count <= most, "%d connections, not %d to %d", count, least, most)
  demand(stats.clients <= most, "more clients than connections")
  demand(stats.mail == 0, "mail lies around: %d", stats.mail)
  demand(stats.queued_bytes <= most_bytes, "queued_bytes: %d", stats.queued_bytes)
  demand(stats.queued <= most_queued, "queued: %d of %d", stats.queued, most_queued)
  demand(stats.script_memory <= world.workers * app.MEMORY, "scripts take %d", stats.script_memory)
  demand(stats.generation == world.generation, "generation %d, not %d", stats.generation,
    world.generation)
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
    demand(count >= low and count <= high, "%s has %d subscribers, not %d to %d", name, count,
      low, high)
  end
end

function counts.check(world, stats)
  check_places(world, stats)
  check_subscribers(world, stats)
end

return counts
