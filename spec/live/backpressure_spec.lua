-- Clients that publish faster than handlers work: TCP pushes back, nothing is lost, and memory is
-- bounded.
local frame = require "spec.support.frame"
local live = require "spec.support.live"
local loop = require "spec.support.loop"

describe("who publishes faster than the handlers work", function()
  after_each(live.teardown)

  -- Each message takes the transform so many seconds.
  local function start(seconds, settings)
    local all = {
      ["limits.messages.rate"] = 0, ["limits.bytes.rate"] = 0,
      ["queue.size"] = 100000, ["queue.bytes"] = 100000000,
    }
    for name, value in pairs(settings or {}) do all[name] = value end
    return live.broker {
      files = { ["channels/chat.lua"] = ([[
        return { publish = true, transform = function(m)
          local at = os.clock() + %f
          while os.clock() < at do end
          return m
        end }]]):format(seconds), ["channels/quiet.lua"] = "return {}" },
      settings = all,
      env = { ASAN_OPTIONS = "quarantine_size_mb=1" }, -- what was freed is not what is measured
    }
  end

  local function flood_of(count)
    local frames = {}
    for n = 1, count do frames[n] = frame.text(tostring(n)) end
    return table.concat(frames)
  end

  local function assert_in_order(payloads)
    for n, payload in ipairs(payloads) do
      if payload ~= tostring(n) then error(("message %d is %s"):format(n, payload)) end
    end
  end

  it("is read no further, and costs little memory", function()
    local broker = start(0.00005)
    local publishers, reader = {}, broker:connect("/ws/chat")
    for i = 1, 4 do publishers[i] = broker:connect("/ws/chat") end
    broker:wait_subscribers("chat", 5)
    local before, most = broker:memory(), 0
    local one, size = frame.text('"0123456789"'), 20e6
    for _, publisher in ipairs(publishers) do
      publisher:stall()
      publisher:write_raw(one:rep(size / #one))
    end
    reader:wait("15000 messages", function()
      most = math.max(most, broker:memory() - before)
      return #reader.inbox > 15000
    end, 30)
    for _, publisher in ipairs(publishers) do
      assert.is_true(publisher.tcp:unwritten() > 0, "all of it was read")
      publisher:reset()
    end
    assert.is_true(most < 40e6, ("%d MB more"):format(most / 1e6))
    broker:signal("sigterm")
    assert.equal(0, broker:wait_exit(20)) -- what was read of it is accepted
  end)

  it("is read on later, and nothing is lost", function()
    local broker = start(0.00002)
    local publisher, reader = broker:connect("/ws/chat"), broker:connect("/ws/chat")
    publisher:write_raw(flood_of(20000))
    publisher:ping("the last word")
    assert_in_order(reader:receive_many(20000, 20))
    assert_in_order(publisher:receive_many(20000, 20))
    assert.equal("the last word", publisher:wait_pong())
  end)

  it("is not ended for the silence that comes of it", function()
    local broker = start(0.0001, { heartbeat = { interval = 0.1, timeout = 0.2 * loop.factor } })
    local flood = flood_of(12000)
    local publisher = broker:connect("/ws/chat")
    local idle = {}
    for i = 1, 8 do idle[i] = broker:connect("/ws/quiet") end
    publisher:write_raw(flood)
    assert_in_order(publisher:receive_many(12000, 30))
    assert.is_true(publisher:is_open())
    for _, client in ipairs(idle) do assert.is_true(client:is_open(), "so is who is idle") end
  end)

  it("may go away: what is waiting goes with it or is published, and that is all", function()
    local broker = start(0.00005)
    local publisher, reader = broker:connect("/ws/chat"), broker:connect("/ws/chat")
    publisher:write_raw(flood_of(12000))
    broker:until_(function() return reader.inbox[1] end, 10)
    publisher:reset()
    broker:wait_connections(1, 10)
    broker:until_(function() -- the fence is another publisher's, and may overtake what waits
      local stats = broker:stats()
      return stats.published >= stats.messages_in
    end, 10)
    local fence = broker:open { admin = true }
    fence:send("POST", "/v1/channels/chat/messages", nil, '"fence"')
    reader:wait("the fence", function()
      return #reader.inbox > 0 and reader.inbox[#reader.inbox].payload == '"fence"'
    end, 10)
    local payloads = reader:messages()
    payloads[#payloads] = nil
    assert_in_order(payloads)
  end)
end)
