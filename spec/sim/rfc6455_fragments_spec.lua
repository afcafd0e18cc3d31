-- RFC 6455 5.4: messages in fragments.
local rfc = require "spec.sim.rfc6455"
local sim = require "tidewire.sim"

local CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
local part = rfc.part

describe("RFC 6455 5.4, a fragmented message", function()
  local broker
  setup(function() broker = rfc.broker() end)
  teardown(sim.teardown)

  it("of text in two fragments is one message", function()
    rfc.holds(broker, { part(TEXT, '"frag', false), part(CONTINUATION, 'ment"'),
      hears = { 'text "fragment"' } })
  end)
  it("of binary in three fragments is one message", function()
    rfc.holds(broker, { part(BINARY, "\0\1", false), part(CONTINUATION, "\2", false),
      part(CONTINUATION, "\3\255"), hears = { "binary \0\1\2\3\255" } })
  end)
  it("may have empty fragments anywhere", function()
    rfc.holds(broker, { part(TEXT, "", false), part(CONTINUATION, "", false),
      part(CONTINUATION, '"middle"', false), part(CONTINUATION, "", false), part(CONTINUATION, ""),
      hears = { 'text "middle"' } })
    rfc.holds(broker, { part(BINARY, "", false), part(CONTINUATION, "", false),
      part(CONTINUATION, ""), hears = { "binary " } })
  end)
  it("of one frame per byte is one message", function()
    local payload, case = rfc.json(40), {}
    for i = 1, #payload do
      case[i] = part(i == 1 and TEXT or CONTINUATION, payload:sub(i, i), i == #payload)
    end
    case.hears, case.pieces = { "text " .. payload }, 1
    rfc.holds(broker, case)
  end)
  it("is followed by the next one", function()
    rfc.holds(broker, { part(TEXT, '"1', false), part(CONTINUATION, '"'), part(BINARY, "2", false),
      part(CONTINUATION, "2"), rfc.text("3"), hears = { 'text "1"', "binary 22", "text 3" } })
  end)
  it("has its kind from its first frame", function()
    rfc.holds(broker, { part(BINARY, "\255", false), part(CONTINUATION, "\254"),
      hears = { "binary \255\254" } })
  end)
end)

describe("RFC 6455 5.4, control frames within a message:", function()
  local broker
  setup(function() broker = rfc.broker() end)
  teardown(sim.teardown)

  it("a ping is answered, and the message is whole", function()
    rfc.holds(broker, { part(TEXT, '"a', false), rfc.ping("between"), part(CONTINUATION, 'b"'),
      hears = { 'text "ab"' }, pongs = { "between" }, pieces = 1 })
  end)
  it("the pong does not wait for the end of the message", function()
    local client = rfc.connect(broker)
    client:write_raw(part(TEXT, '"a', false) .. rfc.ping("now"))
    broker.core:settle()
    local data, pongs = rfc.heard(broker, client)
    assert.same({ {}, { "now" } }, { data, pongs })
    client:write_raw(part(CONTINUATION, '"'))
    broker.core:settle()
    assert.same({ 'text "a"' }, (rfc.heard(broker, client)))
    assert.same({ 'text "a"' }, (rfc.heard(broker, broker.observer)))
  end)
  it("many pings and pongs between many fragments", function()
    local case = { part(TEXT, '"', false), hears = { 'text "' .. ("xy"):rep(5) .. '"' }, pongs = {},
      pieces = 1 }
    for i = 1, 5 do
      case[#case + 1] = rfc.ping("ping " .. i) .. part(CONTINUATION, "x", false)
        .. rfc.pong("ignored") .. part(CONTINUATION, "y", false)
      case.pongs[i] = "ping " .. i
    end
    case[#case + 1] = part(CONTINUATION, '"')
    rfc.holds(broker, case)
  end)
  it("a close ends the connection, and the message never was", function()
    rfc.holds(broker, { part(TEXT, '"a', false), rfc.close(1000, "enough"),
      part(CONTINUATION, 'b"'), close = 1000, reason = "enough" })
  end)
  it("a bad one ends the connection, and the message never was", function()
    rfc.holds(broker, { part(TEXT, '"a', false), part(PING, ("x"):rep(126)),
      part(CONTINUATION, 'b"'), close = 1002, at = 10 })
  end)
end)

describe("RFC 6455 5.5, a control frame in fragments", function()
  local broker
  setup(function() broker = rfc.broker() end)
  teardown(sim.teardown)

  for name, opcode in pairs { ping = PING, pong = PONG, close = CLOSE } do
    it("fails with 1002: " .. name, function()
      rfc.holds(broker, { part(opcode, "fragment1", false), part(CONTINUATION, "fragment2"),
        close = 1002, at = 1 })
      rfc.holds(broker, { part(opcode, "", false), close = 1002, at = 1 })
      rfc.holds(broker, { part(TEXT, "1", false), part(opcode, "", false), close = 1002, at = 8 })
    end)
  end
end)

describe("RFC 6455 5.4, a frame out of order fails with 1002:", function()
  local broker
  setup(function() broker = rfc.broker() end)
  teardown(sim.teardown)

  it("a last continuation of nothing", function()
    rfc.holds(broker, { part(CONTINUATION, "of what?"), rfc.text("1"), close = 1002, at = 1 })
    rfc.holds(broker, { part(CONTINUATION, ""), close = 1002, at = 1 })
  end)
  it("a continuation of nothing that announces more", function()
    rfc.holds(broker, { part(CONTINUATION, "x", false), part(CONTINUATION, "y"), rfc.text("1"),
      close = 1002, at = 1 })
  end)
  it("a continuation of a message that has ended", function()
    rfc.holds(broker, { rfc.text("1"), part(CONTINUATION, "2"), rfc.text("3"),
      hears = { "text 1" }, close = 1002, at = 8 })
    rfc.holds(broker, { part(TEXT, "1", false), part(CONTINUATION, "2"), part(CONTINUATION, "3"),
      hears = { "text 12" }, close = 1002, at = 15 })
    rfc.holds(broker, { part(TEXT, "1", false), part(CONTINUATION, "2"),
      part(CONTINUATION, "3", false), hears = { "text 12" }, close = 1002, at = 15 })
  end)
  it("a whole new message within a message", function()
    rfc.holds(broker, { part(TEXT, "1", false), rfc.text("2"), close = 1002, at = 8 })
    rfc.holds(broker, { part(TEXT, "1", false), rfc.binary("2"), close = 1002, at = 8 })
    rfc.holds(broker, { part(TEXT, "1", false), part(CONTINUATION, "2", false), rfc.text("3"),
      close = 1002, at = 15 })
  end)
  it("another fragmented message within a message", function()
    rfc.holds(broker, { part(TEXT, "1", false), part(TEXT, "2", false), part(CONTINUATION, "3"),
      close = 1002, at = 8 })
    rfc.holds(broker, { part(BINARY, "", false), part(TEXT, "", false), close = 1002, at = 7 })
  end)
  it("the same behind a ping", function()
    rfc.holds(broker, { part(TEXT, "1", false), rfc.ping("p"), rfc.text("2"),
      pongs = { "p" }, close = 1002, at = 15 })
  end)
end)

describe("limits of fragments:", function()
  after_each(sim.teardown)

  it("together they may be as big as a message, not a byte more: 1009 at the header", function()
    local broker = rfc.broker { ["limits.message_size"] = 100 }
    local half = ("x"):rep(50)
    rfc.holds(broker, { part(BINARY, half, false), part(CONTINUATION, half),
      hears = { "binary " .. half .. half } })
    rfc.holds(broker, { part(BINARY, half, false), part(CONTINUATION, half .. "x"),
      close = 1009, at = 58 })
    rfc.holds(broker, { part(BINARY, half, false), part(CONTINUATION, half, false),
      part(CONTINUATION, "x"), close = 1009, at = 114 })
  end)
  it("a thousand empty ones are many enough", function()
    local broker, case = rfc.broker(), { part(BINARY, "", false) }
    for i = 2, 1000 do case[i] = part(CONTINUATION, "", false) end
    case[1001] = part(CONTINUATION, "1")
    case.hears = { "binary 1" }
    rfc.holds(broker, case)
    case[1001], case[1002] = part(CONTINUATION, "", false), part(CONTINUATION, "1")
    case.hears, case.close = nil, 1002
    rfc.holds(broker, case)
  end)
end)
