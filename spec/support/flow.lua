--- Watches channels that tick: that none of their messages is lost, and how long they paused.
--
-- A message of a flow is { n = its number, at = the broker's clock, used = the processor time of
-- the broker's process }. Between two of them there is a gap, in both. What a spec may assert is
-- the gap in processor time: it is what the broker did in between instead of the tick, while the
-- clock's gap has in it what else the machine did, and is for reading.
local json = require "spec.support.json"
local loop = require "spec.support.loop"

local Flow = {}
Flow.__index = Flow

local function take(self, client)
  local state = self.states[client]
  while client.inbox[client.taken + 1] do
    client.taken = client.taken + 1
    local it = json.decode(client.inbox[client.taken].payload)
    if state.last then
      if it.n ~= state.last.n + 1 then
        client:fail(("the flow lost messages: after %d came %d"):format(state.last.n, it.n))
      end
      self.worst_gap = math.max(self.worst_gap, it.at - state.last.at)
      self.worst_used = math.max(self.worst_used, it.used - state.last.used)
    end
    state.last, state.count = it, state.count + 1
  end
  client.inbox, client.taken, client.frames = {}, 0, {} -- a minute of it is much
end

--- Looks at what has come. Raises when something was lost or a client is closed.
function Flow:look()
  for _, client in ipairs(self.clients) do
    client:check()
    if not client:is_open() then client:fail("a client of a flow was dropped") end
    take(self, client)
  end
end

--- Waits until each flow has brought so many more messages.
function Flow:wait(count)
  for _, client in ipairs(self.clients) do
    local state = self.states[client]
    local wanted = state.count + count
    local ok = loop.wait(function() take(self, client) return state.count >= wanted end, 5)
    if not ok then client:fail("the flow has stopped") end
  end
end

--- Connects a client to each channel.
local function watch(broker, names)
  local self = setmetatable({ clients = {}, states = {}, worst_gap = 0, worst_used = 0 }, Flow)
  for i, name in ipairs(names) do
    self.clients[i] = broker:connect("/ws/" .. name)
    self.states[self.clients[i]] = { count = 0 }
  end
  self:wait(1)
  return self
end

return { watch = watch }
