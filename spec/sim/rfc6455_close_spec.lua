-- RFC 6455 5.5.1 and 7: close frames and the closing handshake.
local frame = require "spec.support.frame"
local rfc = require "spec.sim.rfc6455"
local sim = require "tidewire.sim"

local function close_payload(payload)
  return rfc.part(frame.CLOSE, payload)
end

describe("RFC 6455 5.5.1, a close frame", function()
  local broker
  setup(function() broker = rfc.broker() end)
  teardown(sim.teardown)

  it("without payload is answered by one without payload", function()
    rfc.holds(broker, { rfc.close(), close = 1005, reason = "", at = 6 })
  end)
  it("of one byte fails with 1002", function()
    rfc.holds(broker, { close_payload("\3"), close = 1002, at = 7 })
  end)
  it("with a code alone is answered with the code", function()
    rfc.holds(broker, { rfc.close(1000), close = 1000, reason = "", at = 8 })
  end)
  it("with code and reason is answered with both", function()
    rfc.holds(broker, { rfc.close(1000, "Hello, world!"), close = 1000, reason = "Hello, world!" })
    rfc.holds(broker, { rfc.close(1000, "\206\186\225\189\185\207\131\206\188\206\181"),
      close = 1000, reason = "\206\186\225\189\185\207\131\206\188\206\181" })
  end)
  it("may have a reason of 123 bytes", function()
    rfc.holds(broker, { rfc.close(1000, ("*"):rep(123)), close = 1000, reason = ("*"):rep(123) })
  end)
  it("with a reason of 124 bytes fails with 1002, at its header", function()
    rfc.holds(broker, { rfc.close(1000, ("*"):rep(124)), close = 1002, at = 2 })
  end)
  it("of 65536 bytes fails with 1002, at its header", function()
    rfc.holds(broker, { rfc.close(1000, ("*"):rep(65534)), close = 1002, at = 2 })
  end)
  for _, reason in ipairs { "\255", "\192\128", "\237\160\128", "\244\144\128\128", "cut \226\130",
    "\206\186\225\189\185\207\131\206\188\206\181\237\160\128edited" } do
    it("with a reason that is not UTF-8 fails with 1007: " .. #reason .. " bytes", function()
      rfc.holds(broker, { rfc.close(1000, reason), close = 1007 })
    end)
  end
end)

describe("RFC 6455 7.4, the close code", function()
  local broker
  setup(function() broker = rfc.broker() end)
  teardown(sim.teardown)

  -- 7.4.1, and the registry for 1012 to 1014; 7.4.2 for 3000 to 4999.
  for _, code in ipairs { 1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014,
    3000, 3999, 4000, 4999 } do
    it(code .. " is good, and answered with itself", function()
      rfc.holds(broker, { rfc.close(code), close = code, reason = "" })
      rfc.holds(broker, { rfc.close(code, "why"), close = code, reason = "why" })
    end)
  end
  -- 1004 is reserved; 1005, 1006 and 1015 "MUST NOT be set as a status code in a Close control
  -- frame".
  for _, code in ipairs { 0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000,
    65535 } do
    it(code .. " fails with 1002", function()
      rfc.holds(broker, { rfc.close(code), close = 1002, at = 8 })
      rfc.holds(broker, { rfc.close(code, "why"), close = 1002 })
    end)
  end
end)

describe("RFC 6455 5.5.1 and 7.1, after a close frame", function()
  local broker
  setup(function() broker = rfc.broker() end)
  teardown(sim.teardown)

  it("data is not heard", function()
    rfc.holds(broker, { rfc.close(1000), rfc.text("1"), close = 1000 })
    rfc.holds(broker, { rfc.close(1000), rfc.binary(("x"):rep(70000)), close = 1000 })
  end)
  it("a ping is not answered", function()
    rfc.holds(broker, { rfc.close(1000), rfc.ping("late"), close = 1000 })
  end)
  it("another close changes nothing", function()
    rfc.holds(broker, { rfc.close(1000), rfc.close(1001), close = 1000 })
    rfc.holds(broker, { rfc.close(), rfc.close(1000), close = 1005 })
  end)
  it("what breaks the protocol changes nothing", function()
    rfc.holds(broker, { rfc.close(3000), "\255\0\1\2", close = 3000 })
    rfc.holds(broker, { rfc.close(3000), frame.encode { mask = false }, close = 3000 })
  end)
  it("the end of a message does not come", function()
    rfc.holds(broker, { rfc.part(2, "begun", false), rfc.close(1000), rfc.part(0, "ended"),
      close = 1000 })
  end)
  it("what was said before it was heard", function()
    rfc.holds(broker, { rfc.text("1"), rfc.ping("p"), rfc.close(1000), hears = { "text 1" },
      pongs = { "p" }, close = 1000 })
    for _, size in ipairs { 65536, 131072 } do
      local payload = ("z"):rep(size)
      rfc.holds(broker, { rfc.binary(payload), rfc.close(1000), hears = { "binary " .. payload },
        close = 1000 })
    end
  end)
  it("the broker hangs up first, at once, and waits for the client (7.1.1)", function()
    local client, at = rfc.connect(broker), broker:now()
    client:close(1000)
    broker.core:settle()
    assert.same({ "ended", 1000, false, false },
      { client.state, client.close_code, client.was_reset, client.has_session })
    assert.equal(at, broker:now())
  end)
end)

describe("RFC 6455 7.1, when the broker closes first", function()
  local broker
  before_each(function() broker = rfc.broker { ["drain.window"] = 0.001 } end)
  after_each(sim.teardown)

  it("it hears nothing but the client's close frame, and then hangs up", function()
    local client = rfc.connect(broker, { no_close_reply = true })
    broker:drain()
    broker:wait(function() return client.close_code == 1001 end)
    assert.equal(1001, client.close_code)
    client:write_raw(rfc.text("1") .. rfc.ping("p"))
    broker.core:settle()
    assert.equal("open", client.state)
    client:write_raw(rfc.close(1001))
    broker.core:settle()
    assert.equal("ended", client.state)
    assert.is_false(client.was_reset)
    assert.same({ {}, {} }, { rfc.heard(broker, client) })
    assert.same({}, (rfc.heard(broker, broker.observer)))
  end)
  it("its answer may be cut anywhere", function()
    local clients, bytes = {}, rfc.close(1001, "so be it")
    for cut = 1, #bytes - 1 do clients[cut] = rfc.connect(broker, { no_close_reply = true }) end
    broker:drain()
    broker:wait(function() return clients[#clients].close_code == 1001 end)
    for cut, client in ipairs(clients) do
      client:write_raw(bytes:sub(1, cut))
      broker.core:settle()
      assert.equal("open", client.state)
      client:write_raw(bytes:sub(cut + 1))
      broker.core:settle()
      assert.equal("ended", client.state)
    end
  end)
  it("and the client never answers, it hangs up all the same", function()
    local client = rfc.connect(broker, { no_close_reply = true })
    broker:drain()
    assert.equal(1001, client:wait_closed(60))
  end)
end)
