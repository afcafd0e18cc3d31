-- Reloads under load, on the binary: see reload_load.c, which says what it saw. (In virtual time,
-- and exactly: spec/sim.) TIDEWIRE_RELOADS=1000 plays the whole of it.
local live = require "spec.support.live"
local process = require "spec.support.process"

describe("reloads under load", function()
  after_each(live.teardown)

  it("lose, double and reorder nothing", function()
    local reloads = os.getenv("TIDEWIRE_RELOADS") or "30"
    local binary = os.getenv("TIDEWIRE_BIN") or "build/dev/tidewire"
    local child = process.spawn {
      command = binary:match("^(.*/)") .. "reload_load",
      args = { "-w", os.getenv("TIDEWIRE_WORKERS") or "1", "-r", reloads, binary },
    }
    local ended = child:wait_exit(30 + tonumber(reloads))
    child:kill()
    local said = child:stdout() .. child:stderr()
    assert.truthy(ended, said)
    assert.equal(0, child.exit_code, said)
    assert.truthy(said:find("reloads=" .. reloads .. " .*lost=0 again=0 older=0"), said)
  end)
end)
