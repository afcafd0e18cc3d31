-- Heartbeats, as far as they can be tried without moving the clock. When exactly, is in
-- spec/sim/heartbeat_spec.lua.
local harness = require "tidewire.harness"

describe("the heartbeat", function()
  after_each(harness.teardown)

  local function start(interval, timeout)
    return assert(harness.broker {
      files = { ["channels/chat.lua"] = "return { publish = true, queue = { size = 2 } }" },
      settings = { heartbeat = { interval = interval, timeout = timeout } },
    })
  end

  it("pings an idle client and keeps it while it answers", function()
    local broker = start(0.1, 5)
    local client = broker:connect "/ws/chat"
    assert.truthy(broker:wait(function() return client.pings >= 5 end))
    client:send "1"
    assert.receives(client, "1")
    assert.is_true(client:is_open())
  end)

  it("ends a client that does not answer, with 4408, and no other", function()
    local broker = start(0.1, 1)
    local silent = broker:connect("/ws/chat", { no_pong = true })
    local alive = broker:connect "/ws/chat"
    local _, reason = assert.closed_with(silent, 4408)
    assert.is_true(#reason > 0)
    assert.equal(1, silent.pings)
    assert.truthy(broker:wait_connections(1))
    assert.is_true(alive:is_open())
  end)

  it("ends a client that reads nothing at all", function()
    local broker = start(0.1, 0.2)
    broker:connect("/ws/chat"):stall()
    assert.equal(1, broker:stats().connections)
    assert.truthy(broker:wait_connections(0, 10))
  end)

  it("takes a message for a sign of life", function()
    local broker = start(0.1, 1)
    local client = broker:connect("/ws/chat", { no_pong = true })
    local began, n = broker:now(), 0
    while broker:now() - began < 1.5 do
      n = n + 1
      client:send(tostring(n))
      assert.receives(client, tostring(n))
      local pings = client.pings
      broker:wait(function() return client.pings > pings end, 0.2) -- unanswered, but for n + 1
    end
    assert.is_true(client:is_open())
  end)

  it("and a broadcast at the same time both arrive whole", function()
    local broker = start(0.02, 5)
    local clients = {}
    for i = 1, 10 do clients[i] = broker:connect "/ws/chat" end
    local pad, n = ("x"):rep(3000), 0
    -- Until every client was pinged three times, in the midst of it all; a frame that is broken by
    -- another shows as a fault of the broker.
    local pinged
    repeat
      n = n + 1
      assert.is_true(n < 10000)
      broker:publish("chat", { n = n, pad = pad })
      pinged = true
      for _, client in ipairs(clients) do
        assert.receives(client, { n = n, pad = pad })
        pinged = pinged and client.pings >= 3
      end
      -- Until the next ping or, for the sim's clock stands still, a little of its time.
      local before = clients[1].pings
      broker:wait(function() return clients[1].pings > before end, 0.003)
    until pinged and n >= 20
    for _, client in ipairs(clients) do assert.is_true(client:is_open()) end
  end)
end)
