--- A child process: its output kept, its end observed, and killed by its pid whatever happens.
local uv = require "luv"
local loop = require "tidewire.harness.loop"

local Process = {}
Process.__index = Process

-- A busted that is itself killed must not leave brokers behind: setpriv asks the kernel to kill the
-- child with its parent, then becomes the child (the pid stays).
local SETPRIV = "/usr/bin/setpriv"
local has_setpriv = uv.fs_access(SETPRIV, "X")

local function environment(extra)
  local all = uv.os_environ()
  for name, value in pairs(extra or {}) do
    all[name] = value or nil
  end
  local list = {}
  for name, value in pairs(all) do
    list[#list + 1] = name .. "=" .. value
  end
  return list
end

local function collect(pipe, chunks, streams)
  streams.open = streams.open + 1
  pipe:read_start(function(_, bytes)
    if bytes then
      chunks[#chunks + 1] = bytes
    else
      streams.open = streams.open - 1
      pipe:close()
    end
  end)
end

--- Starts `command` with the list `args`; `env` adds variables (false removes one).
local function spawn(options)
  local self = setmetatable({ out = {}, err = {}, streams = { open = 0 } }, Process)
  local command, args = options.command, options.args or {}
  if has_setpriv then
    args = { "--pdeathsig", "KILL", "--", command, unpack(args) }
    command = SETPRIV
  end
  local out, err = uv.new_pipe(false), uv.new_pipe(false)
  local handle, pid = uv.spawn(command, {
    args = args,
    stdio = { nil, out, err },
    env = environment(options.env),
    cwd = options.cwd,
  }, function(code, signal)
    self.exit_code, self.exit_signal = code, signal
    self.handle:close()
  end)
  if not handle then
    out:close()
    err:close()
    error(("cannot start %s: %s"):format(command, tostring(pid)), 2)
  end
  self.handle, self.pid = handle, pid
  collect(out, self.out, self.streams)
  collect(err, self.err, self.streams)
  -- The last resort when a spec never came to its teardown: the end of this Lua state.
  self.guard = newproxy(true)
  getmetatable(self.guard).__gc = function()
    if not self.exit_code then pcall(uv.kill, pid, "sigkill") end
  end
  return self
end

function Process:stdout()
  return table.concat(self.out)
end

function Process:stderr()
  return table.concat(self.err)
end

--- Sends a signal by name: "sigterm", "sighup".
function Process:signal(name)
  assert(not self.exit_code, "the process has ended already")
  assert(uv.process_kill(self.handle, name))
end

function Process:has_ended()
  return self.exit_code ~= nil and self.streams.open == 0
end

--- Waits for the end and all output; true, or nil when it still runs.
function Process:wait_exit(within)
  return loop.wait(function() return self:has_ended() end, within)
end

function Process:kill()
  if self.exit_code then return end
  uv.process_kill(self.handle, "sigkill")
  self:wait_exit(5)
end

return { spawn = spawn }
