local sim = require "tidewire.sim"

local SLOW_DOWN = { error = "slow down", limit = 5, seconds = 10 }

describe("chat with flood control", function()
  after_each(sim.teardown)

  local broker
  local function connect(room, user)
    return broker:connect("/ws/chat:" .. room, { query = { user = user } })
  end

  local function hear(listener, count)
    for n = 1, count do assert.receives(listener, { from = "alice", text = tostring(n) }) end
    assert.receives_nothing(listener)
  end

  local function say(client, from, to)
    for n = from, to do
      client:send { text = tostring(n) }
      broker:advance(0.2) -- slower than limits.messages
    end
  end

  before_each(function()
    broker = assert(sim.broker { workers = 2 })
  end)

  it("hears five messages in ten seconds, and tells the sender why not the sixth", function()
    local alice, bob = connect("tea", "alice"), connect("tea", "bob")
    say(alice, 1, 6)
    hear(bob, 5)
    alice:receive_many(5)
    assert.receives(alice, SLOW_DOWN)
    broker:advance(10)
    say(alice, 7, 7)
    assert.receives(bob, { from = "alice", text = "7" })
  end)

  it("counts a user, not a connection or a room", function()
    local one, two = connect("tea", "alice"), connect("coffee", "alice")
    local bob = connect("tea", "bob")
    say(one, 1, 3)
    say(two, 4, 6)
    hear(bob, 3)
    two:receive_many(2)
    assert.receives(two, SLOW_DOWN)
    bob:send { text = "hi" }
    one:receive_many(3)
    assert.receives(one, { from = "bob", text = "hi" })
  end)

  it("ends the connection of who goes on, and of no other", function()
    local alice, bob = connect("tea", "alice"), connect("tea", "bob")
    say(alice, 1, 11)
    hear(bob, 5)
    assert.closed_with(alice, 4429)
    assert.is_true(bob:is_open())
  end)

  it("does not run Lua for a flood", function()
    local alice = connect("tea", "alice")
    for _ = 1, 1000 do alice:send { nonsense = true } end
    assert.closed_with(alice, 4429)
  end)

  it("keeps counting over a reload", function()
    local alice, bob = connect("tea", "alice"), connect("tea", "bob")
    say(alice, 1, 5)
    assert.is_true((broker:reload()))
    say(alice, 6, 6)
    hear(bob, 5)
  end)
end)
