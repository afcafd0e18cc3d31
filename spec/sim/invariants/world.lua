--- The broker of a run and all that the model knows of it. Operations act on it; World:look, after
-- each of them, takes what arrived and compares.
local app = require "spec.sim.invariants.app"
local counts = require "spec.sim.invariants.counts"
local log = require "spec.sim.invariants.log"
local new_subscriber = require "spec.sim.invariants.subscriber"
local sim = require "tidewire.sim"

local World = {}
World.__index = World

-- More than any burst: who has it is never slower than the broker.
local ENDLESS = 67108864
local DRAIN_S = 12 -- the slowest link gets rid of its full buffers in less

World.LINKS = {
  function() return { down_buffer = ENDLESS, up_buffer = ENDLESS }, true end,
  function() return { down_buffer = ENDLESS, up_buffer = ENDLESS, split = true }, true end,
  function() return { split = true } end,
  function(e)
    return { speed = 4000 + e % 40000, delay = e % 7 * 0.05, down_buffer = 500 + e % 8000,
      up_buffer = 4000, split = e % 2 == 0 }
  end,
}

local function new(seed, workers)
  local self = setmetatable({
    choices = app.choices(), logs = {}, clients = {}, published = {}, api_n = 0, client_count = 0,
    relays_due = {}, relays_seen = {}, refused_before = 0, generation = 1, old_choices = nil,
  }, World)
  self.on_disk = app.files(self.choices)
  self.broker = assert(sim.broker { files = self.on_disk, seed = seed, workers = workers })
  self.broker:allow_log "hook failed"
  self.looked_at = self.broker:now()
  self:note_choices()
  self:watch()
  self.stats = self.broker:stats()
  return self
end

--- The app's files as they should be now, as far as they are not (path -> text).
function World:changed_files()
  local changed = {}
  for path, text in pairs(app.files(self.choices)) do
    if self.on_disk[path] ~= text then changed[path] = text end
    self.on_disk[path] = text
  end
  return changed
end

-- Since all were last idle: what bounds held at most, which queues did not change.
function World:note_choices()
  self.most_bytes, self.least_bytes, self.most_sizes = 0, math.huge, {}
  self.queues = {}
  for name, queue in pairs(self.choices.queues) do self.queues[name] = queue end
  self:widen_bounds()
end

function World:widen_bounds()
  self.most_bytes = math.max(self.most_bytes, self.choices.bytes)
  self.least_bytes = math.min(self.least_bytes, self.choices.bytes)
  for name, queue in pairs(self.choices.queues) do
    local before = self.queues[name]
    if before and (before[1] ~= queue[1] or before[2] ~= queue[2]) then self.queues[name] = nil end
    self.most_sizes[name] = math.max(self.most_sizes[name] or 0, queue[1])
    if self.logs[name] and queue[2] == "conflate" then self.logs[name].reorders = true end
  end
end

--- One watcher per channel there is.
function World:watch()
  for index, name in ipairs(app.CHANNELS) do
    if not self.logs[name] and (name ~= "gone" or self.choices.gone) then
      local watcher = self.broker:connect("/ws/" .. name, {
        token = "watch", ip = "10.9.0." .. index, down_buffer = ENDLESS,
      })
      assert(watcher.status == 101, "the watcher of " .. name .. " got " .. watcher.status)
      local channel = log.new(name, watcher, self.broker:stats().channels[name])
      for _, client in ipairs(self.clients) do -- who came before the watcher hears more than it
        channel.is_vague = channel.is_vague or (client.channel == name and client.is_lost)
      end
      self.logs[name] = channel
    end
  end
  self:widen_bounds()
end

--- Dials; `expected`: the statuses that may be the answer.
function World:dial(fields, link, expected)
  self.client_count = self.client_count + 1
  local options = { token = fields.token, ip = fields.ip }
  for name, value in pairs(link) do options[name] = value end
  local client = new_subscriber(fields)
  client.id, client.link, client.expected = "c" .. self.client_count, link, expected
  client.log = self.logs[fields.channel]
  client.from = client.log and client.log.count or 0
  client.conn = assert(self.broker:dial("/ws/" .. fields.channel, options))
  table.insert(self.clients, client)
  return client
