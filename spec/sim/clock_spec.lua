-- What hangs on the clock: rates that fill up again, ticks, deadlines, drains; to the millisecond.
local sim = require "tidewire.sim"

describe("with the clock", function()
  after_each(sim.teardown)

  local function start(chat, settings)
    return assert(sim.broker {
      files = { ["channels/chat.lua"] = chat or "return { publish = true }" }, settings = settings,
    })
  end

  it("the rate of messages lets one more pass each time it has filled up", function()
    local broker = start(nil, { limits = { messages = { rate = 2, burst = 3 } } })
    local client = broker:connect "/ws/chat"
    local function pass(count)
      for _ = 1, count do client:send "1" end
      return #client:messages()
    end
    assert.equal(3, pass(5))
    broker:advance(0.499)
    assert.equal(0, pass(1))
    broker:advance(0.001)
    assert.equal(1, pass(2))
    broker:advance(10)
    assert.equal(3, pass(5))
  end)

  it("the rate of handshakes of an address fills up", function()
    local broker = start(nil, { limits = { handshakes_per_ip = { rate = 0.4, burst = 1 } } })
    assert.equal(101, broker:connect("/ws/chat").status)
    local second = broker:connect "/ws/chat"
    assert.refused_with(second, 429)
    assert.equal("3", second:header "retry-after") -- 2.5 s, in whole ones
    broker:advance(2.499)
    assert.refused_with(broker:connect "/ws/chat", 429)
    broker:advance(0.001)
    assert.equal(101, broker:connect("/ws/chat").status)
  end)

  it("a handshake that is not complete ends after exactly limits.handshake_timeout", function()
    local broker = start(nil, { limits = { connections_per_ip = 1 } })
    local silent = broker:dial("/ws/chat", { raw = "GET /ws/chat HTTP/1.1\r\n" })
    broker:advance(9.999)
    assert.is_true(silent.has_session)
    broker:advance(0.001)
    assert.is_false(silent.has_session)
    assert.equal(101, broker:connect("/ws/chat").status)
  end)

  it("a tick comes after each period, with the time of the clock", function()
    local broker = start [[
      local tidewire = require "tidewire"
      return { tick = { every = 0.25, run = function(channel)
        channel:publish { at = tidewire.now() }
      end } }]]
    local began, client = broker:now(), broker:connect "/ws/chat"
    broker:advance(0.249)
    assert.receives_nothing(client)
    broker:advance(0.751)
    assert.equal(0, began % 1)
    for n = 1, 4 do assert.equal(began + n * 0.25, client:receive_json().at) end
    assert.receives_nothing(client)
    broker:advance(900)
    assert.equal(3604, broker:channel("chat").offset)
  end)

  it("a tick has no hour to catch up with when nobody listened", function()
    local broker = start [[
      return { tick = { every = 1, run = function(channel) channel:publish {} end } }]]
    local client = broker:connect "/ws/chat"
    broker:advance(2.5)
    client:close(1000)
    broker:advance(3600)
    local before = (broker:channel "chat" or { offset = 0 }).offset
    client = broker:connect "/ws/chat"
    broker:advance(1)
    assert.is_true(#client:messages() <= 1, "ticks at once, from " .. before)
  end)

  it("the goodbyes of a drain are spread over drain.window", function()
    local broker = start(nil, { drain = { window = 10 } })
    local clients, counts = {}, {}
    for i = 1, 100 do clients[i] = broker:connect "/ws/chat" end
    broker:drain()
    assert.is_nil(broker:connect "/ws/chat")
    for second = 1, 10 do
      broker:advance(1)
      counts[second] = broker:stats().connections
    end
    assert.equal(0, counts[10])
    for second = 1, 9 do
      local wanted = 100 - second * 10
      assert.is_true(math.abs(counts[second] - wanted) <= 15, "after " .. second .. " s")
    end
    for _, client in ipairs(clients) do assert.closed_with(client, 1001) end
  end)

  it("a message takes as long as the line is slow", function()
    local broker = start()
    local client = broker:connect("/ws/chat", { delay = 0.05, down_speed = 1000 })
    broker:advance(1)
    broker:publish("chat", '"' .. ("x"):rep(996) .. '"') -- 998 bytes and a head of 4
    broker:advance(1.051)
    assert.receives_nothing(client)
    broker:advance(0.001)
    assert.equal(998, #client:receive(0))
  end)

  it("the same seed is the same run", function()
    local function run(seed)
      local broker = assert(sim.broker { seed = seed, workers = 4, files = {
        ["channels/chat.lua"] = "return { publish = true }",
      } })
      local clients, log = {}, {}
      for i = 1, 5 do
        clients[i] = broker:connect("/ws/chat", { split = true, speed = 1000 * i, delay = i / 100 })
      end
      for n = 1, 20 do clients[n % 5 + 1]:send { n = n } end
      broker:advance(10)
      for i = 1, 5 do log[i] = table.concat(clients[i]:messages()) .. clients[i].worker end
      return table.concat(log, "\n")
    end
    assert.equal(run(7), run(7))
    assert.not_equal(run(7), run(8))
  end)
end)
