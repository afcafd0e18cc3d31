-- How a reload is asked for, and what only the process shows of it. (What a reload does is in
-- spec/both.)
local live = require "spec.support.live"

-- A transform that marks messages with its version.
local function version(v, more)
  return ("return { publish = true, %s transform = function(m) m.data.v = %d return m end }\n")
    :format(more or "", v)
end

describe("a reload", function()
  after_each(live.teardown)

  local function start(files, settings)
    files["channels/market.lua"] = files["channels/market.lua"] or version(1)
    local broker = live.broker { files = files, settings = settings }
    -- A file that is written in place may be seen while it is empty.
    broker:allow_log("expected that the file returns a table")
    return broker
  end

  local function wait_version(broker, v)
    broker:until_(function()
      local client = broker:connect("/ws/market")
      broker:publish("market", "{}")
      local got = client:receive_json().v
      client:close(1000)
      return got == v
    end, 5, "version " .. v)
  end

  -- Which generation is served, the broker says when all workers are ready with it.
  local function wait_newer(broker, before)
    broker:until_(function() return broker:stats().generation > before end, 5, "a new generation")
  end

  describe("is asked for", function()
    it("over HTTP, and live clients hear the new script at once", function()
      local broker = start {}
      local client = broker:connect("/ws/market")
      local before = broker:stats().generation
      assert.equal(1, before)
      broker:publish("market", "{}")
      local status, answer = broker:reload { ["channels/market.lua"] = version(2) }
      assert.equal(200, status)
      assert.is_true(answer.generation > before)
      broker:publish("market", "{}")
      assert.equal(1, client:receive_json().v)
      assert.equal(2, client:receive_json().v)
      wait_newer(broker, before)
      assert.equal(1, broker:stats().connections)
    end)

    it("by SIGHUP", function()
      local broker = start {}
      local client = broker:connect("/ws/market")
      broker:write("channels/market.lua", version(2))
      broker:signal("sighup")
      wait_version(broker, 2)
      wait_newer(broker, 1)
      assert.is_true(client:is_open())
    end)

    it("by writing a file", function()
      local broker = start {}
      broker:write("channels/market.lua", version(2))
      wait_version(broker, 2)
      broker:write("channels/market.lua", version(3))
      wait_version(broker, 3)
    end)

    it("by writing a file all the time", function()
      local broker = start {}
      local v = 1
      broker:until_(function()
        v = v + 1
        broker:write_by_rename("channels/market.lua", version(v)) -- never half a file
        return broker:stats().generation > 1
      end, 2.5, "a reload of a file that never rests")
    end)

    it("by nothing that leaves the files as they were", function()
      local text = 'require("tidewire").log.info("loading")\n' .. version(1)
      local broker = start { ["channels/market.lua"] = text }
      local function loads()
        return select(2, broker:log():gsub("loading", ""))
      end
      broker:until_(function() return loads() >= 1 end)
      for n = 2, 4 do
        broker:write("channels/market.lua", text)
        broker:until_(function() return loads() >= n end, 3)
      end
      broker:write("channels/market.lua", version(2))
      wait_version(broker, 2)
      broker:until_(function() return broker:stats().generation == 2 end, 5, "the 2nd generation")
    end)

    it("by renaming a new file over the old, again and again", function()
      local broker = start {}
      for v = 2, 4 do
        broker:write_by_rename("channels/market.lua", version(v))
        wait_version(broker, v)
      end
    end)

    it("by a change of a transform that a channel uses", function()
      local broker = start {
        ["channels/market.lua"] = 'return { transform = require "transforms.mark" }',
        ["transforms/mark.lua"] = "return function(m) m.data.v = 1 return m end",
      }
      broker:write("transforms/mark.lua", "return function(m) m.data.v = 2 return m end")
      wait_version(broker, 2)
    end)
  end)

  it("of something broken keeps the old scripts, says where, and watches on", function()
    local broker = start {}
    local client = broker:connect("/ws/market")
    broker:expect_log("channels/market.lua:2")
    broker:write("channels/market.lua", "return {\n  oops oops\n}\n")
    broker:wait_log("channels/market.lua:2", 5)
    assert.equal(1, broker:stats().generation)
    broker:publish("market", "{}")
    assert.equal(1, client:receive_json().v)
    broker:write("channels/market.lua", version(2))
    wait_version(broker, 2)
    assert.is_true(client:is_open())
  end)

  it("says which settings need a restart", function()
    local broker = start({
      ["broker.lua"] = 'return { listen = "127.0.0.1:0", workers = 1 }',
    }, { listen = false, workers = false })
    local client = broker:connect("/ws/market")
    broker:expect_log("restart")
    local changes = {
      listen = 'return { listen = "127.0.0.1:1", workers = 1 }',
      workers = 'return { listen = "127.0.0.1:0", workers = 2 }',
    }
    for setting, text in pairs(changes) do
      assert.equal(200, (broker:reload { ["broker.lua"] = text }))
      broker:until_(function()
        for line in broker:log():gmatch("[^\n]+") do
          if line:find("restart") and line:find(setting) then return true end
        end
      end, nil, "a log line that says restart and " .. setting)
    end
    assert.equal(1, broker:stats().workers)
    broker:publish("market", "{}")
    assert.equal(1, client:receive_json().v)
  end)
end)
