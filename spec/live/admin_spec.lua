-- The admin listener: publishing, reloading and looking, by HTTP.
local http = require "spec.support.http"
local live = require "spec.support.live"

describe("the admin listener", function()
  after_each(live.teardown)

  local function start(options)
    options = options or {}
    options.files = options.files or { ["channels/market.lua"] = "return {}" }
    return live.broker(options)
  end

  describe("takes a publish and", function()
    it("answers where it stands in the channel", function()
      local broker = start()
      local first = broker:publish("market", "1")
      local second = broker:publish("market", "2")
      assert.equal("market", second.channel)
      assert.equal(first.epoch, second.epoch)
      assert.equal(first.offset + 1, second.offset)
    end)

    it("says 404 for no such channel", function()
      local status, answer = start():post("nowhere", "1")
      assert.equal(404, status)
      assert.is_string(answer.error)
    end)

    it("says 413 for a payload that is too big, and takes one that just fits", function()
      local broker = start { settings = { ["limits.message_size"] = 100 } }
      local client = broker:connect("/ws/market")
      local status, answer = broker:post("market", '"' .. ("x"):rep(99) .. '"')
      assert.equal(413, status)
      assert.is_string(answer.error)
      broker:publish("market", '"' .. ("x"):rep(98) .. '"')
      assert.equal(100, #client:receive())
    end)

    it("says 413 for an endless body without reading it all", function()
      local broker = start()
      local response = assert(http.exchange {
        port = broker.admin_port,
        bytes = "POST /v1/channels/market/messages HTTP/1.1\r\nHost: a\r\n"
          .. "Content-Length: 1000000000000\r\n\r\n[1, ",
      })
      assert.equal(413, response.status)
    end)

    for title, body in pairs {
      nothing = "", ["half an object"] = "{", ["two values"] = "1 2", ["single quotes"] = "'a'",
      ["a comma too many"] = "[1,]", ["a number that is none"] = "NaN", ["a leading zero"] = "01",
      ["a bare control character"] = '"\1"', ["bytes that are no UTF-8"] = '"\255"',
      ["half a surrogate"] = '"\\ud800', ["a bad escape"] = '"\\x"',
      ["a byte order mark"] = "\239\187\191{}", ["too deep a nest"] = ("["):rep(100000),
    } do
      it("says 422 for " .. title, function()
        local broker = start { settings = { ["limits.message_size"] = 200000 } }
        local client = broker:connect("/ws/market")
        local status, answer = broker:post("market", body)
        assert.equal(422, status)
        assert.is_string(answer.error)
        broker:publish("market", "1")
        assert.equal("1", client:receive())
      end)
    end

    it("takes any bytes as application/octet-stream", function()
      local broker = start()
      local client = broker:connect("/ws/market")
      for _, bytes in ipairs { "", "{", "\0\255" } do
        broker:publish("market", bytes, "application/octet-stream")
        assert.same({ bytes, "binary" }, { client:receive() })
      end
    end)

    it("says 500 with hook, script, line and message when the script fails", function()
      local broker = start { files = {
        ["channels/market.lua"] = "return {\n  transform = function(m)\n    return m.data.a.b\n"
          .. "  end,\n}\n",
      } }
      broker:expect_log("channels/market.lua:3")
      local status, answer = broker:post("market", "{}")
      assert.equal(500, status)
      assert.equal("transform", answer.hook)
      assert.truthy(answer.script:find("market.lua", 1, true))
      assert.equal(3, answer.line)
      assert.is_string(answer.message)
    end)

    it("takes it in chunks", function()
      local broker = start()
      local client = broker:connect("/ws/market")
      local chunked = "POST /v1/channels/market/messages HTTP/1.1\r\nHost: a\r\n"
        .. "Transfer-Encoding: chunked\r\n\r\n2\r\n[1\r\n1\r\n]\r\n0\r\n\r\n"
      local response = assert(http.exchange { port = broker.admin_port, bytes = chunked })
      assert.equal(200, response.status)
      assert.equal("[1]", client:receive())
    end)

    it("decodes the channel's name", function()
      local broker = start { files = {
        ["channels/room.lua"] = 'return { name = "room:{id}" }',
      } }
      local client = broker:connect("/ws/room:1")
      broker:publish("room%3A1", "1")
      assert.equal("1", client:receive())
    end)
  end)

  it("reloads, or answers 422 with the errors", function()
    local broker = start()
    broker:expect_log("channels/market.lua:2")
    local status, answer = broker:reload { ["channels/market.lua"] = "return {\n  oops oops\n}" }
    assert.equal(422, status)
    local first = answer.errors[1]
    assert.truthy(first.file:find("channels/market.lua", 1, true))
    assert.equal(2, first.line)
    assert.is_string(first.message)
    status, answer = broker:reload { ["channels/market.lua"] = "return {}" }
    assert.equal(200, status)
    assert.is_true(answer.generation > 1)
  end)

  it("tells that it lives and is ready", function()
    local broker = start()
    assert.equal(200, broker:admin("GET", "/healthz").status)
    assert.equal(200, broker:admin("GET", "/readyz").status)
  end)

  it("counts", function()
    local broker = start()
    local stats = broker:stats()
    assert.equal(1, stats.generation)
    assert.equal(broker.workers, stats.workers)
    assert.equal(0, stats.connections)
    broker:connect("/ws/market")
    broker:connect("/ws/market")
    broker:publish("market", "1")
    stats = broker:stats()
    assert.equal(2, stats.connections)
    assert.equal(2, stats.channels.market.subscribers)
    assert.equal(1, stats.channels.market.offset)
    assert.equal(0, stats.channels.market.dropped)
  end)

  it("refuses what it does not know, in JSON", function()
    local broker = start()
    for _, path in ipairs { "/v1/nothing", "/v1", "/v1/channels/market/nothing", "/v1/stats/" } do
      local response = broker:admin("GET", path)
      assert.equal(404, response.status)
      assert.is_string(response:json().error)
    end
    for path, method in pairs {
      ["/v1/stats"] = "POST", ["/v1/reload"] = "GET", ["/v1/channels/market/messages"] = "PUT",
    } do
      local response = broker:admin(method, path)
      assert.equal(405, response.status)
      assert.is_string(response:json().error)
    end
    local response = assert(http.exchange { port = broker.admin_port, bytes = "nonsense\r\n\r\n" })
    assert.equal(400, response.status)
  end)

  it("is not reachable from a web page, whatever its host calls itself", function()
    local broker = start()
    local own = ":" .. broker.admin_port
    for _, case in ipairs {
      { host = "127.0.0.1" .. own, origin = "http://evil.example" },
      { host = "127.0.0.1" .. own, origin = "http://127.0.0.1" }, -- another port
      { host = "127.0.0.1" .. own, origin = "https://127.0.0.1" .. own },
      { host = "127.0.0.1" .. own, origin = "null" },
      { host = "127.0.0.1" .. own, origin = "" },
      { host = "127.0.0.1" .. own, origin = "http://127.0.0.1" .. own .. ".evil.example" },
      -- A name that was made to lead here (DNS rebinding).
      { host = "evil.example" .. own, origin = "http://evil.example" .. own },
      { host = "localhost.evil.example" .. own, origin = "http://localhost.evil.example" .. own },
      { host = "127.0.0.1.evil.example" .. own, origin = "http://127.0.0.1.evil.example" .. own },
      { host = "10.1.2.3" .. own, origin = "http://10.1.2.3" .. own },
    } do
      local response = broker:admin("POST", "/v1/channels/market/messages", "1",
        { Host = case.host, Origin = case.origin })
      assert.equal(403, response.status, case.host .. " " .. case.origin)
      assert.is_string(response:json().error)
    end
    assert.is_nil(broker:channel("market").offset ~= 0 or nil)
    for _, host in ipairs { "127.0.0.1", "localhost", "LOCALHOST", "127.9.9.9", "[::1]" } do
      local response = broker:admin("POST", "/v1/channels/market/messages", "1",
        { Host = host .. own, Origin = "http://" .. host .. own })
      assert.equal(200, response.status, host)
    end
    assert.equal(5, broker:channel("market").offset)
  end)

  it("is not reachable by the public port", function()
    local broker = start()
    assert.equal(404, broker:get("/v1/stats").status)
    assert.is_true(broker:get("/v1/reload", { body = "" }).status >= 400)
    assert.equal(1, broker:stats().generation)
  end)

  describe("with a key", function()
    local KEY = { TIDEWIRE_ADMIN_KEY = "open-sesame" }

    it("answers only who has it", function()
      local broker = start { env = KEY }
      assert.equal(200, broker:admin("GET", "/v1/stats").status)
      for _, authorization in ipairs { false, "Bearer", "Bearer ", "Bearer open-",
        "Bearer open-sesame ", "Bearer open-sesame2", "Basic open-sesame", "open-sesame" } do
        local response = broker:admin("GET", "/v1/stats", nil, { Authorization = authorization })
        if authorization == "Bearer open-sesame " then -- spaces around a value are no part of it
          assert.equal(200, response.status)
        else
          assert.equal(401, response.status)
          assert.is_string(response:json().error)
          assert.truthy(response.headers["www-authenticate"])
        end
      end
      local response = broker:admin("POST", "/v1/reload", "", { Authorization = false })
      assert.equal(401, response.status)
    end)

    it("may listen on all addresses", function()
      local broker = start { env = KEY, admin = "0.0.0.0:0" }
      assert.equal(200, broker:admin("GET", "/v1/stats").status)
      local response = broker:admin("GET", "/v1/stats", nil, { Authorization = false })
      assert.equal(401, response.status)
    end)
  end)

  it("does not start on other addresses without a key", function()
    local app = live.folder { ["broker.lua"] = "return {}" }
    for _, value in ipairs { "0.0.0.0:0", "[::]:0" } do
      local code, out, err = live.run({ "run", app, "--admin", value, "-D", "listen=127.0.0.1:0" },
        { env = { TIDEWIRE_ADMIN_KEY = false } })
      assert.is_true(code > 0 and code < 126, "exit code " .. code)
      assert.equal("", out)
      assert.truthy(err:find("TIDEWIRE_ADMIN_KEY", 1, true), err)
    end
  end)
end)
