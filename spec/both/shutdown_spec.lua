-- How the broker goes: everyone hears it, and nothing that was accepted is lost.
local harness = require "tidewire.harness"

describe("the shutdown", function()
  after_each(harness.teardown)

  local function start(settings)
    return assert(harness.broker {
      files = { ["channels/market.lua"] = "return { publish = true }" }, settings = settings,
    })
  end

  local function connect_many(broker, count)
    local clients = {}
    for i = 1, count do clients[i] = broker:connect "/ws/market" end
    assert.equal(count, broker:stats().connections)
    return clients
  end

  it("says 1001 to everyone, and then there is nobody left", function()
    local broker = start()
    local clients = connect_many(broker, 20)
    broker:drain()
    for _, client in ipairs(clients) do
      local _, reason = assert.closed_with(client, 1001)
      assert.is_true(#reason > 0)
    end
    assert.truthy(broker:wait_connections(0))
  end)

  it("lets in nobody new", function()
    local broker = start { drain = { window = 0.5 } }
    local client = broker:connect "/ws/market"
    broker:drain()
    assert.truthy(broker:wait(function()
      local late = broker:connect "/ws/market"
      return not late or late.status ~= 101 -- 503, or nobody listens
    end))
    assert.closed_with(client, 1001)
  end)

  it("delivers what was accepted, then says goodbye", function()
    local broker = start()
    local clients, expected = connect_many(broker, 20), {}
    for n = 1, 50 do
      expected[n] = ("[%d]"):format(n)
      broker:publish("market", expected[n])
    end
    broker:drain()
    for _, client in ipairs(clients) do
      assert.same(expected, client:receive_many(50))
      assert.closed_with(client, 1001)
    end
  end)

  it("delivers also to a client that reads late", function()
    local broker = start { socket_buffer = 4096, ["queue.bytes"] = 10000000 }
    local slow = broker:connect("/ws/market", { down_buffer = 4096 })
    slow:stall()
    for n = 1, 100 do broker:publish("market", { n = n, pad = ("x"):rep(8000) }) end
    broker:drain()
    slow:resume()
    for n = 1, 100 do assert.equal(n, slow:receive_json().n) end
    assert.closed_with(slow, 1001)
  end)

  it("in the midst of a flood loses nothing that one of them got", function()
    local broker = start { limits = { messages = { rate = 0 } }, ["queue.size"] = 10000 }
    local clients = connect_many(broker, 10)
    for n = 1, 500 do clients[1]:send(tostring(n)) end
    assert.receives(clients[2], "1")
    broker:drain()
    for i, client in ipairs(clients) do
      assert.truthy(client:wait_closed())
      local got = client:messages()
      for n, payload in ipairs(got) do
        local wanted = tostring(i == 2 and n + 1 or n)
        if payload ~= wanted then assert.equal(wanted, payload) end -- asserting is slow
      end
      assert.equal(1001, client.close_code)
    end
    assert.truthy(broker:wait_connections(0))
  end)
end)
