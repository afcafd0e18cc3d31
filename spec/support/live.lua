--- Brokers for specs: the real binary over a fresh folder of scripts, and what a spec does with it.
-- See README.md beside this file.
local files = require "spec.support.files"
local http = require "spec.support.http"
local json = require "spec.support.json"
local loop = require "spec.support.loop"
local logs = require "spec.support.logs"
local process = require "spec.support.process"
local websocket = require "spec.support.websocket"
local Server = require "spec.support.harness" "server"

local live = { running = {} }

local Broker = setmetatable({}, Server)
Broker.__index = Broker

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
  local self = Server.new(Broker)
  self.folder = options.app
  if not self.folder then
    self.folder = live.folder(options.files or {})
    if not options.entry and not (options.files or {})["broker.lua"] then
      files.write(self.folder .. "/broker.lua", "return {}\n")
    end
  end
  table.insert(live.running, self)
  local app = options.entry and self.folder .. "/" .. options.entry or self.folder
  local ok, why = self:start(app, options)
  if not ok then error(why .. "\n" .. self:describe(), 2) end
  return self
end

--- Runs the binary to its end. Returns code, stdout, stderr; raises when it does not end.
function live.run(args, options)
  options = options or {}
  local child = process.spawn {
    command = Server.binary(), args = args, env = options.env, cwd = options.cwd,
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

--- The memory that the process has in use, in bytes.
function Broker:memory()
  local status = files.read("/proc/" .. self.process.pid .. "/status")
  return tonumber(status:match("\nVmRSS:%s+(%d+) kB")) * 1024
end

--- Waits for a log line that matches the pattern; the line.
function Broker:wait_log(pattern, within)
  return self:until_(function() return logs.find(self:log(), pattern) end, within,
    "the log line " .. pattern)
end

return live
