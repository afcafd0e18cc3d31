--- The one way to wait: turn the loop until a condition holds or a deadline passes.
-- Deadlines are written for an idle machine and an optimised build; TIDEWIRE_LOAD_FACTOR stretches
-- all of them (sanitizers, valgrind, a busy machine). A wait that succeeds costs no more for it.
local uv = require "luv"

local loop = {}

loop.factor = tonumber(os.getenv("TIDEWIRE_LOAD_FACTOR") or "") or 1
loop.default_within = 2 -- seconds, before the factor

-- Between events the condition is asked again, as it may look at something that is no event of our
-- loop (a file, a table of the kernel, an answer of the broker): this often at first, and the more
-- rarely the longer it takes, so that waiting does not itself keep the machine busy.
local LEAST_TICK_MS, MOST_TICK_MS, TICKS = 2, 20, 10

--- Seconds since some moment; for measuring how long something took.
function loop.now()
  return uv.hrtime() / 1e9
end

--- Turns the loop until `condition()` is truthy; its value, or nil when `within` seconds are over.
-- The condition may itself wait (make a request): it is never called from inside a callback.
function loop.wait(condition, within)
  local value = condition()
  if value then return value end
  local began = loop.now()
  local deadline = began + (within or loop.default_within) * loop.factor
  local timer = uv.new_timer()
  local function tick()
    local ms = (loop.now() - began) * 1000 / TICKS
    timer:start(math.floor(math.min(math.max(ms, LEAST_TICK_MS), MOST_TICK_MS)), 0, tick)
  end
  tick()
  local ok, failure = pcall(function()
    repeat
      uv.run("once")
      value = condition()
    until value or loop.now() > deadline
  end)
  timer:close()
  if not ok then error(failure, 0) end
  return value or nil
end

--- Closes every handle that is left and sees the closing through: luv crashes when the Lua state
-- ends with handles half closed.
function loop.settle()
  uv.walk(function(handle)
    if not handle:is_closing() then handle:close() end
  end)
  uv.run("default")
end

return loop
