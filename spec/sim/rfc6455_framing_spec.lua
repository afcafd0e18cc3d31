-- RFC 6455 5.1 to 5.3 and 5.6: frames, their headers, masks and payloads.
local frame = require "spec.support.frame"
local rfc = require "spec.sim.rfc6455"
local sim = require "tidewire.sim"

describe("RFC 6455 5.6, data frames:", function()
  local broker
  setup(function() broker = rfc.broker() end)
  teardown(sim.teardown)

  -- A text message is JSON here, so one of 0 bytes is refused by the channel; its frame is fine.
  for _, size in ipairs { 0, 1, 2, 16, 124, 125, 126, 127, 128, 65535, 65536 } do
    it(("a text of %d bytes passes as it is"):format(size), function()
      local payload = size == 0 and "" or size == 1 and "7" or rfc.json(size)
      rfc.holds(broker, { rfc.text(payload), pieces = 997,
        hears = size > 0 and { "text " .. payload } or nil })
    end)

    it(("%d bytes of binary pass as they are"):format(size), function()
      local payload = ("\254\0\1\255"):rep(size / 4 + 1):sub(1, size)
      rfc.holds(broker, { rfc.binary(payload), pieces = 997, hears = { "binary " .. payload } })
    end)
  end

  it("messages in one packet are one message each, in order", function()
    local case = { hears = {} }
    for i = 1, 12 do
      local is_text = i % 3 > 0
      case[i] = is_text and rfc.text(tostring(i)) or rfc.binary(tostring(i))
      case.hears[i] = (is_text and "text " or "binary ") .. i
    end
    rfc.holds(broker, case)
  end)

  it("binary messages are not looked into", function()
    rfc.holds(broker, { rfc.binary("\255\192\128{"), hears = { "binary \255\192\128{" } })
  end)
end)

describe("RFC 6455 5.2, the payload length", function()
  local broker
  setup(function() broker = rfc.broker() end)
  teardown(sim.teardown)

  -- "the minimal number of bytes MUST be used to encode the length"
  for _, length in ipairs { 0, 1, 125 } do
    it(("of %d in 16 bits fails with 1002"):format(length), function()
      rfc.holds(broker, { frame.encode { opcode = 2, payload = ("x"):rep(length), length_size = 2 },
        close = 1002, at = 4 })
    end)
  end
  for _, length in ipairs { 0, 125, 126, 65535 } do
    it(("of %d in 64 bits fails with 1002"):format(length), function()
      rfc.holds(broker, { frame.encode { opcode = 2, length = length, length_size = 8 },
        close = 1002, at = 10 })
    end)
  end
  it("with the most significant bit set fails with 1002", function()
    rfc.holds(broker, { "\130\255\128\0\0\0\0\0\0\1" .. "\1\2\3\4x", close = 1002, at = 10 })
    rfc.holds(broker, { "\130\255" .. ("\255"):rep(8) .. "\1\2\3\4x", close = 1002, at = 10 })
  end)
  it("beyond the limit fails with 1009 at the header, before any payload", function()
    rfc.holds(broker, { "\130\255\127" .. ("\255"):rep(7) .. "\1\2\3\4x", close = 1009, at = 10 })
    rfc.holds(broker, { frame.encode { opcode = 2, payload = "x", length = 131073 },
      close = 1009, at = 10 })
    rfc.holds(broker, { frame.encode { opcode = 1, payload = "1", length = 2 ^ 40 },
      close = 1009, at = 10 })
  end)
end)

