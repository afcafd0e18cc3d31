-- What the Lua of a channel can do, and what a failing handler cannot.
local harness = require "tidewire.harness"

describe("a channel's script", function()
  after_each(harness.teardown)

  local function start(scripts, settings)
    local files = {}
    for name, text in pairs(scripts) do
      files[name:find("[/.]") and name or "channels/" .. name .. ".lua"] = text
    end
    return assert(harness.broker { files = files, settings = settings })
  end

  it("transforms a message with the state of its channel", function()
    local broker = start { market = [[
      return { transform = function(message, channel)
        message.data.change = message.data.price - (channel.state.last or message.data.price)
        channel.state.last = message.data.price
        return message
      end }]] }
    local client = broker:connect "/ws/market"
    for _, price in ipairs { 10, 12, 9 } do broker:publish("market", { price = price }) end
    assert.receives(client, { price = 10, change = 0 })
    assert.receives(client, { price = 12, change = 2 })
    assert.receives(client, { price = 9, change = -3 })
  end)

  it("gives a transform what it has parameters for", function()
    local broker = start {
      one = "return { transform = function(message) message.data = 1 return message end }",
      two = [[return { transform = function(message, channel)
        message.data = channel.name return message end }]],
      any = [[return { transform = function(...)
        local message, channel = ...
        message.data = { select('#', ...), channel.name } return message end }]],
      none = "return { transform = function() return nil end }",
    }
    for name, expected in pairs { one = "1", two = '"two"', any = { 3, "any" } } do
      local client = broker:connect("/ws/" .. name)
      broker:publish(name, 0)
      assert.receives(client, expected)
    end
    assert.is_true(broker:publish("none", 0).dropped)
  end)

  it("that only looks at a message leaves its bytes alone", function()
    local broker = start { market = [[
      return { transform = function(message)
        assert(#message.raw > 0)
        return message
      end }]] }
    local client = broker:connect "/ws/market"
    broker:publish("market", '{ "z":1.0 , "a":1e3 }')
    assert.receives(client, '{ "z":1.0 , "a":1e3 }')
  end)

  it("drops a message by returning nil", function()
    local broker = start { market = [[
      return { transform = function(message)
        if message.data.n == 2 then return nil end
        return message
      end }]] }
    local client = broker:connect "/ws/market"
    broker:publish("market", { n = 1 })
    assert.same({ channel = "market", dropped = true }, broker:publish("market", { n = 2 }))
    assert.equal(2, broker:publish("market", { n = 3 }).offset)
    assert.equal(1, client:receive_json().n)
    assert.equal(3, client:receive_json().n)
  end)

  it("sees bytes as bytes", function()
    local broker = start {
      chat = [[
        local tidewire = require "tidewire"
        return { publish = true, transform = function(message, _, client)
          tidewire.publish("seen", {
            binary = message.binary == true, has_data = message.data ~= nil,
            size = #message.raw, from = client and "client" or "api",
          })
          return message
        end }]],
      seen = "return {}",
    }
    local client, seen = broker:connect "/ws/chat", broker:connect "/ws/seen"
    client:send("\0\1\2", { binary = true })
    assert.receives(seen, { binary = true, has_data = false, size = 3, from = "client" })
    client:send("[1]")
    assert.receives(seen, { binary = false, has_data = true, size = 3, from = "client" })
    broker:publish("chat", "{}")
    assert.equal("api", seen:receive_json().from)
    assert.same({ "\0\1\2", "binary" }, { client:receive() })
  end)

  it("may leave publishing to authorize", function()
    local broker = start {
      ["auth.lua"] = "return function(request) return { user = request.query.token } end",
      chat = [[return { publish = "authorize", authorize = function(client, action)
        return action == "subscribe" or client.user == "writer"
      end }]],
    }
    local writer = broker:connect("/ws/chat", { token = "writer" })
    local reader = broker:connect("/ws/chat", { token = "reader", keeps_pings = true })
    reader:send("1")
    reader:ping "read"
    assert.receives(reader, "read")
    writer:send("2")
    assert.receives(reader, "2")
    assert.receives(writer, "2")
  end)

  it("greets who comes and tells who has gone", function()
    local broker = start { market = [[
      return {
        on_subscribe = function(client, channel)
          client:send { hello = client.id ~= nil, subscribers = channel.subscribers }
        end,
        on_unsubscribe = function(_, channel) channel:publish { gone = true } end,
      }]] }
    local stays = broker:connect "/ws/market"
    assert.receives(stays, { hello = true, subscribers = 1 })
    for _, leave in ipairs { "close", "half_close", "reset" } do
      local goes = broker:connect "/ws/market"
      assert.receives(goes, { hello = true, subscribers = 2 })
      goes[leave](goes)
      assert.receives(stays, { gone = true })
    end
    assert.receives_nothing(stays)
  end)

  it("may send a client away", function()
    local broker = start { market = [[
      return { on_subscribe = function(client) client:disconnect(4403, "not today") end }]] }
    local client = broker:connect "/ws/market"
    assert.closed_with(client, 4403, "not today")
    assert.truthy(broker:wait_connections(0))
  end)

  it("prepares its state and ticks", function()
    local broker = start { market = [[
      return {
        init = function(channel) channel.state.n = 100 end,
        tick = { every = 0.02, run = function(channel)
          channel.state.n = channel.state.n + 1
          channel:publish { n = channel.state.n }
        end },
      }]] }
    local client = broker:connect "/ws/market"
    local first = client:receive_json().n
    assert.is_true(first > 100)
    for i = 1, 5 do assert.equal(first + i, client:receive_json().n) end
  end)

  it("uses functions of transforms/ and files of the app", function()
    local broker = start {
      ["transforms/round.lua"] = "return function(x) return math.floor(x * 10 + 0.5) / 10 end",
      ["data/factor.txt"] = "2",
      market = [[
        local tidewire = require "tidewire"
        local round = require "transforms.round"
        local factor = tonumber(tidewire.file("data/factor.txt"))
        return { transform = function(message)
          message.data.price = round(message.data.price * factor)
          return message
        end }]],
    }
    local client = broker:connect "/ws/market"
    broker:publish("market", { price = 1.26 })
    assert.receives(client, { price = 2.5 })
  end)

  it("may publish to other channels, and all hear it in order", function()
    local broker = start {
      feed = [[
        local tidewire = require "tidewire"
        return { transform = function(message)
          for _, name in ipairs { "market", "index" } do
            for i = 1, 3 do tidewire.publish(name, { name = name, i = i }) end
          end
          return message
        end }]],
      market = "return {}", index = "return {}",
    }
    local clients = {}
    for _, name in ipairs { "market", "index" } do
      clients[name] = broker:connect("/ws/" .. name)
    end
    broker:publish("feed", "{}")
    for name, client in pairs(clients) do
      for i = 1, 3 do assert.receives(client, { name = name, i = i }) end
    end
  end)

  it("that fails drops the message, names the line, and leaves no effect", function()
    local broker = start {
      market = 'local tidewire = require "tidewire"\n'
        .. "return { transform = function(message, channel)\n"
        .. '  tidewire.publish("audit", { about = message.data.n })\n'
        .. '  channel:publish { extra = true }\n'
        .. '  if message.data.n == 2 then error("two is too much") end\n'
        .. "  return message\n"
        .. "end }\n",
      audit = "return {}",
    }
    local market, audit = broker:connect "/ws/market", broker:connect "/ws/audit"
    broker:expect_log "channels/market.lua:5"
    local answer = broker:publish("market", { n = 2 })
    assert.is_string(answer.error)
    assert.equal("transform", answer.hook)
    assert.truthy(answer.script:find("channels/market.lua", 1, true))
    assert.equal(5, answer.line)
    assert.truthy(answer.message:find("two is too much", 1, true))
    broker:publish("audit", { about = "fence" })
    assert.receives(audit, { about = "fence" })
    broker:publish("audit", { about = "again" })
    assert.receives(audit, { about = "again" })
    assert.equal(0, #market:messages())
    assert.truthy(broker:log():find("channels/market.lua:5: in", 1, true))
  end)

  it("that forgets to return the message has failed", function()
    local broker = start { market = "return { transform = function(message) end }" }
    local client = broker:connect "/ws/market"
    broker:expect_log "market"
    local answer = broker:publish("market", "{}")
    assert.is_string(answer.error)
    assert.equal("transform", answer.hook)
    assert.truthy(answer.message:find("return", 1, true))
    assert.is_true(client:is_open())
  end)

  it("that fails on what a client publishes costs the client nothing but the message", function()
    local broker = start { chat = [[
      return { publish = true, transform = function(message)
        return message.data.a.b and message
      end }]] }
    broker:expect_log "channels/chat.lua:2"
    local client = broker:connect "/ws/chat"
    client:send { a = 1 }
    client:send { x = 1 }
    client:send { a = { b = true } }
    assert.same({ a = { b = true } }, client:receive_json())
  end)

  it("that fails to greet leaves no greeting and keeps the client", function()
    local broker = start { market = [[
      return { on_subscribe = function(client, channel)
        client:send { greeting = true }
        channel:publish { greeting = true }
        error "no manners"
      end }]] }
    broker:expect_log "no manners"
    local client = broker:connect "/ws/market"
    broker:publish("market", "1")
    assert.receives(client, "1")
  end)

  it("that fails in its tick is called again", function()
    local broker = start { market = [[
      return {
        init = function(channel) channel.state.n = 0 end,
        tick = { every = 0.02, run = function(channel)
          channel.state.n = channel.state.n + 1
          channel:publish { n = channel.state.n }
          if channel.state.n % 2 == 0 then error "every other time" end
        end },
      }]] }
    broker:expect_log "every other time"
    local client = broker:connect "/ws/market"
    local first = client:receive_json().n
    assert.equal(1, first % 2)
    assert.equal(first + 2, client:receive_json().n)
  end)

  it("may stand with all settings in one file", function()
    local broker = assert(harness.broker { entry = "app.lua", files = { ["app.lua"] = [[
      return {
        limits = { violations = 1 },
        channels = { market = { transform = function(m) m.data.seen = true return m end } },
      }]] } })
    local client = broker:connect "/ws/market"
    broker:publish("market", "{}")
    assert.receives(client, { seen = true })
    client:send("{}")
    assert.closed_with(client, 4429)
  end)
end)
