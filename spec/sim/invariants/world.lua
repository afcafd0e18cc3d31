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
    by_number = {}, senders = {}, workers = workers,
  }, World)
  self.on_disk = app.files(self.choices)
  self.broker = assert(sim.broker { files = self.on_disk, seed = seed, workers = workers })
  self.broker:allow_log "hook failed"
  self.core = self.broker.core
  self.looked_at = self.broker:now()
  self:note_choices()
  self:watch()
  self.stats = self:count()
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

--- The stats, as far as they are compared after each operation.
function World:count()
  self.core:settle()
  return self.core:counts()
end

--- One watcher per channel there is.
function World:watch()
  for index, name in ipairs(app.CHANNELS) do
    if not self.logs[name] and (name ~= "gone" or self.choices.gone) then
      local watcher = self.broker:connect("/ws/" .. name, {
        token = "watch", ip = "10.9.0." .. index, down_buffer = ENDLESS,
      })
      assert(watcher.status == 101, "the watcher of " .. name .. " got " .. watcher.status)
      local channel = log.new(name, watcher, self:count().channels[name])
      for _, client in ipairs(self.clients) do -- who came before the watcher hears more than it
        channel.is_vague = channel.is_vague or (client.channel == name and client.is_lost)
      end
      self.logs[name], self.by_number[watcher.number] = channel, channel
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
  self.senders[client.id], self.by_number[client.conn.number] = client, client
  return client
end

-- --- what arrived ---

function World:read_watcher(channel)
  local number = channel.watcher.number
  local payloads = self.core:take_all(number)
  for i = 1, payloads and #payloads or 0 do self:read_ordered(channel, payloads[i]) end
  channel.state, channel.close_code = self.core:look(number, "state", "close_code")
end

function World:read_ordered(channel, payload)
  local entry = channel:append(payload)
  if not entry then return end
  if entry.is_relay then
    local source, id = entry.p:match "^r/(.-)/(.+)$"
    table.insert(self.relays_seen, source .. ":" .. id .. "#" .. entry.n)
  end
  if entry.s and entry.cmd == "relay" then
    table.insert(self.relays_due, ("%s:%s#%d"):format(channel.name, entry.p, entry.n))
  end
  local sender = self.senders[entry.p]
  if sender then self:note_published(channel, entry, sender) end
  if entry.p == "api" then
    local sent = self.published[entry.n]
    channel:demand(sent, payload, "nobody published this")
    channel:demand(entry.s or sent.text == payload, payload, "changed")
    channel:demand(sent.offset == channel.base + entry.index, payload, "another offset than told")
    self.published[entry.n] = nil
  end
end

function World:note_published(channel, entry, sender)
  local sent = sender.sent[entry.n]
  if sender.looks ~= self.looks then
    sender.looks, sender.published = self.looks, 0
  end
  local payload = entry.payload
  channel:demand(sent and sender.channel == channel.name, payload, "sent by nobody")
  channel:demand(entry.s or sent.text == payload, payload, "changed")
  channel:demand(sent.may ~= "never", payload, "it may not publish this")
  sender.sent[entry.n], sender.published = nil, sender.published + 1
  if sender.published > self.may_publish then error(sender.id .. " is over its rate") end
  if not entry.s then return end
  if entry.cmd == "echo" then sender.echo_due = sender.echo_due + 1 end
  if entry.cmd == "kick" then
    sender.reasons[4001], sender.must_end = true, true
  end
end

function World:compare_relays()
  if #self.relays_due == 0 and #self.relays_seen == 0 then return end
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
  local number = client.conn.number
  local state, status, code, has_session, unsent, fault = self.core:look(number, "state", "status",
    "close_code", "has_session", "unsent", "fault")
  if fault then error(client.id .. " saw a fault: " .. fault) end
  if client.state == "dialing" and status ~= 0 then
    if not client.expected[status] then
      error(("%s on %s got %d (%s)"):format(client.id, client.channel, status, client.conn.body))
    end
    client.state = "open"
    if status ~= 101 then
      client.state, client.is_refused = "gone", true
    else
      self:begin_client(client)
    end
  elseif client.state == "dialing" and state == "ended" then
    client.state, client.is_refused = "gone", true
  end
  client.has_place = has_session and status == 101
  client.may_have_place = client.has_place or (has_session and status == 0)
  client.unsent = unsent
  if client.state ~= "open" then return end
  local payloads = self.core:take_all(number)
  for i = 1, payloads and #payloads or 0 do client:receive(payloads[i]) end
  client.is_told = state ~= "open" or code ~= 1006
  if state == "ended" then self:end_client(client, code) end
end

-- Those to whom something happened, watchers before the others.
function World:read_all()
  local clients = {}
  for _, number in ipairs(self.core:changed()) do
    local who = self.by_number[number]
    if who and who.watcher then
      self:read_watcher(who)
    elseif who then
      clients[#clients + 1] = who
    end
  end
  self:compare_relays()
  for i = 1, #clients do self:read_client(clients[i]) end
end

-- Who is gone is forgotten; one that reads missed nothing.
function World:check_clients()
  for i = #self.clients, 1, -1 do
    local client = self.clients[i]
    if client.state == "gone" and not client.may_have_place then
      table.remove(self.clients, i)
      self.senders[client.id], self.by_number[client.conn.number] = nil, nil
    elseif client.is_fast and client.state == "open" and not client.is_told then
      client:check_fast()
    end
  end
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

function World:end_client(client, code)
  client.state = "gone"
  local is_expected = client.reasons[code] or self.goodbye == code
    or (not client.is_fast and (code == 1006 or code == 4408 or code == 4431))
    or (client.is_limited and code == 4429)
  client:demand(is_expected, "closed with %d %q", code, client.conn.close_reason)
  if client.has_closed and code == client.has_closed then client:check_sent() end
  if not client.log or client.is_lost then return end
  if self.goodbye == code and not client.has_closed then
    client:count_losses() -- a goodbye comes behind all that was accepted
  else
    client:count_losses_at_end()
  end
end

-- --- comparing ---

function World:compare_logs(stats)
  for name, channel in pairs(self.logs) do
    if name == "gone" and not self.choices.gone then
      assert(channel.close_code == 4404, "the watcher of gone was not told")
      assert(not stats.channels.gone, "gone is in the stats")
      self.logs.gone, self.by_number[channel.watcher.number] = nil, nil
    elseif not self.goodbye then
      if channel.state ~= "open" then
        error(("the watcher of %s: %s %d"):format(name, channel.state, channel.close_code))
      end
      channel:compare(stats.channels[name])
    end
  end
end

--- After each operation.
function World:look(step)
  local stats, now = self:count(), self.core:now()
  self.may_publish = math.huge
  if self.choices.rate > 0 and not self.old_choices then
    self.may_publish = 21 + self.choices.rate * (now - self.looked_at)
  end
  self.looked_at, self.looks = now, (self.looks or 0) + 1
  self:read_all()
  self:compare_logs(stats)
  if not self.goodbye then counts.check(self, stats) end
  self:check_clients()
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
