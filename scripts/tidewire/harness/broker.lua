--- What brokers of both harnesses have in common, on top of what each has of its own: wait, stats,
-- log, core functions of publishing and reloading.
local logs = require "tidewire.harness.logs"

local Broker = {}

local TAIL = 12 -- lines of the log, in a failure

--- Waits until the broker counts so many connections; true, or nil when it does not come to that.
function Broker:wait_connections(count, within)
  return self:wait(function() return self:stats().connections == count end, within)
end

--- What is known of one channel: subscribers, offset, dropped, withheld, epoch, quarantined (then
-- also until, in unix seconds, and reason); nil while it does not exist.
function Broker:channel(name)
  return self:stats().channels[name]
end

--- Lines of level warn or error that match the pattern are no failure, and one at least must come.
function Broker:expect_log(pattern)
  table.insert(self.expected, pattern)
end

--- Lines of level warn or error that match the pattern are no failure.
function Broker:allow_log(pattern)
  table.insert(self.allowed, pattern)
end

--- The end of the log, for failures.
function Broker:log_tail()
  local lines = logs.lines(self:log())
  local tail = table.concat(lines, "\n    ", math.max(1, #lines - TAIL + 1))
  return "the broker's log:\n    " .. (tail == "" and "(empty)" or tail)
end

--- Adds these to a class.
return function(class)
  for name, method in pairs(Broker) do class[name] = class[name] or method end
end
