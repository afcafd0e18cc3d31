--- Settings of a spec as the -D overrides of the command line.
local settings = {}

local function flatten(tree, prefix, into)
  for name, value in pairs(tree) do
    if type(value) == "table" then
      flatten(value, prefix .. name .. ".", into)
    else
      into[prefix .. name] = value
    end
  end
  return into
end

--- { limits = { violations = 3 } } and { ["limits.violations"] = 3 } are the same. A sorted list of
-- "name=value".
function settings.overrides(tree)
  local list = {}
  for name, value in pairs(flatten(tree, "", {})) do list[#list + 1] = name .. "=" .. tostring(value) end
  table.sort(list)
  return list
end

return settings
