-- What subscribers of a channel hear. (What scripts do to it is in script_spec.lua.)
local live = require "spec.support.live"

local QUOTES = {
  ["channels/market.lua"] = "return {}",
  ["channels/foreign.lua"] = "return {}",
  ["channels/index.lua"] = "return {}",
  ["channels/chat.lua"] = "return { publish = true }",
}

describe("a channel", function()
  after_each(live.teardown)

  local function start(settings)
    return live.broker { files = QUOTES, settings = settings }
  end

  it("gives one publish to two clients", function()
    local broker = start()
    local a, b = broker:connect("/ws/market"), broker:connect("/ws/market")
    local answer = broker:publish("market", '{"price":1}')
    assert.equal("market", answer.channel)
    assert.equal(1, answer.offset)
    assert.is_string(answer.epoch)
    assert.equal('{"price":1}', a:receive())
    assert.equal('{"price":1}', b:receive())
  end)

  it("gives each of 100 clients each message once, in order", function()
    local broker = start()
    local clients, expected = {}, {}
    for i = 1, 100 do clients[i] = broker:connect("/ws/market") end
    assert.equal(100, broker:stats().connections)
    assert.equal(100, broker:channel("market").subscribers)
    for i = 1, 20 do
      expected[i] = ('{"n":%d}'):format(i)
      assert.equal(i, broker:publish("market", expected[i]).offset)
    end
    for _, client in ipairs(clients) do
      assert.same(expected, client:receive_many(20))
    end
    assert.equal(20, broker:channel("market").offset)
    for _, client in ipairs(clients) do assert.equal(20, #client:messages()) end
  end)

  it("hears only its own", function()
    local broker = start()
    local clients = {}
    for _, name in ipairs { "market", "foreign", "index" } do
      clients[name] = broker:connect("/ws/" .. name)
    end
    for round = 1, 3 do
      for name in pairs(clients) do
        broker:publish(name, ('"%s %d"'):format(name, round))
      end
    end
    for name, client in pairs(clients) do
      assert.same({ ('"%s 1"'):format(name), ('"%s 2"'):format(name), ('"%s 3"'):format(name) },
        client:receive_many(3))
    end
    for _, client in pairs(clients) do assert.equal(3, #client:messages()) end
  end)

  it("may be one of two that a user listens to at once", function()
    local broker = start()
    local market, index = broker:connect("/ws/market"), broker:connect("/ws/index")
    broker:publish("market", "1")
    broker:publish("index", "2")
    assert.equal("2", index:receive())
    assert.equal("1", market:receive())
    index:close(1000)
    broker:publish("market", "3")
    assert.equal("3", market:receive())
  end)

  it("keeps the order of five messages", function()
    local broker = start()
    local client = broker:connect("/ws/market")
    for i = 1, 5 do broker:publish("market", tostring(i)) end
    assert.same({ "1", "2", "3", "4", "5" }, client:receive_many(5))
  end)

  it("gives JSON as text and bytes as binary, byte for byte", function()
    local broker = start()
    local client = broker:connect("/ws/market")
    local text = ' { "b" : 1.0, "a" : 1e2, "b" : "\195\188\\u00fc" } '
    broker:publish("market", text)
    assert.same({ text, "text" }, { client:receive() })
    local bytes = "\0\1\254\255 not {json"
    broker:publish("market", bytes, "application/octet-stream")
    assert.same({ bytes, "binary" }, { client:receive() })
  end)

  it("starts for a newcomer with what is published next", function()
    local broker = start()
    broker:publish("market", "1")
    local client = broker:connect("/ws/market")
    broker:publish("market", "2")
    assert.equal("2", client:receive())
  end)

  it("counts its subscribers", function()
    local broker = start()
    local a, b = broker:connect("/ws/market"), broker:connect("/ws/market")
    local other = broker:connect("/ws/index")
    broker:wait_subscribers("market", 2)
    broker:wait_subscribers("index", 1)
    a:close(1000)
    broker:wait_subscribers("market", 1)
    b:reset()
    other:drop()
    broker:wait_subscribers("market", 0)
    broker:wait_subscribers("index", 0)
    assert.equal(0, broker:stats().connections)
  end)

  it("takes what a client publishes when it may", function()
    local broker = start()
    local a, b = broker:connect("/ws/chat"), broker:connect("/ws/chat")
    a:send { text = "hello" }
    assert.same({ text = "hello" }, b:receive_json())
    assert.same({ text = "hello" }, a:receive_json())
    b:send_binary("\0\255")
    assert.same({ "\0\255", "binary" }, { a:receive() })
  end)

  it("keeps each publisher's own order among several", function()
    local broker = start { ["limits.messages.rate"] = 100000, ["limits.messages.burst"] = 100000 }
    local reader, publishers = broker:connect("/ws/chat"), {}
    for p = 1, 4 do publishers[p] = broker:connect("/ws/chat") end
    for n = 1, 50 do
      for p, publisher in ipairs(publishers) do publisher:send { p = p, n = n } end
    end
    local last = { 0, 0, 0, 0 }
    for _ = 1, 200 do
      local message = reader:receive_json()
      assert.equal(last[message.p] + 1, message.n)
      last[message.p] = message.n
    end
    local order = reader:messages()
    for _, publisher in ipairs(publishers) do
      assert.same(order, publisher:receive_many(200)) -- one total order for all
    end
  end)

  it("refuses a client's publish by default, and ends who insists", function()
    local broker = start { ["limits.violations"] = 3 }
    local client, other = broker:connect("/ws/market"), broker:connect("/ws/market")
    client:send("1")
    client:send("2")
    client:ping("still here")
    assert.equal("still here", client:wait_pong())
    assert.is_true(client:is_open())
    client:send("3")
    assert.equal(4429, (client:wait_closed()))
    broker:publish("market", "4")
    assert.equal("4", other:receive())
  end)

  it("refuses text that is not JSON, and ends who insists", function()
    local broker = start { ["limits.violations"] = 8 }
    local client, other = broker:connect("/ws/chat"), broker:connect("/ws/chat")
    for _, text in ipairs { "", "{", "nope", "1 2", "'a'", "[1,]", "NaN" } do client:send(text) end
    client:send("1")
    assert.equal("1", other:receive())
    client:send("01")
    assert.equal(4429, (client:wait_closed()))
  end)

  it("with a pattern for a name is one channel for each name that matches", function()
    local broker = live.broker { files = {
      ["channels/room.lua"] = [[
        return {
          name = "room:{id}",
          on_subscribe = function(client, channel)
            client:send { room = channel.params.id, name = channel.name }
          end,
        }]],
    } }
    local one, two = broker:connect("/ws/room:1"), broker:connect("/ws/room:2")
    assert.same({ room = "1", name = "room:1" }, one:receive_json())
    assert.same({ room = "2", name = "room:2" }, two:receive_json())
    broker:publish("room:2", "2")
    broker:publish("room:1", "1")
    assert.equal("1", one:receive())
    assert.equal("2", two:receive())
    assert.equal(404, (broker:refusal("/ws/room")))
  end)
end)