end

-- --- what arrived ---

function World:read_watcher(channel)
  for _, payload in ipairs(channel.watcher:messages()) do
    self:read_ordered(channel, payload)
  end
end

function World:read_ordered(channel, payload)
  if payload:match '^{"hello"' then return end
  local entry = channel:append(payload)
  local source, id = entry.p:match "^r/(.-)/(.+)$"
  if source then table.insert(self.relays_seen, source .. ":" .. id .. "#" .. entry.n) end
  if entry.s and entry.cmd == "relay" then
    table.insert(self.relays_due, ("%s:%s#%d"):format(channel.name, entry.p, entry.n))
  end
  local sender = self.senders[entry.p]
  if sender then self:note_published(channel, entry, sender) end
  if entry.p == "api" then
    local sent = assert(self.published[entry.n], "nobody published " .. payload:sub(1, 80))
    assert(entry.s or sent.text == payload, "changed: " .. payload:sub(1, 80))
    assert(sent.offset == channel.base + entry.index, "another offset than the answer said")
    self.published[entry.n] = nil
  end
end

function World:note_published(channel, entry, sender)
  local sent = sender.sent[entry.n]
  assert(sent and sender.channel == channel.name, "sent by nobody: " .. entry.payload:sub(1, 80))
  assert(entry.s or sent.text == entry.payload, "changed: " .. entry.payload:sub(1, 80))
  assert(sent.may ~= "never", "it may not publish: " .. entry.payload:sub(1, 80))
  sender.sent[entry.n], sender.published = nil, sender.published + 1
  assert(sender.published <= self.may_publish, sender.id .. " is over its rate")
  if not entry.s then return end
  if entry.cmd == "echo" then sender.echo_due = sender.echo_due + 1 end
  if entry.cmd == "kick" then
    sender.reasons[4001], sender.must_end = true, true
  end
end

function World:compare_relays()
  local function by_source(list)
    local all = {}
    for _, id in ipairs(list) do
      local source = id:match "^[^:]+"
      all[source] = (all[source] or "") .. " " .. id
    end
    return all
  end
  local due, seen = by_source(self.relays_due), by_source(self.relays_seen)
  for _, name in ipairs(app.CHANNELS) do
    assert(due[name] == seen[name], ("effects of %s: due%s, seen%s"):format(name,
      due[name] or "", seen[name] or ""))
  end
  self.relays_due, self.relays_seen = {}, {}
end

function World:read_client(client)
  local look = self.broker.core:look(client.conn.number)
  assert(not look.fault, client.id .. " saw a fault: " .. tostring(look.fault))
  if client.state == "dialing" and look.status ~= 0 then
    assert(client.expected[look.status], ("%s on %s got %d (%s)"):format(client.id, client.channel,
      look.status, look.body))
    client.state = "open"
    if look.status ~= 101 then
      client.state, client.is_refused = "gone", true
    else
      self:begin_client(client)
    end
  elseif client.state == "dialing" and look.state == "ended" then
    client.state, client.is_refused = "gone", true
  end
  client.has_place = look.has_session and look.status == 101
  client.may_have_place = client.has_place or (look.has_session and look.status == 0)
  client.unsent = look.unsent
  if client.state ~= "open" then return end
  for _, payload in ipairs(client.conn:messages()) do client:receive(payload) end
  if look.state == "open" and look.close_code == 1006 then client:check_fast() end
  if look.state == "ended" then self:end_client(client, look) end
end

-- The channel may have gone and come back while it knocked; then nobody knows which of the two it
-- hears, and what the new one drops for it.
function World:begin_client(client)
  local channel = self.logs[client.channel]
  client.is_lost = channel == nil or (client.log ~= nil and client.log ~= channel)
  if client.is_lost then
    if channel then channel.is_vague = true end
  else
    client.log = channel
    client:begin(client.from, channel.count)
  end
