-- RFC 6455 8.1 and 5.6: text is UTF-8 (RFC 3629), or the connection fails with 1007: with the first
-- byte that cannot be, not at the end of the message.
local frame = require "spec.support.frame"
local rfc = require "spec.sim.rfc6455"
local sim = require "tidewire.sim"

local HEAD = 6 -- bytes in front of a short payload

describe("RFC 6455 8.1, text with", function()
  local broker
  setup(function() broker = rfc.broker() end)
  teardown(sim.teardown)

  local function passes(title, characters)
    it(title .. " passes as it is", function()
      local payload = '"' .. characters .. '"'
      rfc.holds(broker, { rfc.text(payload), hears = { "text " .. payload } })
    end)
  end

  passes("U+007F, the last of one byte", "\127")
  passes("U+0080, the first of two bytes", "\194\128")
  passes("U+07FF, the last of two bytes", "\223\191")
  passes("U+0800, the first of three bytes", "\224\160\128")
  passes("U+D7FF, the last before the surrogates", "\237\159\191")
  passes("U+E000, the first behind the surrogates", "\238\128\128")
  passes("U+FFFD, the replacement", "\239\191\189")
  passes("U+FFFF, the last of three bytes", "\239\191\191")
  passes("U+10000, the first of four bytes", "\240\144\128\128")
  passes("U+FFFFF", "\243\191\191\191")
  passes("U+100000", "\244\128\128\128")
  passes("U+10FFFF, the last of all", "\244\143\191\191")
  passes("a byte order mark", "\239\187\191")
  passes("noncharacters",
    "\239\183\144\239\191\190\240\159\191\190\240\159\191\191\244\143\191\190")
  passes("Greek", "\206\186\225\189\185\207\131\206\188\206\181")
  passes("an emoji of several code points", "\240\159\145\169\226\128\141\240\159\154\128")

  it("U+0000 is UTF-8; that it is no JSON ends nothing", function()
    rfc.holds(broker, { rfc.text('"\0"'), rfc.text("1"), hears = { "text 1" } })
  end)
  it("a character in any cut between fragments passes", function()
    local payload = '"\194\128\224\160\128\240\144\128\128\244\143\191\191"'
    for cut = 1, #payload - 1 do
      rfc.holds(broker, { rfc.part(1, payload:sub(1, cut), false),
        rfc.part(0, payload:sub(cut + 1)), hears = { "text " .. payload } })
    end
  end)
  it("a fragment per byte passes, with pings in the characters", function()
    local payload, case = '"\206\186\225\189\185\244\143\191\191"', { pongs = {}, pieces = 1 }
    for i = 1, #payload do
      case[#case + 1] = rfc.part(i == 1 and 1 or 0, payload:sub(i, i), i == #payload)
      if i < #payload then
        case[#case + 1] = rfc.ping("\255" .. i)
        case.pongs[i] = "\255" .. i
      end
    end
    case.hears = { "text " .. payload }
    rfc.holds(broker, case)
  end)
  it("long runs of characters of each length passes", function()
    local payload = '"' .. ("a\194\128\224\160\128\240\144\128\128"):rep(500) .. '"'
    rfc.holds(broker, { rfc.text(payload), hears = { "text " .. payload }, pieces = 7 })
  end)
end)

-- What cannot be, and the index of the byte that shows it.
local WRONG = {
  { "a continuation byte alone, the first", "\128", 1 },
  { "a continuation byte alone, the last", "\191", 1 },
  { "a continuation byte too many", "\194\128\128", 3 },
  { "U+002F in two bytes", "\192\175", 1 },
  { "U+0000 in two bytes", "\192\128", 1 },
  { "U+007F in two bytes", "\193\191", 1 },
  { "U+002F in three bytes", "\224\128\175", 2 },
  { "U+07FF in three bytes", "\224\159\191", 2 },
  { "U+0000 in four bytes", "\240\128\128\128", 2 },
  { "U+FFFF in four bytes", "\240\143\191\191", 2 },
  { "U+D800, a surrogate", "\237\160\128", 2 },
  { "U+DB7F, a surrogate", "\237\173\191", 2 },
  { "U+DBFF, a surrogate", "\237\175\191", 2 },
  { "U+DC00, a surrogate", "\237\176\128", 2 },
  { "U+DFFF, a surrogate", "\237\191\191", 2 },
  { "a pair of surrogates", "\237\160\128\237\176\128", 2 },
  { "U+110000", "\244\144\128\128", 2 },
  { "U+13FFFF", "\244\191\191\191", 2 },
  { "U+140000", "\245\128\128\128", 1 },
  { "U+1FFFFF", "\247\191\191\191", 1 },
  { "a sequence of five", "\248\136\128\128\128", 1 },
  { "a sequence of six", "\252\132\128\128\128\128", 1 },
  { "the byte FE", "\254", 1 },
  { "the byte FF", "\255", 1 },
  { "two bytes, the second missing", "\194x", 2 },
  { "three bytes, the second missing", "\226x", 2 },
  { "three bytes, the third missing", "\226\130x", 3 },
  { "four bytes, the second missing", "\240x", 2 },
  { "four bytes, the third missing", "\240\159x", 3 },
  { "four bytes, the fourth missing", "\240\159\152x", 4 },
  { "two leading bytes", "\194\194", 2 },
  { "a leading byte in a sequence", "\226\130\226", 3 },
  { "a good text before it", "\206\186\225\189\185\207\131\206\188\206\181\237\160\128edited", 13 },
}

describe("RFC 6455 8.1, 1007 for", function()
  local broker
  setup(function() broker = rfc.broker() end)
  teardown(sim.teardown)

  for _, wrong in ipairs(WRONG) do
    local title, bytes, index = unpack(wrong)
    local text = '"' .. bytes .. '" and what is behind it'

    it(title, function()
      rfc.holds(broker, { rfc.text(text), rfc.text("1"), close = 1007, at = HEAD + 1 + index })
    end)
    it(title .. ", before the rest of the frame is sent", function()
      rfc.holds(broker, { frame.encode { payload = text:sub(1, 1 + index), length = 100 },
        close = 1007, at = HEAD + 1 + index })
    end)
    it(title .. ", in two fragments, before the rest of the message is sent", function()
      for cut = 0, index do
        local first = rfc.part(1, text:sub(1, 1 + cut), false)
        local at = cut < index and #first + HEAD + index - cut or #first
        local rest = text:sub(2 + cut, 1 + index)
        rfc.holds(broker, { first, frame.encode { opcode = 0, payload = rest, length = 100,
          fin = false }, close = 1007, at = at })
      end
    end)
  end
end)

describe("RFC 6455 8.1, a text that ends within a character:", function()
  local broker
  setup(function() broker = rfc.broker() end)
  teardown(sim.teardown)

  for _, bytes in ipairs { "\194", "\224", "\224\160", "\237", "\237\159", "\240", "\240\144",
    "\240\144\128", "\244", "\244\143", "\244\143\191" } do
    local title = ("1007 at its end, not before (%s)"):format((bytes:gsub(".", function(c)
      return ("%02X"):format(c:byte())
    end)))
    it(title, function()
      local whole = rfc.text('"' .. bytes)
      rfc.holds(broker, { whole, rfc.text("1"), close = 1007, at = #whole })
      local first, last = rfc.part(1, '"', false), rfc.part(0, bytes)
      rfc.holds(broker, { first, last, close = 1007, at = #first + #last })
      rfc.holds(broker, { rfc.part(1, bytes, false), rfc.ping("p"), rfc.part(0, ""),
        pongs = { "p" }, close = 1007 })
    end)
  end
  it("the next message does not complete it", function()
    rfc.holds(broker, { rfc.text('"\226'), rfc.text('\130\172"'), close = 1007 })
  end)
end)

describe("RFC 6455 8.1, what is no text is not looked at:", function()
  local broker
  setup(function() broker = rfc.broker() end)
  teardown(sim.teardown)

  it("binary messages, whole and in fragments", function()
    for _, wrong in ipairs(WRONG) do
      rfc.holds(broker, { rfc.binary(wrong[2]), hears = { "binary " .. wrong[2] } })
      rfc.holds(broker, { rfc.part(2, wrong[2], false), rfc.part(0, wrong[2]),
        hears = { "binary " .. wrong[2] .. wrong[2] } })
    end
  end)
  it("pings within a text", function()
    rfc.holds(broker, { rfc.part(1, '"\226', false), rfc.ping("\255\192"), rfc.part(0, '\130\172"'),
      pongs = { "\255\192" }, hears = { 'text "\226\130\172"' } })
  end)
end)
