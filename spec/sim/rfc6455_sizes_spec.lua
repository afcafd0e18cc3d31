-- RFC 6455 5.2 to 5.6 with much in them: messages up to 16 MiB, whole and in fragments of many
-- sizes, come back byte for byte.
local rfc = require "spec.sim.rfc6455"
local sim = require "tidewire.sim"

local KIB, MIB = 1024, 1048576
local LONG = { [2] = "text", [4] = "binary", [8] = "text", [16] = "binary" }
local ZERO = "\0\0\0\0"
local QUICK = { down_buffer = 32 * MIB, up_buffer = 32 * MIB }

local function big_broker()
  return rfc.broker { ["limits.message_size"] = 16 * MIB, ["queue.bytes"] = 64 * MIB }
end

-- Text of several bytes a character, so that fragments cut characters.
local function make_payload(kind, size)
  if kind == "text" then
    local unit = "0123456789 \206\186\225\189\185\240\159\145\169 "
    local text = unit:rep(math.floor((size - 2) / #unit))
    return '"' .. text .. ("."):rep(size - 2 - #text) .. '"'
  end
  local unit = {}
  for i = 0, 252 do unit[i + 1] = string.char(i * 7 % 256) end
  return table.concat(unit):rep(math.ceil(size / 253)):sub(1, size)
end

local payloads = {}
local function payload_of(kind, size)
  if size > MIB then return make_payload(kind, size) end
  local name = kind .. size
  payloads[name] = payloads[name] or make_payload(kind, size)
  return payloads[name]
end

-- Under a mask of zeros the payload stands as it is.
local function in_zeros(opcode, payload, size)
  local frames = {}
  for from = 1, math.max(#payload, 1), size do
    local piece = payload:sub(from, from + size - 1)
    frames[#frames + 1] = rfc.frame { opcode = from == 1 and opcode or 0, payload = "",
      length = #piece, mask = ZERO, fin = from + size > #payload }
    frames[#frames + 1] = piece
  end
  return table.concat(frames)
end

local OPCODES = { text = 1, binary = 2 }

local function comes_back(broker, client, kind, payload)
  broker.core:settle()
  for _, one in ipairs { client, broker.observer } do
    local data, opcode = broker.core:take(one.number)
    assert.equal(OPCODES[kind], opcode)
    assert.is_true(payload == data)
    assert.equal(0, one.count)
  end
end

describe("RFC 6455, a message of", function()
  local broker, client
  setup(function()
    broker = big_broker()
    client = rfc.connect(broker, QUICK)
  end)
  teardown(sim.teardown)

  for _, size in ipairs { 64 * KIB, 128 * KIB, 256 * KIB, 512 * KIB, MIB, 2 * MIB, 4 * MIB, 8 * MIB,
    16 * MIB } do
    for opcode, kind in ipairs { "text", "binary" } do
      -- The longest ones cost much and tell little: both kinds up to 1 MiB, then one of each.
      if size <= MIB or LONG[size / MIB] == kind then
        local tag = size >= 2 * MIB and " #load" or ""
        it(("%d KiB of %s comes back as it is%s"):format(size / KIB, kind, tag), function()
          local payload = payload_of(kind, size)
          if size < MIB then
            client:write_raw(in_zeros(opcode, payload, size))
            comes_back(broker, client, kind, payload)
          end
          client:send_frame(0x80 + opcode, payload) -- under a random mask
          comes_back(broker, client, kind, payload)
        end)
      end
    end
  end
end)

describe("RFC 6455, a long message", function()
  local broker, client, split
  setup(function()
    broker = big_broker()
    client = rfc.connect(broker, QUICK)
    split = rfc.connect(broker, { split = true })
  end)
  teardown(sim.teardown)

  for _, size in ipairs { 64, 256, KIB, 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB } do
    for opcode, kind in ipairs { "text", "binary" } do
      it(("of %s in fragments of %d bytes comes back as it is"):format(kind, size), function()
        local payload = payload_of(kind, (size < KIB and 64 or 512) * KIB - 1)
        client:write_raw(in_zeros(opcode, payload, size))
        comes_back(broker, client, kind, payload)
        rfc.heard(broker, split)
        for from = 1, #payload, size do
          local first = (from == 1 and opcode or 0) + (from + size > #payload and 0x80 or 0)
          split:send_frame(first, payload:sub(from, from + size - 1)) -- under random masks
        end
        comes_back(broker, split, kind, payload)
        rfc.heard(broker, client)
      end)
    end
  end

  for _, size in ipairs { 97, 997, 65521 } do
    it(("comes back as it is when it arrives in pieces of %d bytes"):format(size), function()
      local payload = payload_of("text", (size < 997 and 64 or 512) * KIB)
      for _, piece in ipairs(rfc.pieces_of(in_zeros(1, payload, #payload), size)) do
        client:write_raw(piece)
        broker.core:settle()
      end
      comes_back(broker, client, "text", payload)
      rfc.heard(broker, split)
    end)
  end
end)

describe("RFC 6455, a message of 16 MiB and one byte #load", function()
  teardown(sim.teardown)

  it("fails with 1009, whole at its header, in fragments at the last one's", function()
    local broker = big_broker()
    local client = rfc.connect(broker)
    client:write_raw(rfc.frame { opcode = 2, length = 16 * MIB + 1 }:sub(1, 10))
    broker.core:settle()
    assert.equal(1009, client.close_code)
    client = rfc.connect(broker, QUICK)
    local part = ("x"):rep(MIB)
    for i = 1, 16 do client:send_frame(i == 1 and 2 or 0, part) end
    broker.core:settle()
    assert.equal(1006, client.close_code)
    client:write_raw(rfc.frame { opcode = 0, payload = "x" })
    broker.core:settle()
    assert.same({ 1009, "ended" }, { client.close_code, client.state })
    assert.same({}, (rfc.heard(broker, broker.observer)))
  end)
end)
