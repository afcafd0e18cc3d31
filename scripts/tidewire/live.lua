--- The real binary, for specs: `local live = require "tidewire.live"`.
--
-- The functions of tidewire.sim, over real sockets and in real time; each broker is a process of
-- its own ($TIDEWIRE_BIN) on ports of its own. Where the two differ stands in README.md beside this
-- file. Needs lua-luv.
local as_errors = require "tidewire.harness.errors"
local files = require "tidewire.harness.files"
local frame = require "tidewire.harness.frame"
local http = require "tidewire.harness.http"
local json = require "tidewire.harness.json"
local logs = require "tidewire.harness.logs"
local loop = require "tidewire.harness.loop"
local request = require "tidewire.harness.request"
local Server = require "tidewire.harness.server"
local websocket = require "tidewire.harness.websocket"
local uv = require "luv"
require "tidewire.harness.matchers"

local live = { name = "live", running = {} }

local Broker = setmetatable({ NOTHING_WITHIN = 0.1, END_WITHIN = 3, log = Server.log }, Server)
Broker.__index = Broker

local Client = {}
require "tidewire.harness.client"(Client)

-- Fields as the simulator's clients have them.
local LOOKED_UP = {
  status = function(socket) return socket.status or 0 end,
  head = function(socket) return socket.head or "" end,
  body = function(socket) return socket.body or "" end,
  close_code = function(socket) return socket.close_code or 1006 end,
  close_reason = function(socket) return socket.close_reason or "" end,
  state = function(socket)
    if socket.tcp.state == "ended" then return "ended" end
    return socket.status == 101 and "open" or "http"
  end,
  fault = function(socket) return socket.fault end,
  pings = function(socket) return #socket.pings end,
  count = function(socket) return #socket.inbox - socket.taken end,
  unsent = function(socket) return socket.tcp:unwritten() end,
  was_reset = function(socket) return socket.tcp.why == "reset" end,
}

function Client:__index(name)
  local look = LOOKED_UP[name]
  if look then return look(self.socket) end
  return Client[name]
end

-- What only a simulated link has.
local VIRTUAL = { "speed", "up_speed", "down_speed", "delay", "up_buffer", "split" }

local function refuse_virtual(options)
  for _, name in ipairs(VIRTUAL) do
    if options[name] then error(name .. " is of virtual links only: use tidewire.sim", 4) end
  end
end

-- The errors of an app that does not load: { file, line, message } each.
local function load_errors(log)
  local errors = {}
  for line in log:gmatch("[^\n]+") do
    local text = line:match("^%S+ error load (.*)$")
    if text then
      local file, number, message = text:match("^(.-):(%d+): (.*)$")
      if not file then file, message = text:match("^(.-): (.*)$") end
      table.insert(errors, { file = file or "", line = tonumber(number) or 0,
        message = message or text })
    end
  end
  return errors
end

