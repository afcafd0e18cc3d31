-- layers.lua [ROOT]: holds the shape of the tree that DESIGN.md (2. Layers) and STYLE.md ask for.
-- Prints `file:line: what is wrong` for each finding; exit 1 if there is one.
-- Reads includes and identifiers, no more: it is a lint, not a compiler.

-- A folder of core may include itself and these.
local LAYERS = {
  app = "script proto net broker base",
  script = "broker base",
  proto = "broker base",
  net = "base",
  broker = "base",
  base = "",
  sim = "script proto broker base",
}

-- Headers of others, by the start of their name, and the files that may include them.
local FOREIGN = {
  { "uv", "^uv%.h$ ^uv/", "^core/net/ ^core/app/" },
  { "Lua", "^lua[%w%-%.]*[/.] ^lauxlib%.h$ ^lualib%.h$",
    "^core/script/ ^core/sim/lua_ ^core/sim/main%.c$" },
  { "sockets", "^sys/socket%.h$ ^sys/un%.h$ ^netinet/ ^arpa/ ^netdb%.h$",
    "^core/net/ ^core/app/ ^core/base/ip%.[ch]$" },
}

-- Identifiers that the pure layers may not have, whatever they include.
local PURE = { base = true, broker = true }
local IMPURE_CALLS = {}
for name in ("socket setsockopt getsockopt bind listen accept accept4 connect shutdown send sendto "
  .. "sendmsg recv recvfrom recvmsg getaddrinfo"):gmatch("%S+") do
  IMPURE_CALLS[name] = true
end

local MAX_README_LINES, MAX_SOURCE_LINES = 60, 700
local TOPS = { "core", "examples", "include", "scripts", "spec" }

local root = arg[1] or "."
local findings = 0

local function complain(file, line, format, ...)
  findings = findings + 1
  print(("%s:%d: %s"):format(file, line, format:format(...)))
end

local function matches(text, patterns)
  for pattern in patterns:gmatch("%S+") do
    if text:find(pattern) then return true end
  end
  return false
end

