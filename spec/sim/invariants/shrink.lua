--- Makes a failing sequence short: leaves out parts as long as the rest fails in the same way.
local shrink = {}

-- The failure without its numbers and names.
local function kind(failure)
  return (failure.message:gsub("%d+", "#"):gsub("c#.*", ""):gsub(" on .*", ""):sub(1, 90))
end

local function without(list, from, to)
  local rest = {}
  for i, op in ipairs(list) do
    if i < from or i > to then rest[#rest + 1] = op end
  end
  return rest
end

--- `fails(list)` returns the failure or nil. The shortest list found within `seconds`, and its
-- failure.
function shrink.shrink(list, failure, fails, seconds)
  local wanted, ends = kind(failure), os.clock() + seconds
  list = without(list, failure.step + 1, #list)
  local size = math.max(1, math.floor(#list / 2))
  while size >= 1 and os.clock() < ends do
    local from, has_shrunk = #list - size + 1, false
    while from > 1 - size and os.clock() < ends do
      local shorter = without(list, math.max(from, 1), from + size - 1)
      local found = #shorter < #list and fails(shorter)
      if found and kind(found) == wanted then
        list, failure, has_shrunk = shorter, found, true
      end
      from = from - size
    end
    if not has_shrunk or size > #list then size = math.floor(size / 2) end
  end
  return list, failure
end

--- The list as Lua, one operation a line.
function shrink.text(list)
  local lines = {}
  for i, op in ipairs(list) do
    lines[i] = ("  { %q, %s },"):format(op[1], table.concat(op, ", ", 2))
  end
  return table.concat(lines, "\n")
end

return shrink
