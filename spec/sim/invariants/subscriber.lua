--- A client, as the model knows it: what it sent, what it must receive, how it may end.
local log = require "spec.sim.invariants.log"

local Subscriber = {}
Subscriber.__index = Subscriber

local function new(fields)
  fields.sent, fields.reasons, fields.state = {}, {}, "dialing"
  fields.next_n, fields.echo_due, fields.echo_seen, fields.echo_last = 1, 0, 0, 0
  return setmetatable(fields, Subscriber)
end

--- The range of positions behind which it hears everything.
function Subscriber:begin(low, high)
  self.from_low, self.from_high, self.last, self.received = low, high, low, 0
  self.got, self.newest_of_key, self.has_extras = {}, {}, false
  self.echo_due, self.echo_seen = 0, 0
end

--- A failure unless `is_true`: says what, and where the client stands.
function Subscriber:demand(is_true, text, ...)
  if is_true then return end
  local where = ("%s (on %s"):format(self.id, self.channel)
  if self.log and self.from_low then
    where = ("%s, got %d since %d, last %d, ordered %d"):format(where, self.received,
      self.from_high, self.last, self.log.count)
  end
  error(("%s): %s"):format(where, text:format(...)), 2)
end

local function take_extra(self, seen)
  self.has_extras = true
  if seen.hello then
    self:demand(not self.hello, "two hellos")
    self.hello = true
  elseif seen.echo then
    self:demand(seen.echo > self.echo_last, "echo %d again, or out of order", seen.echo)
    self.echo_last, self.echo_seen = seen.echo, self.echo_seen + 1
  end
end

function Subscriber:receive(payload)
  local seen = self.log and self.log.by_payload[payload] or log.parse(payload)
  if seen.p == "ghost" then self:demand(false, "an effect of a failed handler: %.80s", payload) end
  if self.is_lost then return end
  if seen.hello or seen.echo then return take_extra(self, seen) end
  self:demand(seen.index, "never ordered, seen before, or not what the watcher got: %.80s",
    payload)
  local index = seen.index
  self:demand(index > self.from_low, "from before it joined: %d", index)
  self:demand(not self.got[index], "twice: %d", index)
  if self.log.reorders and not self.is_fast then
    local key = seen.k or ""
    local is_newer = key == "" or index > (self.newest_of_key[key] or 0)
    self:demand(is_newer, "older of its key: %d", index)
    self.newest_of_key[key] = index
  else
    self:demand(index > self.last, "out of order: %d", index)
  end
  if self.received == 0 then self.from_high = math.min(self.from_high, index - 1) end
  self.got[index], self.received = true, self.received + 1
  self.last = math.max(self.last, index)
end

--- A reader that is always faster than we are misses nothing, at any time.
function Subscriber:check_fast()
  if not self.is_fast or self.is_lost or self.must_end then return end
  local missing = self.log.count - self.from_high - self.received
  self:demand(missing <= 0, "a fast reader misses %d", missing)
end

--- How many messages it lost to its queue, at least and at most: for one that is connected and has
-- got all that waited.
function Subscriber:count_losses()
  local least = self.log.count - self.from_high - self.received
  local most = self.log.count - self.from_low - self.received
  local echoes = self.echo_due - self.echo_seen
  self:demand(echoes >= 0, "more echoes than asked for")
  self.log.lost_least = self.log.lost_least + math.max(least, 0) + echoes
  self.log.lost_most = self.log.lost_most + most + echoes
end

--- The same for one that is gone: what came behind the last that it got may have been lost with it.
function Subscriber:count_losses_at_end()
  if self.is_lost or not self.from_low then return end
  local least = self.last - self.from_high - self.received
  if self.log.reorders then least = 0 end
  local most = self.log.count - self.from_low - self.received + self.echo_due - self.echo_seen
  self.log.lost_least = self.log.lost_least + math.max(least, 0)
  self.log.lost_most = self.log.lost_most + math.max(most, 0)
end

--- What it sent must have been ordered, unless there was a reason. How many were perhaps refused.
function Subscriber:check_sent()
  local refused = 0
  for _, sent in pairs(self.sent) do
    if not sent.may then
      self:demand(self.is_limited, "its message was lost: %.80s", sent.text)
      refused = refused + 1
    end
  end
  self.sent = {}
  return refused
end

-- Of each key the newest arrives, as long as a queue has room for one of each; who has no key needs
-- a place of its own. True if there was room.
local function check_newest_of_keys(self, first, last, size, bytes)
  local newest, lengths, places = {}, {}, 0
  bytes = bytes - self.log.biggest - 14 -- one may be half-written
  for index = first, last do
    local entry = self.log.entries[index]
    local key, length = entry.k or entry, #entry.payload + 14
    if not newest[key] then places = places + 1 end
    if length > (lengths[key] or 0) then
      bytes, lengths[key] = bytes - length + (lengths[key] or 0), length
    end
    newest[key] = index
  end
  if places > size or bytes < 0 then return false end
  for key, index in pairs(newest) do
    if not self.got[index] then
      self:demand(false, "conflate lost %d, the newest of %s", index,
        type(key) == "string" and key or "no key")
    end
  end
  return true
end

--- Did the policy keep what it promises to keep? For one that is connected and has got all that
-- waited; `queue` was the channel's since Subscriber:begin.
function Subscriber:check_policy(queue, bytes)
  if self.from_low ~= self.from_high or self.has_extras or self.is_lost then return end
  local size, policy = queue[1], queue[2]
  local fits = bytes >= 2 * self.log.biggest + 1000
  local first, last = self.from_low + 1, self.log.count
  if policy == "drop_newest" then
    last = math.min(last, first + size - 1)
    if bytes < size * (self.log.biggest + 14) then last = math.min(last, first) end
  elseif policy == "drop_oldest" then
    if bytes < (size + 1) * (self.log.biggest + 14) then size = 1 end
    first = math.max(first, last - size + 1)
    if not fits then return end
  elseif policy == "conflate" then
    if not fits then return end
    local has_room = last - first < size and bytes >= size * (self.log.biggest + 14)
    if not has_room then
      check_newest_of_keys(self, first, last, size, bytes)
      first = math.max(first, last)
    end
  end
  for index = first, last do
    self:demand(self.got[index], "%s lost %d", policy, index)
  end
end

return new
