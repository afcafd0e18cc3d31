-- lint.lua: warnings for an app that loads.
local bytecode = require "tidewire.check.bytecode"
local patterns = require "tidewire.check.patterns"
local tokenize = require "tidewire.check.tokens"

-- Hooks whose value is used, and what it is.
local WANTED = {
  auth = "an identity, or nil and a reason",
  authorize = "true, or false and a reason",
  transform = "the message, or nil to drop it",
  migrate = "the state",
  audience = "the name of a class",
  view = "the message, or nil for none",
  views = "the message, or nil for none",
}

local function quoted(list)
  for i, text in ipairs(list) do list[i] = "'" .. text .. "'" end
  local last = table.remove(list)
  return #list > 0 and table.concat(list, ", ") .. " and " .. last or last
end

-- files: { path =, text = }; hooks: { hook =, file =, first =, last = }, its function's lines;
-- builtins: the names of globals that are there. Returns { file, line, column, message }, each line
-- and column from 1, column 0: not known.
return function(files, hooks, builtins)
  local found = {}

  local function look(file, chunk)
    local tokens = tokenize(file.text)
    local function warn(line, column, message)
      found[#found + 1] = { file.path, line, column, message }
    end
    local function column_of(line, name)
      for _, token in ipairs(tokens) do
        if token.line == line and token.kind == "name" and token.text == name then
          return token.column
        end
      end
      return 0
    end

    local functions = bytecode.functions(chunk)
    local written, reads = {}, {}
    for _, f in ipairs(functions) do
      bytecode.each_global(f.proto, function(what, name, line)
        if what == "set" then
          if builtins[name] then
            warn(line, column_of(line, name),
              ("'%s' is built in and cannot be set; this fails when it runs"):format(name))
          elseif not written[name] then
            warn(line, column_of(line, name), ("global '%s' is written; declare it with 'local'")
              :format(name))
          end
          written[name] = true
        elseif not builtins[name] then
          reads[#reads + 1] = { name, line }
        end
      end)
    end
    for _, read in ipairs(reads) do
      local name, line = unpack(read)
      if not written[name] then
        warn(line, column_of(line, name), (rawget(_G, name) ~= nil and "apps have no '%s'"
          or "global '%s' is never set in this file"):format(name))
        written[name] = true
      end
    end

    for _, hook in ipairs(hooks) do
      local match, count
      for _, f in ipairs(functions) do
        if hook.file == file.path and f.first == hook.first and f.last == hook.last then
          match, count = f, (count or 0) + 1
        end
      end
      -- Two functions on one line cannot be told apart.
      local line = WANTED[hook.hook] and count == 1 and bytecode.returns_nothing(match.proto)
      if line then
        warn(line, 0, ("%s may end here without returning anything; return %s")
          :format(hook.hook, WANTED[hook.hook]))
      end
    end

    for _, literal in ipairs(patterns.literals(tokens)) do
      local token = literal.token
      local ok, repeats = pcall(patterns.backtracks, token.text)
      if ok and repeats then
        warn(token.line, token.column, ("this pattern tries very many ways to match, as %s can "
          .. "take the same characters: a long text may take seconds; begin it with '^', or use "
          .. "classes that exclude each other"):format(quoted(repeats)))
      end
    end
  end

  for _, file in ipairs(files) do
    local chunk = loadstring(file.text, "@" .. file.path)
    if chunk then look(file, chunk) end
  end
  return found
end
