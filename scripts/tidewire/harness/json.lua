--- JSON for specs: lua-cjson (Debian: lua-cjson) behind the three names that specs use. Where bytes
-- matter, compare the text.
local cjson = require("cjson").new()

cjson.encode_sparse_array(false)
cjson.decode_invalid_numbers(false)
cjson.encode_invalid_numbers(false)

local json = { null = cjson.null }

--- Text of a value. Tables with keys 1..n are arrays, the empty table is `{}`.
function json.encode(value)
  return cjson.encode(value)
end

--- The value, or nil and why the text is not JSON.
function json.decode(text)
  local ok, value = pcall(cjson.decode, text)
  if ok then return value end
  return nil, ("not JSON (%s): %q"):format(tostring(value), tostring(text):sub(1, 200))
end

return json
