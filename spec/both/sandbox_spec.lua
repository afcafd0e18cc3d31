-- What is known to have led out of a Lua sandbox, tried; each with its source. The attack runs in a
-- transform. After each one a second file, in the same VM, must find the world as it was.
-- How lib/ and symbolic links are kept inside of the app: spec/unit/script_load_test.c.
local harness = require "tidewire.harness"

local FILES = {
  ["broker.lua"] = "return { script = { memory = 4194304, deadline = 2 } }",
  ["lib/victim.lua"] = [[
    local real = { string = string, table = table, load = load, type = type, print = print }
    local M = {}
    function M.look()
      assert(string == real.string and table == real.table and load == real.load)
      assert(type == real.type and print == real.print and type("") == "string")
      assert(string.upper "a" == "A" and ("a"):upper() == "A" and ("a"):rep(2) == "aa")
      assert(string.evil == nil and ("").evil == nil and table.evil == nil and table[1] == nil)
      assert(evil == nil and _G.evil == nil and tidewire.evil == nil)
      assert(tidewire.json.encode { 1 } == "[1]" and tidewire.json.evil == nil)
      assert(not pcall(function() return ("") < 1 end) and not pcall(function() return (1).x end))
    end
    return M]],
  ["channels/probe.lua"] = [[
    local victim = require "lib.victim"
    -- What f raises, and that it does.
    local function refused(f, ...)
      local ok, why = pcall(f, ...)
      assert(not ok, "was not refused")
      return tostring(why)
    end
    return { publish = true, transform = function(message, channel, client)
      local code = "local message, channel, client, refused = ... " .. message.data.code
      local run = assert(load(code, "=escape"))
      local ok, why = pcall(run, message, channel, client, refused)
      victim.look()
      message.data = { ok = ok, why = not ok and tostring(why) or nil }
      return message
    end }]],
}
describe("the sandbox keeps", function()
  local broker, client

  lazy_setup(function()
    broker = assert(harness.broker { files = FILES })
    client = broker:connect "/ws/probe"
  end)

  lazy_teardown(harness.teardown)

  local function escape(title, source, code)
    it(("%s (%s)"):format(title, source), function()
      client:send { code = code }
      local result = assert(client:receive_json(5))
      assert.is_true(result.ok, result.why)
    end)
  end

  describe("what is not on the list away:", function()
    escape("the debug library", "lua-users.org/wiki/SandBoxes", [[
      assert(debug == nil and _G.debug == nil)
      refused(require, "debug")]])

    escape("package.loadlib, by a forgotten global", "CVE-2022-0543, Redis of Debian", [[
      assert(package == nil and module == nil)
      refused(require, "package")]])

    escape("io, os.execute and what else touches the system", "lua-users.org/wiki/SandBoxes", [[
      assert(io == nil and dofile == nil and loadfile == nil)
      for _, name in ipairs { "execute", "exit", "getenv", "remove", "rename", "tmpname",
        "setlocale", "difftime" } do assert(os[name] == nil, name) end]])

    escape("the FFI and the compiler's insides", "luajit.org/ext_ffi.html", [[
      assert(ffi == nil and jit == nil)
      for _, name in ipairs { "ffi", "jit", "jit.util", "jit.opt", "jit.profile", "table.new",
        "string.buffer", "thread.exdata" } do
        assert(refused(require, name):find("was not loaded with the app", 1, true))
      end]])

    escape("getfenv(0), which is the thread's globals", "github.com/Sorroko/cclite/issues/46", [[
      assert(getfenv == nil and setfenv == nil)]])

    escape("finalizers, which run outside of deadlines", "LuaJIT/LuaJIT issue 601, CVE-2020-15890",
      [[
      assert(newproxy == nil)
      local ran
      for _ = 1, 2000 do setmetatable({}, { __gc = function() ran = true end }) end
      local t = {} for i = 1, 20000 do t[i % 10] = { i } end
      assert(not ran)]])

    escape("the collector", "CVE-2024-46981 and CVE-2025-49844, Redis", [[
      assert(collectgarbage == nil and gcinfo == nil)]])
  end)

  describe("bytecode out:", function()
    escape("by load", "CVE-2015-4335, Redis", [[
      assert(string.dump == nil and ("").dump == nil)
      for _, mode in ipairs { "b", "bt", "t" } do
        local f, why = load("\27LJ\2\10\0\0\1\2\0\0\0\1K\0\1\0\0", "x", mode)
        assert(f == nil and why:find("wrong mode", 1, true), why)
      end
      assert(load == loadstring)]])

    escape("behind a first line or a byte order mark", "lj_lex.c, which skips both", [[
      for _, head in ipairs { "#!x\n", "\239\187\191", "\239\187\191#\n" } do
        assert(not load(head .. "\27LJ\2\10\0\0\1\2\0\0\0\1K\0\1\0\0"))
      end]])

    escape("in pieces of a reader function", "kikito/lua-sandbox, on bytecode", [[
      refused(load, function() return "\27LJ" end)
      refused(load, function() return nil end)]])

    it("in a file of the app (memory corruption in Factorio, by corsix)", function()
      broker:allow_log "lib/bytes.lua"
      for _, head in ipairs { "", "#!x\n", "\239\187\191" } do
        local ok, errors = broker:reload {
          ["lib/bytes.lua"] = head .. "\27LJ\2\10\0\0\1\2\0\0\0\1K\0\1\0\0",
          ["channels/probe.lua"] = 'require "lib.bytes" ' .. FILES["channels/probe.lua"],
        }
        assert.is_false(ok)
        assert.equal("lib/bytes.lua", errors[1].file)
      end
      assert.is_true((broker:reload {
        ["lib/bytes.lua"] = "return 1", ["channels/probe.lua"] = FILES["channels/probe.lua"],
      }))
    end)
  end)

  describe("files outside of the app away:", function()
    escape("by a path", "jongio/grut issue 73, EvandroLG/pegasus.lua issue 82", [[
      for _, name in ipairs { "../../etc/passwd", "/etc/passwd", "..etc.passwd", "lib/../../x",
        "lib..victim", ".lib.victim", "lib.victim.", "lib.victim\0", "", "lib\\victim", "~", "*",
        "http://127.0.0.1/x" } do
        assert(refused(require, name):find("a module is named like", 1, true), name)
      end
      assert(not refused(require, "etc.passwd"):find("root:", 1, true))
      for _, path in ipairs { "../broker.lua", "/etc/passwd", "broker.lua" } do
        assert(refused(tidewire.file, path):find("while the app is loaded", 1, true))
      end]])

    it("by a path or a device at load (envoyproxy/gateway pull 9220)", function()
      broker:allow_log "channels/reader.lua"
      for _, path in ipairs { "../../../etc/passwd", "/etc/passwd", "lib/../../x", "./../x", "lib",
        "lib/\\0", "" } do
        local ok, errors = broker:reload {
          ["channels/reader.lua"] = ('tidewire.file("%s") return {}'):format(path),
        }
        assert.is_false(ok, path)
        assert.equal("channels/reader.lua", errors[1].file)
      end
      broker:reload { ["channels/reader.lua"] = false }
    end)

    escape("by the package's own tables", "overlunky pull 438; CVE-2022-0543", [[
      refused(function() return package.loaded end)
      assert(require "tidewire" == tidewire and require "lib.victim" == require "lib.victim")
      refused(function() require "tidewire".evil = 1 end)]])
  end)

  describe("the libraries as they are:", function()
    local function read_only(title, source, code)
      escape(title, source, [[
        local libraries = { string = string, table = table, math = math, os = os, bit = bit,
          coroutine = coroutine, tidewire = tidewire, ["tidewire.json"] = tidewire.json,
          ["tidewire.log"] = tidewire.log, ["tidewire.env"] = tidewire.env }
        for name, library in pairs(libraries) do ]] .. code .. " end")
    end

    read_only("by an assignment, which names the library", "luau.org/sandbox", [[
      local why = refused(function() library.evil = 1 end)
      assert(why:find(name .. ".evil: " .. name .. " is read-only", 1, true), why)
      for _, key in ipairs { "upper", "insert", "encode", "now" } do
        refused(function() library[key] = print end)
      end
      assert(refused(function() library[1] = 1 end):find(name .. " is read-only", 1, true))
      refused(function() library[{}] = 1 end)]])

    read_only("past metatables", "INPStarfall/Starfall pull 321", [[
      refused(rawset, library, "evil", 1)
      refused(rawset, library, 1, 1)
      refused(rawget, library, "upper")
      refused(next, library)]])

    read_only("by functions that write into tables", "found here: table.insert is raw", [[
      refused(table.insert, library, 1)
      refused(table.insert, library, 1, 1)
      refused(table.sort, library)
      refused(table.remove, library)
      refused(table.move, { 1 }, 1, 1, 1, library)
      refused(table.concat, library)
      refused(tidewire.json.array, library)]])

    read_only("by their metatable", "CVE-2025-46818, Redis", [[
      assert(getmetatable(library) == name)
      refused(setmetatable, library, {})
      refused(setmetatable, library, nil)
      refused(function() getmetatable(library).__index = {} end)]])

    escape("through the metatable of strings", "ArduPilot/ardupilot pull 27666", [[
      assert(getmetatable("") == "string")
      refused(function() getmetatable("").__index.upper = print end)
      refused(function() getmetatable("").__lt = function() return true end end)
      refused(rawset, getmetatable(""), "__add", 1)
      refused(setmetatable, "", {})
      refused(function() ("").evil = 1 end)]])

    escape("of other basic types, which have no metatable", "CVE-2025-46818, Redis", [[
      for _, value in ipairs { 1, true, print, coroutine.create(print), tidewire.json.null } do
        assert(getmetatable(value) == nil)
        refused(setmetatable, value, { __index = string })
      end
      assert(getmetatable(nil) == nil)]])

    escape("behind a table that leads on to them", "lua-users.org/wiki/SandBoxes", [[
      local t = setmetatable({}, { __index = string, __newindex = string })
      assert(t.upper == string.upper)
      refused(function() t.evil = 1 end)
      t = setmetatable({}, { __index = _G, __newindex = _G })
      refused(function() t.string = {} end)]])
  end)

  describe("globals apart:", function()
    escape("a builtin name cannot be set", "Redis 7, globals are read-only (CVE-2022-24735)", [[
      for _, name in ipairs { "string", "type", "print", "load", "tidewire", "require" } do
        local why = refused(function() _G[name] = 1 end)
        assert(why:find("'" .. name .. "' is built in and cannot be set", 1, true), why)
      end
      refused(function() type = 1 end)
      refused(function() string = nil end)]])

    escape("a new name stays with its file", "sleitnick.github.io/luau-api/guide/sandboxing", [[
      evil = 1
      assert(evil == 1 and _G.evil == 1)
      _G.evil = nil]])

    escape("a name that is set past metatables stays with its file", "CVE-2022-24735, Redis", [[
      local mine = string
      rawset(_G, "string", { upper = function() return "evil" end })
      rawset(_G, "print", nil)
      assert(string.upper "a" == "evil")
      rawset(_G, "string", nil)
      assert(string == mine)]])

    escape("a builtin that calls another one does not call ours",
      "Zamiell/isaac-racing-client pull 51", [[
      rawset(_G, "ipairs", function() error "evil" end)
      rawset(_G, "type", function() return "evil" end)
      local text = tidewire.json.encode { 1 }
      local victim = pcall(require "lib.victim".look)
      rawset(_G, "ipairs", nil)
      rawset(_G, "type", nil)
      assert(text == "[1]" and victim)]])

    escape("_G has no metatable to get hold of", "pioneerspacesim/pioneer pull 2417", [[
      assert(getmetatable(_G) == "globals" and rawget(_G, "string") == nil)
      refused(setmetatable, _G, { __index = error })
      refused(setmetatable, _G, nil)]])

    escape("load gives the caller's globals, not the real ones", "spelunky-fyi/overlunky pull 438",
      [[
      assert(load "return _G"() == _G)
      assert(load("return _G", "x", "t", nil)() == _G)
      assert(load("return x", "x", "t", { x = 5 })() == 5)
      refused(load "string = 1")
      local ok, f = pcall(load, "return _G")
      assert(ok and f() == _G)]])

    escape("nor when nobody of ours calls it", "found here: a coroutine of load alone", [[
      local _, f = coroutine.resume(coroutine.create(load), "evil = 1 return _G")
      local globals = f()
      assert(globals ~= _G and globals.evil == 1 and evil == nil)
      assert(getmetatable(globals) == "globals" and rawget(globals, "string") == nil)
      f = coroutine.wrap(load) "string = 1"
      refused(f)
      f = setmetatable({}, { __index = function(_, code) return load(code) end })["return _G"]
      assert(f() == _G)]])

    escape("nor when a library written in Lua calls it", "found here: LuaJIT's table.foreach", [[
      local f = table.foreach({ ["rawset(_G, 'evil', 1) return _G"] = "=x" }, load)
      assert(f and rawget(f(), "string") == nil)
      f = table.foreach({ ["string = 1"] = "=x" }, load)
      refused(f)
      table.foreachi({ "x" }, load)
      ;("x"):gsub("x", load)
      evil = nil
      _G.evil = nil]])

    escape("a coroutine has no others", "github.com/Sorroko/cclite/issues/46", [[
      local mine = _G
      coroutine.wrap(function() assert(_G == mine and load "return _G"() == mine) end)()]])
  end)

  describe("objects of the core whole:", function()
    escape("their metatables", "luanti-org/luanti issue 12216", [[
      for name, object in pairs { message = message, channel = channel, client = client } do
        assert(getmetatable(object) == name)
        refused(setmetatable, object, {})
        refused(rawset, object, "x", 1)
        refused(rawget, object, "name")
        refused(function() object.__index = 1 end)
      end
      assert(getmetatable(tidewire.json.decode "[]") == "array")
      refused(setmetatable, tidewire.json.decode "[]", {})]])

    escape("methods on something else", "wesnoth/wesnoth pull 11496; PiL 28.2", [[
      for _, other in ipairs { channel, message, string, tidewire, tidewire.json.null, {}, "x", 1,
        print, coroutine.create(print), setmetatable({}, { __index = client }) } do
        assert(refused(client.send, other, 1):find("client expected", 1, true))
        assert(refused(client.disconnect, other):find("client expected", 1, true))
      end
      for _, other in ipairs { client, message, math, tidewire.json.null, {}, "x" } do
        assert(refused(channel.publish, other, 1):find("channel expected", 1, true))
      end
      refused(client.send)
      refused(channel.publish, nil, 1)]])

    escape("fields by way of another table", "mlua-rs/mlua pull 135", [[
      local t = setmetatable({}, { __index = message, __newindex = message })
      assert(t.channel == "probe")
      refused(function() t.raw = "x" end)
      refused(function() return t.nothing end)]])

    escape("an object of an earlier message", "vm escapes by use after free", [[
      kept, kept_client = kept or message, kept_client or client
      if kept ~= message then
        assert(refused(function() return kept.data end):find("after its handler ended", 1, true))
        assert(refused(function() kept_client:send(1) end):find("after its handler", 1, true))
      end]])

    escape("the same, the second time", "vm escapes by use after free", [[
      assert(kept ~= message)
      assert(refused(function() return kept.data end):find("after its handler ended", 1, true))
      assert(refused(function() kept.data = 1 end):find("after its handler ended", 1, true))
      assert(refused(client.send, kept_client, 1):find("after its handler ended", 1, true))
      assert(tostring(kept) == "message")
      kept, kept_client = nil, nil]])

    escape("what crosses as an error", "thegrb93/StarfallEx issue 542", [[
      for _, value in ipairs { message, client, string, {}, print, 1, true } do
        local ok, got = pcall(error, value, 0)
        assert(not ok and got == value)
        local _, handled = xpcall(error, function(e) return e end, value, 0)
        assert(handled == value)
      end
      assert(select("#", xpcall(error, function() error "again" end)) == 2)]])

    escape("what a __tostring returns", "lua-l: tostring of a nontext", [[
      local odd = setmetatable({}, { __tostring = function() return {} end })
      pcall(tostring, odd)
      pcall(print, odd)
      pcall(tidewire.log.info, setmetatable({}, { __tostring = error }))]])
  end)

  describe("memory whole:", function()
    escape("against formats", "CVE-2024-25176, LuaJIT issue 1149", [[
      for _, format in ipairs { "%7g", "%.99f", "%99.99f", "%.14g", "%a", "%.0e" } do
        for _, x in ipairs { 0x1.144399609d407p+401, 1.7976931348623157e308, 5e-324, 1 / 0 } do
          string.format(format, x)
        end
      end
      refused(string.format, "%100d", 1)
      refused(string.format, "%.100f", 1)
      refused(string.format, "%p%n", {})
      assert(string.format("%" .. ("0"):rep(1000) .. "d", 1) == "1")]])

    escape("against counts that overflow", "CVE-2025-46817, Redis", [[
      refused(unpack, {}, -1, 2147483647)
      refused(unpack, {}, 0, 2147483647)
      refused(unpack, {}, -2147483648, 2147483647)
      refused(unpack, {}, 1, 1e7)
      refused(table.concat, {}, "x", 1, 2147483647)
      pcall(string.byte, ("x"):rep(1e6), 1, -1)
      pcall(select, -2147483648, 1)
      pcall(string.sub, "x", -2147483648, 2147483647)
      refused(string.char, -1)
      pcall(string.rep, "x", -2147483648)]])

    escape("against the bit library", "CVE-2024-31449, Redis", [[
      assert(bit.tohex(65535, -2147483648) and bit.tohex(1, 100))
      pcall(bit.tohex, 1, 2 ^ 63)
      bit.rol(1, 2147483647)]])

    escape("against texts that grow", "lua-users.org/wiki/SandBoxes, on string.rep", [[
      assert(refused(string.rep, "x", 1e9):find("not enough memory", 1, true))
      assert(refused(function() return ("x"):rep(1e9) end):find("not enough memory", 1, true))
      pcall(string.rep, "x", 2 ^ 40)
      assert(refused(table.concat, { 1, 2, 3, 4, 5, 6, 7 }, ("x"):rep(1e6)))]])

    escape("against dates", "LuaJIT/LuaJIT issues 463 and 851", [[
      for _, format in ipairs { "%", "%E", "%0", "%Ez", "%O", "%p", "", "!%c", ("%c"):rep(500) } do
        for _, time in ipairs { 0, -1, 1e9, 2 ^ 53, -2 ^ 53, 1e300, -1e300, 1 / 0 } do
          pcall(os.date, format, time)
        end
      end
      pcall(os.time, { year = 1e300, month = 1, day = 1 })
      pcall(os.time, { year = 2 ^ 31, month = 2 ^ 31, day = 2 ^ 31 })]])

    escape("against comparators that lie", "lua-l: table.sort beyond its array", [[
      local t = {}
      for i = 1, 200 do t[i] = i % 7 end
      pcall(table.sort, t, function() return true end)
      pcall(table.sort, t, function() t = {} return false end)]])

    escape("against a stack that overflows in a handler", "LuaJIT issue 1152, CVE-2024-25178", [[
      local function down() return 1 + down() end
      for _ = 1, 3 do
        assert(not pcall(down))
        assert(not xpcall(down, down))
        assert(not coroutine.resume(coroutine.create(down)))
      end
      pcall(string.gsub, ("x"):rep(300), ".", function() down() end)]])

    escape("against more arguments than a stack has", "CVE-2014-5461, Lua", [[
      local t = {}
      for i = 1, 7000 do t[i] = i end
      local function count(...) return select("#", ...) end
      assert(count(unpack(t)) == 7000)
      pcall(function() return coroutine.wrap(count)(unpack(t)) end)
      assert((function(a, b, ...) return count(...) end)(unpack(t)) == 6998)]])

    escape("against patterns that never end", "lua-users.org/wiki/SandBoxes, on string.find", [[
      refused(string.find, ("("):rep(40), ("("):rep(40))
      refused(string.find, "x", "%b")
      refused(string.find, "x", "[")
      refused(string.find, "x", "%f")
      pcall(string.find, ("x"):rep(3e5), ("x?"):rep(3e3))]])

    escape("against a name that the parser frees", "CVE-2025-49844, Redis", [[
      for i = 1, 50 do
        load("local a = " .. ("{"):rep(i) .. ("}"):rep(i) .. " return", ("n"):rep(5000) .. i)
        load("return " .. ("x"):rep(5000) .. i .. " =", ("m"):rep(5000) .. i)
      end
      assert(not load(("("):rep(1e4)))
      assert(not load("return " .. ("{"):rep(1e4)))]])

    escape("against yields where there is nobody to go on", "lua-l: yield across a C call", [[
      refused(coroutine.yield)
      local co = coroutine.wrap(function()
        table.sort({ 3, 2, 1 }, function(a, b) coroutine.yield() return a < b end)
      end)
      refused(co)
      local me = coroutine.running()
      assert(me == nil or not coroutine.resume(me))]])
  end)
end)