describe("RFC 6455 5.1 and 5.3, the mask:", function()
  local broker
  setup(function() broker = rfc.broker() end)
  teardown(sim.teardown)

  it("a frame without one fails with 1002, whatever its kind", function()
    for _, opcode in ipairs { 1, 2, 8, 9, 10 } do
      rfc.holds(broker, { frame.encode { opcode = opcode, payload = "1", mask = false },
        close = 1002, at = 2 })
      rfc.holds(broker, { frame.encode { opcode = opcode, mask = false }, close = 1002, at = 2 })
    end
  end)
  it("a continuation without one fails with 1002", function()
    rfc.holds(broker, { rfc.part(1, "1", false), frame.encode { opcode = 0, mask = false },
      close = 1002, at = 9 })
  end)
  it("any key will do, also one of zeros", function()
    math.randomseed(6455)
    local keys = { "\0\0\0\0", "\255\255\255\255", "\0\0\0\1", "\128\0\0\0" }
    for i = 5, 12 do
      keys[i] = string.char(math.random(0, 255), math.random(0, 255), math.random(0, 255),
        math.random(0, 255))
    end
    for _, key in ipairs(keys) do
      rfc.holds(broker, { frame.encode { payload = '"mask"', mask = key },
        hears = { 'text "mask"' } })
      rfc.holds(broker, { frame.encode { opcode = 9, payload = "mask", mask = key },
        pongs = { "mask" } })
    end
  end)
  it("each frame has its own", function()
    rfc.holds(broker, { frame.encode { payload = '"ab', fin = false, mask = "\1\2\3\4" },
      frame.encode { opcode = 9, payload = "ping", mask = "\0\0\0\0" },
      frame.encode { opcode = 0, payload = 'cd"', mask = "\200\100\50\25" },
      hears = { 'text "abcd"' }, pongs = { "ping" } })
  end)
end)

describe("RFC 6455 5.2, reserved bits", function()
  local broker
  setup(function() broker = rfc.broker() end)
  teardown(sim.teardown)

  for bits = 1, 7 do
    it(("%d fail with 1002, in data and in control frames"):format(bits), function()
      for _, opcode in ipairs { 1, 2, 8, 9, 10 } do
        rfc.holds(broker, { frame.encode { opcode = opcode, rsv = bits }, close = 1002, at = 1 })
      end
      rfc.holds(broker, { frame.encode { payload = "1", rsv = bits }, close = 1002, at = 1 })
    end)
    it(("%d fail with 1002 behind and before good frames"):format(bits), function()
      rfc.holds(broker, { rfc.text("1"), frame.encode { payload = "2", rsv = bits }, rfc.ping(),
        hears = { "text 1" }, close = 1002, at = 8 })
      rfc.holds(broker, { rfc.text("1"), frame.encode { opcode = 9, rsv = bits }, rfc.text("3"),
        hears = { "text 1" }, close = 1002, at = 8 })
    end)
    it(("%d fail with 1002 in a continuation"):format(bits), function()
      rfc.holds(broker, { rfc.part(1, "1", false), frame.encode { opcode = 0, rsv = bits },
        close = 1002, at = 8 })
    end)
  end
end)

describe("RFC 6455 5.2, the reserved opcode", function()
  local broker
  setup(function() broker = rfc.broker() end)
  teardown(sim.teardown)

  for _, opcode in ipairs { 3, 4, 5, 6, 7, 11, 12, 13, 14, 15 } do
    it(("%d fails with 1002"):format(opcode), function()
      rfc.holds(broker, { frame.encode { opcode = opcode }, close = 1002, at = 1 })
      rfc.holds(broker, { frame.encode { opcode = opcode, payload = "x" }, close = 1002, at = 1 })
    end)
    it(("%d fails with 1002 between good frames"):format(opcode), function()
      rfc.holds(broker, { rfc.text("1"), frame.encode { opcode = opcode, payload = "x" },
        rfc.ping("p"), rfc.text("2"), hears = { "text 1" }, close = 1002, at = 8 })
      rfc.holds(broker, { rfc.text("1"), frame.encode { opcode = opcode }, rfc.ping(),
        hears = { "text 1" }, close = 1002, at = 8 })
    end)
    it(("%d fails with 1002 within a message"):format(opcode), function()
      rfc.holds(broker, { rfc.part(2, "1", false), frame.encode { opcode = opcode },
        rfc.part(0, "2"), close = 1002, at = 8 })
    end)
  end
end)
