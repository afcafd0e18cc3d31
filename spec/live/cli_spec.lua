-- The command line: what it says when it cannot do what was asked, and with which exit code.
local live = require "spec.support.live"

describe("the command line", function()
  after_each(live.teardown)

  local function fails(args, ...)
    local code, out, err = live.run(args)
    assert.is_true(code > 0 and code < 126, "exit code " .. code)
    assert.equal("", out)
    for _, text in ipairs { ... } do
      assert.truthy(err:find(text, 1, true), ("%q does not say %q"):format(err, text))
    end
    assert.is_nil(err:find("stack traceback", 1, true), "a user's mistake needs no traceback")
  end

  local function run(scripts, ...)
    local app = live.folder(scripts)
    return { "run", app, "--admin", "127.0.0.1:0", "-D", "listen=127.0.0.1:0", ... }
  end

  it("tells its version", function()
    local code, out = live.run { "version" }
    assert.equal(0, code)
    assert.truthy(out:find("^tidewire %d+%.%d+%.%d+"))
  end)

  it("explains itself", function()
    local code, out = live.run { "--help" }
    assert.equal(0, code)
    assert.truthy(out:find("tidewire run", 1, true))
  end)

  it("does not know every command", function()
    fails({ "rum" }, "rum")
  end)

  it("does not know every option", function()
    fails(run({}, "--bogus"), "--bogus")
    fails(run({}, "--admin"), "--admin")
    fails(run({}, "--admin-kee=x"), "--admin-kee", "--admin-key")
    fails(run({}, "--admin-key"), "--admin-key")
    fails(run({}, "--log-level"), "--log-level")
    fails(run({}, "--log-level", "loud"), "loud", "debug")
    fails(run({}, "-D", "=1"), "-D")
  end)

  it("takes one app", function()
    fails({ "run", "one", "two" }, "one", "two")
  end)

  it("wants a command", function()
    fails({}, "usage: tidewire run")
  end)

  it("takes options in both spellings", function()
    for _, args in ipairs {
      { "--log-level=error", "--admin-key=secret" }, { "--log-level", "error", "--admin-key",
        "secret" },
    } do
      local broker = live.broker { args = args }
      assert.equal("", broker:log())
      assert.equal(401, broker:admin("GET", "/v1/stats").status)
      assert.equal(200, broker:admin("GET", "/v1/stats", nil,
        { Authorization = "Bearer secret" }).status)
      broker:signal("sigterm")
      assert.equal(0, broker:wait_exit())
      broker.ended_at_once = true -- the log's last line is of a level that is not written
    end
  end)

  it("explains a bad -D", function()
    fails(run({}, "-D"), "-D")
    fails(run({}, "-D", "nonsense"), "nonsense")
    local app = { ["broker.lua"] = "return {}" }
    fails(run(app, "-D", "limits.violations=many"), "limits.violations")
    fails(run(app, "-D", "limits.violation=1"), "limits.violation", "violations")
    fails(run(app, "-D", "queue.overflow=drop_all"), "queue.overflow", "drop_oldest")
  end)

  it("needs an app that is there", function()
    fails({ "run", "/nonexistent/app", "--admin", "127.0.0.1:0" }, "/nonexistent/app")
  end)

  it("suggests the name that was meant", function()
    fails(run { ["broker.lua"] = "return { heartbeet = { interval = 1 } }" },
      "broker.lua", "heartbeet", "heartbeat")
    fails(run { ["broker.lua"] = "return { limits = { mesages = { rate = 1 } } }" },
      "broker.lua", "mesages", "messages")
    fails(run { ["channels/market.lua"] = "return { transfrom = print }" },
      "channels/market.lua", "transfrom", "transform")
  end)

  it("says where a script is broken", function()
    fails(run { ["broker.lua"] = "return {\n  limits = = 1\n}" }, "broker.lua:2")
    fails(run { ["channels/market.lua"] = "return {\n\n  x y\n}" }, "channels/market.lua:3")
    fails(run { ["auth.lua"] = "\nerror 'no'" }, "auth.lua:2")
    fails(run { ["auth.lua"] = "return 1" }, "auth.lua")
  end)

  it("says of a setting what it should be", function()
    fails(run { ["broker.lua"] = "return { queue = { size = 0 } }" }, "queue.size")
    fails(run { ["broker.lua"] = "return { queue = { size = -1 } }" }, "queue.size")
    fails(run { ["broker.lua"] = 'return { trusted_proxies = { "10.0.0.0/33" } }' },
      "trusted_proxies", "10.0.0.0/33")
    fails(run { ["channels/market.lua"] = "return { transform = 1 }" }, "transform", "function")
  end)

  it("says that an address is taken, or is none", function()
    local broker = live.broker()
    local taken = "127.0.0.1:" .. broker.admin_port
    local app = live.folder { ["broker.lua"] = "return {}" }
    fails({ "run", app, "--admin", taken, "-D", "listen=127.0.0.1:0" }, taken)
    fails({ "run", app, "--admin", "127.0.0.1:0", "-D", "listen=nowhere" }, "nowhere")
  end)

  it("wants a key where the admin listener can be reached from elsewhere", function()
    local args = { "run", live.folder { ["broker.lua"] = "return {}" }, "--admin", "0.0.0.0:0",
      "-D", "listen=127.0.0.1:0" }
    fails(args, "the admin address 0.0.0.0:", "has no key", "TIDEWIRE_ADMIN_KEY", "--admin-key",
      "127.0.0.1:8081", "tidewire: the admin listener needs a key")
  end)

  it("overrides settings of broker.lua with -D", function()
    local broker = live.broker {
      files = {
        ["broker.lua"] = "return { limits = { connections_per_ip = 5 } }",
        ["channels/market.lua"] = "return {}",
      },
      settings = { limits = { connections_per_ip = 1 } },
    }
    broker:connect("/ws/market")
    assert.equal(429, (broker:refusal("/ws/market")))
    assert.equal(200, (broker:reload())) -- and still does after a reload
    assert.equal(429, (broker:refusal("/ws/market")))
  end)

  it("says on one line where it serves", function()
    local broker = live.broker { files = { ["channels/market.lua"] = "return {}" } }
    assert.truthy(broker.process:stdout():find("^tidewire ready listen=127%.0%.0%.1:%d+ "
      .. "admin=127%.0%.0%.1:%d+ workers=%d+ generation=1\n$"))
    assert.is_true(broker.port > 0 and broker.admin_port > 0)
    assert.equal(1, broker.generation)
  end)
end)
