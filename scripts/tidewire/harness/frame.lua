--- WebSocket frames (RFC 6455 section 5.2), both ways; also frames that are wrong on purpose.
local bit = require "bit"
local ffi = require "ffi"

local frame = {
  CONTINUATION = 0, TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10,
}

local MASK = "\55\250\33\61" -- the RFC's own example; a fixed mask keeps failures repeatable

local new_bytes = ffi.typeof "uint8_t[?]"

local function xor(payload, mask)
  if payload == "" then return "" end
  local bytes = new_bytes(#payload)
  ffi.copy(bytes, payload, #payload)
  local key = { mask:byte(1, 4) }
  for i = 0, #payload - 1 do
    bytes[i] = bit.bxor(bytes[i], key[i % 4 + 1])
  end
  return ffi.string(bytes, #payload)
end

local function big_endian(number, size)
  local bytes = {}
  for i = size, 1, -1 do
    bytes[i] = string.char(number % 256)
    number = math.floor(number / 256)
  end
  return table.concat(bytes)
end

local function from_big_endian(text)
  local number = 0
  for i = 1, #text do number = number * 256 + text:byte(i) end
  return number
end

--- Bytes of one client frame. Options: opcode (default TEXT), payload, fin (default true), rsv (0
-- to 7), mask (default a fixed one; false: unmasked), length (what the header claims, when it is to
-- lie), length_size (0, 2 or 8 bytes of extended length, when it is not to be the shortest).
function frame.encode(options)
  local payload = options.payload or ""
  local length = options.length or #payload
  local size = options.length_size or (length < 126 and 0 or length < 65536 and 2 or 8)
  local first = (options.fin == false and 0 or 128) + (options.rsv or 0) * 16
    + (options.opcode or frame.TEXT)
  local marker = size == 0 and length or size == 2 and 126 or 127
  local mask = options.mask == nil and MASK or options.mask
  local head = string.char(first, marker + (mask and 128 or 0))
    .. (size > 0 and big_endian(length, size) or "")
  if not mask then return head .. payload end
  return head .. mask .. xor(payload, mask)
end

function frame.text(payload) return frame.encode { payload = payload } end
function frame.binary(payload) return frame.encode { opcode = frame.BINARY, payload = payload } end

--- A close frame; no code: an empty one.
function frame.close(code, reason)
  local payload = code and big_endian(code, 2) .. (reason or "") or ""
  return frame.encode { opcode = frame.CLOSE, payload = payload }
end

--- Code and reason of a close frame's payload; 1005 when it has none.
function frame.read_close(payload)
  if #payload < 2 then return 1005, "" end
  return from_big_endian(payload:sub(1, 2)), payload:sub(3)
end

--- The first frame of `bytes` at `position` and the position after it; nil when it is not whole.
local function decode(bytes, position)
  local first, second = bytes:byte(position, position + 1)
  if not second then return nil end
  local length, at = second % 128, position + 2
  local size = length == 126 and 2 or length == 127 and 8 or 0
  local is_masked = second >= 128
  if #bytes < at + size + (is_masked and 4 or 0) - 1 then return nil end
  if size > 0 then length = from_big_endian(bytes:sub(at, at + size - 1)) end
  at = at + size
  local mask = is_masked and bytes:sub(at, at + 3)
  if mask then at = at + 4 end
  if #bytes < at + length - 1 then return nil end
  local payload = bytes:sub(at, at + length - 1)
  return {
    fin = first >= 128,
    rsv = math.floor(first / 16) % 8,
    opcode = first % 16,
    is_masked = is_masked,
    is_shortest = size == 0 or (size == 2 and length > 125) or length > 65535,
    payload = mask and xor(payload, mask) or payload,
  }, at + length
end

--- What a server's frame does against RFC 6455, or nil.
-- `in_message`: a fragmented message has begun and not ended.
function frame.fault(it, in_message)
  if it.is_masked then return "masked by the server (5.1)" end
  if it.rsv ~= 0 then return "reserved bits without an extension (5.2)" end
  if not it.is_shortest then return "length not in its shortest form (5.2)" end
  if it.opcode >= 8 then
    if it.opcode > 10 then return "unknown control opcode (5.2)" end
    if not it.fin then return "fragmented control frame (5.5)" end
    if #it.payload > 125 then return "control frame longer than 125 (5.5)" end
    if it.opcode == frame.CLOSE and #it.payload == 1 then return "close with one byte (5.5.1)" end
  else
    if it.opcode > 2 then return "unknown data opcode (5.2)" end
    if (it.opcode == 0) ~= in_message then return "fragments out of order (5.4)" end
  end
end

--- A function that takes bytes as they come and returns the list of frames that are whole now.
function frame.reader()
  local rest = ""
  return function(bytes)
    rest = rest == "" and bytes or rest .. bytes
    local frames, position = {}, 1
    while true do
      local it, after = decode(rest, position)
      if not it then break end
      frames[#frames + 1], position = it, after
    end
    rest = rest:sub(position)
    return frames
  end
end

return frame
