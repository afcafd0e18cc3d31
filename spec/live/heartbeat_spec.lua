-- Heartbeats: idle clients are asked, silent ones are ended, busy ones are left in peace.
local frame = require "spec.support.frame"
local json = require "spec.support.json"
local live = require "spec.support.live"
local loop = require "spec.support.loop"

describe("the heartbeat", function()
  after_each(live.teardown)

  local function start(interval, timeout, settings)
    local all = {
      ["heartbeat.interval"] = interval, ["heartbeat.timeout"] = timeout * loop.factor,
      ["limits.messages.rate"] = 100000, ["limits.messages.burst"] = 100000,
    }
    for name, value in pairs(settings or {}) do all[name] = value end
    return live.broker {
      files = { ["channels/chat.lua"] = "return { publish = true, queue = { size = 2 } }" },
      settings = all,
    }
  end

  it("closes the socket though the client never answers the goodbye", function()
    local broker = start(0.1, 0.2)
    local silent = broker:connect("/ws/chat", { auto_pong = false, auto_close = false })
    assert.equal(4408, (silent:wait_close_frame()))
    silent:wait_closed(10)
    broker:wait_connections(0)
  end)

  it("takes any frame for a sign of life", function()
    local broker = start(0.2, 0.3)
    local client = broker:connect("/ws/chat", { auto_pong = false })
    local began = loop.now()
    client:wait("a second of life", function()
      if #client.inbox >= client.taken then
        client.taken = client.taken + 1
        client:send(tostring(client.taken)) -- each is sent when the one before has come back
      end
      return loop.now() - began > 1
    end)
    assert.is_true(client:is_open())
  end)

  it("reaches a client between the frames of its full queue", function()
    local broker = start(0.1, 5, { ["socket_buffer"] = 4096 })
    local slow = broker:connect("/ws/chat", { receive_buffer = 4096 })
    local reader = broker:connect("/ws/chat")
    slow:stall()
    for n = 1, 100 do broker:publish("chat", { n = n, pad = ("x"):rep(8000) }) end
    reader:wait_ping(2)
    slow:resume()
    slow:wait_ping(2)
    local payload
    repeat payload = slow:receive() until json.decode(payload).n == 100
    assert.is_true(slow:is_open())
  end)

  it("ends a client whose queue is full and who reads nothing", function()
    local broker = start(0.1, 0.3, { ["socket_buffer"] = 4096 })
    local slow = broker:connect("/ws/chat", { receive_buffer = 4096 })
    local reader = broker:connect("/ws/chat")
    slow:stall()
    for n = 1, 100 do broker:publish("chat", { n = n, pad = ("x"):rep(8000) }) end
    broker:wait_connections(1, 10)
    broker:publish("chat", { n = "fence" })
    local payload
    repeat payload = reader:receive() until json.decode(payload).n == "fence"
    assert.is_true(reader:is_open())
  end)

  it("waits for a message that comes slowly, as long as it comes", function()
    local broker = start(0.1, 0.2)
    local client = broker:connect("/ws/chat", { auto_pong = false })
    local text = '"' .. ("y"):rep(30) .. '"'
    local fragments = { frame.encode { payload = text:sub(1, 1), fin = false } }
    for i = 2, #text do
      fragments[i] = frame.encode { payload = text:sub(i, i), opcode = 0, fin = i == #text }
    end
    local next_at, sent = 0, 0
    client:wait("the whole message", function()
      if loop.now() >= next_at and sent < #fragments then
        sent, next_at = sent + 1, loop.now() + 0.02
        client:write_raw(fragments[sent])
      end
      return client.inbox[1]
    end)
    assert.equal(text, client:receive())
  end)
end)
