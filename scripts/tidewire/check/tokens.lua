-- tokens.lua: a text that compiles, as words. Each: kind ("name", "string", "number", "symbol"),
-- text (of a string: its value), line, column (in bytes, from 1), length.
local SYMBOLS = { "...", "..", "==", "~=", "<=", ">=", "::" }

local function symbol_at(text, at)
  for _, symbol in ipairs(SYMBOLS) do
    if text:sub(at, at + #symbol - 1) == symbol then return symbol end
  end
  return text:sub(at, at)
end

-- Behind a short string that begins at `at`.
local function string_end(text, at)
  local quote, i = text:sub(at, at), at + 1
  while i <= #text do
    local c = text:sub(i, i)
    if c == quote then return i + 1 end
    i = i + (c == "\\" and 2 or 1)
  end
  return i
end

-- Behind [[...]] or [=[...]=]; nil: none begins here.
local function long_end(text, at)
  local level = text:match("^%[(=*)%[", at)
  if not level then return nil end
  local _, stop = text:find("]" .. level .. "]", at, true)
  return (stop or #text) + 1
end

return function(text)
  local list = {}
  local line, begin, at = 1, 1, 1
  if text:sub(1, 3) == "\239\187\191" then at = 4 end
  if text:sub(at, at) == "#" then at = text:find("\n", at, true) or #text + 1 end
  local function add(kind, stop, value)
    list[#list + 1] = { kind = kind, text = value or text:sub(at, stop - 1), line = line,
      column = at - begin + 1, length = stop - at }
  end
  while at <= #text do
    local stop
    local c = text:sub(at, at)
    if c:find "%s" then
      stop = at + 1
    elseif text:sub(at, at + 1) == "--" then
      stop = long_end(text, at + 2) or text:find("\n", at, true) or #text + 1
    elseif c:find "[%a_\128-\255]" then
      stop = text:match("^[%w_\128-\255]+()", at)
      add("name", stop)
    elseif c:find "%d" or text:find("^%.%d", at) then
      stop = text:match("^[%w.]+()", at)
      add("number", stop)
    else
      stop = (c == '"' or c == "'") and string_end(text, at) or long_end(text, at)
      if stop then
        local literal = loadstring("return " .. text:sub(at, stop - 1))
        add("string", stop, literal and literal() or "")
      else
        local symbol = symbol_at(text, at)
        stop = at + #symbol
        add("symbol", stop, symbol)
      end
    end
    for newline in text:sub(at, stop - 1):gmatch "()\n" do
      line = line + 1
      begin = at + newline
    end
    at = stop
  end
  return list
end
