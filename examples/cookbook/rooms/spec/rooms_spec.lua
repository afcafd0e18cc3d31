local harness = require "tidewire.harness"

describe("rooms", function()
  after_each(harness.teardown)

  local broker
  before_each(function()
    broker = assert(harness.broker { workers = 2 })
  end)

  local function connect(room, user, rooms)
    return broker:connect("/ws/room:" .. room, { query = { user = user, rooms = rooms } })
  end

  it("are apart, each with a state of its own", function()
    local alice, bob = connect("tea", "alice", "tea"), connect("7", "bob", "7,tea")
    alice:send { text = "hi" }
    alice:send { text = "anybody?" }
    assert.receives(alice, { room = "tea", from = "alice", n = 1, text = "hi" })
    assert.receives(alice, { room = "tea", from = "alice", n = 2, text = "anybody?" })
    bob:send { text = "here" }
    assert.receives(bob, { room = "7", from = "bob", n = 1, text = "here" })
    assert.receives_nothing(alice)
  end)

  it("refuse who is no member", function()
    local client = connect("tea", "bob", "7")
    assert.refused_with(client, 403)
    assert.equal("not a member of this room", client:json().error)
  end)

  it("do not let a client speak as another", function()
    local alice = connect("tea", "alice", "tea")
    alice:send { text = "hi", from = "bob" }
    assert.receives(alice, { room = "tea", from = "alice", n = 1, text = "hi" })
  end)

  it("drop what is no message of a room", function()
    local alice = connect("tea", "alice", "tea")
    alice:send "1"
    alice:send { txt = "hi" }
    assert.receives_nothing(alice)
    assert.is_true(alice:is_open())
  end)

  it("are there for the HTTP API", function()
    local alice = connect("tea", "alice", "tea")
    assert.is_nil(broker:publish("room:tea", { text = "tea is ready" }).error)
    assert.receives(alice, { room = "tea", n = 1, text = "tea is ready" })
  end)
end)
