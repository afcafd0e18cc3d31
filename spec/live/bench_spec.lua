-- The load tool: small runs of each workload, whose figures must agree, and what it cannot measure.
local json = require "spec.support.json"
local live = require "spec.support.live"

describe("tidewire bench", function()
  after_each(live.teardown)

  local CHANNEL = [[return { name = "bench:{id}", publish = true,
    transform = function(message) return message end }]]

  local function broker(options)
    options = options or {}
    return live.broker {
      files = { ["channels/bench.lua"] = options.channel or CHANNEL, ["auth.lua"] = options.auth },
      settings = options.settings or {
        limits = { messages = { rate = 0 }, bytes = { rate = 0 }, message_size = 1048576 },
      },
      env = options.env,
    }
  end

  local function command(server, workload, path, ...)
    return { "bench", workload, ("ws://127.0.0.1:%d%s"):format(server.port, path), ... }
  end

  -- Runs it to its end; the result.
  local function bench(server, workload, path, ...)
    local args = command(server, workload, path, "--json", "--timeout", "20", ...)
    local code, out, err = live.run(args, { within = 60 })
    assert.equal("", err)
    assert.equal(0, code)
    return assert(json.decode(out))
  end

  local function fails(code, args, ...)
    local got, out, err = live.run(args, { within = 20 })
    for _, text in ipairs { ... } do
      assert.truthy(err:find(text, 1, true), ("%q does not say %q"):format(err, text))
    end
    assert.equal(code, got)
    assert.equal("", out)
  end

  local function assert_lossless(result)
    assert.same({ 0, 0, 0, 0, 0, false }, {
      result.missing, result.duplicates, result.reordered, result.foreign, result.closed,
      result.stalled,
    })
  end

  it("counts a delivery for each subscriber of each message", function()
    local server = broker()
    local result = bench(server, "fanout", "/ws/bench:{n}", "--clients", "30", "--channels", "5",
      "--window", "8", "--count", "200")
    assert_lossless(result)
    assert.equal(200, result.messages)
    assert.equal(200 * 6, result.deliveries)
    assert.equal(200 * 6, result.phases[1].deliveries)
    assert.equal(200 * 6, result.phases[1].latency_us.count)
    assert.equal(30, result.connect.connections)
    assert.equal(40, server:channel("bench:3").offset)
    local latency = result.phases[1].latency_us
    assert.is_true(latency.p50 > 0 and latency.p50 <= latency.p99 and latency.p99 <= latency.max)
  end)

  it("runs for a time, after a warm-up that is not measured", function()
    local result = bench(broker(), "fanout", "/ws/bench:{n}", "--clients", "4", "--window", "2",
      "--duration", "0.2", "--warmup", "0.2")
    assert_lossless(result)
    assert.equal(result.messages * 4, result.deliveries)
    assert.is_true(result.phases[1].messages < result.messages)
    assert.is_true(result.phases[1].seconds >= 0.2)
  end)

  it("publishes at a rate, and counts latency from when a message was due", function()
    local result = bench(broker(), "fanout", "/ws/bench:{n}", "--clients", "10", "--rate", "500",
      "--count", "100")
    assert_lossless(result)
    assert.equal(1000, result.deliveries)
    assert.is_true(result.phases[1].seconds >= 0.198)
    assert.equal(100, result.phases[1].published_late_us.count)
    assert.is_true(result.phases[1].latency_us.max >= result.phases[1].published_late_us.p50)
  end)

  it("waits without sleeping if it is told to, and does not call that work", function()
    local result = bench(broker(), "fanout", "/ws/bench:{n}", "--clients", "2", "--rate", "100",
      "--duration", "0.5", "--busy-poll")
    assert_lossless(result)
    assert.is_true(result.deliveries > 0)
    local cores = result.phases[1].client_cores
    assert.is_true(cores < 0.5, cores .. " of a core for 200 deliveries a second")
  end)

  it("publishes by HTTP", function()
    local server = broker { env = { TIDEWIRE_ADMIN_KEY = "secret" } }
    local result = bench(server, "fanout", "/ws/bench:{n}", "--clients", "12", "--channels", "3",
      "--window", "2", "--count", "50", "--publish",
      ("http://127.0.0.1:%d/v1/channels/bench:{n}/messages"):format(server.admin_port),
      "--publish-header", "Authorization: Bearer secret")
    assert_lossless(result)
    assert.equal(50 * 4, result.deliveries)
  end)

  it("echoes, large messages too", function()
    for _, size in ipairs { "128", "16384", "100000" } do
      local result = bench(broker(), "echo", "/ws/bench:{n}", "--clients", "10", "--size", size,
        "--count", "200", "--window", "3")
      assert_lossless(result)
      assert.equal(200, result.messages)
      assert.equal(200, result.deliveries)
    end
  end)

  it("keeps clients idle, then has each publish", function()
    local server = broker()
    local result = bench(server, "idle", "/ws/bench:{n}", "--clients", "60", "--channels", "6",
      "--duration", "0.1", "--touch", "--pid", tostring(server.process.pid))
    assert_lossless(result)
    assert.equal(60, result.messages)
    assert.equal(600, result.deliveries)
    assert.is_true(result.memory.before > 0 and result.memory.touched > 0)
    assert.is_true(result.connect.server_cpu_us >= 0)
  end)

  it("connects again and again", function()
    local server = broker()
    local result = bench(server, "connect", "/ws/bench:1", "--count", "200", "--concurrency", "7")
    assert.equal(200, result.connect.connections)
    assert.equal(0, result.connect.failures)
    assert.equal(200, result.connect.latency_us.count)
    server:wait_connections(0)
  end)

  it("has some clients stop reading, for whom the others do not wait", function()
    local server = broker()
    local result = bench(server, "slow", "/ws/bench:{n}", "--clients", "20", "--share", "0.25",
      "--size", "4096", "--window", "4", "--duration", "0.9", "--warmup", "0",
      "--receive-buffer", "4096", "--pid", tostring(server.process.pid))
    assert_lossless(result)
    assert.equal(15 * result.messages, result.deliveries)
    assert.equal(5, result.slow.clients)
    assert.equal(5 * result.messages, result.slow.deliveries + result.slow.missing)
    assert.equal(0, result.slow.duplicates)
    local names = {}
    for i, phase in ipairs(result.phases) do
      names[i] = phase.name
      assert.is_true(phase.deliveries > 0 and phase.server_rss > 0)
    end
    assert.same({ "steady", "stalled", "resumed" }, names)
  end)

  it("sends headers, as auth may want them", function()
    local server = broker {
      auth = [[return function(request)
        if request.headers["x-token"] == "good" then return { user = "bench" } end
        return nil, "no token"
      end]],
    }
    fails(1, command(server, "fanout", "/ws/bench:1"), "refused: 401", "no token")
    local result = bench(server, "fanout", "/ws/bench:1", "--count", "5", "--header",
      "X-Token: good")
    assert.equal(500, result.deliveries)
  end)

  it("prints a table", function()
    local server = broker()
    local args = command(server, "fanout", "/ws/bench:1", "--count", "5", "--pid",
      tostring(server.process.pid))
    local code, out = live.run(args, { within = 20 })
    assert.equal(0, code)
    for _, text in ipairs { "p99.9", "missing 0", "500 of 5 messages", "memory per client" } do
      assert.truthy(out:find(text, 1, true), text)
    end
  end)

  it("counts what a transform drops as missing", function()
    local server = broker {
      channel = [[return {
        name = "bench:{id}", publish = true,
        transform = function(message, channel)
          if channel.offset == 10 and not channel.state.dropped then
            channel.state.dropped = true
            return nil
          end
          return message
        end,
      }]],
    }
    local result = bench(server, "fanout", "/ws/bench:1", "--clients", "3", "--window", "2",
      "--count", "20")
    assert.equal(3, result.missing)
    assert.equal(57, result.deliveries)
  end)

  it("finds its stamp in what a transform has rewritten", function()
    local server = broker {
      channel = [[return { name = "bench:{id}", publish = true, transform = function(message)
        message.data.aaa = { 1, 2, 3 }
        message.data.zzz = true
        return message
      end }]],
    }
    local result = bench(server, "fanout", "/ws/bench:1", "--clients", "3", "--count", "20")
    assert_lossless(result)
    assert.equal(60, result.deliveries)
  end)

  it("says why there is nothing to measure", function()
    local server = broker { channel = "return { name = 'bench:{id}', publish = false }" }
    fails(1, command(server, "fanout", "/ws/nothing", "--clients", "1"), "refused: 404")
    fails(1, command(server, "connect", "/ws/nothing", "--count", "5"), "refused: 404")
    fails(1, command(server, "fanout", "/ws/bench:1", "--clients", "2", "--timeout", "0.3"),
      "no message came back", "may clients publish")
    fails(1, command(server, "fanout", "/ws/bench:1", "--publish",
      ("http://127.0.0.1:%d/v1/channels/nothing/messages"):format(server.admin_port)),
      "refuses to publish: 404")
    fails(1, command(server, "fanout", "/ws/bench:1", "--pid", "4194304"), "no such process")
    fails(1, command(server, "fanout", "/ws/bench:1", "--clients", "1000000"),
      "file descriptors are needed", "ulimit -n")
    fails(2, command(server, "fanout", "/ws/bench:1", "--channels", "2"), "{n}")
    fails(2, { "bench", "fanout", "wss://127.0.0.1" }, "TLS")
    fails(2, { "bench", "fanot", "ws://127.0.0.1" }, "did you mean fanout?")
    fails(1, { "bench", "fanout", "ws://no.such.host.invalid/" },
      "cannot find no.such.host.invalid")
  end)

  it("says that nobody listens there", function()
    local server = broker()
    local args = command(server, "fanout", "/ws/bench:1")
    local again = command(server, "connect", "/ws/bench:1")
    server:stop()
    fails(1, args, args[3], "Connection refused")
    fails(1, again, "no client could connect", "Connection refused")
  end)

  it("says that its publisher was closed, and with which code", function()
    local server = broker { settings = { limits = { messages = { rate = 1, burst = 2 } } } }
    fails(1, command(server, "fanout", "/ws/bench:1", "--window", "64"), "lost", "4429")
  end)

  it("explains itself", function()
    local code, out = live.run { "bench", "--help" }
    assert.equal(0, code)
    assert.truthy(out:find("usage: tidewire bench", 1, true))
  end)
end)
