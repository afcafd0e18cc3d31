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

--- { limits = { violations = 3 } } as { ["limits.violations"] = 3 }; a copy.
function settings.flatten(tree)
  return flatten(tree, "", {})
end

--- A sorted list of "name=value", of nested or dotted settings.
function settings.overrides(tree)
  local list = {}
  for name, value in pairs(settings.flatten(tree)) do
    list[#list + 1] = name .. "=" .. tostring(value)
  end
  table.sort(list)
  return list
end

return settings
