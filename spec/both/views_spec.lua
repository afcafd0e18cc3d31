-- Classes of listeners: each hears its own version of a message, made once.
local harness = require "tidewire.harness"

-- Who connects with ?token=free is of the class free, and so on; without one, of none.
local AUTH = [[return function(request) return { user = request.query.token } end]]
local AUDIENCE = "audience = function(client) return client.user end,"

-- `calls` is of the file's VM, and says how often the view ran in it.
local COUNTED = [[
  local calls = 0
  return { publish = true, ]] .. AUDIENCE .. [[
    views = {
      free = function(message)
        calls = calls + 1
        message.data.depth = nil
        message.data.calls = calls
        return message
      end,
    } }]]

describe("an audience", function()
  after_each(harness.teardown)

  local function start(market, settings)
    return assert(harness.broker {
      files = { ["auth.lua"] = AUTH, ["channels/market.lua"] = market }, settings = settings,
    })
  end

  local function connect(broker, class)
    local client = broker:connect("/ws/market", { token = class })
    assert.equal(101, client.status)
    return client
  end

  it("hears what its view makes of a message, and the others all of it", function()
    local broker = start(COUNTED)
    local free, pro, none = connect(broker, "free"), connect(broker, "pro"), connect(broker)
    broker:publish("market", '{"price":1, "depth":[1,2]}')
    assert.receives(free, { price = 1, calls = 1 })
    assert.receives(pro, '{"price":1, "depth":[1,2]}')
    assert.receives(none, '{"price":1, "depth":[1,2]}')
  end)

  it("has one view run per message, however many listen on however many workers", function()
    local broker, free, pro = start(COUNTED), {}, {}
    for i = 1, 20 do free[i], pro[i] = connect(broker, "free"), connect(broker, "pro") end
    for n = 1, 10 do broker:publish("market", { n = n, depth = {} }) end
    for i = 1, 20 do
      for n = 1, 10 do
        assert.receives(free[i], { n = n, calls = n })
        assert.receives(pro[i], { n = n, depth = {} })
      end
      assert.equal(0, #free[i]:messages() + #pro[i]:messages())
    end
    assert.equal(10, broker:channel("market").offset)
    assert.equal(0, broker:channel("market").withheld)
  end)

  it("has no view run when nobody of its class listens, or listens any more", function()
    local broker = start(COUNTED)
    local pro, free = connect(broker, "pro"), connect(broker, "free")
    broker:publish("market", { n = 1 })
    assert.receives(free, { n = 1, calls = 1 })
    free:close(1000)
    assert.truthy(broker:wait(function() return broker:channel("market").subscribers == 1 end))
    for n = 2, 5 do broker:publish("market", { n = n }) end
    free = connect(broker, "free")
    broker:publish("market", { n = 6 })
    assert.receives(free, { n = 6, calls = 2 })
    assert.equal(6, #pro:receive_many(6))
  end)

  it("comes behind the transform, with a message of its own for each view", function()
    local broker = start([[
      return { ]] .. AUDIENCE .. [[
        transform = function(message) message.data.t = { 1 } return message end,
        views = {
          a = function(message) message.data.t[2] = "a" return message end,
          b = function(message) message.data.t[2] = "b" return message end,
          same = function(message) return message end,
          raw = function(message) message.data = message.raw return message end,
        } }]])
    local a, b, same = connect(broker, "a"), connect(broker, "b"), connect(broker, "same")
    local raw = connect(broker, "raw")
    broker:publish("market", "{}")
    assert.receives(a, { t = { 1, "a" } })
    assert.receives(b, { t = { 1, "b" } })
    assert.receives(same, '{"t":[1]}')
    assert.receives(raw, [["{\"t\":[1]}"]])
  end)

  it("can be kept from hearing a message, which is counted", function()
    local broker = start([[
      return { ]] .. AUDIENCE .. [[
        views = { free = function(message)
          if message.data.n % 2 == 1 then return nil end
          return message
        end } }]])
    local free, pro = connect(broker, "free"), connect(broker, "pro")
    for n = 1, 4 do assert.equal(n, broker:publish("market", { n = n }).offset) end
    assert.same({ '{"n":2}', '{"n":4}' }, free:receive_many(2))
    assert.equal(4, #pro:receive_many(4))
    assert.equal(0, #free:messages())
    assert.equal(2, broker:channel("market").withheld)
    assert.equal(0, broker:channel("market").dropped)
  end)

  for title, body in pairs {
    ["fails"] = "if message.data.n == 2 then error 'oops' end return message",
    ["returns nothing"] = "if message.data.n == 2 then return end return message",
    ["returns something else"] = "if message.data.n == 2 then return {} end return message",
    ["makes what is no JSON"] =
      "if message.data.n == 2 then message.data.f = print end return message",
    ["publishes, which it may not"] =
      "if message.data.n == 2 then tidewire.publish('market', 1) end return message",
    ["waits, which it may not"] =
      "if message.data.n == 2 then tidewire.after(1, print) end return message",
  } do
    it("does not hear a message whose view " .. title .. ", and the others do", function()
      local broker = start(([[
        return { publish = true, %s
          views = { free = function(message) %s end, other = function(message)
            message.data.other = true return message end } }]]):format(AUDIENCE, body))
      broker:allow_log "hook=views"
      local free, pro, other =
        connect(broker, "free"), connect(broker, "pro"), connect(broker, "other")
      for n = 1, 3 do assert.equal(n, broker:publish("market", { n = n }).offset) end
      assert.same({ '{"n":1}', '{"n":3}' }, free:receive_many(2))
      assert.same({ '{"n":1}', '{"n":2}', '{"n":3}' }, pro:receive_many(3))
      assert.equal(3, #other:receive_many(3))
      assert.equal(0, #free:messages())
      assert.equal(1, broker:channel("market").withheld)
    end)
  end

  it("does not hear a message whose view never ends, and the others do", function()
    local broker = start([[
      return { ]] .. AUDIENCE .. [[
        views = {
          a = function(message) return message end,
          b = function(message)
            if message.data == 1 then ("x"):rep(1e5):find(("x*"):rep(40) .. "y") end
            return message
          end,
          c = function(message) message.data = { message.data } return message end,
        } }]], { script = { deadline = 0.02 } })
    broker:allow_log "hook=views"
    local a, b, c = connect(broker, "a"), connect(broker, "b"), connect(broker, "c")
    local pro = connect(broker, "pro")
    assert.equal(1, broker:publish("market", "1").offset)
    assert.equal(2, broker:publish("market", "2").offset)
    assert.same({ "1", "2" }, a:receive_many(2))
    assert.same({ "2" }, b:receive_many(1))
    assert.same({ "[1]", "[2]" }, c:receive_many(2))
    assert.same({ "1", "2" }, pro:receive_many(2))
  end)

  it("keeps the order of each publisher, for all classes the same", function()
    local broker = start(COUNTED, { limits = { messages = { rate = 0 } } })
    local free, pro, publishers = connect(broker, "free"), connect(broker, "pro"), {}
    for p = 1, 3 do publishers[p] = connect(broker, "p") end
    for n = 1, 40 do
      for p = 1, 3 do publishers[p]:send { p = p, n = n } end
    end
    local all, last = {}, { 0, 0, 0 }
    for i = 1, 120 do
      local data = free:receive_json()
      assert.equal(i, data.calls)
      assert.equal(last[data.p] + 1, data.n)
      last[data.p] = data.n
      all[i] = ("%d,%d"):format(data.p, data.n)
    end
    for i = 1, 120 do
      local data = pro:receive_json()
      assert.equal(all[i], ("%d,%d"):format(data.p, data.n))
    end
  end)

  it("hears bytes that are no JSON as its view leaves them", function()
    local broker = start([[
      return { ]] .. AUDIENCE .. [[
        views = { free = function(message)
          if message.binary then message.data = #message.raw end
          return message
        end } }]])
    local free, pro = connect(broker, "free"), connect(broker, "pro")
    broker:publish("market", "\0\255", { binary = true })
    assert.same({ "2", "text" }, { free:receive() })
    assert.same({ "\0\255", "binary" }, { pro:receive() })
  end)

  it("conflates by the key of the transformed message", function()
    local broker = start([[
      return { queue = { size = 4, overflow = "conflate", key = "s" }, ]] .. AUDIENCE .. [[
        views = { free = function(message) message.data.s = nil return message end } }]],
      { socket_buffer = 4096, queue = { bytes = 1048576 } })
    local free = broker:connect("/ws/market", { token = "free", down_buffer = harness.name == "sim"
      and 4096 or nil })
    free:stall()
    local pad, COUNT = ("x"):rep(60000), 40
    for n = 1, COUNT do broker:publish("market", { s = n % 2, n = n, pad = pad }) end
    free:resume()
    local last
    repeat
      local data = free:receive_json(1)
      if data then assert.is_nil(data.s) end
      last = data or last
    until not data or data.n == COUNT
    assert.equal(COUNT, last.n)
  end)

  for _, body in ipairs {
    'error "no"', "", "return", "return 1", "return {}", "return ''", "return true", "return '\\0'",
    "return ('x'):rep(101)", "channel:publish(1) return 'free'",
  } do
    it("is refused when it cannot be told: " .. body, function()
      local broker = start(("return { audience = function(client, channel) %s end }"):format(body))
      broker:allow_log "hook=audience"
      assert.refused_with(broker:connect "/ws/market", 403)
      assert.truthy(broker:wait_connections(0))
      assert.equal(0, broker:channel("market").subscribers)
    end)
  end

  it("knows the client, and the channel; and asks only who may come in", function()
    local broker = assert(harness.broker { files = {
      ["auth.lua"] = AUTH,
      ["channels/room.lua"] = [[
        return { name = "room:{id}",
          authorize = function(client) return client.user ~= "mallory" end,
          audience = function(client, channel)
            assert(client.user ~= "mallory")
            return client.user .. channel.params.id
          end,
          views = {
            alice1 = function(message) message.data = "for alice" return message end,
          } }]],
    } })
    assert.refused_with(broker:connect("/ws/room:1", { token = "mallory" }), 403)
    local one = broker:connect("/ws/room:1", { token = "alice" })
    local two = broker:connect("/ws/room:2", { token = "alice" })
    broker:publish("room:1", "1")
    broker:publish("room:2", "2")
    assert.receives(one, '"for alice"')
    assert.receives(two, "2")
  end)

  it("has at most 64 classes", function()
    local broker, clients = start(COUNTED), {}
    for i = 1, 64 do clients[i] = connect(broker, "class " .. i) end
    broker:allow_log "more%-than%-64%-classes"
    broker:allow_log "more-than-64-classes"
    assert.refused_with(broker:connect("/ws/market", { token = "one more" }), 403)
    assert.equal(101, broker:connect("/ws/market", { token = "class 1" }).status)
    assert.equal(101, broker:connect("/ws/market").status)
    clients[64]:close(1000)
    assert.truthy(broker:wait(function() return broker:channel("market").subscribers == 65 end))
    assert.equal(101, broker:connect("/ws/market", { token = "one more" }).status)
  end)

  describe("after a reload", function()
    local function reload(broker, market)
      assert.is_true((broker:reload { ["channels/market.lua"] = market }))
    end

    -- Publishes until the client hears what is wanted: asking again takes its time.
    local function hears(broker, client, wanted)
      assert.truthy(broker:wait(function()
        broker:publish("market", "{}")
        for _, text in ipairs(client:messages()) do
          if text == wanted then return true end
        end
        return false
      end))
    end

    local function marked(classes, views)
      return ("return { audience = function(client) return %s end, views = { %s } }"):format(
        classes, views)
    end
    local function view(name, mark)
      return ("%s = function(m) m.data.v = '%s' return m end,"):format(name, mark)
    end

    it("has the new view at once", function()
      local broker = start(marked("client.user", view("free", "old")))
      local free = connect(broker, "free")
      broker:publish("market", "{}")
      reload(broker, marked("client.user", view("free", "new")))
      broker:publish("market", "{}")
      assert.receives(free, { v = "old" })
      assert.receives(free, { v = "new" })
    end)

    it("is asked for again", function()
      local broker = start(marked("client.user", view("free", "f") .. view("pro", "p")))
      local one, two = connect(broker, "free"), connect(broker, "pro")
      reload(broker, marked("client.user == 'free' and 'pro' or 'free'",
        view("free", "f") .. view("pro", "p")))
      hears(broker, one, '{"v":"p"}')
      hears(broker, two, '{"v":"f"}')
      assert.equal(2, broker:stats().connections)
    end)

    it("never hears all of a message because its class has another name now", function()
      local broker = start(marked("client.user", view("free", "cut")))
      local free = connect(broker, "free")
      reload(broker, marked("'basic'", view("basic", "cut")))
      for _ = 1, 20 do broker:publish("market", '{"secret":1}') end
      hears(broker, free, '{"v":"cut"}')
      for _, text in ipairs(free:messages()) do
        assert.truthy(text:find("cut", 1, true), text)
      end
    end)

    it("hears all when its view is gone, and when there are no classes any more", function()
      local broker = start(marked("client.user", view("free", "cut")))
      local free = connect(broker, "free")
      reload(broker, marked("client.user", ""))
      hears(broker, free, "{}")
      reload(broker, marked("client.user", view("free", "cut")))
      hears(broker, free, '{"v":"cut"}')
      reload(broker, "return {}")
      hears(broker, free, "{}")
      reload(broker, marked("client.user", view("free", "cut")))
      hears(broker, free, '{"v":"cut"}')
    end)

    it("is closed when it cannot be told any more", function()
      local broker = start(marked("client.user", ""))
      local one, two = connect(broker, "free"), connect(broker, "pro")
      broker:allow_log "hook=audience"
      reload(broker, marked("client.user == 'free' and error 'no' or nil", ""))
      assert.closed_with(one, 4403)
      broker:publish("market", "1")
      assert.receives(two, "1")
    end)
  end)
end)
