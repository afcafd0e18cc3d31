-- A broker.lua that lasts for ever or eats all memory: at the start the binary says so and ends, at
-- a reload the generation before stays, and nobody who is connected notices.
local flow = require "spec.support.flow"
local hostile = require "spec.support.hostile"
local http = require "spec.support.http"
local live = require "spec.support.live"
local loop = require "spec.support.loop"
local settings = require "spec.support.hostile_settings"

local FLOWS = { "flow1", "flow2" }
local WITHIN = 10 -- seconds: 2 of processor time, and what else the machine does
local ENVIRONMENT = { ASAN_OPTIONS = "quarantine_size_mb=8" }

-- See guard_spec.
local WORST_GAP = 0.25 * loop.factor * (os.getenv "TIDEWIRE_WORKERS" == "1" and 1 or 2)
local WORST_GROWTH = 64 * 1024 * 1024

describe("a broker.lua", function()
  after_each(live.teardown)

  local function is_short(text)
    assert.is_true(#text < 100000, #text .. " bytes of output")
  end

  -- At the start broker.lua is read before there are workers, so once is enough.
  local is_first = os.getenv "TIDEWIRE_WORKERS" == "1"

  for _, name in ipairs(is_first and settings.names(settings.refused) or {}) do
    it("that is hostile ends the start with an error: " .. name, function()
      local kind = settings.refused[name]
      local code, out, err = live.run({ "run", live.folder { ["broker.lua"] = kind[1] },
        "--admin", "127.0.0.1:0", "-D", "listen=127.0.0.1:0" }, { within = WITHIN })
      assert.equal(1, code)
      assert.equal("", out)
      assert.truthy(err:find(" error load broker.lua", 1, true), err:sub(1, 1000))
      assert.truthy(err:find(kind[2], 1, true), err:sub(1, 1000))
      assert.truthy(err:find("the app does not load", 1, true))
      is_short(err)
    end)
  end

  for _, name in ipairs(is_first and settings.names(settings.passing) or {}) do
    it("whose metatables loop is read without them: " .. name, function()
      local broker = live.broker { files = { ["broker.lua"] = settings.passing[name],
        ["channels/a.lua"] = "return {}" } }
      broker:connect "/ws/a"
    end)
  end

  it("that is hostile changes nothing at a reload, and nobody notices", function()
    local broker = live.broker { files = hostile.app(FLOWS), env = ENVIRONMENT,
      args = { "--no-watch" } }
    broker:allow_log("error load generation=%d+ broker.lua")
    broker.flow = flow.watch(broker, FLOWS)
    local client = broker:connect "/ws/crowd"
    local function reload(text)
      local generation = broker:stats().generation
      broker:write("broker.lua", text)
      local answer = http.request { port = broker.admin_port, path = "/v1/reload", body = "",
        within = WITHIN }
      broker.flow:look()
      return answer.status, answer:json(), broker:stats().generation - generation
    end
    assert.equal(422, (reload(settings.refused.table_bomb[1])))
    local before = broker:memory()
    for _, name in ipairs(settings.names(settings.refused)) do
      local kind = settings.refused[name]
      local status, answer, steps = reload(kind[1])
      assert.equal(422, status, name)
      assert.equal(0, steps, name)
      assert.equal("broker.lua", answer.errors[1].file)
      assert.is_true(#answer.errors <= 101, name)
      local texts = {}
      for i, it in ipairs(answer.errors) do texts[i] = it.message end
      texts = table.concat(texts, "\n")
      assert.truthy(texts:find(kind[2], 1, true), name .. ": " .. texts:sub(1, 1000))
    end
    for _, name in ipairs(settings.names(settings.passing)) do
      local status, _, steps = reload(settings.passing[name])
      assert.equal(200, status, name)
      assert.equal(1, steps, name)
    end
    broker.flow:wait(5)
    assert.is_true(client:is_open())
    assert.is_true(broker.flow.worst_used < WORST_GAP,
      ("the broker worked %.3f s between two ticks"):format(broker.flow.worst_used))
    local grown = broker:memory() - before
    assert.is_true(grown < WORST_GROWTH, ("grown by %.1f MB"):format(grown / 2 ^ 20))
    is_short(broker:log())
  end)
end)
