-- patterns.lua: how many ways a string pattern has to match one text. Lua's matcher tries them one
-- by one: two repeats that can take the same characters make n^2 tries of n bytes, three n^3.
local patterns = {}

local REPEATS = { ["*"] = true, ["+"] = true, ["-"] = true }

-- Which bytes a class matches ("%w", "[^,]", ".").
local function bytes_of(class)
  local set = {}
  for byte = 0, 255 do
    local ok, found = pcall(string.find, string.char(byte), "^" .. class)
    if ok and found then set[byte] = true end
  end
  return set
end

local function overlap(a, b)
  for byte in pairs(a) do if b[byte] then return true end end
  return false
end

local function is_full(set)
  for byte = 0, 255 do if not set[byte] then return false end end
  return true
end

-- Behind the class that begins at `at`, as lstrlib.c reads it.
local function class_end(pattern, at)
  local c = pattern:sub(at, at)
  if c == "%" then return at + 2 end
  if c ~= "[" then return at + 1 end
  at = at + 1
  if pattern:sub(at, at) == "^" then at = at + 1 end
  repeat
    if at > #pattern then return at end
    at = at + (pattern:sub(at, at) == "%" and 2 or 1)
  until pattern:sub(at, at) == "]"
  return at + 1
end

-- The pattern's parts: { text, set, is_repeat, is_optional }; is it bound to the begin, the end?
local function parse(pattern)
  local items, at = {}, 1
  local is_bound, has_end = pattern:sub(1, 1) == "^", false
  if is_bound then at = 2 end
  while at <= #pattern do
    local two = pattern:sub(at, at + 1)
    if two:find "^[()]" then
      at = at + 1
    elseif two == "%f" then
      at = class_end(pattern, at + 2)
    elseif two == "%b" then
      items[#items + 1] = { set = bytes_of("%" .. pattern:sub(at + 2, at + 2)) }
      at = at + 4
    elseif two == "$" and at == #pattern then
      has_end = true
      at = at + 1
    else
      local stop = class_end(pattern, at)
      local class, suffix = pattern:sub(at, stop - 1), pattern:sub(stop, stop)
      local item = { set = bytes_of(class:find "^%%%d" and "." or class) }
      item.is_repeat = REPEATS[suffix]
      item.is_optional = suffix ~= "" and suffix:find "[*%-?]" ~= nil
      at = stop + ((item.is_repeat or item.is_optional) and 1 or 0)
      item.text = pattern:sub(stop - #class, at - 1)
      items[#items + 1] = item
    end
  end
  return items, is_bound, has_end
end

-- What stands at the end and cannot fail makes nothing before it try again. Takes it off the items
-- and returns it. "(.-)%s*$" cannot fail: the first of the two can take all there is.
local function cut_end(items, has_end)
  local rest = {}
  if has_end then
    local first
    for i = #items, 1, -1 do
      if not items[i].is_optional then break end
      if items[i].is_repeat and is_full(items[i].set) then first = i end
    end
    if not first then return rest end
    for i = first, #items do rest[#rest + 1] = items[i] end
    for i = #items, first, -1 do items[i] = nil end
  end
  while items[#items] and items[#items].is_optional do items[#items] = nil end
  local last = items[#items]
  if last and last.is_repeat then last.is_repeat = nil end -- x+: one x is enough
  return rest
end

-- The texts of the repeats that can take characters from each other: the longest row of them.
local function longest_row(items)
  local row, longest, last = {}, {}, nil
  for _, item in ipairs(items) do
    if item.is_repeat then
      if not last or not overlap(last.set, item.set) then row = {} end
      row[#row + 1] = item.text
      last = item
      if #row > #longest then longest = { unpack(row) } end
    elseif last and not item.is_optional and not overlap(last.set, item.set) then
      row, last = {}, nil
    end
  end
  return longest
end

-- Can a text make the matcher try a number of ways that grows with the cube of its length, or
-- worse? Then the texts of the repeats to blame; else nil. (Squares are left alone: "^%s*(.-)%s*$"
-- is one.)
function patterns.backtracks(pattern)
  local items, is_bound, has_end = parse(pattern)
  local rest = longest_row(cut_end(items, has_end))
  if #rest >= 3 then return rest end
  local row = longest_row(items)
  -- Where nothing binds it to the begin, it is tried at each place.
  if #row >= 2 and #row + (is_bound and 0 or 1) >= 3 then return row end
  return nil
end

-- The tokens of the patterns in a file that are written as literals in calls of string.find, match,
-- gmatch and gsub, or s:find and so on. Which argument a pattern is depends on the call's form.
local FUNCTIONS = { find = true, match = true, gmatch = true, gsub = true }

function patterns.literals(tokens)
  local found = {}
  local function symbol(i, text)
    return tokens[i] and tokens[i].kind == "symbol" and tokens[i].text == text
  end
  -- The first token behind the comma that ends the argument at `i`.
  local function next_argument(i)
    local depth = 0
    while tokens[i] do
      local text = tokens[i].kind ~= "string" and tokens[i].text or ""
      if text:find "^[({%[]$" or text == "function" then depth = depth + 1 end
      if text:find "^[)}%]]$" or text == "end" then depth = depth - 1 end
      if depth < 0 then return nil end
      if depth == 0 and text == "," then return i + 1 end
      i = i + 1
    end
    return nil
  end
  for i, token in ipairs(tokens) do
    if token.kind == "name" and FUNCTIONS[token.text] then
      local is_method = symbol(i - 1, ":")
      local at = symbol(i + 1, "(") and i + 2 or is_method and i + 1 or nil
      if at and not is_method then at = next_argument(at) end
      local literal = at and tokens[at]
      local is_whole = at and (symbol(at + 1, ",") or symbol(at + 1, ")") or at == i + 1)
      -- find(s, p, init, true) looks for plain text.
      local last = at and token.text == "find" and next_argument(at)
      last = last and next_argument(last)
      local is_plain = last and tokens[last].text == "true"
      if literal and literal.kind == "string" and is_whole and not is_plain then
        found[#found + 1] = { token = literal, call = token.text }
      end
    end
  end
  return found
end

return patterns
