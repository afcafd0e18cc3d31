-- Frames of a client (RFC 6455 sections 5 to 8): what passes, what ends the connection, and how.
-- The channel `chat` sends to everyone what anyone publishes, so a client hears itself.
local frame = require "spec.support.frame"
local live = require "spec.support.live"
local websocket = require "spec.support.websocket"

describe("frames", function()
  after_each(live.teardown)

  local function start(settings)
    return live.broker {
      files = { ["channels/chat.lua"] = "return { publish = true }" }, settings = settings,
    }
  end

  local function connect(settings, options)
    return start(settings):connect("/ws/chat", options)
  end

  local function part(payload, options)
    options = options or {}
    options.payload = payload
    return frame.encode(options)
  end

  it("pass text as text and binary as binary, byte for byte", function()
    local client = connect()
    local text = '{ "price" : 1.50, "name":"\\u00e9\195\169" }'
    client:send(text)
    assert.same({ text, "text" }, { client:receive() })
    local bytes = {}
    for i = 0, 255 do bytes[i + 1] = string.char(i) end
    bytes = table.concat(bytes)
    client:send_binary(bytes)
    assert.same({ bytes, "binary" }, { client:receive() })
  end)

  it("pass payloads of every length of the length field", function()
    local client = connect { ["limits.message_size"] = 70000 }
    for _, size in ipairs { 0, 1, 125, 126, 127, 65535, 65536, 70000 } do
      local bytes = ("\200"):rep(size)
      client:send_binary(bytes)
      assert.is_true(bytes == client:receive(), "size " .. size)
    end
  end)

  it("make one message of fragments, with control frames between them", function()
    local client = connect()
    client:write_raw(part('{"a"', { fin = false }) .. part("one", { opcode = frame.PING })
      .. part("", { opcode = 0, fin = false }) .. part("two", { opcode = frame.PING })
      .. part(":1", { opcode = 0, fin = false }) .. part("late", { opcode = frame.PONG })
      .. part("}", { opcode = 0 }) .. frame.text("2"))
    assert.same({ '{"a":1}', "2" }, client:receive_many(2))
    client:wait_pong(2)
    assert.same({ "one", "two" }, client.pongs)
  end)

  it("may split a character between fragments", function()
    local client = connect()
    client:write_raw(part('"\226\130', { fin = false }) .. part('\172"', { opcode = 0 }))
    assert.equal('"\226\130\172"', client:receive())
  end)

  it("make one message of very many fragments", function()
    local client = connect()
    local bytes = { part('"', { fin = false }) }
    for i = 2, 2000 do bytes[i] = part("x", { opcode = 0, fin = false }) end
    bytes[2001] = part('"', { opcode = 0 })
    client:write_raw(table.concat(bytes))
    assert.equal('"' .. ("x"):rep(1999) .. '"', client:receive())
  end)

  it("answer each ping with its payload, in order", function()
    local client = connect()
    local expected = { "", "x", ("\0\255"):rep(62) .. "!" }
    for _, payload in ipairs(expected) do client:ping(payload) end
    client:wait_pong(3)
    assert.same(expected, client.pongs)
  end)

  it("ignore a pong that nobody asked for", function()
    local client = connect()
    client:pong("why not")
    client:send("1")
    assert.equal("1", client:receive())
  end)

  it("mean the same however the bytes are split", function()
    local broker = start()
    local bytes = frame.text('"a"') .. part("p", { opcode = frame.PING })
      .. part('"\226\130', { fin = false }) .. part("q", { opcode = frame.PING })
      .. part('\172"', { opcode = 0 }) .. frame.binary(("b"):rep(130))
    local goodbye = frame.close(1000, "bye")
    for cut = 1, #bytes do -- the last time byte by byte
      local client = broker:connect("/ws/chat")
      client:write_in_pieces(bytes, cut < #bytes and { cut, #bytes } or 1)
      assert.same({ '"a"', '"\226\130\172"', ("b"):rep(130) }, client:receive_many(3))
      client:wait_pong(2)
      assert.same({ "p", "q" }, client.pongs)
      client.sent_close = true
      client:write_in_pieces(goodbye, { cut % #goodbye + 1, #goodbye })
      assert.same({ 1000, "bye" }, { client:wait_closed() })
      assert.equal(3, #client:messages())
    end
  end)

  describe("that break the protocol end the connection:", function()
    local function ends(title, code, bytes, settings)
      it(title .. " with " .. code, function()
        local broker = start(settings)
        local client, other = broker:connect("/ws/chat"), broker:connect("/ws/chat")
        client:write_raw(bytes)
        local got, reason = client:wait_closed()
        assert.equal(code, got)
        assert.is_true(#reason > 0, "a close carries a reason")
        broker:wait_connections(1)
        broker:publish("chat", "1")
        assert.equal("1", other:receive())
      end)
    end

    ends("text that is not UTF-8", 1007, frame.text('"\255"'))
    ends("an overlong character", 1007, frame.text('"\192\128"'))
    ends("half a surrogate pair", 1007, frame.text('"\237\160\128"'))
    ends("a character cut off by the end", 1007, frame.text('"\226\130'))
    ends("a fragment that is not UTF-8", 1007,
      part('"\206', { fin = false }) .. part('\255"', { opcode = 0 }))
    ends("a close reason that is not UTF-8", 1007, frame.close(1000, "\255"))
    ends("a message that is too big", 1009, frame.binary(("x"):rep(101)),
      { ["limits.message_size"] = 100 })
    ends("fragments that are too big together", 1009,
      part(("x"):rep(60), { opcode = 2, fin = false }) .. part(("x"):rep(41), { opcode = 0 }),
      { ["limits.message_size"] = 100 })
    ends("a frame that claims to be huge", 1009,
      part("x", { opcode = 2, length = 2 ^ 40 }))
    ends("a frame without a mask", 1002, part("1", { mask = false }))
    for bits = 1, 7 do
      ends("reserved bits " .. bits, 1002, part("1", { rsv = bits }))
    end
    for _, opcode in ipairs { 3, 4, 5, 6, 7, 11, 12, 13, 14, 15 } do
      ends("opcode " .. opcode, 1002, part("", { opcode = opcode }))
    end
    ends("a fragmented ping", 1002, part("x", { opcode = frame.PING, fin = false }))
    ends("a ping longer than 125", 1002, part(("x"):rep(126), { opcode = frame.PING }))
    ends("a continuation of nothing", 1002, part("1", { opcode = 0 }))
    ends("a message within a message", 1002, part("1", { fin = false }) .. part("2"))
    ends("a length longer than needed", 1002, part("1", { length_size = 2 }))
    ends("a length with its highest bit set", 1002,
      "\130\255\255\255\255\255\255\255\255\255" .. "\1\2\3\4")
    ends("a close frame of one byte", 1002, part("\3", { opcode = frame.CLOSE }))
    for _, code in ipairs { 0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535 } do
      ends("the close code " .. code, 1002, frame.close(code))
    end
  end)

  it("of just the largest size pass, whole and in fragments", function()
    local client = connect { ["limits.message_size"] = 100 }
    client:send_binary(("x"):rep(100))
    client:write_raw(part(("y"):rep(50), { opcode = 2, fin = false })
      .. part(("y"):rep(50), { opcode = 0 }))
    assert.same({ ("x"):rep(100), ("y"):rep(100) }, client:receive_many(2))
  end)
end)

describe("the end of a connection", function()
  after_each(live.teardown)

  local function start(settings)
    return live.broker {
      files = { ["channels/chat.lua"] = "return { publish = true }" }, settings = settings,
    }
  end

  it("echoes the client's code and reason", function()
    local broker = start()
    for _, code in ipairs { 1000, 1001, 1011, 3000, 4999 } do
      local client = broker:connect("/ws/chat")
      assert.same({ code, "see you" }, { client:close(code, "see you") })
    end
    broker:wait_connections(0)
  end)

  it("answers an empty close with an empty close", function()
    local broker = start()
    assert.equal(1005, (broker:connect("/ws/chat"):close()))
  end)

  it("hears nothing more after the client's close frame", function()
    local broker = start()
    local client, other = broker:connect("/ws/chat"), broker:connect("/ws/chat")
    client.sent_close = true
    client:write_raw(frame.text("1") .. frame.close(1000) .. frame.text("2"))
    client:wait_closed()
    broker:publish("chat", "3")
    assert.same({ "1", "3" }, other:receive_many(2))
  end)

  it("comes also when the client does not answer the broker's close", function()
    local broker = start()
    local client = broker:connect("/ws/chat", { auto_close = false })
    client:write_raw(frame.encode { payload = "1", mask = false })
    assert.equal(1002, (client:wait_close_frame()))
    client:wait_closed(10)
    broker:wait_connections(0)
  end)

  it("is noticed without a close frame", function()
    local broker = start()
    local client = broker:connect("/ws/chat")
    client:drop()
    broker:wait_connections(0)
  end)

  it("is noticed when the client resets", function()
    local broker = start()
    local client, other = broker:connect("/ws/chat"), broker:connect("/ws/chat")
    client:reset()
    broker:wait_connections(1)
    broker:publish("chat", "1")
    assert.equal("1", other:receive())
  end)

  it("follows a half-close, and what came before it counts", function()
    local broker = start()
    local client, other = broker:connect("/ws/chat"), broker:connect("/ws/chat")
    client:send('"last words"')
    client:half_close()
    client:wait_closed()
    assert.equal('"last words"', other:receive())
    broker:wait_connections(1)
  end)

  it("in the middle of a message publishes nothing", function()
    local broker = start()
    local other = broker:connect("/ws/chat")
    local bytes = frame.text('"half a message"')
    for _, leave in ipairs { "drop", "reset", "half_close" } do
      local client = broker:connect("/ws/chat")
      client:write_in_pieces(bytes:sub(1, -2), #bytes)
      client[leave](client)
      broker:wait_connections(1)
    end
    broker:publish("chat", "1")
    assert.equal("1", other:receive())
  end)

  it("of one client whose socket fails is no end for the others", function()
    local broker = start()
    local others = {}
    for i = 1, 10 do others[i] = broker:connect("/ws/chat") end
    for round = 1, 20 do
      local client = broker:connect("/ws/chat")
      client:send(tostring(round)) -- the answer meets a socket that is reset
      client:reset()
    end
    broker:publish("chat", '"end"')
    for _, other in ipairs(others) do
      repeat until other:receive() == '"end"'
      assert.is_true(other:is_open())
    end
    broker:wait_connections(10)
  end)

  it("before a handshake is complete leaves nothing behind", function()
    local broker = start()
    for _, leave in ipairs { "drop", "reset", "half_close" } do
      local client = broker:dial("/ws/chat", { silent = true })
      client:begin()
      client:write_in_pieces(websocket.handshake("/ws/chat", {}):sub(1, 30), 30)
      client[leave](client)
      broker:wait_connections(0)
    end
  end)
end)
