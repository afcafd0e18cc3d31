-- The opening handshake (RFC 6455 section 4.2) as the broker answers it.
local frame = require "spec.support.frame"
local live = require "spec.support.live"
local loop = require "spec.support.loop"
local websocket = require "spec.support.websocket"

local CHAT = { ["channels/chat.lua"] = "return { publish = true }" }

describe("the handshake", function()
  after_each(live.teardown)

  local function chat(settings)
    return live.broker { files = CHAT, settings = settings }
  end

  it("connects a client, counts it, and counts it no more when it leaves", function()
    local broker = chat()
    assert.equal(0, broker:stats().connections)
    local client = broker:connect("/ws/chat")
    broker:wait_connections(1)
    assert.equal(1000, (client:close(1000)))
    broker:wait_connections(0)
    assert.equal(0, broker:channel("chat").subscribers or 0)
  end)

  it("answers the key as RFC 6455 says", function()
    local client = chat():connect("/ws/chat", {
      key = "AAAAAAAAAAAAAAAAAAAAAA==", accept = "ICX+Yqv66kxgM0FcWaLWlFLwTAI=",
    })
    assert.equal("websocket", client.headers.upgrade:lower())
    assert.equal("upgrade", client.headers.connection:lower())
    assert.is_nil(client.headers["sec-websocket-extensions"])
  end)

  it("takes header names and tokens in any case and place", function()
    chat():connect("/ws/chat?unknown=1", {
      headers = { Upgrade = "WebSocket", Connection = false },
      lines = { "cONNECTION:keep-alive,  UPGRADE", "X-Empty:" },
    })
  end)

  describe("refuses with a reason in JSON:", function()
    local function refuses(title, path, options, ...)
      local statuses = { ... }
      it(title, function()
        local status, body, headers = chat():refusal(path, options)
        local listed = false
        for _, expected in ipairs(statuses) do listed = listed or status == expected end
        assert.is_true(listed, "status " .. status)
        assert.is_string(body.error)
        assert.is_true(#body.error > 0)
        assert.truthy((headers["content-type"] or "none"):find("^application/json"))
        if status == 426 then assert.equal("13", headers["sec-websocket-version"]) end
      end)
    end

    refuses("an unknown channel", "/ws/nowhere", nil, 404)
    refuses("an unknown path", "/elsewhere", nil, 404)
    refuses("version 8", "/ws/chat", { headers = { ["Sec-WebSocket-Version"] = "8" } }, 426)
    refuses("no version", "/ws/chat", { headers = { ["Sec-WebSocket-Version"] = false } }, 400, 426)
    refuses("no key", "/ws/chat", { headers = { ["Sec-WebSocket-Key"] = false } }, 400)
    refuses("a key that is too short", "/ws/chat", { key = "AAAA" }, 400)
    refuses("a key that is not base64", "/ws/chat", { key = "!!!!!!!!!!!!!!!!!!!!!!==" }, 400)
    refuses("two keys", "/ws/chat", { lines = { "Sec-WebSocket-Key: " .. websocket.KEY } }, 400)
    refuses("no upgrade", "/ws/chat", { headers = { Upgrade = false } }, 400, 426)
    refuses("another upgrade", "/ws/chat", { headers = { Upgrade = "h2c" } }, 400, 426)
    refuses("a connection header without upgrade", "/ws/chat",
      { headers = { Connection = "keep-alive" } }, 400, 426)
    refuses("no host", "/ws/chat", { headers = { Host = false } }, 400)
    refuses("two hosts", "/ws/chat", { lines = { "Host: other" } }, 400)
    refuses("the method POST", "/ws/chat", { method = "POST" }, 400, 405)
    refuses("HTTP/1.0", "/ws/chat",
      { request = "GET /ws/chat HTTP/1.0\r\nHost: a\r\nUpgrade: websocket\r\n"
        .. "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
        .. websocket.KEY .. "\r\n\r\n" }, 400, 426, 505)
    refuses("what is not HTTP", "/ws/chat", { request = "\22\3\1\2\0\1\0\1\252\3\3\r\n\r\n" }, 400)
    refuses("a bare space before a colon", "/ws/chat", { lines = { "X-Bad : 1" } }, 400)
    refuses("a header that is too big", "/ws/chat",
      { lines = { "X-Big: " .. ("x"):rep(10000) } }, 431)
    refuses("a path that is too long", "/ws/" .. ("x"):rep(10000), nil, 414, 431)
    refuses("too many headers", "/ws/chat",
      { lines = { ("A: 1\r\n"):rep(1000) .. "A: 1" } }, 431)
  end)

  it("refuses a header as soon as it is too big, not only at its end", function()
    local client = chat { ["limits.header_size"] = 1024 }:handshake("/ws/chat", {
      request = "GET /ws/chat HTTP/1.1\r\nHost: a\r\nX-Endless: " .. ("x"):rep(4096),
    })
    assert.equal(431, client.status)
  end)

  it("takes a header of just under the limit", function()
    local broker = chat { ["limits.header_size"] = 4096 }
    local line = "X-Big: "
    local rest = 4096 - #websocket.handshake("/ws/chat", { lines = { line } })
    broker:connect("/ws/chat", { lines = { line .. ("x"):rep(rest) } })
    assert.equal(431, (broker:refusal("/ws/chat", { lines = { line .. ("x"):rep(rest + 1) } })))
  end)

  it("cuts a client that dribbles its header when the time is over", function()
    local broker = chat { ["limits.handshake_timeout"] = 0.4 }
    local client = broker:dial("/ws/chat", { silent = true })
    local began = loop.now()
    client:begin()
    client:write_raw("GET /ws/chat HTTP/1.1\r\nX-Slow: ")
    local written = began
    assert.is_true(loop.wait(function()
      if loop.now() - written > 0.005 then -- far from limits.header_size when the time is over
        client:write_raw("x")
        written = loop.now()
      end
      return client.tcp.state == "ended"
    end))
    assert.is_true(loop.now() - began > 0.3)
  end)

  it("cuts a client that says nothing at all", function()
    local broker = chat { ["limits.handshake_timeout"] = 0.2 }
    local client = broker:dial("/ws/chat", { silent = true })
    client:begin()
    client:wait_closed()
  end)

  it("keeps an idle client beyond the time for the handshake", function()
    local broker = chat { ["limits.handshake_timeout"] = 0.1, ["heartbeat.interval"] = 0.1 }
    local client = broker:connect("/ws/chat")
    client:wait_ping(4)
    assert.is_true(client:is_open())
  end)

  it("loses no frame that follows in the same packet", function()
    local frames, expected = {}, {}
    for i = 1, 50 do
      frames[i], expected[i] = frame.text(tostring(i)), tostring(i)
    end
    local client = chat():connect("/ws/chat", { after = table.concat(frames) })
    assert.same(expected, client:receive_many(50))
  end)

  it("loses nothing when the packet ends within a frame", function()
    local broker = chat()
    local bytes = frame.text('"first"') .. frame.text('"second"')
    for cut = 1, #bytes - 1 do
      local client = broker:connect("/ws/chat", { after = bytes:sub(1, cut) })
      client:write_raw(bytes:sub(cut + 1))
      assert.same({ '"first"', '"second"' }, client:receive_many(2))
      client:close(1000)
    end
  end)

  it("works when the request comes byte by byte", function()
    local client = chat():dial("/ws/chat", { silent = true })
    client:begin()
    client:write_in_pieces(client.request .. frame.text('"hello"'), 1)
    assert.equal(101, client:wait_answer())
    assert.equal('"hello"', client:receive())
  end)

  it("works when the request is split at any byte", function()
    local broker = chat()
    local bytes = websocket.handshake("/ws/chat", {})
    for cut = 1, #bytes - 1 do
      local client = broker:dial("/ws/chat", { silent = true })
      client:begin()
      client:write_in_pieces(bytes, { cut, #bytes })
      assert.equal(101, client:wait_answer())
      client:reset()
    end
    broker:wait_connections(0)
  end)

  it("ends a client that hangs up before its request is whole", function()
    local broker = chat()
    for cut = 1, #websocket.handshake("/ws/chat", {}) - 1, 7 do
      local client = broker:dial("/ws/chat", { silent = true })
      client:begin()
      client:write_raw(websocket.handshake("/ws/chat", {}):sub(1, cut))
      client:half_close()
      client:wait_closed()
    end
    broker:wait_connections(0)
  end)
end)
