local sim = require "tidewire.sim"

describe("presence", function()
  after_each(sim.teardown)

  local broker
  local function connect(user, options)
    options = options or {}
    options.query = { user = user }
    return broker:connect("/ws/lobby:1", options)
  end

  local function here(client, ...)
    assert.receives(client, { type = "here", users = { ... } })
  end

  for _, workers in ipairs { 1, 4 } do
    describe("workers=" .. workers, function()
      before_each(function()
        broker = assert(sim.broker { workers = workers })
      end)

      it("tells a newcomer who is here, and the others of the newcomer", function()
        local alice = connect "alice"
        here(alice, "alice")
        assert.receives(alice, { type = "join", user = "alice" })
        local bob = connect "bob"
        here(bob, "alice", "bob")
        assert.receives(alice, { type = "join", user = "bob" })
        bob:close()
        assert.receives(alice, { type = "leave", user = "bob" })
      end)

      it("has a user with two tabs once", function()
        local bob, one = connect "bob", connect "alice"
        bob:receive_many(3)
        local two = connect "alice"
        here(two, "alice", "bob")
        one:close()
        assert.receives_nothing(bob)
        two:close()
        assert.receives(bob, { type = "leave", user = "alice" })
      end)

      it("notices who is gone without a word", function()
        local alice, bob = connect "alice", connect("bob", { no_pong = true })
        alice:receive_many(3)
        broker:advance(60)
        assert.closed_with(bob, 4408)
        assert.receives(alice, { type = "leave", user = "bob" })
        local carol = connect "carol"
        here(carol, "alice", "carol")
      end)

      it("knows after a reload who was here before", function()
        connect "alice"
        assert.is_true((broker:reload()))
        here(connect "bob", "alice", "bob")
      end)
    end)
  end

  it("does not let a client say that another one left", function()
    broker = assert(sim.broker())
    local alice, mallory = connect "alice", connect "mallory"
    alice:receive_many(3)
    mallory:send { type = "leave", user = "bob" }
    assert.receives_nothing(alice)
  end)
end)
