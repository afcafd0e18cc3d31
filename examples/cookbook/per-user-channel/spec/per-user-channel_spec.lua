local harness = require "tidewire.harness"

describe("a channel per user", function()
  after_each(harness.teardown)

  local broker
  before_each(function()
    broker = assert(harness.broker { workers = 2 })
  end)

  local function connect(channel, user)
    return broker:connect("/ws/" .. channel, { query = { user = user } })
  end

  it("reaches all connections of one user, and nobody else", function()
    local laptop, phone = connect("user:alice", "alice"), connect("news", "alice")
    local bob = connect("news", "bob")
    assert.is_nil(broker:publish("user:alice", { order = 7, state = "filled" }).error)
    assert.receives(laptop, { order = 7, state = "filled" })
    assert.receives(phone, { order = 7, state = "filled" })
    assert.receives_nothing(bob)
  end)

  it("comes with the news on one socket", function()
    local alice, bob = connect("news", "alice"), connect("news", "bob")
    broker:publish("news", { title = "market opens" })
    broker:publish("user:alice", { order = 7 })
    assert.receives(alice, { title = "market opens" })
    assert.receives(alice, { order = 7 })
    assert.receives(bob, { title = "market opens" })
    assert.receives_nothing(bob)
  end)

  it("refuses everybody else", function()
    assert.refused_with(connect("user:alice", "bob"), 403)
    assert.refused_with(connect("user:alice", "Alice"), 403)
  end)

  it("refuses names that could be taken for another's", function()
    for _, user in ipairs { "", "alice:x", "a/b", "a b", "*" } do
      assert.refused_with(connect("news", user), 401)
    end
  end)

  it("does not mind who is not there", function()
    assert.is_nil(broker:publish("user:carol", { order = 8 }).error)
    assert.receives_nothing(connect("user:carol", "carol"))
  end)

  it("does not take messages from clients", function()
    local one, two = connect("user:alice", "alice"), connect("user:alice", "alice")
    one:send { order = 9 }
    assert.receives_nothing(two)
  end)
end)
