local harness = require "tidewire.harness"

describe("an audit log", function()
  after_each(harness.teardown)

  local broker
  before_each(function()
    broker = assert(harness.broker { workers = 2 })
  end)

  local function connect(channel, user, role)
    return broker:connect("/ws/" .. channel, { query = { user = user, role = role } })
  end

  it("tells admins who ordered what, and logs it", function()
    local admin, alice = connect("audit", "root", "admin"), connect("orders", "alice")
    local before = broker:now()
    alice:send { side = "buy", count = 2, price = 40 }
    assert.receives(alice, { order = 1, side = "buy", total = 80 })
    local record = admin:receive_json()
    assert.equal("alice", record.user)
    assert.equal("127.0.0.1", record.ip)
    assert.equal(1, record.order)
    assert.same({ "buy", 2 }, { record.side, record.count })
    assert.is_true(record.at > before - 1 and record.at < broker:now() + 1)
    assert.matches("order order=1 side=buy user=alice channel=orders", broker:log(), 1, true)
  end)

  it("is for admins", function()
    assert.refused_with(connect("audit", "alice"), 403)
    assert.refused_with(connect("audit", "alice", "trader"), 403)
  end)

  it("has a line in the log, and no record, of what was refused", function()
    local admin, alice = connect("audit", "root", "admin"), connect("orders", "alice")
    alice:send { count = 2, price = 40 }
    assert.receives_nothing(admin)
    assert.is_true(alice:is_open())
    assert.matches('order refused reason="no side" user=alice', broker:log(), 1, true)
  end)

  it("has no record of an order that failed halfway", function()
    local admin, alice = connect("audit", "root", "admin"), connect("orders", "alice")
    broker:expect_log "channels/orders.lua:%d+"
    alice:send { side = "buy", count = "two", price = 40 }
    assert.receives_nothing(admin)
    assert.receives_nothing(alice)
  end)

  it("cannot be written from outside by clients", function()
    local one, two = connect("audit", "root", "admin"), connect("audit", "toor", "admin")
    one:send { order = 1, user = "bob" }
    assert.receives_nothing(two)
  end)
end)
