--- What the specs of RFC 6455 share: frames as a client writes them, and a run of one case in many
-- splittings of its bytes.
--
-- A case is a table: its list part is what the client writes, and `hears` (the data messages that
-- come of it, default none), `pongs` (payloads, default none), `close` (the code that ends it;
-- default: it stays open), `reason` (of the close, when it is of interest) and `at` (the byte with
-- which the broker must have made up its mind: its close is there then, and not before) say what
-- follows. Two clients listen: the one that speaks and an observer, who hears each message also
-- when the connection of the speaker fails in the same moment.
local assert = require "luassert"
local frame = require "spec.support.frame"
local request = require "tidewire.harness.request"
local sim = require "tidewire.sim"

local rfc = { frame = frame.encode, text = frame.text, binary = frame.binary, close = frame.close }

local EACH_SPLIT = 80 -- bytes; longer cases are split at random places
local RANDOM_SPLITS = 4

--- A frame of a fragmented message, or a control frame: rfc.part(opcode, payload, fin).
function rfc.part(opcode, payload, fin)
  return frame.encode { opcode = opcode, payload = payload, fin = fin ~= false }
end

function rfc.ping(payload) return rfc.part(frame.PING, payload) end
function rfc.pong(payload) return rfc.part(frame.PONG, payload) end

--- A JSON text of exactly so many bytes (at least 2).
function rfc.json(size)
  return '"' .. ("*"):rep(size - 2) .. '"'
end

--- A broker with one channel, /ws/echo, that sends to everyone what anyone publishes.
function rfc.broker(settings)
  local all = { ["limits.messages.rate"] = 0, ["limits.bytes.rate"] = 0,
    ["limits.message_size"] = 131072, ["limits.connections_per_ip"] = 0 }
  for name, value in pairs(settings or {}) do all[name] = value end
  local broker = assert(sim.broker {
    files = { ["channels/echo.lua"] = "return { publish = true }" }, settings = all,
  })
  broker.observer = broker:connect "/ws/echo"
  return broker
end

local HANDSHAKE = request.handshake("/ws/echo", {})

--- A client that sees pongs, too.
function rfc.connect(broker, options)
  options = options or {}
  options.keeps_pings, options.no_pong, options.raw = true, true, HANDSHAKE
  local client = broker:dial("/ws/echo", options)
  broker.core:settle()
  if client.status ~= 101 then assert.equal(101, client.status) end
  return client
end

--- What has come: the list of data messages ({ kind, payload } in one text), the list of pongs.
function rfc.heard(broker, client)
  local data, pongs = {}, {}
  while true do
    local payload, opcode = broker.core:take(client.number)
    if not payload then return data, pongs end
    if opcode == 10 then
      pongs[#pongs + 1] = payload
    else
      data[#data + 1] = (opcode == 1 and "text " or "binary ") .. payload
    end
  end
end

local function write(broker, client, pieces)
  for _, piece in ipairs(pieces) do
    client:write_raw(piece)
    broker.core:settle()
  end
end

-- Long payloads would drown the difference.
local function brief(list)
  local short = {}
  for i, text in ipairs(list) do
    short[i] = #text < 300 and text or ("%s... (%d bytes)"):format(text:sub(1, 40), #text)
  end
  return short
end

-- `may_be_short`: when the connection failed, what was still to be written is lost.
local function check_list(what, wanted, got, may_be_short)
  local fits = #got == #wanted or (may_be_short and #got < #wanted)
  for i, text in ipairs(got) do fits = fits and text == wanted[i] end
  if not fits then assert.same({ what, brief(wanted) }, { what, brief(got) }) end
end

-- A case that leaves the connection open is written to the same one each time.
local function run(broker, case, pieces, how, options)
  local client = case.client or rfc.connect(broker, options)
  if not case.close and not options then case.client = client end
  write(broker, client, pieces)
  if not case.close then
    client:ping("still here?")
    broker.core:settle()
  end
  local data, pongs = rfc.heard(broker, client)
  local wanted_pongs = { unpack(case.pongs or {}) }
  if not case.close then wanted_pongs[#wanted_pongs + 1] = "still here?" end
  check_list(how .. ", messages", case.hears or {}, data, case.close)
  check_list(how .. ", pongs", wanted_pongs, pongs, case.close)
  check_list(how .. ", the observer's messages", case.hears or {},
    (rfc.heard(broker, broker.observer)))
  local state, code = case.close and "ended" or "open", case.close or 1006
  if client.state ~= state or client.close_code ~= code then
    assert.same({ how, state, code }, { how, client.state, client.close_code, client.close_reason })
  end
  if case.reason and client.close_reason ~= case.reason then
    assert.equal(case.reason, client.close_reason)
  end
end

local BYTES_BEHIND = 1000 -- the failing one; more change nothing

-- Byte by byte the decision must fall with byte `at`.
local function run_to_the_byte(broker, case, bytes)
  local client = rfc.connect(broker)
  for i = 1, math.min(#bytes, case.at + BYTES_BEHIND) do
    client:write_raw(bytes:sub(i, i))
    broker.core:settle()
    local wanted, got = i < case.at and 1006 or case.close, client.close_code
    if got ~= wanted then assert.same({ "after byte", i, wanted }, { "after byte", i, got }) end
  end
  rfc.heard(broker, broker.observer)
end

local function pieces_of(bytes, size)
  local list = {}
  for from = 1, #bytes, size do list[#list + 1] = bytes:sub(from, from + size - 1) end
  return list
end
rfc.pieces_of = pieces_of

local function run_splits(broker, case, bytes)
  if #bytes <= EACH_SPLIT then
    for cut = 1, #bytes - 1 do
      run(broker, case, { bytes:sub(1, cut), bytes:sub(cut + 1) }, "split behind byte " .. cut)
    end
    run(broker, case, pieces_of(bytes, 1), "byte by byte")
    return
  end
  math.randomseed(#bytes)
  for _ = 1, RANDOM_SPLITS do
    local a, b = math.random(#bytes - 1), math.random(#bytes - 1)
    a, b = math.min(a, b), math.max(a, b)
    run(broker, case, { bytes:sub(1, a), bytes:sub(a + 1, b), bytes:sub(b + 1) },
      ("split behind bytes %d and %d"):format(a, b))
  end
  if case.client then case.client:configure { split = true } end
  run(broker, case, { bytes }, "split by the link", { split = true })
end

--- Runs the case with its bytes in one write, then split: short ones at each place and byte by
-- byte, long ones at some random places and by a link that cuts as it likes. `case.pieces`: also in
-- pieces of that many bytes.
function rfc.holds(broker, case)
  local bytes = table.concat(case)
  run(broker, case, { bytes }, "in one write")
  if case.pieces then
    run(broker, case, pieces_of(bytes, case.pieces), "in pieces of " .. case.pieces)
  end
  if case.at then run_to_the_byte(broker, case, bytes) end
  run_splits(broker, case, bytes)
  if case.client then
    case.client:reset()
    case.client = nil
  end
end

return rfc
