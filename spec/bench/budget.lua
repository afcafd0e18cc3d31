-- Counts the instructions of a fixed piece of work (budget.c) under callgrind, and compares them
-- with budget.txt: an increase of over 5 % fails.
--
--   luajit spec/bench/budget.lua BINARY           compare
--   luajit spec/bench/budget.lua BINARY --write   make budget.txt anew
local binary, option = arg[1], arg[2]
local FILE, APP, MOST = "spec/bench/budget.txt", "spec/bench/app", 1.05

-- The work of many rounds less that of a few, by what was done in between: start-up cancels out.
local COUNTS = {
  { "instructions per delivery, 1 message a turn", "fanout1", 5, 45, 1000 },
  { "instructions per delivery, 64 messages a turn", "fanout64", 2, 12, 64000 },
  { "instructions per publish", "publish", 5, 45, 64 },
  { "instructions per handshake", "handshake", 50, 450, 1 },
  { "instructions per heartbeat of an idle client", "heartbeat", 2, 12, 1000 },
}

local function run(command)
  local pipe = assert(io.popen(command .. " 2>&1"))
  local output = pipe:read "*a"
  pipe:close()
  return output
end

local function instructions(work, rounds)
  local output = run(("valgrind --tool=callgrind --callgrind-out-file=/dev/null %s %s %s %d")
    :format(binary, APP, work, rounds))
  return tonumber(output:match "Collected : (%d+)") or error(output)
end

local function read()
  local old, file = {}, io.open(FILE)
  if not file then return old end
  for line in file:lines() do
    local value, what = line:match "^(%S+) (.+)$"
    if what then old[what] = tonumber(value) end
  end
  file:close()
  return old
end

local found, order, failed = {}, {}, false
local function note(what, value)
  found[what], order[#order + 1] = value, what
end

for _, count in ipairs(COUNTS) do
  local what, work, few, many, per = unpack(count)
  note(what, (instructions(work, many) - instructions(work, few)) / (many - few) / per)
end

local function memory(work)
  return tonumber(run(("%s %s %s 10000"):format(binary, APP, work)):match "memory (%d+)")
end
note("bytes of heap per idle client, without its socket's", memory "memory")
note("bytes of heap per client of a channel of ten", memory "touched")

local old = read()
for _, what in ipairs(order) do
  local ratio = found[what] / (old[what] or found[what])
  local is_more = ratio > MOST
  failed = failed or is_more or not old[what]
  print(("%9.1f  %+5.1f %%  %s%s"):format(found[what], (ratio - 1) * 100, what,
    is_more and "  MORE THAN 5 % ABOVE " .. FILE or ""))
end

if option == "--write" then
  local file = assert(io.open(FILE, "w"))
  for _, what in ipairs(order) do file:write(("%.1f %s\n"):format(found[what], what)) end
  file:close()
elseif failed then
  print("If it is worth it: ./dev budget --write, and say why in the commit.")
  os.exit(1)
end
