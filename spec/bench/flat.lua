-- luajit spec/bench/flat.lua BINARY > spec/bench/flat.svg: what a delivery costs by the number of
-- subscribers, and a publish by the number of channels: instructions (callgrind) and nanoseconds of
-- processor time (the best of five runs) of the broker without its sockets (budget.c). The figures
-- go to stderr. Takes some five minutes and 400 MB.
local binary = assert(arg[1], "usage: luajit spec/bench/flat.lua build/dev/budget > flat.svg")
local SUBSCRIBERS = { 10, 100, 1000, 10000, 50000 }
local CHANNELS = { 1, 10, 100, 1000, 10000, 100000 }
local DELIVERIES, PUBLISHES, RUNS = 400000, 20000, 5

local function output_of(command)
  local pipe = assert(io.popen(command .. " 2>&1"))
  local text = pipe:read "*a"
  pipe:close()
  return text
end

-- Of one publish, and of all deliveries that it brings: instructions, nanoseconds.
local function cost(subscribers, channels)
  local rounds = math.max(20, math.min(PUBLISHES, math.floor(DELIVERIES / subscribers)))
  local work = ("%s spec/bench/app flat %d %d %d"):format(binary, rounds, subscribers, channels)
  local counted = output_of("valgrind --tool=callgrind --callgrind-out-file=/dev/null "
    .. "--collect-atstart=no --toggle-collect=publish_rounds " .. work)
  local instructions = tonumber(counted:match "Collected : (%d+)") or error(counted)
  local best = math.huge
  for _ = 1, subscribers * channels < 1000 and 4 * RUNS or RUNS do -- few are quick, and noisy
    local text = output_of(work)
    best = math.min(best, tonumber(text:match "ns ([%d.]+)") or error(text))
  end
  return instructions / (rounds + math.floor(rounds / 10)), best
end

local function say(format, ...)
  io.stderr:write(format:format(...), "\n")
end

-- ---- what is measured: { x, instructions, nanoseconds } ----

local function by_subscribers()
  local points, publish, publish_ns = {}, cost(1, 1)
  for _, count in ipairs(SUBSCRIBERS) do
    local instructions, ns = cost(count, 1)
    local point = { count, (instructions - publish) / (count - 1), (ns - publish_ns) / (count - 1) }
    say("%6d subscribers: %6.1f instructions, %5.1f ns a delivery", unpack(point))
    points[#points + 1] = point
  end
  return points
end

local function by_channels()
  local points = {}
  for _, count in ipairs(CHANNELS) do
    local point = { count, cost(1, count) }
    say("%6d channels: %6.0f instructions, %5.0f ns a publish", unpack(point))
    points[#points + 1] = point
  end
  return points
end

-- ---- the plot ----

local WIDTH, HEIGHT, LEFT, TOP = 300, 180, 60, 50
local INK, BLUE, RED = "#555", "#2563eb", "#dc2626"

local function text(x, y, anchor, colour, words)
  io.write(('<text x="%.0f" y="%.0f" text-anchor="%s" fill="%s">%s</text>\n')
    :format(x, y, anchor, colour, words))
end

local function line(x1, y1, x2, y2, colour)
  io.write(('<path d="M%.1f %.1fL%.1f %.1f" stroke="%s"/>\n'):format(x1, y1, x2, y2, colour))
end

-- The next of 1, 2, 5, 10, 20 ...
local function above(value)
  local power = 10 ^ math.floor(math.log10(value))
  for _, step in ipairs { 1, 2, 5, 10 } do
    if step * power >= value then return step * power end
  end
end

local function label(count)
  return count >= 1000 and ("%gk"):format(count / 1000) or ("%d"):format(count)
end

local function curve(points, column, most, colour, to_x)
  local path = {}
  for i, point in ipairs(points) do
    local x, y = to_x(point[1]), TOP + HEIGHT * (1 - point[column] / most)
    path[i] = ("%s%.1f %.1f"):format(i == 1 and "M" or "L", x, y)
    io.write(('<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>\n'):format(x, y, colour))
  end
  io.write(('<path d="%s" stroke="%s" stroke-width="2" fill="none"/>\n')
    :format(table.concat(path), colour))
end

local function panel(left, title, points)
  local first, last = math.log10(points[1][1]), math.log10(points[#points][1])
  local function to_x(count) return left + WIDTH * (math.log10(count) - first) / (last - first) end
  local most = { [2] = 0, [3] = 0 }
  for _, point in ipairs(points) do
    for column in pairs(most) do most[column] = math.max(most[column], point[column]) end
  end
  text(left + WIDTH / 2, TOP - 22, "middle", "#000", title)
  text(left - 6, TOP - 8, "middle", BLUE, "instructions")
  text(left + WIDTH + 6, TOP - 8, "middle", RED, "ns")
  for i = 0, 4 do
    local y = TOP + HEIGHT * (1 - i / 4)
    line(left, y, left + WIDTH, y, "#ddd")
    text(left - 6, y + 4, "end", BLUE, ("%g"):format(above(most[2]) * i / 4))
    text(left + WIDTH + 6, y + 4, "start", RED, ("%g"):format(above(most[3]) * i / 4))
  end
  for _, point in ipairs(points) do
    text(to_x(point[1]), TOP + HEIGHT + 18, "middle", INK, label(point[1]))
  end
  curve(points, 2, above(most[2]), BLUE, to_x)
  curve(points, 3, above(most[3]), RED, to_x)
end

local subscribers, channels = by_subscribers(), by_channels()
io.write(('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" '
  .. 'font-family="sans-serif" font-size="11">\n<rect width="100%%" height="100%%" fill="#fff"/>\n')
  :format(2 * (WIDTH + 2 * LEFT), TOP + HEIGHT + 40))
panel(LEFT, "a delivery, by subscribers of the channel", subscribers)
panel(WIDTH + 3 * LEFT, "a publish to one subscriber, by channels", channels)
io.write "</svg>\n"
