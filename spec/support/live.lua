--- Brokers for specs: the real binary over a fresh folder of scripts, and what a spec does with it.
-- See README.md beside this file.
local files = require "spec.support.files"
local http = require "spec.support.http"
local json = require "spec.support.json"
local loop = require "spec.support.loop"
local logs = require "spec.support.logs"
local process = require "spec.support.process"
local websocket = require "spec.support.websocket"

local live = { running = {} }

local Broker = {}
Broker.__index = Broker

local READY = "tidewire ready listen=(%S+) admin=(%S+) workers=(%d+) generation=(%d+)\n"
local DEFAULTS = {
  ["listen"] = "127.0.0.1:0",
  ["workers"] = tonumber(os.getenv("TIDEWIRE_WORKERS") or "") or 1,
  ["drain.window"] = 0,
}

local function binary()
  return os.getenv("TIDEWIRE_BIN") or "build/dev/tidewire"
end

-- { limits = { messages = { rate = 5 } } } and { ["limits.messages.rate"] = 5 } are the same.
local function flatten(settings, prefix, into)
  for name, value in pairs(settings) do
    if type(value) == "table" then
      flatten(value, prefix .. name .. ".", into)
    else
      into[prefix .. name] = value
    end
  end
  return into
end

local function arguments(app, options)
  local settings = flatten(DEFAULTS, "", {})
  flatten(options.settings or {}, "", settings)
  local args = { "run", app, "--admin", options.admin or "127.0.0.1:0" }
  local names = {}
  for name in pairs(settings) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    if settings[name] ~= false or DEFAULTS[name] == nil then
      args[#args + 1] = "-D"
      args[#args + 1] = name .. "=" .. tostring(settings[name])
    end
  end
  for _, arg in ipairs(options.args or {}) do args[#args + 1] = arg end
  return args, settings
end

--- Writes scripts into a fresh folder that the teardown removes; its path.
function live.folder(scripts)
  local folder = files.temporary()
  for path, text in pairs(scripts) do files.write(folder .. "/" .. path, text) end
  live.folders = live.folders or {}
  table.insert(live.folders, folder)
  return folder
end

--- Starts a broker and waits until it serves.
-- Options: files (path -> text; a broker.lua that sets nothing is added), entry (a file of them to
-- run instead of the folder), app (a path, instead of files), settings (as -D, nested or dotted;
-- false leaves a default out), args, env, admin (address of the admin listener), within (seconds).
function live.broker(options)
  options = options or {}
  local self = setmetatable({ clients = {}, expected = {}, allowed = {} }, Broker)
  self.env = options.env
  self.folder = options.app
  if not self.folder then
    self.folder = live.folder(options.files or {})
    if not options.entry and not (options.files or {})["broker.lua"] then
      files.write(self.folder .. "/broker.lua", "return {}\n")
    end
  end
  local args, settings = arguments(
    options.entry and self.folder .. "/" .. options.entry or self.folder, options)
  self.drain_window = tonumber(settings["drain.window"]) or 5
  self.process = process.spawn { command = binary(), args = args, env = options.env }
  table.insert(live.running, self)
  local ready = loop.wait(function()
    return self.process:stdout():match(READY) or self.process:has_ended()
  end, options.within or 5)
  local listen, admin, workers, generation = self.process:stdout():match(READY)
  if not listen then
    self.is_stopped = true
    self.process:kill()
    error((ready and "the broker ended before it was ready" or "the broker is not ready in time")
      .. "\n" .. self:describe(), 2)
  end
  self.listen, self.port = listen, tonumber(listen:match(":(%d+)$"))
  self.admin_port = tonumber(admin:match(":(%d+)$"))
  self.workers, self.generation = tonumber(workers), tonumber(generation)
  return self
end

--- Runs the binary to its end. Returns code, stdout, stderr; raises when it does not end.
function live.run(args, options)
  options = options or {}
  local child = process.spawn {
    command = binary(), args = args, env = options.env, cwd = options.cwd,
  }
  local ended = child:wait_exit(options.within or 5)
  child:kill()
  if not ended then
    error(("`tidewire %s` does not end:\n%s%s"):format(table.concat(args, " "), child:stdout(),
      child:stderr()), 2)
  end
  local report = logs.sanitizer_report(child:stderr())
  if report then error(report, 2) end
  return child.exit_signal ~= 0 and 128 + child.exit_signal or child.exit_code, child:stdout(),
    child:stderr()
end

--- For after_each: ends every broker that the spec has started and checks how it ended.
function live.teardown()
  local failures = {}
  for _, broker in ipairs(live.running) do
    local ok, failure = pcall(broker.stop, broker)
    if not ok then failures[#failures + 1] = tostring(failure) end
  end
  live.running = {}
  for _, folder in ipairs(live.folders or {}) do files.remove(folder) end
  live.folders = {}
  loop.settle()
  if #failures > 0 then error(table.concat(failures, "\n"), 0) end
end

--- What a failure says of the broker: how it ended, and the end of its log.
function Broker:describe()
  local lines = logs.lines(self.process:stderr())
  local state = self.process.exit_code and ("ended with code %d, signal %d"):format(
    self.process.exit_code, self.process.exit_signal) or "running"
  local from = logs.sanitizer_report(self.process:stderr()) and 1 or math.max(1, #lines - 20)
  return ("  the broker is %s; its log:\n    %s\n  its output: %q"):format(state,
    table.concat(lines, "\n    ", from), self.process:stdout())
end

--- Begins to connect and returns the client at once. Options: see websocket.lua.
function Broker:dial(path, options)
  local all = { port = self.port, describe = function() return self:describe() end }
  for name, value in pairs(options or {}) do all[name] = value end
  local client = websocket.dial(path, all)
  table.insert(self.clients, client)
  return client
end

--- Shakes hands and waits for the answer, whatever it is: the client has status, headers, body.
function Broker:handshake(path, options)
  local client = self:dial(path, options)
  local ok, why = client:begin()
  if not ok then client:fail("cannot connect: " .. why) end
  if not client:wait_answer(options and options.within) and client.tcp.state ~= "ended" then
    client:fail("no answer to the handshake")
  end
  return client
end

--- A connected client. Raises when the broker refuses.
function Broker:connect(path, options)
  local client = self:handshake(path, options)
  if client.status ~= 101 then client:fail("the handshake is refused") end
  return client
end

--- The answer to a handshake that must be refused: status, body (decoded), headers.
function Broker:refusal(path, options)
  local client = self:handshake(path, options)
  if client.status == 101 then client:fail("the handshake is accepted") end
  if not client.status then client:fail("no answer to the handshake") end
  local body, failure = json.decode(client.body or "")
  if not body then client:fail("the refusal's body is " .. failure) end
  return client.status, body, client.headers
end

--- A request to the admin listener; the response (status, headers, body, json()). With the key of
-- the broker's environment, unless `headers` has an Authorization of its own (false: none).
function Broker:admin(method, path, body, headers)
  local key = self.env and self.env.TIDEWIRE_ADMIN_KEY
  local all = { Authorization = key and "Bearer " .. key or nil }
  for name, value in pairs(headers or {}) do all[name] = value or nil end
  return http.request {
    port = self.admin_port, method = method, path = path, body = body, headers = all,
  }
end

--- A request to the public port.
function Broker:get(path, options)
  local all = { port = self.port, path = path }
  for name, value in pairs(options or {}) do all[name] = value end
  return http.request(all)
end

--- A connection for several requests to the public port, reset by the teardown. Options: as of
-- http.open, and admin (true: to the admin listener).
function Broker:open(options)
  local all = { port = options and options.admin and self.admin_port or self.port }
  for name, value in pairs(options or {}) do all[name] = value end
  local connection = http.open(all)
  table.insert(self.clients, connection)
  return connection
end

--- Publishes over HTTP; status and answer, decoded. A table is sent as JSON.
function Broker:post(channel, body, content_type)
  local text = type(body) == "string" and body or json.encode(body)
  local response = self:admin("POST", "/v1/channels/" .. channel .. "/messages", text,
    { ["Content-Type"] = content_type or "application/json" })
  return response.status, response:json()
end

--- Publishes over HTTP; the answer. Raises unless the broker took it.
function Broker:publish(channel, body, content_type)
  local status, answer = self:post(channel, body, content_type)
  if status ~= 200 then
    local text = json.encode(answer)
    error(("publish to %s: %d %s\n%s"):format(channel, status, text, self:describe()), 2)
  end
  return answer
end

--- Writes files (if any) and reloads; status and answer, decoded.
function Broker:reload(changed)
  for path, text in pairs(changed or {}) do self:write(path, text) end
  local response = self:admin("POST", "/v1/reload", "")
  return response.status, response:json()
end

--- Writes a file of the app.
function Broker:write(path, text)
  files.write(self.folder .. "/" .. path, text)
end

function Broker:write_by_rename(path, text)
  files.write_by_rename(self.folder .. "/" .. path, text)
end

function Broker:remove(path)
  files.remove(self.folder .. "/" .. path)
end

function Broker:stats()
  return self:admin("GET", "/v1/stats"):json()
end

--- The counts of one channel: subscribers, offset, dropped; an empty table when it has none yet.
function Broker:channel(name)
  return self:stats().channels[name] or {}
end

--- Waits until `condition()` is truthy, asking again and again; its value.
function Broker:until_(condition, within, what)
  local value = loop.wait(condition, within)
  if value then return value end
  local ok, stats = pcall(function() return self:admin("GET", "/v1/stats").body end)
  error(("awaited in vain: %s\n  stats: %s\n%s"):format(what or "the condition",
    ok and stats or "none", self:describe()), 2)
end

--- Waits until so many connections are counted.
function Broker:wait_connections(count, within)
  self:until_(function() return self:stats().connections == count end, within,
    count .. " connections")
end

--- Waits until the channel has so many subscribers.
function Broker:wait_subscribers(name, count, within)
  self:until_(function() return (self:channel(name).subscribers or 0) == count end, within,
    count .. " subscribers of " .. name)
end

--- Sends a signal: "sigterm", "sighup".
function Broker:signal(name)
  self.process:signal(name)
end

--- The memory that the process has in use, in bytes.
function Broker:memory()
  local status = files.read("/proc/" .. self.process.pid .. "/status")
  return tonumber(status:match("\nVmRSS:%s+(%d+) kB")) * 1024
end

--- The log so far, as text.
function Broker:log()
  return self.process:stderr()
end

--- Waits for a log line that matches the pattern; the line.
function Broker:wait_log(pattern, within)
  return self:until_(function() return logs.find(self:log(), pattern) end, within,
    "the log line " .. pattern)
end

--- Lines of level warn or error that match are no failure, and one line at least must match.
function Broker:expect_log(pattern)
  table.insert(self.expected, pattern)
end

--- Lines of level warn or error that match are no failure.
function Broker:allow_log(pattern)
  table.insert(self.allowed, pattern)
end

--- Waits for the end of a broker that was told to end; the exit code. Its log is checked later, as
-- after every end but one at once: there the spec sets `broker.ended_at_once`.
function Broker:wait_exit(within)
  if not self.process:wait_exit(within or self.drain_window + 0.5) then
    error("the broker does not end\n" .. self:describe(), 2)
  end
  if self.process.exit_signal ~= 0 then error("the broker died\n" .. self:describe(), 2) end
  self.was_told = true
  return self.process.exit_code
end

-- A client that would not answer the goodbye is reset, and so is whoever speaks HTTP: how a drain
-- treats them is for shutdown_spec and drain_spec.
local function dismiss(client)
  if not client:is_open() or client.tcp.is_stalled or not client.auto_close then client:reset() end
end

--- Ends the broker and checks that it ended well. Called by live.teardown.
function Broker:stop()
  if self.is_stopped then return end
  self.is_stopped = true
  local fault
  if not self.was_told then
    if self.process.exit_code then
      fault = "the broker has died"
    else
      for _, client in ipairs(self.clients) do dismiss(client) end
      self:signal("sigterm")
      if not self.process:wait_exit(self.drain_window + 0.5) then
        fault = "the broker does not end after SIGTERM"
      end
    end
  end
  self.process:kill()
  for _, client in ipairs(self.clients) do client:reset() end
  if not fault and self.process.exit_code ~= 0 and not self.ended_at_once then
    fault = "the exit code is not 0"
  end
  fault = fault or logs.fault(self.process:stderr(), self.expected, self.allowed,
    not self.ended_at_once)
  if fault then error(fault .. "\n" .. self:describe(), 0) end
end

return live
