--- A broker in virtual time, for specs: `local sim = require "tidewire.sim"`.
--
-- The same C code and the same scripts as in the binary, without sockets: time is a number that
-- `broker:advance` moves, a client's speed is a parameter, and the same seed gives the same run.
-- Runs under `tidewire test`. `require "tidewire.live"` has the same functions on the real binary.
local found, core = pcall(require, "tidewire.sim.core")
if not found then error("tidewire.sim runs under `tidewire test`, not under plain busted", 0) end
local environment = require "tidewire.harness.environment"
local as_errors = require "tidewire.harness.errors"
local files = require "tidewire.harness.files"
local json = require "tidewire.harness.json"
local logs = require "tidewire.harness.logs"
local request = require "tidewire.harness.request"
local settings = require "tidewire.harness.settings"
require "tidewire.harness.matchers"

local sim = { name = "sim", running = {} }

local Broker, Client = { NOTHING_WITHIN = 0 }, {}
Broker.__index = Broker
require "tidewire.harness.broker"(Broker)
require "tidewire.harness.client"(Client)

local KINDS = { [1] = "text", [2] = "binary", [9] = "ping", [10] = "pong" }
local WITHIN = 2 -- seconds, of virtual time

-- What lies in the C side is looked up when it is asked for.
local LOOKED_UP = {
  close_code = true, close_reason = true, status = true, head = true, body = true, fault = true,
  pings = true, unsent = true, was_reset = true, worker = true, count = true, state = true,
  has_session = true,
}
function Client:__index(name)
  if LOOKED_UP[name] then return self.broker.core:look(self.number, name) end
  return Client[name]
end

--- Starts a broker. Options: app (a path; default: the app under test), files (path -> text; alone
-- they are the app, and a broker.lua that sets nothing is added; with app they lie on top of a copy
-- of it), entry (a file of them to run, as a single-file app), settings (as -D, nested or dotted),
-- env (variables that scripts see in tidewire.env; false removes one), seed (default 1), workers
-- (default $TIDEWIRE_WORKERS or 1). Returns the broker, or nil and the errors ({ file, line,
-- message } each) when the app does not load.
function sim.broker(options)
  options = options or {}
  local self = setmetatable({
    clients = {}, expected = {}, allowed = {}, seed = options.seed or 1,
  }, Broker)
  local path
  path, self.folder = files.scene(options)
  local all = { workers = options.workers or tonumber(os.getenv("TIDEWIRE_WORKERS") or "") or 1 }
  for name, value in pairs(options.settings or {}) do all[name] = value end
  environment.set(options.env)
  if #sim.running == 0 then core.log(true) end -- one log for all that run
  local broker, errors = core.new(path, self.seed, settings.overrides(all))
  if not broker then return nil, as_errors(errors) end
  self.core, self.checks = broker, core.checks()
  table.insert(sim.running, self)
  return self
end

-- What is wrong with the clients of a broker, or with the checks of its core.
local function add_faults(broker, faults)
  for _, client in ipairs(broker.clients) do
    if client.fault then faults[#faults + 1] = client.path .. ": " .. client.fault end
  end
  broker:free()
  if core.checks() ~= broker.checks then faults[#faults + 1] = "a check of the core failed" end
end

--- Ends every broker of the spec, for after_each: fails if a client saw a fault of the server, if
-- the broker's own checks failed, or if there is a warning or an error in the log which the spec
-- did not expect (broker:expect_log, broker:allow_log).
function sim.teardown()
  local faults, expected, allowed = {}, {}, {}
  local ran = #sim.running > 0
  for _, broker in ipairs(sim.running) do
    if broker.core then add_faults(broker, faults) end
    for _, pattern in ipairs(broker.expected) do expected[#expected + 1] = pattern end
    for _, pattern in ipairs(broker.allowed) do allowed[#allowed + 1] = pattern end
  end
  sim.running = {}
  files.remove()
  environment.restore()
  faults[#faults + 1] = ran and logs.fault(core.log(), expected, allowed) or nil
  if #faults > 0 then error(table.concat(faults, "\n") .. "\n" .. core.log(), 0) end
end

--- Gives its memory back; teardown does, too.
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

-- The whole answer to the handshake is here, or none will come.
local function is_answered(client)
  local status = client.status
  if status == 101 or client.state == "ended" then return true end
  return status ~= 0 and #client.body >= tonumber(client:header("content-length") or 0)
end

--- A WebSocket client. Options: token (a query argument), query, headers (name -> value), ip, speed
-- (bytes a second, both ways; or up_speed, down_speed), delay (seconds each way), up_buffer,
-- down_buffer (bytes under way), split (true: what arrives is read in pieces of random sizes),
-- stalled, no_pong, no_close_reply, keeps_pings (true: hand out pings and pongs), raw (the whole
-- request as text). Returns when the handshake is answered, also if it was refused: see
-- client.status, client:json(). nil if nobody listens any more.
function Broker:connect(path, options)
  local client = self:dial(path, options)
  if client then self:wait(function() return is_answered(client) end, 60) end
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

--- Writes files (path -> text; false removes one) and reloads: true when all workers have swapped,
-- or false and the errors. Options: wait (false: returns before; the workers swap one by one, as
-- the run goes on).
function Broker:reload(changed, options)
  if changed and not self.folder then error("only an app given with `files` may be changed", 2) end
  for path, text in pairs(changed or {}) do files.write(self.folder, path, text) end
  local ok, errors = self.core:reload()
  if not (options and options.wait == false) then self.core:settle() end
  return ok, as_errors(errors)
end

--- Goes back to the files of the generation before, as POST /v1/rollback does: true when all
-- workers have swapped, or false and the errors (none: there is nothing to go back to).
function Broker:rollback()
  local ok, errors = self.core:rollback()
  self.core:settle()
  return ok, as_errors(errors)
end

--- As SIGTERM does: goodbyes over drain.window, no new clients.
function Broker:drain()
  self.core:drain()
end

--- What GET /v1/stats says; and queued, queued_bytes (in all outboxes), mail (between workers).
function Broker:stats()
  self.core:settle()
  local stats = self.core:stats()
  stats.metrics = json.decode(stats.metrics)
  return stats
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
    return payload or broker:look(self.number, "state") == "ended"
  end, within)
  if not payload then payload, opcode = broker:take(self.number) end
  return payload, KINDS[opcode]
end

--- All messages that are here, without waiting: a list of payloads.
function Client:messages()
  self.broker.core:settle()
  return self.broker.core:take_all(self.number) or {}
end

--- Sends any frame: first_byte is FIN, RSV and opcode (0x81: a whole text).
function Client:send_frame(first_byte, payload)
  self.broker.core:send(self.number, first_byte, payload or "")
end

--- Sends bytes as they are.
function Client:write_raw(bytes)
  self.broker.core:write(self.number, bytes)
end

--- Waits until the connection has ended; close_code and close_reason then, or nil if it has not.
function Client:wait_closed(within)
  local ended = self.broker:wait(function() return self.state == "ended" end, within or 60)
  if not ended then return nil end
  return self.close_code, self.close_reason
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

return sim
