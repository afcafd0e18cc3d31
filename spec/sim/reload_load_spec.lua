-- 1,000 reloads in the second in which 50,000 messages are delivered: each worker swaps when it
-- comes to it, and no subscriber sees a message lost, doubled, out of order, or made by older
-- scripts than the one before.
local sim = require "tidewire.sim"

local RELOADS, CHANNELS, READERS = 1000, 4, 12 -- a millisecond: a message on each, to 13 clients

local function files(v)
  return { ["channels/feed.lua"] = ([[return { name = "feed:{id}", publish = true,
    transform = function(message, channel)
      channel.state.count = (channel.state.count or 0) + 1
      message.data.v, message.data.count = %d, channel.state.count
      return message
    end }]]):format(v) }
end

describe("1,000 reloads under load #load", function()
  after_each(sim.teardown)

  it("lose, double and reorder nothing", function()
    local broker = assert(sim.broker { files = files(1), settings = {
      limits = { messages = { rate = 0 } },
    } })
    local publishers, readers = {}, {}
    for id = 1, CHANNELS do
      for n = 0, READERS do
        local client = broker:connect("/ws/feed:" .. id, { delay = 0.0003 * (n % 4) })
        if n == 0 then publishers[id] = client end
        readers[#readers + 1] = { client = client, n = 0, v = 1 }
      end
    end
    local function read()
      for _, reader in ipairs(readers) do
        for _, text in ipairs(reader.client:messages()) do
          local count, n = text:match '"count":(%d+)', text:match '"n":(%d+)'
          local v = text:match '"v":(%d+)'
          reader.n = reader.n + 1
          assert.equal(reader.n, tonumber(n), text)
          assert.equal(reader.n, tonumber(count), text) -- the state went along
          assert.is_true(tonumber(v) >= reader.v, "an old script after a new one")
          reader.v = tonumber(v)
        end
      end
    end
    for n = 1, RELOADS do
      for _, publisher in ipairs(publishers) do publisher:send(('{"n":%d}'):format(n)) end
      assert.is_true((broker:reload(files(n + 1), { wait = false })))
      broker:advance(0.001)
      if n % 100 == 0 then read() end
    end
    broker:advance(1)
    read()
    local stats = broker:stats()
    for _, reader in ipairs(readers) do assert.equal(RELOADS, reader.n) end
    assert.equal(RELOADS + 1, stats.generation)
    assert.equal(RELOADS * CHANNELS * (READERS + 1), stats.messages_out)
    for id = 1, CHANNELS do assert.equal(RELOADS, stats.channels["feed:" .. id].offset) end
  end)
end)
