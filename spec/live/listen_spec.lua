-- Listening: addresses, unix sockets (whose file it is, and when it goes), and when descriptors run
-- out.
local files = require "spec.support.files"
local http = require "spec.support.http"
local live = require "spec.support.live"
local tcp = require "spec.support.tcp"
local uv = require "luv"

describe("a unix socket", function()
  after_each(live.teardown)

  -- A broker that listens at that path, and on a port.
  local function start(path, options)
    options = options or {}
    return live.broker {
      files = {
        ["broker.lua"] = ('return { listen = { "unix:%s", "127.0.0.1:0" } }'):format(path),
        ["channels/market.lua"] = "return { publish = true }",
        ["public/index.html"] = "hello",
      },
      settings = { listen = false },
      admin = options.admin,
    }
  end

  local function fresh_path()
    return live.folder {} .. "/tide.sock"
  end

  local function get(path)
    local connection = http.open { path = path }
    connection:send("GET", "/")
    local response = assert(connection:response())
    connection:close()
    return response
  end

  local function end_well(broker)
    broker:signal("sigterm")
    assert.equal(0, broker:wait_exit())
  end

  -- Tries to run a broker that listens at that path; what it says when it ends.
  local function cannot_start(path)
    local app = live.folder { ["broker.lua"] = "return {}" }
    local code, out, err = live.run { "run", app, "--admin", "off", "-D", "listen=unix:" .. path }
    assert.equal(1, code)
    assert.equal("", out)
    assert.truthy(err:find("cannot listen", 1, true), err)
    return err
  end

  -- Somebody else who listens there.
  local function foreign(path)
    local server = uv.new_pipe(false)
    assert(server:bind(path))
    assert(server:listen(1, function() end))
    return server
  end

  it("serves beside a port, and is gone when the broker is", function()
    local path = fresh_path()
    local broker = start(path)
    assert.truthy(broker.listen:find("unix:" .. path, 1, true))
    for _ = 1, 8 do assert.equal("hello", get(path).body) end
    assert.equal("hello", broker:get("/").body)
    end_well(broker)
    assert.is_false(files.exists(path))
  end)

  it("may be the admin listener's", function()
    local path, admin = fresh_path(), fresh_path()
    local broker = start(path, { admin = "unix:" .. admin })
    local connection = http.open { path = admin }
    connection:send("GET", "/v1/stats")
    assert.equal(200, assert(connection:response()).status)
    connection:close()
    end_well(broker)
    assert.is_false(files.exists(admin))
    assert.is_false(files.exists(path))
  end)

  it("is gone also when the broker could not start for another reason", function()
    local path, taken = fresh_path(), start(fresh_path())
    local app = live.folder {
      ["broker.lua"] = ('return { listen = { "unix:%s", "127.0.0.1:%d" } }'):format(path,
        taken.port),
    }
    local code, _, err = live.run { "run", app, "--admin", "off" }
    assert.equal(1, code)
    assert.truthy(err:find("cannot listen", 1, true), err)
    assert.is_false(files.exists(path))
  end)

  it("that a dead process has left behind is replaced", function()
    local path = fresh_path()
    local first = start(path)
    first:signal("sigkill")
    assert.is_true(first.process:wait_exit())
    first.was_told, first.ended_at_once = true, true
    assert.is_true(files.exists(path))
    local second = start(path)
    assert.equal("hello", get(path).body)
    end_well(second)
    assert.is_false(files.exists(path))
  end)

  it("that somebody answers at is left alone", function()
    local path = fresh_path()
    local broker = start(path)
    cannot_start(path)
    assert.equal("hello", get(path).body)
    end_well(broker)
    local server = foreign(path)
    cannot_start(path)
    assert.is_true(files.exists(path))
    server:close()
  end)

  it("is no file of another kind", function()
    local path = fresh_path()
    files.write(path, "precious")
    cannot_start(path)
    assert.equal("precious", files.read(path))
  end)

  it("is not taken away from who has it now, after a reload named it", function()
    local path, other = fresh_path(), fresh_path()
    local broker = start(path)
    local server = foreign(other)
    broker:expect_log("restart setting=listen")
    assert.equal(200, (broker:reload {
      ["broker.lua"] = ('return { listen = { "unix:%s", "127.0.0.1:0" } }'):format(other),
    }))
    end_well(broker)
    assert.is_false(files.exists(path))
    assert.is_true(files.exists(other))
    server:close()
  end)

  it("needs a folder that is there", function()
    for _, path in ipairs { "/no/such/folder/tide.sock" } do
      cannot_start(path)
    end
  end)

  it("carries WebSockets", function()
    local path = fresh_path()
    local broker = start(path)
    local got = ""
    local connection = tcp.connect { path = path, on_bytes = function(b) got = got .. b end }
    assert.is_true(connection:wait_open())
    connection:write("GET /ws/market HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
      .. "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
      .. "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
    broker:wait_subscribers("market", 1)
    broker:publish("market", "[1]")
    broker:until_(function() return got:find("\129\3[1]", 1, true) end)
    connection:close()
    broker:wait_connections(0)
  end)
end)

describe("the broker", function()
  after_each(live.teardown)

  local function start(listen)
    return live.broker {
      files = { ["broker.lua"] = "return { listen = " .. listen .. " }",
        ["public/index.html"] = "hello" },
      settings = { listen = false },
    }
  end

  it("listens on several addresses at once", function()
    local broker = start '{ "127.0.0.1:0", "127.0.0.2:0", "localhost:0" }'
    local ports = {}
    for port in (broker.listen .. ","):gmatch(":(%d+),") do ports[#ports + 1] = tonumber(port) end
    assert.equal(3, #ports)
    assert.equal("hello", http.request { port = ports[1], path = "/" }.body)
  end)

  it("listens on all addresses for *", function()
    local broker = start '"*:0"'
    assert.equal("hello", broker:get("/").body)
  end)

  it("listens for IPv6", function()
    local probe = uv.new_tcp("inet6")
    local has_ipv6 = probe:bind("::1", 0)
    probe:close()
    if not has_ipv6 then return pending("no IPv6 here") end
    local broker = start '"[::1]:0"'
    assert.truthy(broker.listen:find("^%[::1%]:%d+$"))
    local client = uv.new_tcp("inet6")
    local connected
    client:connect("::1", broker.port, function(failure) connected = failure or "well" end)
    broker:until_(function() return connected end)
    assert.equal("well", connected)
    client:close()
  end)

  it("explains an address that is none", function()
    local app = live.folder { ["broker.lua"] = "return {}" }
    for _, address in ipairs {
      "nonsense", "127.0.0.1", "127.0.0.1:", "127.0.0.1:99999", "127.0.0.1:-1", "127.0.0.1:port",
      "::1:80", ":80", "[]:80", "[::1:80", "unix:", ("x"):rep(70) .. ":80", "127.0.0.1:123456",
    } do
      local code, out, err = live.run { "run", app, "--admin", address, "-D", "listen=127.0.0.1:0" }
      assert.equal(1, code, address)
      assert.equal("", out)
      assert.truthy(err:find("cannot listen", 1, true), err)
    end
  end)

  it("turns away whom it has no descriptors for, and serves on", function()
    local broker = live.broker {
      files = { ["channels/market.lua"] = "return {}", ["public/index.html"] = "hello" },
      args = { "--no-watch" },
    }
    broker:allow_log("out of file descriptors")
    local scan, limit = uv.fs_scandir("/proc/" .. broker.process.pid .. "/fd"), 20
    while uv.fs_scandir_next(scan) do limit = limit + 1 end
    assert.equal(0, os.execute(("prlimit --pid %d --nofile=%d:%d"):format(broker.process.pid, limit,
      limit)))
    local connections, ended = {}, 0
    for i = 1, 60 do connections[i] = broker:open() end
    broker:until_(function()
      ended = 0
      for _, connection in ipairs(connections) do
        ended = ended + (connection:is_open() and 0 or 1)
      end
      return ended > 0
    end)
    broker:wait_log("out of file descriptors")
    local _, lines = broker:log():gsub("turned away", "")
    assert.is_true(lines <= #connections, lines .. " lines")
    for _, connection in ipairs(connections) do connection:reset() end
    broker:until_(function()
      local ok, response = pcall(broker.get, broker, "/")
      return ok and response.body == "hello"
    end)
    assert.equal(200, broker:admin("GET", "/healthz").status)
  end)
end)
