-- Handlers that never end: each is stopped, alone, while clients stay and other channels flow.
local live = require "spec.support.live"

local HOSTILE = {
  loop = "while true do end",
  pcalls = "while true do pcall(function() while true do end end) end",
  coroutine = "coroutine.wrap(function() while true do end end)()",
  handler = "xpcall(function() error('x') end, function() while true do end end)",
  backtracking = "string.find(('a'):rep(30000) .. 'b', ('a*'):rep(30) .. 'c')",
  recursion = "local function f() pcall(f) f() end f()",
  bomb = "local s = 'x' while true do s = s .. s end",
}

describe("a handler that never ends", function()
  after_each(live.teardown)

  local function start(jit)
    local kinds = {}
    for name, body in pairs(HOSTILE) do
      kinds[#kinds + 1] = ("if kind == %q then %s end"):format(name, body)
    end
    table.sort(kinds)
    return live.broker {
      files = {
        ["channels/evil.lua"] = "return { transform = function(message)\n"
          .. "local kind = message.data.kind\n" .. table.concat(kinds, "\n")
          .. "\nreturn message end }",
        ["channels/flow.lua"] = "return { tick = { every = 0.02, "
          .. "run = function(channel) channel:publish { n = channel.offset + 1 } end } }",
      },
      settings = { ["script.deadline"] = 0.02, ["script.jit"] = jit },
      args = { "--no-watch" }, -- a load that is under way would hold up the end
    }
  end

  for _, jit in ipairs { false, true } do
    it("is stopped, and nobody else notices" .. (jit and " (compiled)" or ""), function()
      local broker = start(jit)
      broker:expect_log("hook failed channel=evil")
      local listener, flow = broker:connect("/ws/evil"), broker:connect("/ws/flow")
      local n = flow:receive_json().n
      for name in pairs(HOSTILE) do
        local status, answer = broker:post("evil", { kind = name })
        assert.equal(500, status, name)
        assert.equal("transform", answer.hook)
        assert.equal(200, (broker:post("evil", { kind = "peaceful" })))
        assert.same({ kind = "peaceful" }, listener:receive_json())
      end
      for _ = 1, 20 do
        local got = flow:receive_json().n
        assert.equal(n + 1, got) -- none was lost, and it goes on
        n = got
      end
      assert.equal(2, broker:stats().connections)
    end)
  end

  it("at load is a load that fails", function()
    local broker = start(false)
    broker:expect_log("channels/flow.lua")
    local status, answer = broker:reload { ["channels/flow.lua"] = "while true do end\nreturn {}" }
    assert.equal(422, status)
    assert.equal("channels/flow.lua", answer.errors[1].file)
    assert.equal(1, broker:stats().generation)
  end)
end)
