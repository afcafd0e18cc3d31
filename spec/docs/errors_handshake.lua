--- What provokes the refusals of handshakes: by the quote, a function(row) that returns "STATUS
-- BODY". The status must be the row's; with `reject_with = "close"` the close code must be the one
-- in brackets, with the same reason.
local request = require "tidewire.harness.request"
local sim = require "tidewire.sim"

local HEAD = request.handshake("/ws/a", {})

-- A client that is refused by an app. `options`: of connect, and path; `before`: what to do before
-- it comes; if that returns a function(client), then that, when it is on its way.
local function refused(files, options, settings, before)
  return function(row, quote)
    options = options or {}
    local status, code = row[1]:match("^(%d+)"), row[1]:match("^%d+ %((%d+)%)")
    local function try(how)
      local all = { reject_with = how }
      for name, value in pairs(settings or {}) do all[name] = value end
      local broker = assert(sim.broker { files = files, settings = all })
      broker:allow_log("")
      local during = before and before(broker)
      local client = broker:dial(options.path or "/ws/a", options)
      if during then during(client) end
      broker:wait(function() return client.state == "ended" end, 10)
      return client
    end
    local client = try "http"
    assert(client.status == tonumber(status), ("not %s, but %s"):format(status, client.head))
    if code then
      local closed = try "close"
      assert(closed.close_code == tonumber(code), ("not %s, but %s: %s"):format(code,
        tostring(closed.close_code), closed.body))
      local reason = client:json().error
      assert(closed.close_reason == reason:sub(1, 120), closed.close_reason)
    end
    return quote == row[1] and quote or client.status .. " " .. client.body
  end
end

local APP = { ["channels/a.lua"] = "return {}" }
local FAILS = { ["channels/a.lua"] = "return { authorize = function() error('no') end }" }

local function auth(text)
  return { ["channels/a.lua"] = "return {}", ["auth.lua"] = text }
end

local function connect_one(broker)
  assert(broker:connect("/ws/a").status == 101)
end

return {
  ["this path speaks WebSocket, and the request does not"] = refused(APP,
    { raw = "GET /ws/a HTTP/1.1\r\nHost: x\r\n\r\n" }),
  ["401 (4401) with a reason of your own"] = refused(auth "return function() return nil, 'no' end"),
  ["authentication failed"] = refused(auth "return function() error('no') end"),
  ["this origin is not allowed"] = refused({ ["channels/a.lua"] = "return {}",
    ["broker.lua"] = "return { allowed_origins = { 'http://example.com' } }" },
    { headers = { Origin = "http://example.org" } }),
  ["401 refused"] = refused(auth "return function() return nil end"),
  ["403 refused"] = refused { ["channels/a.lua"] = "return { authorize = function() "
    .. "return false end }" },
  ["not allowed"] = refused(FAILS),
  ["the server is going away"] = refused(APP, { raw = HEAD:sub(1, 50) }, nil, function(broker)
    assert(broker:connect("/ws/a", { no_close_reply = true }).status == 101)
    return function(client)
      broker:drain()
      client:write_raw(HEAD:sub(51))
    end
  end),
  ["no such channel"] = refused(APP, { path = "/ws/b" }),
  ["Sec-WebSocket-Version is not 13"] = refused(APP,
    { headers = { ["Sec-WebSocket-Version"] = "8" } }),
  ["too many connections from this address"] = refused(APP, nil,
    { ["limits.connections_per_ip"] = 1 }, connect_one),
  ["too many handshakes …"] = refused(APP, nil,
    { ["limits.handshakes_per_ip.rate"] = 1, ["limits.handshakes_per_ip.burst"] = 1 }, connect_one),
  ["head too big"] = refused(APP, { headers = { Cookie = ("x"):rep(9000) } }),
  ["the server is full"] = refused(APP, nil, { ["limits.connections"] = 1 }, connect_one),
  ["quarantined: …"] = refused(FAILS, nil, { ["script.quarantine.failures"] = 1 },
    function(broker) broker:connect "/ws/a" end),
}
