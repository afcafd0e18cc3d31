--- What provokes the ends of connections: by the quote, a function(row) that returns the reason.
-- The close code must be one of the row's.
local core = require "tidewire.sim.core"
local live = require "tidewire.live"
local sim = require "tidewire.sim"

local APP = { ["channels/a.lua"] = "return { publish = true }" }

-- A client of an app, after `act(client, broker)`, which ends it.
local function ended(files, act, options, settings)
  return function(row, quote)
    local broker = assert(sim.broker { files = files, settings = settings })
    broker:allow_log("")
    local client = broker:connect("/ws/a", options)
    assert(client.status == 101, client.head)
    if act then act(client, broker) end
    local code, reason = client:wait_closed(3600)
    assert(code, "it stays open")
    local number = tostring(code):gsub(row[1]:find("xxx") and "^4%d%d%d$" or "^$", "4xxx")
    assert(row[1]:find(number, 1, true), ("not %s, but %d %s"):format(row[1], code, reason))
    return quote == row[1] and quote or reason
  end
end

local function sends(count, ...)
  local arguments = { ... }
  return function(client)
    for _ = 1, count do client:send_frame(unpack(arguments)) end
  end
end

local STRICT = { ["limits.violations"] = 1 }

return {
  quoted_in = 2,
  ["1000"] = ended(APP, function(client) client:close(1000) end),
  ["server is going away"] = ended(APP, function(_, broker) broker:drain() end),
  ["frame not masked"] = ended(APP, function(client) client:write_raw("\x81\x01x") end),
  ["text is not UTF-8"] = ended(APP, sends(1, 0x81, "\xff\xff")),
  ["1006"] = function(row)
    local broker = assert(live.broker { files = APP })
    local client = broker:connect "/ws/a"
    broker.process:kill()
    broker.is_stopped = true -- nothing to check at its end
    assert(tostring(client:wait_closed()) == row[1])
    return row[1]
  end,
  ["message too big"] = ended(APP, sends(1, 0x81, ('"%s"'):format(("x"):rep(70000)))),
  ["token expired"] = ended({ ["channels/a.lua"] = "return {}", ["auth.lua"] = "return function() "
    .. "return { expires = require('tidewire').now() + 5 } end" }),
  ["no longer allowed"] = ended({ ["channels/a.lua"] = "return {}" }, function(_, broker)
    broker:reload { ["channels/a.lua"] = "return { authorize = function() return false end }" }
  end),
  ["channel gone"] = ended({ ["channels/a.lua"] = "return {}", ["channels/b.lua"] = "return {}" },
    function(_, broker) broker:reload { ["channels/a.lua"] = false } end),
  ["heartbeat timeout"] = ended(APP, nil, { no_pong = true }),
  ["too many messages"] = ended(APP, sends(300, 0x81, "1"), nil, STRICT),
  ["too many control frames"] = ended(APP, sends(300, 0x89, ""), nil, STRICT),
  ["message is not JSON"] = ended(APP, sends(1, 0x81, "hello"), nil, STRICT),
  ["publishing is not allowed"] = ended({ ["channels/a.lua"] = "return {}" }, sends(1, 0x81, "1"),
    nil, STRICT),
  ["too slow"] = ended({ ["channels/a.lua"] = "return { queue = { size = 1, "
    .. "overflow = 'disconnect' } }" }, function(client, broker)
    client:stall()
    for _ = 1, 100 do broker:publish("a", { x = ("x"):rep(10000) }) end
    client:resume()
  end),
  ["pongs are not read"] = ended(APP, function(client)
    client:stall()
    for _ = 1, 5000 do client:ping(("x"):rep(100)) end
    client:resume()
  end, nil, { ["limits.messages.rate"] = 0 }),
  ["out of memory"] = function(_, quote)
    for n = 1, 100 do
      local broker = assert(sim.broker { files = APP })
      broker:allow_log("")
      local client = broker:connect "/ws/a"
      core.fail_after(n)
      client:send(("1"):rep(5000))
      broker.core:settle()
      core.fail_after(-1)
      if client:wait_closed(0) == 1011 and client.close_reason == quote then return quote end
      broker:free()
    end
    return "another thing each time"
  end,
  ["4xxx"] = ended({ ["channels/a.lua"] = "return { on_subscribe = function(client) "
    .. "client:disconnect(4000, 'enough') end }" }),
}
