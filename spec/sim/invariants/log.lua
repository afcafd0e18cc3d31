--- What a channel ordered, as its watcher saw it: a subscriber that is never slow and never leaves.
-- The watcher's sequence is the channel's; everybody else's must be a part of it.
local json = require "tidewire.harness.json"

local Log = {}
Log.__index = Log

local function new(name, watcher, stats)
  return setmetatable({
    name = name, watcher = watcher, epoch = stats.epoch, base = stats.offset, count = 0,
    entries = {}, by_payload = {}, newest = {}, dropped_before = stats.dropped,
    lost_least = 0, lost_most = 0, reorders = false, biggest = 0, state = "open",
  }, Log)
end

--- What a payload says: p, n, cmd, s, o, k, echo, hello. (Binary ones are a B and JSON, too.)
local function parse(payload)
  local seen = json.decode(payload:byte(1) == 66 and payload:sub(2) or payload)
  if not seen then error("a payload of nobody: " .. payload:sub(1, 100)) end
  seen.payload, seen.pad = payload, nil
  return seen
end

local TICK, RELAY = ("t"):byte(), ("r"):byte() -- of "tick/..." and "r/..."

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

--- The next message in the channel's order; nothing for the greeting, which is the watcher's own.
function Log:append(payload)
  local entry = parse(payload)
  if entry.hello then return end
  self:demand(entry.p and entry.n, payload, "a message of nobody")
  self:demand(entry.p ~= "ghost", payload, "an effect of a failed handler")
  local newest, first = self.newest[entry.p] or 0, entry.p:byte(1)
  self:demand(entry.n > newest, payload, "not FIFO, or ordered twice")
  if first == TICK then self:check_tick(entry, newest) end
  self.newest[entry.p] = entry.n
  self.count = self.count + 1
  self:demand(not entry.o or entry.o == self.base + self.count, payload, "wrong offset")
  if entry.s then
    local is_refused = entry.cmd and (entry.cmd == "drop" or entry.cmd:find("fail", 1, true) == 1)
    self:demand(not is_refused, payload, "its transform refused it")
    if self.may_lose_stamps and entry.s == 1 then self.s, self.may_lose_stamps = 0, nil end
    self:demand(not self.s or entry.s == self.s + 1, payload, "state lost")
    self.s = entry.s
  end
  self.biggest = math.max(self.biggest, #payload)
  self.entries[self.count], self.by_payload[payload] = entry, entry
  entry.index, entry.is_relay = self.count, first == RELAY
  return entry
end

--- What the stats say about the channel must be what was seen.
function Log:compare(stats)
  if not stats then error(self.name .. " is not in the stats") end
  if stats.epoch ~= self.epoch then error(self.name .. " has another epoch") end
  local offset = self.base + self.count
  if stats.offset ~= offset then
    error(("%s has offset %d, its watcher saw %d"):format(self.name, stats.offset, offset))
  end
  if stats.dropped < self.dropped_before then error(self.name .. ": dropped went down") end
end

--- Forgets what all subscribers are done with. `dropped` are exactly those that are missing.
function Log:settle(stats)
  local dropped = stats.dropped - self.dropped_before
  assert(self.is_vague or (dropped >= self.lost_least and dropped <= self.lost_most),
    ("%s: %d counted as dropped, but subscribers miss %d to %d"):format(self.name, dropped,
      self.lost_least, self.lost_most))
  self.entries, self.by_payload, self.dropped_before = {}, {}, stats.dropped
  self.lost_least, self.lost_most, self.biggest, self.is_vague = 0, 0, 0, false
end

return { new = new, parse = parse }
