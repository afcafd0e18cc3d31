--- JSON for specs: lua-cjson (Debian: lua-cjson) behind the three names that specs use. Where bytes
-- matter, compare the text.
local cjson = require("cjson").new()

cjson.encode_sparse_array(false)
cjson.decode_invalid_numbers(false)
cjson.encode_invalid_numbers(false)

local json = { null = cjson.null }

-- Names of an object in order; nil: it is something else.
local function names_of(value)
  local names = {}
  for name in pairs(value) do
    if type(name) ~= "string" then return nil end
    names[#names + 1] = name
  end
  table.sort(names)
  return names
end

--- Text of a value, the same each time: names in their order. Tables with keys 1..n are arrays, the
-- empty table is `{}`.
function json.encode(value)
  if type(value) ~= "table" then return cjson.encode(value) end
  local names, parts = names_of(value), {}
  if names then
    for i, name in ipairs(names) do
      parts[i] = cjson.encode(name) .. ":" .. json.encode(value[name])
    end
    return "{" .. table.concat(parts, ",") .. "}"
  end
  for i, item in ipairs(value) do parts[i] = json.encode(item) end
  for key in pairs(value) do
    if type(key) ~= "number" or not parts[key] then return cjson.encode(value) end -- it says why
  end
  return "[" .. table.concat(parts, ",") .. "]"
end

--- The value, or nil and why the text is not JSON.
function json.decode(text)
  local ok, value = pcall(cjson.decode, text)
  if ok then return value end
  return nil, ("not JSON (%s): %q"):format(tostring(value), tostring(text):sub(1, 200))
end

return json
