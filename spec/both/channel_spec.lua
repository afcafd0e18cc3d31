-- What subscribers of a channel hear. (What scripts do to it is in script_spec.lua.)
local harness = require "tidewire.harness"

local QUOTES = {
  ["channels/market.lua"] = "return {}",
  ["channels/foreign.lua"] = "return {}",
  ["channels/index.lua"] = "return {}",
  ["channels/chat.lua"] = "return { publish = true }",
}

describe("a channel", function()
  after_each(harness.teardown)

  local function start(settings)
    return assert(harness.broker { files = QUOTES, settings = settings })
  end

  it("counts a client that connects, and no more one that has left", function()
    local broker = start()
    assert.equal(0, broker:stats().connections)
    local client = broker:connect "/ws/market"
    assert.equal(101, client.status)
    assert.equal(1, broker:stats().connections)
    assert.equal(1, broker:channel("market").subscribers)
    client:close(1000, "bye")
    assert.closed_with(client, 1000)
    assert.truthy(broker:wait_connections(0))
    assert.truthy(broker:wait(function() return broker:channel("market").subscribers == 0 end))
  end)

  it("counts its subscribers, however they leave", function()
    local broker = start()
    local a, b, c = broker:connect "/ws/market", broker:connect "/ws/market",
      broker:connect "/ws/market"
    local other = broker:connect "/ws/index"
    assert.equal(3, broker:channel("market").subscribers)
    assert.equal(1, broker:channel("index").subscribers)
    a:close(1000)
    b:reset()
    c:half_close()
    assert.truthy(broker:wait(function() return broker:channel("market").subscribers == 0 end))
    assert.truthy(broker:wait_connections(1))
    other:reset()
    assert.truthy(broker:wait_connections(0))
  end)

  it("gives one publish to two clients", function()
    local broker = start()
    local a, b = broker:connect "/ws/market", broker:connect "/ws/market"
    local answer = broker:publish("market", '{"price":1}')
    assert.equal("market", answer.channel)
    assert.equal(1, answer.offset)
    assert.is_string(answer.epoch)
    assert.receives(a, '{"price":1}')
    assert.receives(b, { price = 1 })
  end)

  it("gives each of 100 clients each message once, in order", function()
    local broker = start()
    local clients, expected = {}, {}
    for i = 1, 100 do clients[i] = broker:connect "/ws/market" end
    assert.equal(100, broker:stats().connections)
    assert.equal(100, broker:channel("market").subscribers)
    for i = 1, 20 do
      expected[i] = ('{"n":%d}'):format(i)
      assert.equal(i, broker:publish("market", expected[i]).offset)
    end
    for _, client in ipairs(clients) do
      local got = client:receive_many(20)
      if table.concat(got, " ") ~= table.concat(expected, " ") then assert.same(expected, got) end
    end
    assert.equal(20, broker:channel("market").offset)
    for _, client in ipairs(clients) do assert.equal(0, #client:messages()) end
  end)

  it("hears only its own", function()
    local broker = start()
    local names, clients = { "market", "foreign", "index" }, {}
    for _, name in ipairs(names) do clients[name] = broker:connect("/ws/" .. name) end
    for round = 1, 3 do
      for _, name in ipairs(names) do broker:publish(name, ('"%s %d"'):format(name, round)) end
    end
    for _, name in ipairs(names) do
      assert.same({ ('"%s 1"'):format(name), ('"%s 2"'):format(name), ('"%s 3"'):format(name) },
        clients[name]:receive_many(3))
    end
    for _, name in ipairs(names) do assert.equal(0, #clients[name]:messages()) end
  end)

  it("may be one of two that a user listens to at once", function()
    local broker = start()
    local market, index = broker:connect "/ws/market", broker:connect "/ws/index"
    broker:publish("market", "1")
    broker:publish("index", "2")
    assert.receives(index, "2")
    assert.receives(market, "1")
    index:close(1000)
    broker:publish("market", "3")
    assert.receives(market, "3")
    assert.receives_nothing(index, 0)
  end)

  it("keeps the order of five messages", function()
    local broker = start()
    local client = broker:connect "/ws/market"
    for i = 1, 5 do broker:publish("market", tostring(i)) end
    assert.same({ "1", "2", "3", "4", "5" }, client:receive_many(5))
  end)

  it("gives JSON as text and bytes as binary, byte for byte", function()
    local broker = start()
    local client = broker:connect "/ws/market"
    local text = ' { "b" : 1.0, "a" : 1e2, "b" : "\195\188\\u00fc" } '
    broker:publish("market", text)
    assert.same({ text, "text" }, { client:receive() })
    local bytes = "\0\1\254\255 not {json"
    broker:publish("market", bytes, { binary = true })
    assert.same({ bytes, "binary" }, { client:receive() })
  end)

  it("refuses a publish that is not JSON, or to no channel", function()
    local broker = start()
    local client = broker:connect "/ws/market"
    for _, text in ipairs { "", "{", "nope", "1 2", "'a'", "[1,]", "NaN", '"\255"' } do
      local answer = broker:publish("market", text)
      assert.truthy(answer.error:find("JSON", 1, true))
      assert.is_nil(answer.offset)
    end
    assert.is_string(broker:publish("nowhere", "1").error)
    assert.equal(1, broker:publish("market", "1").offset)
    assert.receives(client, "1")
  end)

  it("starts for a newcomer with what is published next", function()
    local broker = start()
    broker:publish("market", "1")
    local client = broker:connect "/ws/market"
    broker:publish("market", "2")
    assert.receives(client, "2")
  end)

  it("takes what a client publishes when it may", function()
    local broker = start()
    local a, b = broker:connect "/ws/chat", broker:connect "/ws/chat"
    a:send { text = "hello" }
    assert.receives(b, { text = "hello" })
    assert.receives(a, { text = "hello" })
    b:send("\0\255", { binary = true })
    assert.same({ "\0\255", "binary" }, { a:receive() })
  end)

  it("keeps each publisher's own order among several, and one order for all", function()
    local broker = start { limits = { messages = { rate = 0 } } }
    local reader, publishers = broker:connect "/ws/chat", {}
    for p = 1, 4 do publishers[p] = broker:connect "/ws/chat" end
    for n = 1, 50 do
      for p, publisher in ipairs(publishers) do publisher:send(("[%d,%d]"):format(p, n)) end
    end
    local order, last = reader:receive_many(200), { 0, 0, 0, 0 }
    assert.equal(200, #order)
    for _, text in ipairs(order) do
      local p, n = text:match("(%d+),(%d+)")
      p, n = tonumber(p), tonumber(n)
      assert.equal(last[p] + 1, n)
      last[p] = n
    end
    for _, publisher in ipairs(publishers) do assert.same(order, publisher:receive_many(200)) end
  end)

  it("refuses a client's publish by default, and ends who insists", function()
    local broker = start { ["limits.violations"] = 3 }
    local client, other = broker:connect("/ws/market", { keeps_pings = true }),
      broker:connect "/ws/market"
    client:send "1"
    client:send "2"
    client:ping "still here"
    assert.same({ "still here", "pong" }, { client:receive() })
    assert.is_true(client:is_open())
    client:send "3"
    assert.closed_with(client, 4429)
    broker:publish("market", "4")
    assert.receives(other, "4")
  end)

  it("refuses text that is not JSON, and ends who insists", function()
    local broker = start { ["limits.violations"] = 8 }
    local client, other = broker:connect "/ws/chat", broker:connect "/ws/chat"
    for _, text in ipairs { "", "{", "nope", "1 2", "'a'", "[1,]", "NaN" } do client:send(text) end
    client:send "1"
    assert.receives(other, "1")
    client:send "01"
    assert.closed_with(client, 4429)
  end)

  it("with a pattern for a name is one channel for each name that matches", function()
    local broker = assert(harness.broker { files = {
      ["channels/room.lua"] = [[
        return {
          name = "room:{id}",
          on_subscribe = function(client, channel)
            client:send { room = channel.params.id, name = channel.name }
          end,
        }]],
    } })
    local one, two = broker:connect "/ws/room:1", broker:connect "/ws/room:2"
    assert.receives(one, { room = "1", name = "room:1" })
    assert.receives(two, { room = "2", name = "room:2" })
    broker:publish("room:2", "2")
    broker:publish("room:1", "1")
    assert.receives(one, "1")
    assert.receives(two, "2")
    assert.refused_with(broker:connect "/ws/room", 404)
  end)

  it("goes on for all others when a send to one fails", function()
    local broker = start { limits = { messages = { rate = 0 } } }
    local others = {}
    for i = 1, 10 do others[i] = broker:connect "/ws/chat" end
    for round = 1, 20 do
      local client = broker:connect "/ws/chat"
      client:send(tostring(round)) -- the answer may meet a connection that is broken
      client:reset()
    end
    broker:publish("chat", '"end"')
    for _, other in ipairs(others) do
      local payload
      repeat payload = other:receive() until payload == '"end"' or payload == nil
      assert.equal('"end"', payload)
      assert.is_true(other:is_open())
    end
    assert.truthy(broker:wait_connections(10))
  end)
end)
