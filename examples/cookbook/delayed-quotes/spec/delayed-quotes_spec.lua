local sim = require "tidewire.sim"

describe("delayed-quotes", function()
  after_each(sim.teardown)

  local function start(workers)
    local broker = assert(sim.broker { workers = workers })
    return broker, broker:connect("/ws/market", { query = { plan = "pro" } }),
      broker:connect "/ws/market"
  end

  for _, workers in ipairs { 1, 4 } do
    it("come at once to who pays, and 15 s later to the others, workers=" .. workers, function()
      local broker, pro, free = start(workers)
      broker:publish("market", { symbol = "MSFT", price = 40 })
      assert.receives(pro, { symbol = "MSFT", price = 40 })
      broker:advance(10)
      broker:publish("market", { symbol = "MSFT", price = 42 })
      broker:advance(4)
      assert.same({}, free:messages())
      broker:advance(2)
      assert.receives(free, { symbol = "MSFT", price = 40 })
      assert.same({}, free:messages())
      broker:advance(10)
      assert.receives(free, { symbol = "MSFT", price = 42 })
      assert.receives(pro, { symbol = "MSFT", price = 42 })
      assert.receives_nothing(pro)
    end)
  end

  it("outlive a reload", function()
    local broker, _, free = start(1)
    broker:publish("market", { symbol = "MSFT", price = 39 })
    broker:advance(16)
    assert.receives(free, { symbol = "MSFT", price = 39 })
    broker:publish("market", { symbol = "MSFT", price = 40 })
    broker:advance(5)
    assert.is_true((broker:reload()))
    broker:advance(11)
    assert.receives(free, { symbol = "MSFT", price = 40 })
  end)

  it("are never early, also when more wait than fit", function()
    local broker, _, free = start(1)
    for n = 1, 10050 do broker:publish("market", { n = n }) end
    broker:advance(14)
    assert.same({}, free:messages())
    broker:advance(2)
    local last = free:messages()
    assert.equal('{"n":10050}', last[#last])
  end)
end)