--- Starts a broker, which does not watch its files. Options as of sim.broker (seed means nothing
-- here); and args (of the command line), within (seconds to start). Returns the broker, or nil and
-- the errors.
function live.broker(options)
  options = options or {}
  local self = Server.new(Broker)
  local path
  path, self.folder = files.scene(options)
  local all = { workers = options.workers }
  for name, value in pairs(options.settings or {}) do all[name] = value end
  local args = { "--no-watch" } -- only the spec reloads, as in the sim
  for _, arg in ipairs(options.args or {}) do args[#args + 1] = arg end
  table.insert(live.running, self)
  local ok, why = self:start(path, {
    settings = all, args = args, env = options.env, within = options.within,
  })
  if ok then return self end
  local errors = load_errors(self:log())
  if #errors == 0 then error(why .. "\n" .. self:describe(), 2) end
  return nil, as_errors(errors)
end

--- Ends every broker of the spec, for after_each: SIGTERM, exit code 0, no warning in the log that
-- the spec did not expect, no sanitizer's report, and no client that saw a fault of the server.
function live.teardown()
  local failures = {}
  for _, broker in ipairs(live.running) do
    for _, socket in ipairs(broker.clients) do
      if socket.fault then
        failures[#failures + 1] = ("%s: %s"):format(socket.path, socket.fault)
      end
    end
    local ok, failure = pcall(broker.stop, broker)
    if not ok then failures[#failures + 1] = tostring(failure) end
  end
  live.running = {}
  files.remove()
  loop.settle()
  if #failures > 0 then error(table.concat(failures, "\n"), 0) end
end

--- There is no clock to move: raises.
function Broker.advance()
  error("broker:advance moves virtual time, and this broker is live: wait for a condition with "
    .. "broker:wait, or run the spec on tidewire.sim only", 2)
end

--- Unix seconds.
function Broker.now()
  local seconds, microseconds = uv.gettimeofday()
  return seconds + microseconds / 1e6
end

--- Waits until `condition()` is truthy; its value, or nil.
function Broker.wait(_, condition, within)
  return loop.wait(condition, within)
end

--- A WebSocket client. Options: token, query, headers, ip (of 127.0.0.0/8), stalled, no_pong,
-- no_close_reply, keeps_pings, raw as of sim, and down_buffer (the size of the receive buffer).
function Broker:connect(path, options)
  local client = self:dial(path, options)
  if client and not client.socket.tcp.is_stalled then client.socket:wait_answer(5) end
  return client
end

--- The same without waiting for the answer.
function Broker:dial(path, options)
  options = options or {}
  refuse_virtual(options)
  local has_own_key = options.raw or (options.headers or {})["Sec-WebSocket-Key"] ~= nil
  local socket = websocket.dial(path, {
    port = self.port, ip = options.ip, receive_buffer = options.down_buffer,
    auto_pong = not options.no_pong, auto_close = not options.no_close_reply,
    keeps_pings = options.keeps_pings, is_stalled = options.stalled, key = has_own_key,
    request = options.raw or request.handshake(path, options),
    describe = function() return self:describe() end,
  })
  if not socket:begin() then return nil end
  table.insert(self.clients, socket)
  return setmetatable({ broker = self, socket = socket, path = path }, Client)
end

local function escape(text)
  return (text:gsub("[^%w%-%._~]", function(c) return ("%%%02X"):format(c:byte()) end))
end

--- Publishes over the admin API; the result is as of sim.
function Broker:publish(channel, data, options)
  local payload = type(data) == "string" and data or json.encode(data)
  local kind = options and options.binary and "application/octet-stream" or "application/json"
  return self:admin("POST", "/v1/channels/" .. escape(channel) .. "/messages", payload,
    { ["Content-Type"] = kind }):json()
end

--- Writes files (path -> text; false removes one) and reloads: true when all workers have swapped,
-- or false and the errors. Options: wait (false: does not wait for the answer; true then).
function Broker:reload(changed, options)
  if changed and not self.folder then error("only an app given with `files` may be changed", 2) end
  for path, text in pairs(changed or {}) do files.write(self.folder, path, text) end
  if options and options.wait == false then
    local connection = http.open { port = self.admin_port }
    connection:send("POST", "/v1/reload", nil, "")
    table.insert(self.clients, connection)
    return true
  end
  local response = self:admin("POST", "/v1/reload", "")
  local answer = response:json()
  return response.status == 200, as_errors(answer.errors or {})
end

--- Goes back to the files of the generation before: true when all workers have swapped, or false
-- and the errors (none: there is nothing to go back to).
function Broker:rollback()
  local response = self:admin("POST", "/v1/rollback", "")
  return response.status == 200, as_errors(response:json().errors or {})
end

--- Sends SIGTERM: goodbyes over drain.window (here 0 unless the spec sets it), no new clients.
function Broker:drain()
  self.is_draining = true
  self:signal("sigterm")
end

--- Ends it now; teardown does, too. Raises what teardown would.
function Broker:free()
  self:stop()
end

--- What GET /v1/stats says. After a drain, when nobody answers any more: connections and checks, of
-- the log's last line.
function Broker:stats()
  local ok, response = pcall(self.admin, self, "GET", "/v1/stats")
  if ok and response.status == 200 then return response:json() end
  if not self.is_draining then error(ok and response.body or response, 2) end
  if not self.process.exit_code or not self.was_told then self:wait_exit(5) end
  local last = logs.find(self:log(), "stopped connections=") or ""
  local connections, checks = last:match("connections=(%d+) checks=(%d+)")
  return { connections = tonumber(connections), checks = tonumber(checks), channels = {} }
end

require "tidewire.harness.broker"(Broker)

--- The next message: payload and kind ("text", "binary"), or nil when none comes in time.
function Client:receive(within)
  local socket = self.socket
  local index = socket.taken + 1
  loop.wait(function()
    return socket.inbox[index] or socket.tcp.state == "ended" or socket.fault
  end, within)
  local message = socket.inbox[index]
  if not message then return nil end
  socket.taken = index
  return message.payload, message.kind
end

--- All messages that are here, without waiting: a list of payloads.
function Client:messages()
  local socket, list = self.socket, {}
  uv.run("nowait")
  for index = socket.taken + 1, #socket.inbox do
    list[#list + 1] = socket.inbox[index].payload
    socket.taken = index
  end
  return list
end

--- Sends any frame: first_byte is FIN, RSV and opcode (0x81: a whole text).
function Client:send_frame(first_byte, payload)
  if first_byte % 16 == frame.CLOSE then self.socket.sent_close = true end
  self.socket:send_frame {
    fin = first_byte >= 128, rsv = math.floor(first_byte / 16) % 8, opcode = first_byte % 16,
    payload = payload,
  }
end

--- Sends bytes as they are.
function Client:write_raw(bytes)
  self.socket:write_raw(bytes)
end

--- Waits until the connection has ended; close_code and close_reason then, or nil if it has not.
function Client:wait_closed(within)
  local tcp = self.socket.tcp
  if not loop.wait(function() return tcp.state == "ended" end, within or 5) then return nil end
  return self.close_code, self.close_reason
end

--- Changes what the client does: stalled, no_pong, no_close_reply, keeps_pings.
function Client:configure(options)
  local socket = self.socket
  refuse_virtual(options)
  if options.stalled == true then socket:stall() elseif options.stalled == false then
    socket:resume()
  end
  if options.no_pong ~= nil then socket.auto_pong = not options.no_pong end
  if options.no_close_reply ~= nil then socket.auto_close = not options.no_close_reply end
  if options.keeps_pings ~= nil then socket.keeps_pings = options.keeps_pings end
end

--- Says that it will write no more (FIN).
function Client:half_close()
  self.socket:half_close()
end

--- Breaks the connection off (RST).
function Client:reset()
  self.socket:reset()
end

return live
