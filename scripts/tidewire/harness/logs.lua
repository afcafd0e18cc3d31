--- What the broker's stderr must and must not hold. Its lines:
-- `time level group message key=value`, and the lines of a traceback, indented.
local logs = {}

local SANITIZERS = {
  "ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "WARNING: ThreadSanitizer",
  "ERROR: ThreadSanitizer", "WARNING: MemorySanitizer", ": runtime error: ",
}

function logs.lines(text)
  local list = {}
  for line in text:gmatch("[^\n]+") do list[#list + 1] = line end
  return list
end

--- Why the text holds a sanitizer's report, or nil.
function logs.sanitizer_report(text)
  for _, mark in ipairs(SANITIZERS) do
    local at = text:find(mark, 1, true)
    if at then return "a sanitizer reports:\n" .. text:sub(at, at + 4000) end
  end
end

--- The first line that matches.
function logs.find(text, pattern)
  for line in text:gmatch("[^\n]+") do
    if line:find(pattern) then return line end
  end
end

local function matches_any(line, ...)
  for _, patterns in ipairs { ... } do
    for _, pattern in ipairs(patterns) do
      if line:find(pattern) then return true end
    end
  end
  return false
end

--- What is wrong with the log of a broker that has ended, or nil.
-- `expected`: patterns each of which some line matches; `allowed`: patterns; both excuse a line of
-- level warn or error. `is_whole`: the last line must be the broker's own account of its end.
function logs.fault(text, expected, allowed, is_whole)
  local report = logs.sanitizer_report(text)
  if report then return report end
  local lines = logs.lines(text)
  for _, line in ipairs(lines) do
    local level = line:match("^%S+ +(%a+) ")
    local is_ours = level == "info" or level == "debug" or line:find("^%s")
    if not is_ours and not matches_any(line, expected, allowed) then
      return "unexpected in the log: " .. line
    end
  end
  for _, pattern in ipairs(expected) do
    if not logs.find(text, pattern) then return "missing in the log: " .. pattern end
  end
  local last = lines[#lines] or ""
  if is_whole and not last:find("stopped connections=0 checks=0", 1, true) then
    return "the last line does not say `stopped connections=0 checks=0`: " .. last
  end
end

return logs
