-- Bounded queues: what a client that does not read loses, and that nobody else does.
-- Both kernels' buffers are made small, so that 200 messages of 8 KB surely reach the queue.
local frame = require "spec.support.frame"
local json = require "spec.support.json"
local live = require "spec.support.live"

local COUNT = 200
local PAD = ("x"):rep(8000)

describe("a queue", function()
  after_each(live.teardown)

  local function start(market, settings)
    local all = { ["socket_buffer"] = 4096 }
    for name, value in pairs(settings or {}) do all[name] = value end
    return live.broker {
      files = {
        ["channels/market.lua"] = market,
        ["channels/chat.lua"] = "return { publish = true, queue = { size = 2 } }",
        ["channels/quiet.lua"] = "return {}",
      },
      settings = all,
    }
  end

  local function stalled(broker)
    local client = broker:connect("/ws/market", { receive_buffer = 4096 })
    client:stall()
    return client
  end

  -- Publishes 1 .. COUNT; a reader takes each at once.
  local function flood(broker, reader, fields)
    for n = 1, COUNT do
      local message = { n = n, pad = PAD }
      for name, value in pairs(fields and fields(n) or {}) do message[name] = value end
      broker:publish("market", message)
      if reader then assert.equal(n, reader:receive_json(10).n) end
    end
  end

  -- The numbers that a client got, up to the message `last`.
  local function numbers_until(client, last)
    local list = {}
    repeat list[#list + 1] = client:receive_json().n until list[#list] == last
    return list
  end

  local function assert_rising(list)
    for i = 2, #list do assert.is_true(list[i] > list[i - 1], "order at " .. i) end
  end

  it("of 2 keeps the newest for a client that does not read, and others miss nothing", function()
    local broker = start("return { queue = { size = 2 } }")
    local slow, reader = stalled(broker), broker:connect("/ws/market")
    flood(broker, reader)
    slow:resume()
    local got = numbers_until(slow, COUNT)
    assert_rising(got)
    assert.equal(COUNT - 1, got[#got - 1])
    assert.is_true(#got < COUNT / 2, #got .. " of " .. COUNT .. " were kept")
    assert.equal(COUNT - #got, broker:channel("market").dropped)
    broker:publish("market", { n = COUNT + 1 })
    assert.equal(COUNT + 1, slow:receive_json().n)
    assert.equal(COUNT + 1, reader:receive_json().n)
  end)

  it("with drop_newest keeps the oldest", function()
    local broker = start('return { queue = { size = 2, overflow = "drop_newest" } }')
    local slow, reader = stalled(broker), broker:connect("/ws/market")
    flood(broker, reader)
    local kept = COUNT - broker:channel("market").dropped
    assert.is_true(kept >= 2 and kept < COUNT / 2, kept .. " were kept")
    slow:resume()
    for n = 1, kept do assert.equal(n, slow:receive_json().n) end
    broker:publish("market", { n = COUNT + 1 })
    assert.equal(COUNT + 1, slow:receive_json().n)
  end)

  it("with disconnect ends the client with 4431, and nobody else", function()
    local broker = start('return { queue = { size = 2, overflow = "disconnect" } }')
    local slow, reader = stalled(broker), broker:connect("/ws/market")
    local n = 0
    broker:until_(function()
      n = n + 1
      broker:publish("market", { n = n, pad = PAD })
      assert.equal(n, reader:receive_json().n)
      return broker:channel("market").subscribers == 1
    end, 10, "the end of the slow client's subscription")
    slow:resume()
    local code, reason = slow:wait_closed()
    assert.equal(4431, code)
    assert.is_true(#reason > 0)
    local got = slow:messages()
    for i, payload in ipairs(got) do assert.equal(i, json.decode(payload).n) end
    assert.is_true(#got < n)
    broker:wait_connections(1)
    assert.is_true(reader:is_open())
  end)

  for _, key in ipairs { '"symbol"', "function(message) return message.data.symbol end" } do
    it("with conflate keeps the newest of each key: " .. key, function()
      local broker = start(
        ('return { queue = { size = 4, overflow = "conflate", key = %s } }'):format(key))
      local slow, reader = stalled(broker), broker:connect("/ws/market")
      flood(broker, reader, function(n) return { symbol = "S" .. n % 3 } end)
      slow:resume()
      local newest, seen = {}, 0
      while not (newest.S0 and newest.S1 and newest.S2
        and newest.S0 > COUNT - 3 and newest.S1 > COUNT - 3 and newest.S2 > COUNT - 3) do
        local message = slow:receive_json()
        assert.is_true(message.n > (newest[message.symbol] or 0), "order within a key")
        newest[message.symbol], seen = message.n, seen + 1
      end
      assert.is_true(seen < COUNT / 2)
      broker:publish("market", { n = COUNT + 1, symbol = "S0" })
      assert.equal(COUNT + 1, slow:receive_json().n)
    end)
  end

  it("is bounded in bytes too", function()
    local broker = start("return {}", { ["queue.size"] = 100000, ["queue.bytes"] = 40000 })
    local slow, reader = stalled(broker), broker:connect("/ws/market")
    flood(broker, reader)
    slow:resume()
    local got = numbers_until(slow, COUNT)
    assert_rising(got)
    assert.equal(COUNT - #got, broker:channel("market").dropped)
    assert.is_true(#got < COUNT / 2)
    assert.equal(COUNT - 1, got[#got - 1])
  end)

  it("loses nothing while it has room", function()
    local broker = start("return {}", { ["queue.size"] = 1000, ["queue.bytes"] = 4000000 })
    local slow = stalled(broker)
    flood(broker)
    slow:resume()
    local got = numbers_until(slow, COUNT)
    assert.equal(COUNT, #got)
    assert.equal(0, broker:channel("market").dropped)
  end)

  it("of 2 loses nothing for a client that reads when 50 messages arrive in one packet", function()
    local broker = start("return {}")
    local reader, publisher = broker:connect("/ws/chat"), broker:connect("/ws/chat")
    local frames, expected = {}, {}
    for n = 1, 50 do
      expected[n] = ("[%d]"):format(n)
      frames[n] = frame.text(expected[n])
    end
    publisher:write_raw(table.concat(frames))
    assert.same(expected, reader:receive_many(50))
    assert.same(expected, publisher:receive_many(50))
    assert.equal(0, broker:channel("chat").dropped)
  end)

  it("of 2 loses nothing for a client that reads when a handler publishes 50 at once", function()
    local broker = live.broker { files = {
      ["channels/market.lua"] = "return { queue = { size = 2 } }",
      ["channels/feed.lua"] = [[
        local tidewire = require "tidewire"
        return { transform = function(message)
          for n = 1, 50 do tidewire.publish("market", { n = n }) end
          return message
        end }]],
    } }
    local clients = {}
    for i = 1, 3 do clients[i] = broker:connect("/ws/market") end
    broker:publish("feed", "{}")
    for _, client in ipairs(clients) do
      for n = 1, 50 do assert.same({ n = n }, client:receive_json()) end
    end
    assert.equal(0, broker:channel("market").dropped)
  end)

  it("that is full does not hold up a pong", function()
    local broker = start("return { queue = { size = 2 } }")
    local slow = stalled(broker)
    flood(broker)
    slow:ping("are you there")
    slow:resume()
    assert.equal("are you there", slow:wait_pong())
    numbers_until(slow, COUNT)
  end)

  it("that is full costs other channels nothing", function()
    local broker = start("return { queue = { size = 2 } }")
    local quiet = broker:connect("/ws/quiet")
    for _ = 1, 10 do stalled(broker) end
    flood(broker)
    for n = 1, 20 do
      broker:publish("quiet", tostring(n))
      assert.equal(tostring(n), quiet:receive())
    end
    assert.equal(0, broker:channel("quiet").dropped)
  end)
end)
