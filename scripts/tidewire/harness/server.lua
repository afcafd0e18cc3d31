--- The real binary as a child process: started, asked over HTTP, ended, and checked how it ended.
-- Brokers of specs inherit from it: tidewire.live for those of apps, spec.support.live for ours.
local http = require "tidewire.harness.http"
local loop = require "tidewire.harness.loop"
local logs = require "tidewire.harness.logs"
local process = require "tidewire.harness.process"
local settings = require "tidewire.harness.settings"

local Server = {
  END_WITHIN = 0.5, -- seconds from SIGTERM to the end, after the drain window
}
Server.__index = Server

local READY = "tidewire ready listen=(%S+) admin=(%S+) workers=(%d+) generation=(%d+)\n"
local DEFAULTS = {
  ["listen"] = "127.0.0.1:0",
  ["workers"] = tonumber(os.getenv("TIDEWIRE_WORKERS") or "") or 1,
  ["drain.window"] = 0,
}

--- The binary under test.
function Server.binary()
  return os.getenv("TIDEWIRE_BIN") or "build/dev/tidewire"
end

local function arguments(app, options, all)
  local args = { "run", app, "--admin", options.admin or "127.0.0.1:0" }
  for _, override in ipairs(settings.overrides(all)) do
    args[#args + 1] = "-D"
    args[#args + 1] = override
  end
  for _, arg in ipairs(options.args or {}) do args[#args + 1] = arg end
  return args
end

--- A broker of the given class, not started.
function Server.new(class)
  return setmetatable({ clients = {}, expected = {}, allowed = {} }, class)
end

--- Starts it and waits until it serves: true, or false and why not. Options: settings (false leaves
-- a default out), args, env, admin (address of the admin listener), within (seconds).
function Server:start(app, options)
  local all = settings.flatten(DEFAULTS)
  for name, value in pairs(settings.flatten(options.settings or {})) do all[name] = value end
  for name in pairs(DEFAULTS) do if all[name] == false then all[name] = nil end end
  self.env, self.drain_window = options.env, tonumber(all["drain.window"]) or 5
  self.process = process.spawn {
    command = Server.binary(), args = arguments(app, options, all), env = options.env,
  }
  local ready = loop.wait(function()
    return self.process:stdout():match(READY) or self.process:has_ended()
  end, options.within or 5)
  local listen, admin, workers, generation = self.process:stdout():match(READY)
  if not listen then
    self.is_stopped = true
    self.process:kill()
    return false, ready and "the broker ended before it was ready"
      or "the broker is not ready in time"
  end
  self.listen, self.port = listen, tonumber(listen:match(":(%d+)$"))
  self.admin_port = tonumber(admin:match(":(%d+)$"))
  self.workers, self.generation = tonumber(workers), tonumber(generation)
  return true
end

--- What a failure says of the broker: how it ended, and the end of its log.
function Server:describe()
  local lines = logs.lines(self.process:stderr())
  local state = self.process.exit_code and ("ended with code %d, signal %d"):format(
    self.process.exit_code, self.process.exit_signal) or "running"
  local from = logs.sanitizer_report(self.process:stderr()) and 1 or math.max(1, #lines - 20)
  return ("  the broker is %s; its log:\n    %s\n  its output: %q"):format(state,
    table.concat(lines, "\n    ", from), self.process:stdout())
end

--- A request to the admin listener; the response (status, headers, body, json()). With the key of
-- the broker's environment, unless `headers` has an Authorization of its own (false: none).
function Server:admin(method, path, body, headers)
  local key = self.env and self.env.TIDEWIRE_ADMIN_KEY
  local all = { Authorization = key and "Bearer " .. key or nil }
  for name, value in pairs(headers or {}) do all[name] = value or nil end
  return http.request {
    port = self.admin_port, method = method, path = path, body = body, headers = all,
  }
end

--- Sends a signal: "sigterm", "sighup".
function Server:signal(name)
  self.process:signal(name)
end

--- The log so far, as text.
function Server:log()
  return self.process:stderr()
end

--- Lines of level warn or error that match are no failure, and one line at least must match.
function Server:expect_log(pattern)
  table.insert(self.expected, pattern)
end

--- Lines of level warn or error that match are no failure.
function Server:allow_log(pattern)
  table.insert(self.allowed, pattern)
end

--- Waits for the end of a broker that was told to end; the exit code. Its log is checked later, as
-- after every end but one at once: there the spec sets `broker.ended_at_once`.
function Server:wait_exit(within)
  if not self.process:wait_exit(within or self.drain_window + self.END_WITHIN) then
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

-- Ends the process; why that went wrong, or nil.
local function finish(self)
  if self.was_told then return end
  if self.process.exit_code and not self.is_draining then return "the broker has died" end
  for _, client in ipairs(self.clients) do dismiss(client) end
  if not self.is_draining then self:signal("sigterm") end
  if not self.process:wait_exit(self.drain_window + self.END_WITHIN) then
    return "the broker does not end after SIGTERM"
  end
end

--- Ends the broker and checks that it ended well. Called by teardowns.
function Server:stop()
  if self.is_stopped then return end
  self.is_stopped = true
  local fault = finish(self)
  self.process:kill()
  for _, client in ipairs(self.clients) do client:reset() end
  if not fault and self.process.exit_code ~= 0 and not self.ended_at_once then
    fault = "the exit code is not 0"
  end
  fault = fault or logs.fault(self.process:stderr(), self.expected, self.allowed,
    not self.ended_at_once)
  if fault then error(fault .. "\n" .. self:describe(), 0) end
end

return Server
