-- When heartbeats come: to the millisecond.
local sim = require "tidewire.sim"

describe("the heartbeat", function()
  after_each(sim.teardown)

  local function start(interval, timeout, settings)
    local all = { heartbeat = { interval = interval, timeout = timeout } }
    for name, value in pairs(settings or {}) do all[name] = value end
    return assert(sim.broker {
      files = { ["channels/chat.lua"] = "return { publish = true, queue = { size = 2 } }" },
      settings = all,
    })
  end

  it("pings an idle client after exactly the interval, and again", function()
    local broker = start(25, 10)
    local client = broker:connect "/ws/chat"
    for n = 1, 5 do
      broker:advance(24.999)
      assert.equal(n - 1, client.pings)
      broker:advance(0.001)
      assert.equal(n, client.pings)
    end
  end)

  it("counts the interval from the last that was heard", function()
    local broker = start(25, 10)
    local client = broker:connect "/ws/chat"
    broker:advance(20)
    client:send "1"
    broker:advance(24.999)
    assert.equal(0, client.pings)
    broker:advance(0.001)
    assert.equal(1, client.pings)
  end)

  it("ends a client that does not answer after exactly interval and timeout", function()
    local broker = start(25, 10)
    local silent, alive = broker:connect("/ws/chat", { no_pong = true }), broker:connect "/ws/chat"
    broker:advance(34.999)
    assert.is_true(silent:is_open())
    broker:advance(0.001)
    assert.equal(4408, silent.close_code)
    assert.equal("ended", silent.state)
    assert.equal(1, silent.pings)
    assert.is_true(alive:is_open())
    assert.equal(1, broker:stats().connections)
  end)

  it("takes a message for a sign of life, but not for an answer that never came late", function()
    local broker = start(25, 10)
    local client = broker:connect("/ws/chat", { no_pong = true })
    broker:advance(34) -- pinged at 25, and not answered
    client:send "1"
    broker:advance(24.999)
    assert.is_true(client:is_open())
    assert.equal(1, client.pings)
    broker:advance(0.001)
    assert.equal(2, client.pings)
    broker:advance(10)
    assert.closed_with(client, 4408)
  end)

  it("keeps a client whose answer comes just in time over a long line", function()
    local broker = start(25, 10)
    local slow = broker:connect("/ws/chat", { delay = 4.9 })
    local late = broker:connect("/ws/chat", { delay = 5.1 })
    broker:advance(60)
    assert.is_true(slow:is_open())
    assert.equal(4408, late.close_code)
  end)

  it("waits for a message that comes slowly, as long as it comes", function()
    local broker = start(25, 10)
    local client = broker:connect("/ws/chat", { no_pong = true })
    local text = '"' .. ("y"):rep(98) .. '"'
    local frame = "\129" .. string.char(128 + #text) .. "\0\0\0\0" .. text -- masked with zeros
    for byte in frame:gmatch "." do
      assert.receives_nothing(client)
      broker:advance(1)
      client:write_raw(byte)
    end
    assert.receives(client, text)
    broker:advance(34.999)
    assert.is_true(client:is_open())
    broker:advance(0.001)
    assert.closed_with(client, 4408)
  end)

  it("hears a client while its slow link brings one long message", function()
    local broker = start(25, 10, { limits = { bytes = { rate = 0 } } })
    local client = broker:connect("/ws/chat", { no_pong = true })
    local text = '"' .. ("y"):rep(9986) .. '"'
    client:configure { up_speed = 100 } -- 100 seconds for 9,988 bytes, a head of 4 and a mask of 4
    client:send(text)
    broker:advance(99)
    assert.is_true(client:is_open())
    assert.receives_nothing(client)
    broker:advance(1)
    assert.receives(client, text)
    broker:advance(34.8)
    assert.is_true(client:is_open())
    broker:advance(0.2)
    assert.closed_with(client, 4408)
  end)

  it("ends a client whose queue is full and who reads nothing, though it is not told", function()
    local broker = start(25, 10, { socket_buffer = 4096 })
    local slow, reader = broker:connect "/ws/chat", broker:connect "/ws/chat"
    slow:stall()
    for n = 1, 100 do broker:publish("chat", { n = n, pad = ("x"):rep(8000) }) end
    assert.equal(100, #reader:messages())
    assert.equal(2, broker:stats().connections)
    broker:advance(34.999)
    assert.equal(2, broker:stats().connections)
    assert.truthy(broker:wait_connections(1, 30))
    assert.is_true(reader:is_open())
  end)

  it("reaches a client between the frames of its full queue", function()
    local broker = start(25, 10, { socket_buffer = 4096 })
    local slow = broker:connect("/ws/chat", { down_speed = 4000, down_buffer = 4096 })
    for n = 1, 20 do broker:publish("chat", { n = n, pad = ("x"):rep(60000) }) end
    broker:advance(60) -- three messages at fifteen seconds each
    assert.is_true(slow:is_open())
    assert.is_true(slow.pings >= 1)
    local message, last
    repeat
      last, message = message, slow:receive_json(30)
    until not message
    assert.equal(20, last.n)
  end)

  it("of 1,000 clients runs for a quarter of an hour #load", function()
    local broker = start(25, 10)
    local clients, pings = {}, {}
    for i = 1, 1000 do clients[i] = broker:connect "/ws/chat" end
    broker:advance(900)
    for i = 1, 1000 do pings[i] = clients[i].pings ~= 900 / 25 and clients[i].pings or nil end
    assert.same({}, pings) -- but for those who got 36
    assert.equal(1000, broker:stats().connections)
  end)
end)