local function list_files()
  local quoted = "'" .. root:gsub("'", "'\\''") .. "'"
  local pipe = assert(io.popen("cd " .. quoted .. " && find " .. table.concat(TOPS, " ")
    .. " -type f ! -path '*/.*' 2>/dev/null | LC_ALL=C sort"))
  local files = {}
  for file in pipe:lines() do files[#files + 1] = file end
  pipe:close()
  return files
end

local function read(file)
  local handle = assert(io.open(root .. "/" .. file, "rb"))
  local text = handle:read("*a")
  handle:close()
  return text
end

local function count_lines(text)
  local _, newlines = text:gsub("\n", "")
  return newlines + (text:find("[^\n]$") and 1 or 0)
end

-- C without comments, line for line. Strings and character constants become their quotes alone,
-- but for the names of includes.
local function strip(text)
  local out, at = {}, 1
  while at <= #text do
    local from = text:find("[\"'/]", at)
    if not from then break end
    out[#out + 1] = text:sub(at, from - 1)
    local two, quote = text:sub(from, from + 1), text:sub(from, from)
    if two == "/*" then
      local _, to = text:find("*/", from + 2, true)
      to = to or #text
      out[#out + 1] = " " .. text:sub(from, to):gsub("[^\n]", "")
      at = to + 1
    elseif two == "//" then
      at = text:find("\n", from, true) or #text + 1
    elseif quote == "/" then
      out[#out + 1] = "/"
      at = from + 1
    else
      local to = from + 1
      while to <= #text and text:sub(to, to) ~= quote and text:sub(to, to) ~= "\n" do
        to = to + (text:sub(to, to) == "\\" and 2 or 1)
      end
      local line_start, i = "", #out
      repeat
        line_start, i = (out[i] or "") .. line_start, i - 1
      until i < 1 or line_start:find("\n", 1, true)
      line_start = line_start:match("[^\n]*$")
      local is_include = line_start:find("^%s*#%s*include%s*$")
      out[#out + 1] = is_include and text:sub(from, to) or quote .. quote
      at = to + 1
    end
  end
  out[#out + 1] = text:sub(at)
  return table.concat(out)
end

local function check_include(file, line, name)
  local from = file:match("^core/([^/]+)/") -- nil: not in core
  local to = name:match("^([^/]+)/")
  local is_public = file:find("^include/")

  if name:find("%.%./") then
    complain(file, line, "include %s from core/ or include/, not by ..", name)
  elseif LAYERS[to] and is_public then
    complain(file, line, "include/ may include nothing of core (%s)", name)
  elseif LAYERS[to] and from ~= to and not (" " .. LAYERS[from] .. " "):find(" " .. to .. " ") then
    complain(file, line, "core/%s may include itself%s, not core/%s (%s)", from,
      LAYERS[from] == "" and " alone" or " and " .. LAYERS[from], to, name)
  elseif to == "tidewire" and from and from ~= "app" then
    complain(file, line, "of core only core/app knows include/tidewire (%s)", name)
  end
  for _, library in ipairs(FOREIGN) do
    local what, headers, homes = library[1], library[2], library[3]
    if matches(name, headers) and not matches(file, homes) then
      complain(file, line, "headers of %s only in %s (%s)", what, (homes:gsub("[%^%%$]", "")), name)
    end
  end
end

local function check_identifiers(file, number, line)
  local layer = file:match("^core/([^/]+)/")
  if not PURE[layer] then return end
  for from, name, to in line:gmatch("()([%a_][%w_]*)()") do
    local is_member = line:sub(from - 1, from - 1):find("[.>]")
    local is_call = line:find("^%s*%(", to) and not is_member
    if name:find("^uv_") or name:find("^luaL?_") then
      complain(file, number, "core/%s knows nothing of uv and Lua (%s)", layer, name)
    elseif is_call and IMPURE_CALLS[name] then
      complain(file, number, "core/%s does no I/O (%s)", layer, name)
    end
  end
end

local function check_c(file, text)
  local layer = file:match("^core/([^/]+)/")
  if layer and not LAYERS[layer] then
    complain(file, 1, "core/%s is no layer of DESIGN.md; if it should be, name it here too", layer)
    return
  elseif not layer and not file:find("^include/") then
    if file:find("^core/") then complain(file, 1, "sources live in a layer, not in core/") end
    return -- tests and examples may include what they like
  end
  local number = 0
  for line in (strip(text) .. "\n"):gmatch("([^\n]*)\n") do
    number = number + 1
    local name = line:match('^%s*#%s*include%s*["<]([^">]+)[">]')
    if name then
      check_include(file, number, name)
    else
      check_identifiers(file, number, line)
    end
  end
end

-- A README opens each top folder and each folder right below one. Deeper ones (an app's channels/,
-- a corpus) are described by those.
local function check_readmes(files)
  local folders, has = {}, {}
  for _, file in ipairs(files) do
    has[file] = true
    local top, below = file:match("^([^/]+)/([^/]+)/")
    top = top or file:match("^[^/]+")
    folders[top] = true
    if below then folders[top .. "/" .. below] = true end
  end
  local names = {}
  for folder in pairs(folders) do names[#names + 1] = folder end
  table.sort(names)
  for _, folder in ipairs(names) do
    local readme = folder .. "/README.md"
    if not has[readme] then
      complain(readme, 1, "missing: what lives here, what may not, in one screen")
    end
  end
end

local files = list_files()
check_readmes(files)
for _, file in ipairs(files) do
  local is_c, is_lua = file:find("%.[ch]$"), file:find("%.lua$")
  local is_readme = file:find("/README%.md$")
  if is_c or is_lua or is_readme then
    local text = read(file)
    local lines, most = count_lines(text), is_readme and MAX_README_LINES or MAX_SOURCE_LINES
    if lines > most then complain(file, lines, "%d lines; at most %d", lines, most) end
    if is_c then check_c(file, text) end
  end
end
os.exit(findings == 0 and 0 or 1)
