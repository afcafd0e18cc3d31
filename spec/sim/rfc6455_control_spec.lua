-- RFC 6455 5.5: pings and pongs. (Close frames: rfc6455_close_spec.lua.)
local frame = require "spec.support.frame"
local rfc = require "spec.sim.rfc6455"
local sim = require "tidewire.sim"

describe("RFC 6455 5.5.2, a ping", function()
  local broker
  setup(function() broker = rfc.broker() end)
  teardown(sim.teardown)

  it("without payload is answered by a pong without payload", function()
    rfc.holds(broker, { rfc.ping(), pongs = { "" } })
  end)
  it("of text is answered with the same text", function()
    rfc.holds(broker, { rfc.ping("Hello, world!"), pongs = { "Hello, world!" } })
  end)
  it("of any bytes is answered with the same bytes, also what is no UTF-8", function()
    rfc.holds(broker, { rfc.ping("\0\255\254\253\252\0"), pongs = { "\0\255\254\253\252\0" } })
    rfc.holds(broker, { rfc.ping("\237\160\128\192\128"), pongs = { "\237\160\128\192\128" } })
  end)
  for _, size in ipairs { 1, 2, 3, 4, 5, 63, 124, 125 } do
    it(("of %d bytes is answered with the same bytes"):format(size), function()
      local payload = ("\254\0z"):rep(size):sub(1, size)
      rfc.holds(broker, { rfc.ping(payload), pongs = { payload } })
    end)
  end
  it("of each size from 0 to 125 bytes is answered with the same bytes", function()
    local case = { pongs = {}, pieces = 1 }
    for size = 0, 125 do
      local payload = ("\254" .. size):rep(size):sub(1, size)
      case[size + 1], case.pongs[size + 1] = rfc.ping(payload), payload
    end
    rfc.holds(broker, case)
  end)
  it("of 126 bytes fails with 1002, at its header", function()
    rfc.holds(broker, { rfc.ping(("\254"):rep(126)), close = 1002, at = 2 })
  end)
  it("of 65536 bytes fails with 1002, at its header", function()
    rfc.holds(broker, { rfc.ping(("\254"):rep(65536)), close = 1002, at = 2 })
  end)
  it("of 5 bytes in 16 bits of length fails with 1002", function()
    rfc.holds(broker, { frame.encode { opcode = 9, payload = "12345", length_size = 2 },
      close = 1002, at = 2 })
  end)
  it("after another is answered after it: ten in a row", function()
    local case = { pongs = {} }
    for i = 1, 10 do
      case[i] = rfc.ping("payload-" .. i)
      case.pongs[i] = "payload-" .. i
    end
    rfc.holds(broker, case)
  end)
  it("one of many is answered in its place, byte by byte", function()
    local case = { pongs = {}, pieces = 1 }
    for i = 1, 10 do
      case[i] = rfc.ping(("x"):rep(i * 12))
      case.pongs[i] = ("x"):rep(i * 12)
    end
    rfc.holds(broker, case)
  end)
  it("between messages disturbs none of them", function()
    rfc.holds(broker, { rfc.text("1"), rfc.ping("a"), rfc.binary("2"), rfc.ping("b"), rfc.text("3"),
      hears = { "text 1", "binary 2", "text 3" }, pongs = { "a", "b" } })
  end)
end)

describe("RFC 6455 5.5.3, a pong that nobody asked for", function()
  local broker
  setup(function() broker = rfc.broker() end)
  teardown(sim.teardown)

  it("without payload is not answered", function()
    rfc.holds(broker, { rfc.pong() })
  end)
  it("with payload is not answered", function()
    rfc.holds(broker, { rfc.pong("unsolicited pong payload") })
    rfc.holds(broker, { rfc.pong(("\255"):rep(125)) })
  end)
  it("before a ping leaves the answer to it as it is", function()
    rfc.holds(broker, { rfc.pong("unsolicited"), rfc.ping("ping"), pongs = { "ping" } })
  end)
  it("of 126 bytes fails with 1002, at its header", function()
    rfc.holds(broker, { rfc.pong(("x"):rep(126)), close = 1002, at = 2 })
  end)
end)

describe("RFC 6455 5.5, the broker's own ping", function()
  after_each(sim.teardown)

  it("wants a pong; one with another payload is as good, none is not", function()
    local broker = rfc.broker { ["heartbeat.interval"] = 10, ["heartbeat.timeout"] = 5 }
    local quiet = rfc.connect(broker)
    local alive = rfc.connect(broker)
    broker:advance(11)
    assert.same({ 1, 1 }, { quiet.pings, alive.pings })
    alive:send_frame(0x8A, "of my own")
    broker:advance(6)
    assert.same({ 4408, 1006 }, { quiet.close_code, alive.close_code })
  end)
end)
