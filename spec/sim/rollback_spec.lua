-- A rollback to files that do not load any more. (What a rollback does is in spec/both.)
local sim = require "tidewire.sim"

describe("a rollback", function()
  after_each(sim.teardown)

  it("to what no longer loads changes nothing and says why", function()
    local broker = assert(sim.broker { files = { ["channels/market.lua"] = [[
      local tidewire = require "tidewire"
      if tidewire.now() % 86400 > 500 then error "too late" end
      return {}]] } })
    assert.is_true((broker:reload { ["channels/market.lua"] =
      "return { transform = function(m) m.data.v = 2 return m end }" }))
    broker:advance(1000)
    local ok, errors = broker:rollback()
    assert.is_false(ok)
    assert.equal("channels/market.lua", errors[1].file)
    assert.equal(2, errors[1].line)
    assert.equal(2, broker:stats().generation)
    local client = broker:connect "/ws/market"
    broker:publish("market", {})
    assert.receives(client, { v = 2 })
  end)
end)
