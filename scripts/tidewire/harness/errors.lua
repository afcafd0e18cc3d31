--- The errors of an app that does not load: a list of { file, line, message }, which as text is a
-- line for each. So `assert(harness.broker {...})` says what is wrong.
local function text(errors)
  local lines = {}
  for _, it in ipairs(errors) do
    local where = it.line > 0 and it.file .. ":" .. it.line or it.file
    lines[#lines + 1] = ("%s: %s"):format(where, it.message)
  end
  return "the app does not load:\n  " .. table.concat(lines, "\n  ")
end

return function(list) return setmetatable(list, { __tostring = text }) end