end

function World:end_client(client, look)
  client.state = "gone"
  local code = look.close_code
  local is_expected = client.reasons[code] or self.goodbye == code
    or (not client.is_fast and (code == 1006 or code == 4408 or code == 4431))
    or (client.is_limited and code == 4429)
  client:demand(is_expected, "closed with %d %q", code, look.close_reason)
  if client.has_closed and code == client.has_closed then client:check_sent() end
  if not client.log or client.is_lost then return end
  if self.goodbye == code and not client.has_closed then
    client:count_losses() -- a goodbye comes behind all that was accepted
  else
    client:count_losses_at_end()
  end
end

-- --- comparing ---

--- After each operation.
function World:look(step)
  local stats = self.broker:stats()
  self.senders, self.may_publish = {}, math.huge
  if self.choices.rate > 0 and not self.old_choices then
    self.may_publish = 21 + self.choices.rate * (self.broker:now() - self.looked_at)
  end
  self.looked_at = self.broker:now()
  for _, client in ipairs(self.clients) do
    self.senders[client.id], client.published = client, 0
  end
  for _, channel in pairs(self.logs) do self:read_watcher(channel) end
  self:compare_relays()
  for name, channel in pairs(self.logs) do
    local state = channel.watcher.state
    if name == "gone" and not self.choices.gone then
      assert(channel.watcher.close_code == 4404, "the watcher of gone was not told")
      assert(not stats.channels.gone, "gone is in the stats")
      self.logs.gone = nil
    elseif not self.goodbye then
      assert(state == "open",
        ("the watcher of %s: %s %d"):format(name, state, channel.watcher.close_code))
      channel:compare(stats.channels[name])
    end
  end
  for _, client in ipairs(self.clients) do self:read_client(client) end
  if not self.goodbye then
    counts.check(self, stats)
  end
  for i = #self.clients, 1, -1 do
    local client = self.clients[i]
    if client.state == "gone" and not client.may_have_place then table.remove(self.clients, i) end
  end
  self.stats, self.old_choices, self.step = stats, nil, step
  if not self.goodbye then self:watch() end
end

-- --- and completely, when nothing is under way any more ---

--- Lets everybody read and waits until all has arrived; then what is missing must be counted.
function World:settle_all()
  local fast = { up_speed = 0, down_speed = 0, delay = 0, stalled = false }
  for _, client in ipairs(self.clients) do client.conn:configure(fast) end
  for _ = 1, 4 do
    self.broker:advance(DRAIN_S / 4)
    self:look(self.step)
  end
  assert(self.stats.queued == 0 and self.stats.queued_bytes == 0, "queues do not drain")
  local not_published = 0
  for _, client in ipairs(self.clients) do
    local lasts = client.state ~= "gone" and not client.must_end
    assert(client.state ~= "dialing", client.id .. " was never answered")
    local is_dead = client.must_end
      or (client.silent_until and client.is_fast and self.broker:now() > client.silent_until)
    assert(not is_dead or client.state == "gone", client.id .. " should have ended")
    if lasts and not client.is_lost then
      client:count_losses()
      if self.queues[client.channel] then
        client:check_policy(self.queues[client.channel], self.least_bytes)
      end
      not_published = not_published + client:check_sent()
    end
  end
  assert(not_published <= self.stats.refused - self.refused_before, "publishes were lost silently")
  for name, channel in pairs(self.logs) do
    channel:settle(self.stats.channels[name])
    channel.reorders = false
  end
  self:note_choices()
  self.refused_before = self.stats.refused
  for _, client in ipairs(self.clients) do
    if client.state == "open" then
      client.is_limited = self.choices.rate > 0
      client.log, client.is_lost = self.logs[client.channel], nil
      client:begin(client.log.count, client.log.count)
      local speed = client.link.speed
      client.conn:configure { up_speed = speed, down_speed = speed, delay = client.link.delay }
    end
  end
end

return new
