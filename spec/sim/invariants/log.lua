--- What a channel ordered, as its watcher saw it: a subscriber that is never slow and never leaves.
-- The watcher's sequence is the channel's; everybody else's must be a part of it.
local Log = {}
Log.__index = Log

local function new(name, watcher, stats)
  return setmetatable({
    name = name, watcher = watcher, epoch = stats.epoch, base = stats.offset, count = 0,
    entries = {}, ids = {}, by_payload = {}, newest = {}, dropped_before = stats.dropped,
    lost_least = 0, lost_most = 0, reorders = false, biggest = 0,
  }, Log)
end

local NUMBERS = { "n", "s", "o", "echo" }

--- What a payload says: p, n, cmd, s, o, k, echo, hello. One pass over it, for it may be long.
local function parse(payload)
  local seen = { payload = payload }
  for name, value in payload:gmatch '"(%l+)":"?([^",}]*)' do seen[name] = value end
  for _, name in ipairs(NUMBERS) do seen[name] = tonumber(seen[name]) end
  return seen
end

function Log:demand(is_true, payload, text)
  if not is_true then error(("%s on %s: %s"):format(text, self.name, payload:sub(1, 100)), 2) end
end

-- A tick says since when its channel has its state.
function Log:check_tick(entry, newest)
  if self.ticker and entry.p ~= self.ticker then
    self:demand(self.may_lose_ticks, entry.payload, "state lost")
  end
  if entry.p ~= self.ticker then self.may_lose_ticks = nil end
  self:demand(entry.n == newest + 1, entry.payload, "a tick is lost, or the state")
  self.ticker = entry.p
end

--- A VM was thrown away: channels that had it as their home begin with an empty state.
function Log:may_lose_state()
  self.may_lose_stamps, self.may_lose_ticks = true, true
end

--- The next message in the channel's order.
function Log:append(payload)
  local entry = parse(payload)
  self:demand(entry.p and entry.n, payload, "a message of nobody")
  self:demand(entry.p ~= "ghost", payload, "an effect of a failed handler")
  local id, newest = entry.p .. "#" .. entry.n, self.newest[entry.p] or 0
  self:demand(not self.ids[id], payload, "ordered twice")
  self:demand(entry.n > newest, payload, "not FIFO")
  if entry.p:match "^tick/" then self:check_tick(entry, newest) end
  self.newest[entry.p] = entry.n
  self.count = self.count + 1
  self:demand(not entry.o or entry.o == self.base + self.count, payload, "wrong offset")
  if entry.s then
    local is_refused = entry.cmd == "drop" or entry.cmd and entry.cmd:match "^fail"
    self:demand(not is_refused, payload, "its transform refused it")
    if self.may_lose_stamps and entry.s == 1 then self.s, self.may_lose_stamps = 0, nil end
    self:demand(not self.s or entry.s == self.s + 1, payload, "state lost")
    self.s = entry.s
  end
  self.biggest = math.max(self.biggest, #payload)
  self.ids[id], self.entries[self.count], self.by_payload[payload] = self.count, entry, entry
  entry.index, entry.id = self.count, id
  return entry
end

--- What the stats say about the channel must be what was seen.
function Log:compare(stats)
  assert(stats, self.name .. " is not in the stats")
  assert(stats.epoch == self.epoch, self.name .. " has another epoch")
  local offset = self.base + self.count
  assert(stats.offset == offset,
    ("%s has offset %d, its watcher saw %d"):format(self.name, stats.offset, offset))
  assert(stats.dropped >= self.dropped_before, self.name .. ": dropped went down")
end

--- Forgets what all subscribers are done with. `dropped` are exactly those that are missing.
function Log:settle(stats)
  local dropped = stats.dropped - self.dropped_before
  assert(self.is_vague or (dropped >= self.lost_least and dropped <= self.lost_most),
    ("%s: %d counted as dropped, but subscribers miss %d to %d"):format(self.name, dropped,
      self.lost_least, self.lost_most))
  self.entries, self.ids, self.by_payload, self.dropped_before = {}, {}, {}, stats.dropped
  self.lost_least, self.lost_most, self.biggest, self.is_vague = 0, 0, 0, false
end

return { new = new, parse = parse }
