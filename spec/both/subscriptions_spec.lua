-- What comes later, or to somebody else: subscriptions by handlers, timers, renewed tokens.
local harness = require "tidewire.harness"

local function start(channels, settings, auth)
  local files = { ["auth.lua"] = auth or
    "return function(request) return { user = request.query.token } end" }
  for name, text in pairs(channels) do files["channels/" .. name .. ".lua"] = text end
  return assert(harness.broker { files = files, settings = settings })
end

local function has_subscribers(broker, name, count)
  assert.truthy(broker:wait(function()
    local channel = broker:channel(name)
    return channel and channel.subscribers == count
  end), ("%s has not %d subscribers"):format(name, count))
end

describe("client:subscribe", function()
  after_each(harness.teardown)

  it("brings another channel onto the client's socket, without asking its authorize", function()
    local broker = start {
      lobby = [[return { publish = true,
        on_subscribe = function(client) client:subscribe "news" client:subscribe "news" end }]],
      news = [[return { publish = true, authorize = function() return false end,
        on_subscribe = function(client, channel) client:send { joined = channel.name } end }]],
    }
    local client = broker:connect "/ws/lobby"
    assert.receives(client, { joined = "news" })
    assert.refused_with(broker:connect "/ws/news", 403)
    assert.equal(1, broker:channel("news").subscribers)
    broker:publish("news", "1")
    broker:publish("lobby", "2")
    local got = client:receive_many(2)
    table.sort(got)
    assert.same({ "1", "2" }, got)
    client:send "3" -- to its own channel
    assert.receives(client, "3")
    assert.equal(1, broker:channel("news").offset)
    assert.equal(2, broker:channel("lobby").offset)
    client:close(1000)
    has_subscribers(broker, "news", 0)
    has_subscribers(broker, "lobby", 0)
  end)

  it("asks for the audience of that channel", function()
    local broker = start {
      lobby = "return { on_subscribe = function(client) client:subscribe 'news' end }",
      news = [[return { audience = function(client) return client.user end,
        views = { free = function(m) m.data = "cut" return m end } }]],
    }
    local free, pro = broker:connect("/ws/lobby", { token = "free" }),
      broker:connect("/ws/lobby", { token = "pro" })
    has_subscribers(broker, "news", 2)
    broker:publish("news", "1")
    assert.receives(free, '"cut"')
    assert.receives(pro, "1")
  end)

  it("works from a transform, and ends by unsubscribe", function()
    local broker = start {
      lobby = [[return { publish = true, transform = function(message, _, client)
        if message.data.join then client:subscribe(message.data.join) end
        if message.data.leave then client:unsubscribe(message.data.leave) end
        return nil
      end }]],
      room = [[return { name = "room:{id}",
        on_unsubscribe = function(client, channel) channel.state.left = client.user end,
        transform = function(message, channel)
          message.data = { message.data, channel.state.left }
          return message
        end }]],
    }
    local client = broker:connect("/ws/lobby", { token = "alice" })
    client:send { join = "room:1" }
    has_subscribers(broker, "room:1", 1)
    broker:publish("room:1", "1")
    assert.receives(client, "[1]")
    client:send { leave = "room:1" }
    has_subscribers(broker, "room:1", 0)
    client:send { leave = "room:1" }
    client:send { leave = "nowhere" }
    broker:publish("room:1", "2")
    client:send { join = "room:1" }
    has_subscribers(broker, "room:1", 1)
    broker:publish("room:1", "3")
    assert.receives(client, '[3,"alice"]')
    assert.equal(0, #client:messages())
  end)

  it("may end the subscription that the client began with; the client stays", function()
    local broker = start {
      lobby = [[return { publish = true,
        on_subscribe = function(client) client:unsubscribe "lobby" client:subscribe "room" end }]],
      room = "return { on_subscribe = function(client) client:send 'in' end }",
    }
    local client = broker:connect "/ws/lobby"
    assert.receives(client, '"in"')
    has_subscribers(broker, "lobby", 0)
    client:send "1"
    assert.truthy(broker:wait(function() return broker:channel("lobby").offset == 1 end))
    broker:publish("room", "2")
    assert.receives(client, "2")
    assert.is_true(client:is_open())
  end)

  it("is not done when the handler fails", function()
    local broker = start {
      lobby = [[return { on_subscribe = function(client)
        client:subscribe "news"
        error "oops"
      end }]],
      news = "return {}",
    }
    broker:expect_log "hook=on_subscribe"
    local client = broker:connect "/ws/lobby"
    broker:publish("lobby", "1")
    assert.receives(client, "1")
    assert.equal(0, broker:channel("news").subscribers)
  end)

  it("says in the log what it cannot do", function()
    local broker = start({
      lobby = [[return { on_subscribe = function(client)
        client:subscribe "nowhere"
        client:subscribe "room:1"
        client:subscribe "room:2"
        client:subscribe "room:3"
        client:send "done"
      end }]],
      room = "return { name = 'room:{id}' }",
    }, { limits = { channels_per_client = 3 } })
    broker:expect_log "channel=nowhere reason=no%-such%-channel"
    broker:expect_log "reason=limits.channels_per_client"
    local client = broker:connect "/ws/lobby"
    assert.receives(client, '"done"')
    assert.is_true(client:is_open())
  end)

  it("does not go round in a circle for ever", function()
    local broker = start {
      lobby = [[return {
        on_subscribe = function(client) client:unsubscribe "lobby" end,
        on_unsubscribe = function(client) client:subscribe "lobby" end,
      }]],
      other = "return {}",
    }
    broker:expect_log "handlers%-call%-each%-other%-in%-a%-circle"
    local client = broker:connect "/ws/lobby"
    assert.truthy(broker:wait(function()
      return broker:log():find("in-a-circle", 1, true)
    end))
    assert.is_true(client:is_open())
    local other = broker:connect "/ws/other"
    broker:publish("other", "1")
    assert.receives(other, "1")
  end)

  it("is nothing for a client that has gone", function()
    local broker = start {
      lobby = [[return { on_unsubscribe = function(client)
        client:subscribe "news" client:unsubscribe "news" end }]],
      news = "return {}",
    }
    for _ = 1, 10 do broker:connect("/ws/lobby"):reset() end
    has_subscribers(broker, "lobby", 0)
    assert.truthy(broker:wait_connections(0))
    assert.equal(0, broker:channel("news").subscribers)
  end)

  it("outlives a reload; authorize is not asked then either", function()
    local files = {
      lobby = "return { on_subscribe = function(client) client:subscribe 'news' end }",
      news = "return { authorize = function() return false end }",
    }
    local broker = start(files)
    local client = broker:connect "/ws/lobby"
    has_subscribers(broker, "news", 1)
    assert.is_true((broker:reload {
      ["channels/news.lua"] = "return { authorize = function() return nil end }",
    }))
    broker:publish("news", "1")
    assert.receives(client, "1")
    assert.is_true(client:is_open())
  end)
end)

describe("tidewire.after", function()
  after_each(harness.teardown)

  local HEAD = 'local tidewire = require "tidewire" '

  -- `act(seconds)` gives a broker and when a timer of so many seconds began, at the earliest. Again
  -- with more of them until it was over before the timer was due: a machine may be slow.
  local function before_due(act)
    local seconds, broker = 0.2, nil
    repeat
      if broker then broker:free() end
      seconds = 2 * seconds
      local since
      broker, since = act(seconds)
    until broker:now() - since < seconds - 0.05 -- the loop's clock may be some ms behind
    return broker
  end

  it("runs a function later, with its channel, and its effects are applied", function()
    local broker = start {
      market = HEAD .. [[return {
        transform = function(message, channel)
          local n = message.data
          if type(n) == "table" then return message end
          channel.state.n = n
          tidewire.after(0.01, function(later)
            later:publish { after = n, name = later.name, state = later.state.n }
          end)
          return nil
        end }]],
    }
    local client = broker:connect "/ws/market"
    broker:publish("market", "1")
    assert.receives(client, { after = 1, name = "market", state = 1 })
  end)

  it("runs those of the same time in their order", function()
    local broker = start {
      market = HEAD .. [[return { on_subscribe = function(client)
        for n = 1, 50 do
          tidewire.after(0.02, function(channel) channel:publish(n) end)
        end
      end }]],
    }
    local client = broker:connect "/ws/market"
    for n = 1, 50 do assert.receives(client, tostring(n)) end
  end)

  it("may wait again, from within", function()
    local broker = start {
      market = HEAD .. [[
        local function again(n)
          return function(channel)
            channel:publish(n)
            if n < 5 then tidewire.after(0, again(n + 1)) end
          end
        end
        return { on_subscribe = function() tidewire.after(0, again(1)) end }]],
    }
    local client = broker:connect "/ws/market"
    assert.same({ "1", "2", "3", "4", "5" }, client:receive_many(5))
  end)

  it("does nothing when the handler that asked has failed", function()
    local broker = start {
      market = HEAD .. [[return { transform = function(message)
        if message.data == 1 then
          tidewire.after(0, function(channel) channel:publish "never" end)
          error "oops"
        end
        if message.data == 2 then
          tidewire.after(0, function(channel) channel:publish "then" end)
        end
        return message
      end }]],
      keyed = HEAD .. [[return {
        queue = { overflow = "conflate", key = function() error "no key" end },
        transform = function(message)
          tidewire.after(0, function(channel) tidewire.publish("market", "never") end)
          return message
        end }]],
    }
    broker:allow_log "hook="
    local client = broker:connect "/ws/market"
    assert.is_string(broker:publish("market", "1").error)
    assert.is_string(broker:publish("keyed", "1").error)
    broker:publish("market", "2")
    assert.receives(client, "2")
    assert.receives(client, '"then"')
    assert.receives_nothing(client)
  end)

  it("that fails is logged with its place, and has had no effect", function()
    local broker = start {
      market = HEAD .. [[return { on_subscribe = function()
        tidewire.after(0, function(channel)
          channel:publish "never"
          error "late"
        end)
        tidewire.after(0.01, function(channel) channel:publish "next" end)
      end }]],
    }
    broker:expect_log "hook=after script=channels/market.lua:4"
    local client = broker:connect "/ws/market"
    assert.receives(client, '"next"')
    assert.equal(1, broker:stats().hook_failures)
  end)

  it("can be cancelled, which a handler that fails has not done", function()
    local broker = start {
      market = HEAD .. [[return {
        publish = true,
        on_subscribe = function(client, channel)
          local one = tidewire.after(0.05, function(c) c:publish "one" end)
          channel.state.two = tidewire.after(0.05, function(c) c:publish "two" end)
          tidewire.cancel(one)
        end,
        transform = function(message, channel)
          if message.data == 1 then tidewire.cancel(channel.state.two) error "oops" end
          if message.data == "two" then tidewire.cancel(channel.state.two) end
          return message
        end }]],
    }
    broker:allow_log "oops"
    local client = broker:connect "/ws/market"
    broker:publish("market", "1")
    assert.receives(client, '"two"')
    assert.receives_nothing(client)
  end)

  it("is forgotten when the guard throws its VM away; those asked for later run", function()
    local client
    local broker = before_due(function(seconds)
      local broker = start({
        market = HEAD .. ([[return {
          on_subscribe = function() tidewire.after(%g, function(c) c:publish "never" end) end,
          transform = function(message)
            if message.data == 1 then ("x"):rep(1e5):find(("x*"):rep(40) .. "y") end
            if message.data == 2 then
              tidewire.after(%g, function(channel) channel:publish "later" end)
            end
            return message
          end }]]):format(seconds, seconds),
      }, { script = { deadline = 0.02 } })
      broker:allow_log "killed"
      local since = broker:now()
      client = broker:connect "/ws/market"
      assert.is_string(broker:publish("market", "1").error)
      return broker, since
    end)
    broker:publish("market", "2")
    assert.receives(client, "2")
    assert.receives(client, '"later"') -- behind which the other one would have been
  end)

  it("is forgotten by a reload", function()
    local client
    local broker = before_due(function(seconds)
      local market = HEAD .. ([[return { on_subscribe = function()
        tidewire.after(%g, function(channel) channel:publish "old" end)
      end }]]):format(seconds)
      local broker = start { market = market }
      local since = broker:now()
      client = broker:connect "/ws/market"
      assert.is_true((broker:reload { ["channels/market.lua"] = market:gsub("old", "new") }))
      return broker, since
    end)
    local other = broker:connect "/ws/market"
    assert.receives(other, '"new"')
    assert.receives(client, '"new"')
    assert.receives_nothing(client)
  end)

  it("raises where it cannot be, and past its bounds", function()
    local broker = start({
      market = HEAD .. [[
        local ok, message = pcall(tidewire.after, 1, print)
        assert(not ok and message:find "while the app is loaded", message)
        local function fails(wanted, ...)
          local ok, message = pcall(tidewire.after, ...)
          assert(not ok and message:find(wanted, 1, true), message)
        end
        return {
          authorize = function() fails("which only decides", 1, print) return true end,
          audience = function() fails("which only decides", 1, print) return nil end,
          on_subscribe = function(client)
            fails("0 to 86400", -1, print)
            fails("0 to 86400", 0/0, print)
            fails("0 to 86400", 86401, print)
            fails("0 to 86400", 1/0, print)
            fails("number expected", {}, print)
            fails("function expected", 1)
            fails("function expected", 1, "x")
            assert(not pcall(tidewire.cancel, 1))
            assert(not pcall(tidewire.cancel, {}))
            for _ = 1, 4096 do tidewire.after(100, print) end
            fails("more than 4096 timers", 1, print)
            client:send "good"
          end,
          on_unsubscribe = function() fails("more than 4096 timers", 1, print) end,
        }]],
    }, { script = { deadline = 5 } })
    local client = broker:connect "/ws/market"
    assert.receives(client, '"good"')
  end)
end)

describe("on_expire", function()
  after_each(harness.teardown)

  it("lets one client stay, and another not", function()
    local broker = start({ market = "return {}" }, nil, [[local tidewire = require "tidewire"
      return {
        auth = function(request)
          return { user = request.query.token, expires = tidewire.now() + 2 }
        end,
        on_expire = function(client)
          return client.user == "alice" and tidewire.now() + 1000
        end,
      }]])
    local alice = broker:connect("/ws/market", { token = "alice" })
    local bob = broker:connect("/ws/market", { token = "bob" })
    local _, reason = assert.closed_with(bob, 4401)
    assert.equal("token expired", reason)
    broker:publish("market", "1")
    assert.receives(alice, "1")
  end)
end)
