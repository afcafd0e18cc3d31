-- The playground, as clients see it. Run by `tidewire test scripts/default`.
local sim = require "tidewire.sim"

describe("the playground", function()
  after_each(sim.teardown)

  it("has every channel that somebody asks for, and everybody may publish", function()
    local broker = assert(sim.broker())
    local one, two = broker:connect "/ws/hello", broker:connect "/ws/hello"
    local room = broker:connect "/ws/room:7"
    one:send { text = "hi" }
    assert.receives(two, { text = "hi" })
    assert.receives(one, { text = "hi" })
    room:send { text = "in the room" }
    assert.receives(room, { text = "in the room" })
    assert.receives_nothing(one)
    assert.is_nil(broker:publish("room:7", "1").error)
    assert.receives(room, "1")
  end)

  it("does not forward what is not JSON", function()
    local broker = assert(sim.broker())
    local one, two = broker:connect "/ws/hello", broker:connect "/ws/hello"
    one:send "hello?"
    assert.receives_nothing(two)
    assert.is_true(one:is_open())
  end)

  it("has limits for whoever overdoes it", function()
    local broker = assert(sim.broker())
    for i = 1, 100 do assert.equal(101, broker:connect("/ws/c" .. i).status) end
    assert.refused_with(broker:connect "/ws/hello", 429)
    local flooder = broker:connect("/ws/hello", { ip = "127.0.0.2" })
    for n = 1, 1000 do flooder:send(tostring(n)) end
    assert.closed_with(flooder, 4429)
  end)
end)
