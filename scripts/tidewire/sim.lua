--- A broker in virtual time, for specs: `local sim = require "tidewire.sim"`.
--
-- The same C code and the same scripts as in the binary, without sockets: time is a number that
-- `broker:advance` moves, a client's speed is a parameter, and the same seed gives the same run.
-- Runs under `tidewire test`. `require "tidewire.live"` has the same functions on the real binary.
local core = require "tidewire.sim.core"
local files = require "tidewire.harness.files"
local json = require "tidewire.harness.json"
local request = require "tidewire.harness.request"
local settings = require "tidewire.harness.settings"

local sim = { running = {} }

local Broker, Client = {}, {}
Broker.__index = Broker

local KINDS = { [1] = "text", [2] = "binary", [9] = "ping", [10] = "pong" }
local WITHIN = 2 -- seconds, of virtual time

-- What lies in the C side is looked up when it is asked for.
local LOOKED_UP = {
  close_code = true, close_reason = true, status = true, head = true, body = true, fault = true,
  pings = true, unsent = true, was_reset = true, worker = true, count = true, state = true,
  has_session = true,
}
function Client:__index(name)
  if LOOKED_UP[name] then return self.broker.core:look(self.number)[name] end
  return Client[name]
end

local function describe_errors(errors)
  local lines = {}
  for _, e in ipairs(errors) do lines[#lines + 1] = ("%s:%d: %s"):format(e.file, e.line, e.message) end
  return table.concat(lines, "\n")
end

--- Starts a broker. Options: app (a path; default: the app under test), files (path -> text, instead
-- of app; a broker.lua that sets nothing is added), entry (a file of them to run, as a single-file
-- app), settings (as -D, nested or dotted), seed (default 1), workers (default $TIDEWIRE_WORKERS or
-- 1). Returns the broker, or nil and the errors ({ file, line, message } each) when the app does
-- not load.
function sim.broker(options)
  options = options or {}
  local self = setmetatable({ clients = {}, seed = options.seed or 1 }, Broker)
  self.folder = options.app or os.getenv("TIDEWIRE_APP") or "."
  if options.files then self.folder = files.app(options.files, options.entry) end
  local all = { workers = options.workers or tonumber(os.getenv("TIDEWIRE_WORKERS") or "") or 1 }
  for name, value in pairs(options.settings or {}) do all[name] = value end
  core.log(true)
  local path = options.entry and self.folder .. "/" .. options.entry or self.folder
  local broker, errors = core.new(path, self.seed, settings.overrides(all))
  if not broker then return nil, errors end
  self.core, self.checks = broker, core.checks()
  table.insert(sim.running, self)
  return self
end

--- Ends every broker of the spec, for after_each: fails if a client saw a fault of the server, or if
-- the broker's own checks failed.
function sim.teardown()
  local faults = {}
  for _, broker in ipairs(sim.running) do
    for _, client in ipairs(broker.clients) do
      if client.fault then faults[#faults + 1] = client.path .. ": " .. client.fault end
    end
    broker:free()
    if core.checks() ~= broker.checks then faults[#faults + 1] = "a check of the core failed" end
  end
  sim.running = {}
  files.remove()
  if #faults > 0 then error(table.concat(faults, "\n") .. "\n" .. core.log(), 0) end
end

--- Gives its memory back; teardown does.
function Broker:free()
  if self.core then self.core:free() end
  self.core = nil
end

--- Moves the clock on by so many seconds, through all that is due on the way.
function Broker:advance(seconds)
  self.core:advance(seconds)
end

--- Unix seconds, as scripts see them.
function Broker:now()
  return self.core:now()
end

--- Waits, in virtual time, until `condition()` is truthy; its value, or nil.
function Broker:wait(condition, within)
  local left = within or WITHIN
  self.core:settle()
  local value = condition()
  while not value and left > 0 do
    left = left - self.core:advance_next(left)
    value = condition()
  end
  return value or nil
end

--- A WebSocket client. Options: token (a query argument), query, headers (name -> value), ip, speed
-- (bytes a second, both ways; or up_speed, down_speed), delay (seconds each way), up_buffer,
-- down_buffer (bytes under way), split (true: what arrives is read in pieces of random sizes),
-- stalled, no_pong, no_close_reply, keeps_pings (true: hand out pings and pongs), raw (the whole
-- request as text). Returns when the handshake is answered, also if it was refused: see
-- client.status, client:json(). nil if nobody listens any more.
function Broker:connect(path, options)
  local client = self:dial(path, options)
  if client then
    self:wait(function()
      local look = self.core:look(client.number)
      return look.status ~= 0 or look.state == "ended"
    end, 60)
  end
  return client
end

--- The same without waiting for the answer.
function Broker:dial(path, options)
  options = options or {}
  local link = {
    up_speed = options.up_speed or options.speed, down_speed = options.down_speed or options.speed,
    delay = options.delay, up_buffer = options.up_buffer, down_buffer = options.down_buffer,
    split = options.split, stalled = options.stalled, no_pong = options.no_pong,
    no_close_reply = options.no_close_reply, keeps_pings = options.keeps_pings,
  }
  local text = options.raw or request.handshake(path, options)
  local number = self.core:connect(options.ip or "127.0.0.1", text, link)
  if not number then return nil end
  local client = setmetatable({ broker = self, number = number, path = path }, Client)
  table.insert(self.clients, client)
  return client
end

--- Publishes from outside, as the admin API does: a table is sent as JSON, a string as it is.
-- Options: binary. Returns { channel, epoch, offset }, or { channel, dropped = true }, or
-- { error, hook, script, line, message }.
function Broker:publish(channel, data, options)
  local payload = type(data) == "string" and data or json.encode(data)
  return self.core:publish(channel, payload, options and options.binary or false)
end

--- Writes files (path -> text; false removes one) and reloads. The workers swap one by one, as the
-- clock goes on. true, or false and the errors.
function Broker:reload(changed)
  for path, text in pairs(changed or {}) do files.write(self.folder, path, text) end
  return self.core:reload()
end

--- As SIGTERM does: goodbyes over drain.window, no new clients.
function Broker:drain()
  self.core:drain()
end

--- What GET /v1/stats says; and queued, queued_bytes (in all outboxes), mail (between workers).
function Broker:stats()
  self.core:settle()
  return self.core:stats()
end

--- The log since the broker started.
function Broker:log()
  return core.log()
end

--- The next message: payload and kind ("text", "binary"), or nil when none comes within so many
-- seconds of virtual time.
function Client:receive(within)
  local broker = self.broker.core
  local payload, opcode
  self.broker:wait(function()
    payload, opcode = broker:take(self.number)
    return payload or broker:look(self.number).state == "ended"
  end, within)
  if not payload then payload, opcode = broker:take(self.number) end
  return payload, KINDS[opcode]
end

--- The next message as a Lua value.
function Client:receive_json(within)
  local payload = self:receive(within)
  return payload and json.decode(payload)
end

--- All messages that are here, without waiting: a list of payloads.
function Client:messages()
  local list = {}
  self.broker.core:settle()
  while true do
    local payload = self.broker.core:take(self.number)
    if not payload then return list end
    list[#list + 1] = payload
  end
end

--- Sends a message: a table as JSON, a string as it is. Options: binary.
function Client:send(data, options)
  local payload = type(data) == "string" and data or json.encode(data)
  self.broker.core:send(self.number, options and options.binary and 0x82 or 0x81, payload)
end

--- Sends any frame: first_byte is FIN, RSV and opcode (0x81: a whole text).
function Client:send_frame(first_byte, payload)
  self.broker.core:send(self.number, first_byte, payload or "")
end

--- Sends bytes as they are.
function Client:write_raw(bytes)
  self.broker.core:write(self.number, bytes)
end

function Client:ping(payload)
  self:send_frame(0x89, payload)
end

--- Begins the closing handshake.
function Client:close(code, reason)
  local payload = code and string.char(math.floor(code / 256), code % 256) .. (reason or "") or ""
  self:send_frame(0x88, payload)
end

--- Waits until the connection has ended; client.close_code then, or nil if it has not.
function Client:wait_closed(within)
  local ended = self.broker:wait(function() return self.state == "ended" end, within or 60)
  return ended and self.close_code
end

--- Stops reading: what is sent fills the buffers.
function Client:stall()
  self:configure { stalled = true }
end

function Client:resume()
  self:configure { stalled = false }
end

--- Changes what the link is like; options as of connect.
function Client:configure(options)
  self.broker.core:configure(self.number, options)
end

--- Says that it will write no more (FIN).
function Client:half_close()
  self.broker.core:half_close(self.number)
end

--- Breaks the connection off (RST).
function Client:reset()
  self.broker.core:reset(self.number)
end

--- The body of an HTTP answer, as a Lua value.
function Client:json()
  return json.decode(self.body)
end

return sim
