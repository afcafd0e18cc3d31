-- `tidewire test`: the specs of an app, with nothing to install or to set.
local live = require "spec.support.live"

local SPEC = [[
local harness = require "tidewire.harness"
describe("the app", function()
  after_each(harness.teardown)
  it("works on " .. harness.name, function()
    local broker = assert(harness.broker())
    local client = broker:connect "/ws/chat"
    broker:publish("chat", { n = 1 })
    assert.receives(client, { n = require "transforms.two" / 2 })
  end)
  it("is named", function() assert.is_string(os.getenv "TIDEWIRE_BIN") end)
end)
]]

describe("tidewire test", function()
  after_each(live.teardown)

  local function app(spec)
    return live.folder {
      ["channels/chat.lua"] = "return {}", ["transforms/two.lua"] = "return 2",
      ["spec/chat_spec.lua"] = spec or SPEC,
    }
  end

  local function test(...)
    local code, out, err = live.run({ "test", ... }, {
      within = 20, env = { LUA_PATH = false, TIDEWIRE_HARNESS = false, TIDEWIRE_APP = false },
    })
    return code, out, err
  end

  it("runs the folder spec of the app, in the simulator", function()
    local code, out = test(app(), "-o", "TAP")
    assert.equal(0, code)
    assert.truthy(out:find("ok 1 - the app works on sim", 1, true), out)
    assert.truthy(out:find("1..2", 1, true), out)
  end)

  it("runs it in the current folder, too", function()
    local code, out = live.run({ "test" }, { cwd = app(), within = 20 })
    assert.equal(0, code)
    assert.truthy(out:find("2 successes", 1, true), out)
  end)

  it("runs it on the binary", function()
    local code, out = live.run({ "test", app(), "-o", "TAP" },
      { env = { TIDEWIRE_HARNESS = "live" }, within = 20 })
    assert.equal(0, code)
    assert.truthy(out:find("ok 1 - the app works on live", 1, true), out)
  end)

  it("gives busted its arguments, and its exit code back", function()
    local folder = app(SPEC .. 'it("fails", function() assert.equal(1, 2) end)')
    local code, out = test(folder)
    assert.equal(1, code)
    assert.truthy(out:find("2 successes / 1 failure", 1, true), out)
    code, out = test(folder, "--filter", "is named")
    assert.equal(0, code)
    assert.truthy(out:find("1 success /", 1, true), out)
    assert.equal(1, (test(folder, "spec/chat_spec.lua")))
  end)

  it("says what is missing", function()
    local function says(text, ...)
      local code, out, err = test(...)
      assert.equal(1, code)
      assert.equal("", out)
      assert.truthy(err:find(text, 1, true), err)
    end
    says("has no folder spec", live.folder { ["broker.lua"] = "return {}" })
    says("No such file", "/nowhere")
    says("it is no folder", app() .. "/channels/chat.lua")
  end)
end)
