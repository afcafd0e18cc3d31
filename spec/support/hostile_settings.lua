--- Texts of a broker.lua that lasts for ever, eats all memory, or returns what nobody should read.
-- See spec/live/hostile_settings_spec.lua.
local settings = {}

local LOOP = "function() while true do end end"

--- By name: each must be refused. [2]: what the error says.
settings.refused = {
  loop = { "while true do end", "deadline of 2000 ms passed" },
  in_pcall = { "while true do pcall(" .. LOOP .. ") end", "deadline of 2000 ms" },
  backtracking = { "string.find(('a'):rep(30000) .. 'b', ('a*'):rep(30) .. 'c')",
    "killed: it did not stop when its deadline of 2000 ms had passed" },
  looping_error = { "error(setmetatable({}, { __tostring = " .. LOOP .. " }))", "error" },
  table_bomb = { "local t = {} while true do t[#t + 1] = {} end", "not enough memory" },
  text_bomb = { "local s = 'x' while true do s = s .. s end", "not enough memory" },
  recursion = { "local function f() return f() + 1 end f()", "stack overflow" },
  error_nil = { "error(nil)", "" },
  long_error = { "error(('x'):rep(1e7))", "xxx" },
  huge_result = { "return ('0123456789'):rep(1e7)", "not enough memory" },
  long_result = { "return ('0123456789'):rep(1e6)", "got the text" },
  long_key = { "return { [('k'):rep(1e6)] = 1 }", "unknown key" },
  many_keys = { "local t = {} for i = 1, 1e5 do t['key' .. i] = i end return t",
    " more mistakes" },
  nothing = { "local t = {}", "got nothing" },
}

--- These load: metatables of what a file returns are never asked.
settings.passing = {
  index = ("return setmetatable({}, { __index = %s, __newindex = %s, __len = %s, __pairs = %s })")
    :format(LOOP, LOOP, LOOP, LOOP),
  inner_index = ("return { limits = setmetatable({}, { __index = %s, __pairs = %s }), "
    .. "allowed_origins = setmetatable({}, { __len = %s, __ipairs = %s }) }")
    :format(LOOP, LOOP, LOOP, LOOP),
}

--- Names, in order.
function settings.names(kinds)
  local names = {}
  for name in pairs(kinds) do names[#names + 1] = name end
  table.sort(names)
  return names
end

return settings
