-- Places that sockets take, and give back. (The limits themselves are in spec/both.)
local live = require "spec.support.live"
local loop = require "spec.support.loop"
local websocket = require "spec.support.websocket"

describe("the limit of connections per address", function()
  after_each(live.teardown)

  local function start(settings)
    settings["limits.connections_per_ip"] = 1
    return live.broker {
      files = { ["channels/chat.lua"] = "return { publish = true }" }, settings = settings,
    }
  end

  it("gives a place back when the socket just ends", function()
    local broker = start {}
    for _ = 1, 3 do
      local client = broker:connect("/ws/chat")
      assert.equal(429, (broker:refusal("/ws/chat")))
      client:drop()
      broker:wait_connections(0)
    end
  end)

  it("counts none that never became one", function()
    local broker = start { ["limits.handshake_timeout"] = 0.2 }
    local silent = broker:dial("/ws/chat", { silent = true })
    silent:begin()
    silent:write_raw(websocket.handshake("/ws/chat", {}):sub(1, 20))
    silent:wait_closed()
    assert.is_true(loop.wait(function()
      return broker:handshake("/ws/chat").status == 101
    end))
  end)
end)
