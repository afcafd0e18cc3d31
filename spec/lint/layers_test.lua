-- Feeds layers.lua small trees in a temporary folder: each wrong one must be complained about, at
-- the right line, and the right one not at all. Run from the root of the repository.

local function sh(command)
  local pipe = assert(io.popen(command .. " 2>&1; echo $?"))
  local output = pipe:read("*a")
  pipe:close()
  return output:match("^(.-)(%d+)\n$")
end

-- What layers.lua says to a tree of `files` (name → text).
local function lint(files)
  local root = sh("mktemp -d"):gsub("\n", "")
  for file, text in pairs(files) do
    sh(("mkdir -p '%s/%s'"):format(root, file:match("^(.*)/")))
    local handle = assert(io.open(root .. "/" .. file, "wb"))
    handle:write(text)
    handle:close()
  end
  local output, status = sh(("luajit spec/lint/layers.lua '%s'"):format(root))
  sh(("rm -r '%s'"):format(root))
  return output, tonumber(status)
end

local failures = 0

local function expect(title, files, wanted)
  local tree = {}
  for file, text in pairs(files) do
    tree[file:match("^[^/]+/") .. "README.md"] = "# x\n"
    tree[file:match("^[^/]+/[^/]+/") .. "README.md"] = "# x\n"
    tree[file] = text
  end
  local output, status = lint(tree)
  local is_right
  if wanted then
    local _, lines = output:gsub("\n", "")
    is_right = status == 1 and lines == 1 and output:find(wanted, 1, true)
  else
    is_right = status == 0 and output == ""
  end
  if not is_right then
    failures = failures + 1
    print(("%s: wanted %s, got status %d and:\n%s"):format(title, wanted or "silence", status,
      output))
  end
end

expect("a right tree", {
  ["core/app/main.c"] = '#include <uv.h>\n#include "tidewire/tidewire.h"\n#include "net/tcp.h"\n',
  ["core/proto/ws.c"] = '#include "proto/ws.h"\n#include "broker/a.h"\n',
  ["core/script/host.c"] = "#include <lauxlib.h>\n#include <lua.h>\n#include <luajit-2.1/lua.h>\n",
  ["core/sim/sim.c"] = '#include "script/host.h"\n#include "proto/ws.h"\n',
  ["core/net/tcp.c"] = '#include <sys/socket.h>\n#include "base/buf.h"\n',
  ["core/base/ip.h"] = "#include <sys/socket.h>\n",
  ["include/tidewire/tidewire.h"] = "#include <stddef.h>\n",
  ["spec/unit/a_test.c"] = '#include "app/conn.h"\n#include <uv.h>\n',
})
expect("words in comments and strings, methods", {
  ["core/broker/a.c"] = '/* #include "net/tcp.h"\n * uv_run */\n// lua_error\n'
    .. "const char *s = \"uv_\\\"lua_x\"; char c = '\"';\nint x = engine->send(engine) / 2;\n"
    .. "int y = resend(1), sender = 0;\n",
})

expect("upwards", { ["core/base/a.c"] = '\n#include "broker/hub.h"\n' },
  "core/base/a.c:2: core/base may include itself alone")
expect("sideways", { ["core/net/a.c"] = '#include "broker/hub.h"\n' }, "core/net/a.c:1: ")
expect("in angles", { ["core/script/a.h"] = "# include <proto/ws.h>\n" }, "core/script/a.h:1: ")
expect("by ..", { ["core/net/a.c"] = '#include "../base/a.h"\n' }, "not by ..")
expect("after a comment", { ["core/base/a.c"] = '/* x\n */ #include "net/a.h"\n' },
  "core/base/a.c:2: ")
expect("sim is no layer for others", { ["core/app/a.c"] = '#include "sim/sim.h"\n' },
  "core/app/a.c:1: ")
expect("uv", { ["core/proto/a.c"] = "#include <uv.h>\n" }, "headers of uv only in")
expect("Lua", { ["core/app/a.c"] = "#include <lua.h>\n" }, "headers of Lua only in")
expect("Lua by folder", { ["core/sim/a.c"] = "#include <lua5.1/lua.h>\n" }, "headers of Lua only")
expect("LuaJIT by folder", { ["core/sim/a.c"] = "#include <luajit-2.1/lua.h>\n" }, "headers of Lua")
expect("sockets", { ["core/base/a.c"] = "#include <sys/socket.h>\n" }, "headers of sockets only")
expect("socket calls", { ["core/base/ip.c"] = "int x(void) {\n    return connect(0, 0, 0);\n}\n" },
  "core/base/ip.c:2: core/base does no I/O (connect)")
expect("uv by name", { ["core/broker/a.c"] = "struct uv_loop_s *loop;\n" }, "core/broker/a.c:1: ")
expect("Lua by name", { ["core/broker/a.h"] = "typedef struct lua_State lua;\n" },
  "core/broker/a.h:1: ")
expect("the public header", { ["include/tidewire/a.h"] = '#include "base/buf.h"\n' },
  "include/ may include nothing of core")
expect("the public header and uv", { ["include/tidewire/a.h"] = "#include <uv.h>\n" }, "uv")
expect("core and its own public header", { ["core/broker/a.c"] = "#include <tidewire/a.h>\n" },
  "only core/app knows include/tidewire")
expect("a new folder", { ["core/misc/a.c"] = "int x;\n" }, "core/misc is no layer")
expect("a long source", { ["scripts/tidewire/a.lua"] = ("\n"):rep(701) }, "701 lines; at most 700")
expect("a long README", { ["examples/a/README.md"] = ("x\n"):rep(61) }, "61 lines; at most 60")

local output, status = lint { ["core/base/a.c"] = "int x;\n", ["core/README.md"] = "# x\n" }
if status ~= 1 or output ~= "core/base/README.md:1: missing: what lives here, what may not, in one "
  .. "screen\n" then
  failures = failures + 1
  print("no README: " .. output)
end

os.exit(failures == 0 and 0 or 1)
