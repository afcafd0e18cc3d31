-- RFC 6455 4.2: the opening handshake, as the server reads and answers it. Over sockets, and what
-- HTTP alone asks for: spec/live/handshake_spec.lua.
local request = require "tidewire.harness.request"
local rfc = require "spec.sim.rfc6455"
local sim = require "tidewire.sim"

describe("RFC 6455 4.2", function()
  local broker
  setup(function() broker = rfc.broker() end)
  teardown(sim.teardown)

  local function header(client, name)
    return client.head:match("\r\n" .. name:gsub("%-", "%%-") .. ": ([^\r]*)\r\n")
  end
  local function ask(options) return broker:connect("/ws/echo", options) end
  local function accepts(title, options)
    it("accepts " .. title, function()
      local client = ask(options)
      assert.equal(101, client.status)
      client:reset()
    end)
  end
  local function refuses(status, title, options)
    it(("refuses %s with %d"):format(title, status), function()
      local client = ask(options)
      assert.equal(status, client.status)
      assert.is_string(client:json().error)
      if status == 426 then
        assert.same({ "13", "websocket" },
          { header(client, "Sec-WebSocket-Version"), header(client, "Upgrade") })
      end
    end)
  end

  it("answers the keys as 4.2.2 says", function()
    local keys = { -- by another implementation of SHA-1 and base64
      ["dGhlIHNhbXBsZSBub25jZQ=="] = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", -- the RFC's own, 1.3
      ["x3JJHMbDL1EzLkh9GBhXDw=="] = "HSmrc0sMlYUkAGmm5OPpG2HaGWk=",
      ["AAAAAAAAAAAAAAAAAAAAAA=="] = "ICX+Yqv66kxgM0FcWaLWlFLwTAI=",
    }
    for key, accept in pairs(keys) do
      local client = ask { headers = { ["Sec-WebSocket-Key"] = key } }
      assert.equal(101, client.status)
      assert.equal(accept, header(client, "Sec-WebSocket-Accept"))
      assert.equal("websocket", header(client, "Upgrade"))
      assert.equal("Upgrade", header(client, "Connection"))
    end
  end)
  it("chooses no extension and no subprotocol that it does not speak", function()
    local client = ask { headers = { ["Sec-WebSocket-Protocol"] = "chat, superchat",
      ["Sec-WebSocket-Extensions"] = "permessage-deflate; client_max_window_bits" } }
    assert.equal(101, client.status)
    assert.is_nil(client.head:lower():find("sec-websocket-extensions", 1, true))
    assert.is_nil(client.head:lower():find("sec-websocket-protocol", 1, true))
  end)

  accepts("header names in any case", { headers = { Host = false, Upgrade = false,
    Connection = false, ["Sec-WebSocket-Version"] = false, ["Sec-WebSocket-Key"] = false },
    lines = { "HOST: a", "uPGRADE: websocket", "connection: Upgrade", "SEC-WEBSOCKET-VERSION: 13",
      "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==" } })
  accepts("the token websocket in any case", { headers = { Upgrade = "WebSocket" } })
  accepts("the token upgrade in any case", { headers = { Connection = "UPGRADE" } })
  accepts("several tokens in Connection", { headers = { Connection = "keep-alive, Upgrade" } })
  accepts("empty tokens in Connection", { headers = { Connection = ",, Upgrade ,\t,close" } })
  accepts("several lines of Connection",
    { headers = { Connection = "keep-alive" }, lines = { "Connection: Upgrade" } })
  accepts("several protocols in Upgrade", { headers = { Upgrade = "h2c, websocket" } })
  accepts("white space around values", { headers = { ["Sec-WebSocket-Version"] = " \t13 \t",
    ["Sec-WebSocket-Key"] = "  dGhlIHNhbXBsZSBub25jZQ==\t " } })
  accepts("no white space before values", { headers = { ["Sec-WebSocket-Version"] = false },
    lines = { "Sec-WebSocket-Version:13" } })
  accepts("headers that it does not know",
    { lines = { "X-Unknown: 1", "X-Empty:", "X-Unknown: 2" } })
  accepts("an Origin", { headers = { Origin = "http://example.com" } })

  for _, version in ipairs { "0", "4", "7", "8", "12", "14", "130", "-13", "013", "13.0", "13, 8",
    "8, 13", "thirteen", "" } do
    refuses(426, ("version %q"):format(version),
      { headers = { ["Sec-WebSocket-Version"] = version } })
  end
  refuses(426, "no version", { headers = { ["Sec-WebSocket-Version"] = false } })
  refuses(426, "version 13 and, in another line, 8", { lines = { "Sec-WebSocket-Version: 8" } })

  for title, key in pairs {
    ["of 15 bytes"] = "dGhlIHNhbXBsZSBub25j",
    ["of 17 bytes"] = "dGhlIHNhbXBsZSBub25jZTE=",
    ["of 18 bytes"] = "dGhlIHNhbXBsZSBub25jZTEy",
    ["without padding"] = "dGhlIHNhbXBsZSBub25jZQ",
    ["with padding in the middle"] = "dGhlIHNhbXBsZS==ub25jZQ==",
    ["with a space"] = "dGhlIHNhbXBs ZSBub25jZQ==",
    ["in the URL's alphabet"] = "dGhlIHNhbX-sZSBub2_jZQ==",
    ["that is no base64"] = "!!!!!!!!!!!!!!!!!!!!!!==",
    ["that is empty"] = "",
  } do
    refuses(400, "a key " .. title, { headers = { ["Sec-WebSocket-Key"] = key } })
  end
  refuses(400, "no key", { headers = { ["Sec-WebSocket-Key"] = false } })
  refuses(400, "two keys, be they the same",
    { lines = { "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==" } })
  refuses(400, "no Host", { headers = { Host = false } })
  refuses(400, "no Upgrade", { headers = { Upgrade = false } })
  refuses(400, "an Upgrade to something else", { headers = { Upgrade = "h2c" } })
  refuses(400, "an Upgrade that only looks like it", { headers = { Upgrade = "websocketx" } })
  refuses(400, "no Connection", { headers = { Connection = false } })
  refuses(400, "a Connection without upgrade", { headers = { Connection = "keep-alive, up" } })
  refuses(405, "a POST", { method = "POST" })
  refuses(405, "a PUT", { method = "PUT" })
  refuses(400, "HTTP/1.0", { raw = request.handshake("/ws/echo", {}):gsub("HTTP/1.1", "HTTP/1.0") })

  it("reads the request however its bytes are split, and the frames behind it", function()
    local bytes = request.handshake("/ws/echo", {})
    local rest = rfc.text("1") .. rfc.ping("p") .. rfc.binary("2")
    local function check(pieces)
      local client = broker:dial("/ws/echo",
        { raw = table.remove(pieces, 1), keeps_pings = true, no_pong = true })
      broker.core:settle()
      for _, piece in ipairs(pieces) do
        client:write_raw(piece)
        broker.core:settle()
      end
      assert.equal(101, client.status)
      local data, pongs = rfc.heard(broker, client)
      assert.same({ { "text 1", "binary 2" }, { "p" } }, { data, pongs })
      client:reset()
    end
    local all = bytes .. rest
    check { all }
    check(rfc.pieces_of(all, 1))
    for cut = 1, #all - 1 do check { all:sub(1, cut), all:sub(cut + 1) } end
    rfc.heard(broker, broker.observer)
  end)
  it("acts on frames behind the request only when it has answered it", function()
    local client = broker:connect("/ws/echo",
      { raw = request.handshake("/ws/echo", {}) .. rfc.part(1, "x", true):gsub("^.", "\131") })
    broker.core:settle()
    assert.same({ 101, 1002, "ended" }, { client.status, client.close_code, client.state })
  end)
end)
