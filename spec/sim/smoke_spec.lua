local sim = require "tidewire.sim"

describe("the simulator", function()
  after_each(sim.teardown)

  it("delivers a publish to two clients, in order", function()
    local broker = assert(sim.broker { files = { ["channels/chat.lua"] = "return { publish = true }" } })
    local a, b = broker:connect "/ws/chat", broker:connect "/ws/chat"
    assert.equal(101, a.status)
    for n = 1, 5 do a:send { n = n } end
    for n = 1, 5 do
      assert.equal(n, a:receive_json().n)
      assert.equal(n, b:receive_json().n)
    end
    assert.equal(2, broker:stats().connections)
    a:close(1000, "bye")
    assert.equal(1000, a:wait_closed())
    assert.equal(1, broker:stats().connections)
  end)

  it("runs an hour of heartbeats of 1,000 clients", function()
    local broker = assert(sim.broker { files = { ["channels/chat.lua"] = "return {}" } })
    local clients = {}
    for i = 1, 1000 do clients[i] = broker:connect "/ws/chat" end
    broker:advance(3600)
    for i = 1, 1000 do assert.equal(3600 / 25, clients[i].pings) end
    assert.equal(1000, broker:stats().connections)
  end)
end)
