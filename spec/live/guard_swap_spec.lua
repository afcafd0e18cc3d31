-- Many channels whose `migrate` or `init` never ends take over in one reload, or whose files never
-- end when they are read: nobody else notices, since each has a turn of its own, and reading is off
-- the loop.
local flow = require "spec.support.flow"
local http = require "spec.support.http"
local hostile = require "spec.support.hostile"
local live = require "spec.support.live"
local loop = require "spec.support.loop"

local COUNT = 40
local FLOWS = { "flow1", "flow2", "flow3", "flow4" }
local DEADLINE = 0.05
-- Of processor time, as in guard_spec: a migrate and the init behind it, for each worker. All of
-- them together would be 40 times that.
local WORST_GAP = 0.25 * loop.factor * (os.getenv "TIDEWIRE_WORKERS" == "1" and 1 or 2)
local LOOP = "while true do end"

describe("a reload of many channels that never end", function()
  after_each(live.teardown)

  local function each(name, text)
    local files = {}
    for i = 1, COUNT do files[("channels/%s%d.lua"):format(name, i)] = text end
    return files
  end

  local function start()
    local files = hostile.app(FLOWS)
    for path, text in pairs(each("moving", "return { init = function(channel) "
      .. "channel.state.n = 1 end }")) do files[path] = text end
    local broker = live.broker {
      files = files, args = { "--no-watch" }, within = 10,
      settings = { ["script.deadline"] = DEADLINE },
      env = { ASAN_OPTIONS = "quarantine_size_mb=8" },
    }
    broker:allow_log("hook failed")
    broker:allow_log("error load")
    broker.flow = flow.watch(broker, FLOWS)
    return broker
  end

  local function wait_failures(broker, hook)
    local function count()
      local _, found = broker:log():gsub("hook=" .. hook .. " ", "")
      broker.flow:look()
      return found
    end
    broker:until_(function() return count() >= COUNT end, 30, COUNT .. " failures of " .. hook)
  end

  local function check_flow(broker)
    broker.flow:wait(5)
    assert.is_true(broker.flow.worst_used < WORST_GAP,
      ("the broker worked %.3f s between two ticks"):format(broker.flow.worst_used))
  end

  it("in migrate", function()
    local broker = start()
    local client = broker:connect "/ws/moving7"
    assert.equal(200, (broker:reload(each("moving", "return { "
      .. "migrate = function(state) " .. LOOP .. " end }"))))
    wait_failures(broker, "migrate")
    check_flow(broker)
    assert.is_true(client:is_open())
    broker:publish("moving7", { n = 1 }) -- each goes on, with a new state
    assert.same({ n = 1 }, client:receive_json(5))
  end)

  it("in init", function()
    local broker = start()
    assert.equal(200, (broker:reload(each("new", "return { init = function() "
      .. LOOP .. " end }"))))
    wait_failures(broker, "init")
    check_flow(broker)
    broker:connect "/ws/new7"
  end)

  it("at load, and says so of each file", function()
    local broker = start()
    for path, text in pairs(each("moving", LOOP)) do broker:write(path, text) end
    -- The first file gets the time for loading, those behind it that for a hook.
    local response = http.request { port = broker.admin_port, path = "/v1/reload", body = "",
      within = 30 }
    local answer = response:json()
    assert.equal(422, response.status)
    assert.equal(COUNT, #answer.errors)
    for _, it in ipairs(answer.errors) do assert.truthy(it.message:find("deadline of", 1, true)) end
    check_flow(broker)
    assert.equal(1, broker:stats().generation)
  end)
end)
