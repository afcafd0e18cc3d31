-- A full queue and the kernel's buffers behind it. (What queues keep is in spec/both.)
-- Both kernels' buffers are made small, so that 200 messages of 8 KB surely reach the queue.
local frame = require "spec.support.frame"
local live = require "spec.support.live"

local COUNT = 200

describe("a queue", function()
  after_each(live.teardown)

  for _, code in ipairs { 1000, 1001, 3000 } do
    it("that is full does not keep a client that says " .. code .. " and reads no more", function()
      local broker = live.broker {
        files = { ["channels/market.lua"] = "return { queue = { size = 1000 } }" },
        settings = { ["socket_buffer"] = 4096 },
      }
      local slow = broker:connect("/ws/market", { receive_buffer = 4096 })
      slow:stall()
      local reader = broker:connect("/ws/market")
      for n = 1, COUNT do
        broker:publish("market", { n = n, pad = ("x"):rep(8000) })
        assert.equal(n, reader:receive_json(10).n)
      end
      slow:write_raw(frame.close(code, "bye"))
      broker:wait_connections(1, 3)
      assert.is_true(reader:is_open())
    end)
  end
end)
