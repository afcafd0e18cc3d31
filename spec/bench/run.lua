-- run.lua [--json] [--repeat N] [--seconds S] [WORKLOAD...]: Tidewire and the floor in turn, on the
-- same workloads, pinned alike; prints both and their ratio. Started by ./dev bench, which builds
-- first. It judges nothing: figures depend on the machine and on what else it does.
package.path = "scripts/?.lua;" .. package.path
local json = require "tidewire.harness.json"
local loop = require "tidewire.harness.loop"
local process = require "tidewire.harness.process"

local BUILD = os.getenv("TIDEWIRE_BUILD") or "build/release"
local SERVER_CORE, CLIENT_CORE = "0", "1"
local CHANNEL = "/ws/bench:{n}"

local function say(format, ...)
  io.stderr:write(format:format(...), "\n")
end

local function output_of(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read("*a")
  pipe:close()
  return (text:gsub("%s+$", ""))
end

local is_pinned = tonumber(output_of("nproc")) > 1 and output_of("command -v taskset") ~= ""
local descriptors = tonumber(output_of("ulimit -Hn")) or 1048576

-- ---- what runs ----

local function spawn(core, command, args)
  if is_pinned and core then
    return process.spawn { command = "taskset", args = { "-c", core, command, unpack(args) } }
  end
  return process.spawn { command = command, args = args }
end

local function tidewire(is_free, ...)
  return {
    command = BUILD .. "/tidewire",
    args = { "run", "spec/bench/app", "--admin", "127.0.0.1:0", "--no-watch", ... },
    ready = "listen=127%.0%.0%.1:(%d+)",
    is_free = is_free, -- pinned to no core, nor is its load
  }
end

-- As many pings a second as 100,000 clients get in the default interval of 25 s.
local IDLE_CLIENTS, PINGS = math.min(20000, descriptors - 100), 100000 / 25
local INTERVAL = IDLE_CLIENTS / PINGS

local SERVERS = {
  tidewire = tidewire(false),
  floor = { command = BUILD .. "/bench_limit", args = {}, ready = "port=(%d+)" },
  -- Queues that a client fills soon which does not read.
  ["short queues"] = tidewire(false, "-D", "queue.size=16"),
  ["often"] = tidewire(false, "-D", "heartbeat.interval=" .. INTERVAL),
  ["floor, often"] = {
    command = BUILD .. "/bench_limit",
    args = { "0", tostring(math.floor(INTERVAL * 1000)) },
    ready = "port=(%d+)",
  },
  ["2 workers"] = tidewire(true, "-D", "workers=2"),
  ["1 worker"] = tidewire(true, "-D", "workers=1"),
}
local BESIDE_FLOOR, BESIDE_ITSELF = { "tidewire", "floor" }, { "2 workers", "1 worker" }
local SHORT_BESIDE_FLOOR = { "short queues", "floor" }
local OFTEN_BESIDE_FLOOR = { "often", "floor, often" }

-- One run of the load tool against a fresh server; its result.
local function measure(name, args)
  local kind = SERVERS[name]
  local server = spawn(not kind.is_free and SERVER_CORE, kind.command, kind.args)
  local port = loop.wait(function()
    return server:stdout():match(kind.ready) or server:has_ended()
  end, 10)
  if type(port) ~= "string" then
    error(("%s does not start:\n%s"):format(kind.command, server:stderr()), 0)
  end
  local all = {
    "bench", args[1], ("ws://127.0.0.1:%s%s"):format(port, CHANNEL),
    "--pid", tostring(server.pid), "--json", "--timeout", "20",
  }
  -- What wakes up a load tool that sleeps is the kernel's work at the server's cost, and whether it
  -- sleeps between two deliveries is chance.
  if is_pinned and not kind.is_free then all[#all + 1] = "--busy-poll" end
  for i = 2, #args do all[#all + 1] = tostring(args[i]) end
  local client = spawn(not kind.is_free and CLIENT_CORE, BUILD .. "/tidewire", all)
  client:wait_exit(600)
  server:kill()
  local result = json.decode(client:stdout())
  if not result then
    client:kill()
    error(("%s, %s: %s"):format(name, table.concat(all, " "), client:stderr()), 0)
  end
  return result
end

-- ---- what is read off a result: { name, unit, the figure, does smaller mean better } ----

local function phase(result, name)
  for _, candidate in ipairs(result.phases) do
    if candidate.name == name then return candidate end
  end
end

local function cpu(part)
  return function(result) return phase(result, "run").cpu_seconds_per_million[part] end
end

local function latency(name, share)
  return function(result) return phase(result, name).latency_us[share] end
end

local TRAFFIC = {
  { "CPU, user", "s/million", cpu "user" },
  { "CPU, both", "s/million", cpu "both" },
  { "deliveries", "/s", function(result) return phase(result, "run").deliveries_per_second end },
  { "p50", "us", latency("run", "p50") },
  { "p99", "us", latency("run", "p99") },
}

-- Of a server that may use more cores than the load leaves it, the rate says nothing.
local COST = { TRAFFIC[1], TRAFFIC[2] }

local IDLE = {
  { "memory per client", "bytes", function(result) return result.memory.bytes_per_client end },
  { "CPU per handshake", "us", function(result) return result.connect.server_cpu_us end },
  { "CPU while idle", "cores", function(result) return phase(result, "idle").server_cores end },
}

local HEARTBEAT = {
  { "CPU per heartbeat", "us", function(result)
    return phase(result, "idle").server_us_per_ping
  end },
  { "heartbeats", "/s", function(result)
    local idle = phase(result, "idle")
    return idle.pings / idle.seconds
  end },
  IDLE[3],
}

local TOUCHED = {
  IDLE[1],
  { "after publishing", "bytes", function(result)
    return result.memory.bytes_per_touched_client
  end },
}

-- `missing` shows that the queues were full.
local SLOW = { { "missing, slow", "messages", function(result) return result.slow.missing end } }
for _, name in ipairs { "steady", "stalled", "resumed" } do
  table.insert(SLOW, { name, "deliveries/s", function(result)
    return phase(result, name).deliveries_per_second
  end })
  table.insert(SLOW, { name .. " p99", "us", latency(name, "p99") })
  table.insert(SLOW, { name .. " memory", "MiB", function(result)
    return phase(result, name).server_rss / 1048576
  end })
end

-- ---- the workloads ----

local WORKLOADS, ORDER = {}, {}

local function workload(name, figures, args, sides)
  ORDER[#ORDER + 1] = name
  WORKLOADS[name] = { name = name, figures = figures, args = args, sides = sides or BESIDE_FLOOR }
end

local function fanout(window)
  return function(seconds)
    return { "fanout", "--clients", 1000, "--window", window, "--duration", seconds }
  end
end

local function echo(size)
  return function(seconds)
    return { "echo", "--clients", 100, "--size", size, "--duration", seconds }
  end
end

-- Half of what the floor carries in a closed loop of that window.
local function open(window)
  return function(seconds)
    local most = phase(measure("floor", fanout(window)(2)), "run").messages_per_second
    return { "fanout", "--clients", 1000, "--rate", math.max(1, math.floor(most / 2)),
      "--duration", seconds }
  end
end

local function idle(clients, more)
  return function(seconds)
    local count = math.min(clients, descriptors - 100)
    local args = { "idle", "--clients", count, "--duration", seconds }
    for _, arg in ipairs(more or {}) do args[#args + 1] = arg end
    return args
  end
end

workload("fanout-1", TRAFFIC, fanout(1))
workload("fanout-16", TRAFFIC, fanout(16))
workload("fanout-64", TRAFFIC, fanout(64))
local function channels(seconds)
  return { "fanout", "--clients", 10000, "--channels", 1000, "--window", 64,
    "--duration", seconds }
end

workload("channels", TRAFFIC, channels)
workload("echo-128", TRAFFIC, echo(128))
workload("echo-16k", TRAFFIC, echo(16384))
workload("open-1", TRAFFIC, open(1))
workload("open-64", TRAFFIC, open(64))
workload("idle", IDLE, idle(20000))
workload("touched", TOUCHED, idle(20000, { "--channels", 1900, "--touch" }))
-- For two rounds at least: the clients came faster than they are pinged.
workload("heartbeat", HEARTBEAT, function(seconds)
  return { "idle", "--clients", IDLE_CLIENTS, "--duration", math.max(seconds, 2 * INTERVAL) }
end, OFTEN_BESIDE_FLOOR)
workload("slow", SLOW, function(seconds)
  return { "slow", "--clients", 1000, "--share", 0.1, "--size", 8192, "--window", 8,
    "--receive-buffer", 65536, "--duration", 3 * seconds }
end, SHORT_BESIDE_FLOOR)
workload("workers-1", COST, fanout(1), BESIDE_ITSELF)
workload("workers-16", COST, fanout(16), BESIDE_ITSELF)
workload("workers-64", COST, fanout(64), BESIDE_ITSELF)
workload("workers-channels", COST, channels, BESIDE_ITSELF)
if descriptors > 100100 then workload("idle-100k", IDLE, idle(100000)) end

-- ---- the report ----

local ROW = "%-16s %-18s %13s %13s %8s  %s"

local function median(values)
  local sorted = { unpack(values) }
  table.sort(sorted)
  local middle = math.floor((#sorted + 1) / 2)
  return #sorted % 2 == 1 and sorted[middle] or (sorted[middle] + sorted[middle + 1]) / 2
end

local function all_of(results, figure)
  local values = {}
  for i, result in ipairs(results) do values[i] = figure(result) end
  return values
end

-- Of each pair of runs in succession, so that what the machine did meanwhile cancels out.
local function ratio(ours, floors)
  local ratios = {}
  for i = 1, #ours do
    if floors[i] > 0 then ratios[#ratios + 1] = ours[i] / floors[i] end
  end
  return #ratios > 0 and median(ratios) or nil
end

local function number(value)
  if value >= 1000 then return ("%.0f"):format(value) end
  return ("%.4g"):format(value)
end

-- What makes a run's figures doubtful, said once.
local function print_doubts(one, results)
  local doubts = {}
  for name, runs in pairs(results) do
    for _, result in ipairs(runs) do
      for _, part in ipairs(result.phases) do
        if part.bottleneck == "client" then
          doubts[name .. ": the load tool is at its limit"] = true
        end
      end
      if result.missing + result.duplicates + result.reordered + result.closed > 0 then
        doubts[name .. ": messages missing, doubled or reordered, or clients lost"] = true
      end
    end
  end
  for doubt in pairs(doubts) do print(("%-16s ! %s"):format(one.name, doubt)) end
end

local function report(one, results)
  local figures = {}
  for _, figure in ipairs(one.figures) do
    local first, second = one.sides[1], one.sides[2]
    local ours, others = all_of(results[first], figure[3]), all_of(results[second], figure[3])
    local value = ratio(ours, others)
    figures[figure[1]] = { unit = figure[2], [first] = ours, [second] = others, ratio = value }
    print(ROW:format(one.name, figure[1], number(median(ours)), number(median(others)),
      value and ("%.2f"):format(value) or "", figure[2]))
  end
  print_doubts(one, results)
  return figures
end

local function run(one, options)
  local results = { [one.sides[1]] = {}, [one.sides[2]] = {} }
  local args = one.args(options.seconds)
  for i = 1, options.repetitions do
    for _, name in ipairs(one.sides) do
      say("%s %d/%d %s", one.name, i, options.repetitions, name)
      results[name][i] = measure(name, args)
    end
  end
  return results
end

local function number_of(text, name)
  return tonumber(text) or error(name .. " takes a number; got: " .. tostring(text), 0)
end

local function parse(args)
  local options = { seconds = 5, repetitions = 3 }
  local i = 1
  while args[i] do
    if args[i] == "--json" then
      options.json = true
    elseif args[i] == "--repeat" then
      i = i + 1
      options.repetitions = number_of(args[i], "--repeat")
    elseif args[i] == "--seconds" then
      i = i + 1
      options.seconds = number_of(args[i], "--seconds")
    elseif WORKLOADS[args[i]] then
      options[#options + 1] = args[i]
    else
      error(("no workload %s; there are: %s"):format(args[i], table.concat(ORDER, " ")), 0)
    end
    i = i + 1
  end
  if #options == 0 then for index, name in ipairs(ORDER) do options[index] = name end end
  return options
end

local function main(args)
  local options, everything = parse(args), {}
  local write = print
  if options.json then print = function() end end -- luacheck: ignore
  if not is_pinned then say("not pinned: there is one core, or no taskset") end
  local sides
  for _, name in ipairs(options) do
    if sides ~= WORKLOADS[name].sides then
      sides = WORKLOADS[name].sides
      print(ROW:format("", "", sides[1], sides[2], "ratio", "unit"))
    end
    local results = run(WORKLOADS[name], options)
    everything[#everything + 1] = {
      workload = name, figures = report(WORKLOADS[name], results), runs = results,
    }
    io.stdout:flush()
  end
  if options.json then write(json.encode(everything)) end
end

local ok, why = pcall(main, arg)
if not ok then say("bench: %s", tostring(why)) end
os.exit(ok and 0 or 1)
