-- `tidewire check`: what is wrong with an app, where, and what was meant; without serving it.
local json = require "spec.support.json"
local live = require "spec.support.live"

describe("tidewire check", function()
  after_each(live.teardown)

  -- Exit code, lines of output.
  local function check(files, ...)
    local code, out, err = live.run { "check", live.folder(files), ... }
    assert.equal("", err)
    return code, out
  end

  local function report(files, ...)
    local code, out = check(files, "--json", ...)
    local value = json.decode(out)
    assert.equal(code == 0, value.ok)
    return value, code
  end

  -- The one warning of a channel's file, or none.
  local function warnings(text, ...)
    local value = report({ ["channels/market.lua"] = text, ... })
    assert.same({}, value.errors)
    local list = {}
    for i, warning in ipairs(value.warnings) do
      list[i] = ("%d:%d %s"):format(warning.line, warning.column, warning.message)
    end
    return list
  end

  local function says(list, ...)
    assert.equal(select("#", ...), #list, table.concat(list, "\n"))
    for i, part in ipairs { ... } do
      assert.truthy(list[i]:find(part, 1, true), ("%q does not say %q"):format(list[i], part))
    end
  end

  describe("shows a mistake like a compiler:", function()
    local function shows(title, path, text, wanted)
      it(title, function()
        local files = { ["broker.lua"] = "return {}" }
        files[path] = text
        local code, out = check(files)
        assert.equal(1, code)
        assert.equal(wanted, out:sub(1, #wanted))
        assert.truthy(out:find(": 1 error, 0 warnings\n$"))
      end)
    end

    shows("a misspelt key", "channels/market.lua", [[
return {
  publish = true,
  transfrom = function(message) return message end,
}
]], [[
channels/market.lua:3:3: error: transfrom: unknown key; did you mean 'transform'?
    3 |   transfrom = function(message) return message end,
      |   ^~~~~~~~~
]])

    shows("a misspelt setting, behind a tab", "broker.lua",
      "return {\n\tlimits = { mesages = { rate = 1 } },\n}\n",
      "broker.lua:2:13: error: limits.mesages: unknown key; did you mean 'messages'?\n"
      .. "    2 | \tlimits = { mesages = { rate = 1 } },\n      | \t           ^~~~~~~\n")

    shows("a syntax error", "channels/market.lua", "return {\n  a = 1\n  b = 2,\n}\n", [[
channels/market.lua:3:3: error: '}' expected (to close '{' at line 1) near 'b'
    3 |   b = 2,
      |   ^
]])

    shows("a file that ends too early", "channels/market.lua", "return {\n", [[
channels/market.lua:2:1: error: unexpected symbol near '<eof>'
]])

    shows("an error of a file that a channel requires", "channels/market.lua",
      'local x = require "nothing.here" return x', [[
channels/market.lua:1:1: error: nothing/here.lua: there is no such file
    1 | local x = require "nothing.here" return x
      | ^
]])

    shows("an error in the words of Lua", "channels/market.lua",
      "local x = 'é' .. tidewire.nothing.more\r\nreturn {}", [[
channels/market.lua:1:28: error: attempt to index field 'nothing' (a nil value)
    1 | local x = 'é' .. tidewire.nothing.more
      |                           ^~~~~~~
]])

    shows("a builtin name that is set", "channels/market.lua", "type = 'quote' return {}", [[
channels/market.lua:1:1: error: 'type' is built in and cannot be set; was 'local' forgotten?
    1 | type = 'quote' return {}
      | ^~~~
]])

    it("without the bytes that a terminal would obey", function()
      local _, out = check { ["channels/market.lua"] = "local \27[2J = 1" }
      assert.truthy(out:find("| local ?[2J = 1\n", 1, true), out)
    end)
  end)

  it("shows all mistakes of all files, in their order", function()
    local value, code = report {
      ["broker.lua"] = "return { heartbeet = 1, limits = 5 }",
      ["auth.lua"] = "return 1",
      ["channels/a.lua"] = "return {", ["channels/b.lua"] = "return { a = 1, b = 2 }",
    }
    assert.equal(1, code)
    assert.is_false(value.ok)
    local places = {}
    for i, e in ipairs(value.errors) do places[i] = e.file .. ":" .. e.line .. ":" .. e.column end
    assert.same({ "auth.lua:0:0", "broker.lua:1:10", "broker.lua:1:25", "channels/a.lua:1:1",
      "channels/b.lua:1:10", "channels/b.lua:1:17" }, places)
    assert.equal("return { heartbeet = 1, limits = 5 }", value.errors[2].source)
    assert.same({}, value.channels)
    assert.same({}, value.settings)
  end)

  it("does not wait for a file that never ends", function()
    local value = report {
      ["broker.lua"] = "return { script = { deadline = 0.01 } }",
      ["channels/market.lua"] = "\nwhile true do end",
    }
    assert.same({ "channels/market.lua", 2 }, { value.errors[1].file, value.errors[1].line })
  end)

  it("names what is wrong with -D, and an app that is not there", function()
    local value = report({ ["broker.lua"] = "return {}" }, "-D", "limits.violation=1")
    assert.equal("-D", value.errors[1].file)
    assert.truthy(value.errors[1].message:find("did you mean 'violations'", 1, true))
    local code, out = live.run { "check", "/nonexistent/app" }
    assert.equal(1, code)
    assert.truthy(out:find("/nonexistent/app: error: No such file", 1, true))
  end)

  it("lists channels, hooks and the settings that differ", function()
    local files = {
      ["broker.lua"] = [[return { limits = { violations = 5, messages = { rate = 100 } },
        queue = { size = 8 }, heartbeat = { interval = 25 }, listen = { "unix:/tmp/\255" } }]],
      ["auth.lua"] = "return function() return { user = 'x' } end",
      ["channels/market.lua"] = [[return {
        queue = { overflow = "conflate", key = "symbol" }, publish = "authorize",
        tick = { every = 0.5, run = function(channel) channel:publish(1) end },
        authorize = function() return true end, init = function() end }]],
      ["channels/rooms.lua"] = 'return { name = "room:{id}", publish = true }',
    }
    local value, code = report(files, "-D", "drain.window=1")
    assert.equal(0, code)
    assert.same({}, value.warnings)
    assert.is_true(value.auth)
    assert.same({
      { name = "market", file = "channels/market.lua", hooks = { "init", "authorize", "tick" },
        publish = "authorize", tick = 0.5,
        queue = { size = 8, overflow = "conflate", key = "symbol" } },
      { name = "room:{id}", file = "channels/rooms.lua", hooks = {}, publish = true,
        queue = { size = 8, overflow = "drop_oldest" } },
    }, value.channels)
    assert.same({ ["limits.violations"] = 5, ["queue.size"] = 8, ["drain.window"] = 1,
      listen = "?" }, value.settings)
    local _, out = check(files)
    assert.truthy(out:find("market           channels/market.lua, queue 8 conflate by symbol, "
      .. "hooks: init authorize tick\n", 1, true))
    assert.truthy(out:find("\n  limits.violations = 5\n", 1, true))
    assert.truthy(out:find(": 0 errors, 0 warnings\n$"))
  end)

  it("runs files in the sandbox and no hook", function()
    local folder = live.folder {
      ["app.lua"] = [[
        print "not shown"
        assert(rawget(_G, "io") == nil and not pcall(require, "ffi"))
        local function never() error "a hook ran" end
        return { auth = never, channels = { market = { init = never, transform = never,
          on_subscribe = never, tick = { every = 1, run = never }, publish = true } } }]],
    }
    local code, out, err = live.run { "check", folder .. "/app.lua" }
    assert.equal(0, code)
    assert.equal("", err)
    assert.truthy(out:find("hooks: init transform on_subscribe tick", 1, true))
    assert.truthy(out:find("0 errors, 0 warnings", 1, true))
  end)

  it("warns of globals that are written, and of those that nobody sets", function()
    says(warnings [[
      count = 0
      return { transform = function(message)
        count = count + 1
        total = count
        if message.raw == "" then prnt(message) elseif io then total = 0 end
        local string = string
        return message
      end, init = function() type = 1 end, publish = _G ~= nil }]],
      "1:7 global 'count' is written; declare it with 'local'",
      "4:9 global 'total' is written",
      "5:35 global 'prnt' is never set in this file", "5:56 apps have no 'io'",
      "8:30 'type' is built in and cannot be set")
  end)

  it("warns of hooks that may return nothing, and only of them", function()
    says(warnings [[
      local function lost(message)
        if message.data then return message end
      end
      return { transform = lost, authorize = function(client)
        for i = 1, 3 do
          if client.id == i then return true end
        end
        return
      end, init = function() end, on_subscribe = function() end }]],
      "3:7 transform may end here without returning anything; return the message, or nil to drop",
      "8:9 authorize may end here without returning anything; return true, or false and a reason")
    says(warnings [[
      return { transform = function(message)
        while true do
          if message.data then return message end
          repeat
            local f = function() return end
            if f() then return nil end
          until message.raw
        end
      end, authorize = function(client, action)
        if action == "publish" then
          return false, "no"
        elseif client.id then
          return (function() return true end)()
        else
          error("who is this?")
        end
      end }]])
  end)

  it("warns where the function stands, if another file required it", function()
    local value = report {
      ["channels/market.lua"] = 'return { transform = require "lib.mark" }',
      ["lib/mark.lua"] = "\nreturn function(m) m.data.x = 1 end",
    }
    assert.same({ "lib/mark.lua", 2 }, { value.warnings[1].file, value.warnings[1].line })
  end)

  it("warns of patterns that backtrack, and says which parts", function()
    says(warnings [[
      local find = string.find
      local a = find("x", ".*,.*;")
      local b = ("x"):match "(.-)%s*(.-)%s*;"
      local c = string.gsub("x", [=[^%w*%a*[a-z]*!]=], "")
      for _ in string.gmatch(table.concat({ 1, 2 }, ","), "%d+%d*%d-%.") do a = b end
      return { name = c .. "market" }]],
      "2:27 this pattern tries very many ways to match, as '.*' and '.*'",
      "3:29 this pattern tries", "4:34 this pattern tries", "5:59 this pattern tries")
    says(warnings [[
      local s = "key = value"
      local a = s:match "^%s*(.-)%s*$"
      local b = s:match("^([%w_]+)%s*=%s*(%d*)$")
      local c = s:find(".*a.*b.*c", 1, true)
      local d = s:gsub("[^,]*,[^,]*,", "")
      local e, f = s:match "(.*)/(.*)", s:gsub("%%(%x%x)", string.char)
      local g = s:find("%s+$") or s:find "%b()" or s:find("%f[%w]%w+")
      -- s:find(".*.*.*x")
      local _ = a or b or c or d or e or f or g or [=[s:find(".*.*.*x")]=]
      return {}]])
  end)

  it("makes warnings errors by --strict", function()
    local files = { ["channels/market.lua"] = "x = 1 return {}" }
    assert.equal(0, (check(files)))
    assert.equal(1, (check(files, "--strict")))
    assert.equal(0, (check({ ["channels/market.lua"] = "return {}" }, "--strict")))
  end)

  it("knows its options", function()
    local function fails(args, part)
      local code, out, err = live.run(args)
      assert.equal(2, code)
      assert.equal("", out)
      assert.truthy(err:find(part, 1, true), err)
    end
    fails({ "check", "--jsn" }, "did you mean --json?")
    fails({ "check", "--admin", "off" }, "unknown option --admin")
    fails({ "run", "--strict" }, "unknown option --strict")
    fails({ "check", "one", "two" }, "check takes one app; got one and two")
    fails({ "chek" }, "did you mean check?")
  end)

  it("checks the default app when none is named", function()
    local code, out = live.run { "check" }
    assert.equal(0, code)
    assert.truthy(out:find("{name}", 1, true))
  end)
end)
