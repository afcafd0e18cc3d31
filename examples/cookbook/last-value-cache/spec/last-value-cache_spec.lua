local sim = require "tidewire.sim"

describe("a last-value cache", function()
  after_each(sim.teardown)

  for _, workers in ipairs { 1, 4 } do
    it("comes before what is new, workers=" .. workers, function()
      local broker = assert(sim.broker { workers = workers })
      broker:publish("prices", { symbol = "IBM", price = 1 })
      broker:publish("prices", { symbol = "MSFT", price = 2 })
      broker:publish("prices", { symbol = "IBM", price = 3 })
      local client = broker:connect "/ws/prices"
      broker:publish("prices", { symbol = "IBM", price = 4 })
      assert.receives(client, {
        type = "snapshot", offset = 3,
        last = { IBM = { symbol = "IBM", price = 3 }, MSFT = { symbol = "MSFT", price = 2 } },
      })
      assert.receives(client, { symbol = "IBM", price = 4 })
      assert.receives_nothing(client)
    end)

    it("leaves no hole and no double before what is new, workers=" .. workers, function()
      for seed = 1, 20 do
        local broker = assert(sim.broker { workers = workers, seed = seed })
        local client = broker:dial("/ws/prices", { delay = 0.01 })
        for n = 1, 50 do
          broker:publish("prices", { symbol = "IBM", price = n })
          broker:advance(0.001)
        end
        local snapshot = client:receive_json()
        local first = snapshot.last.IBM and snapshot.last.IBM.price or 0
        for n = first + 1, 50 do assert.receives(client, { symbol = "IBM", price = n }) end
        assert.receives_nothing(client)
        broker:free()
      end
    end)
  end

  it("outlives a reload", function()
    local broker = assert(sim.broker())
    broker:publish("prices", { symbol = "IBM", price = 1 })
    assert.is_true((broker:reload()))
    local snapshot = broker:connect("/ws/prices"):receive_json()
    assert.same({ IBM = { symbol = "IBM", price = 1 } }, snapshot.last)
  end)

  it("has an end", function()
    local broker = assert(sim.broker())
    for n = 1, 1100 do broker:publish("prices", { symbol = "S" .. n, price = n }) end
    local snapshot, count = broker:connect("/ws/prices"):receive_json(), 0
    for _ in pairs(snapshot.last) do count = count + 1 end
    assert.equal(1000, count)
  end)
end)
