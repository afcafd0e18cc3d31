--- What provokes the answers of the admin API: by the quote, a function(row) that returns "STATUS
-- BODY"; the status must be the row's.
local live = require "tidewire.live"

local FAILS = "return { transform = function(message) error('no') end }"
local KEY = { env = { TIDEWIRE_ADMIN_KEY = "secret" } }

local function broker_of(text, options)
  local all = { files = { ["channels/a.lua"] = text or "return {}" } }
  for name, value in pairs(options or {}) do all[name] = value end
  local broker = assert(live.broker(all))
  broker:allow_log("")
  return broker
end

local function told(row, response)
  local status = row[1]:match("^%d+")
  assert(tonumber(status) == response.status,
    ("not %s, but %d %s"):format(status, response.status, response.body))
  return response.status .. " " .. response.body
end

-- A request to an app with the channel `a`.
local function asks(path, body, headers, text, options)
  return function(row)
    local broker = broker_of(text, options)
    return told(row, broker:admin("POST", path, body, headers))
  end
end

local A = "/v1/channels/a/messages"

return {
  ['"offset":7'] = function(row)
    local broker = broker_of()
    for _ = 1, 6 do broker:publish("a", {}) end
    return told(row, broker:admin("POST", A, "{}"))
  end,
  ['"dropped":true'] = asks(A, "{}", nil, "return { transform = function() return nil end }"),
  ["the admin key is missing or wrong"] = asks(A, "{}", { Authorization = false }, nil, KEY),
  ["not from a web page"] = asks(A, "{}", { Origin = "http://example.org" }),
  ["no such channel"] = asks("/v1/channels/b/messages", "{}"),
  ["no such path"] = asks("/v1/channels/a/message", "{}"),
  ["there is no generation to go back to"] = asks("/v1/rollback", ""),
  ["the payload is larger than limits.message_size"] = asks(A, ('"%s"'):format(("x"):rep(70000))),
  ["the payload is not JSON …"] = asks(A, "hello"),
  ["the app does not load"] = function(row)
    local broker = broker_of()
    broker:reload({ ["channels/a.lua"] = "return 1" })
    return told(row, broker:admin("POST", "/v1/reload", ""))
  end,
  ["the hook failed"] = asks(A, "{}", nil, FAILS),
  ["quarantined: the channel's hooks keep failing"] = function(row)
    local broker = broker_of(FAILS, { settings = { ["script.quarantine.failures"] = 1 } })
    broker:publish("a", {})
    local response = broker:admin("POST", A, "{}")
    assert(response.headers["retry-after"], "no Retry-After")
    return told(row, response)
  end,
  ["the scripts of this worker were killed and do not load again"] = function(row)
    local broker = broker_of [[local tidewire = require "tidewire"
      if tidewire.shared.get "killed" then error "not now" end
      return { transform = function(message)
        tidewire.shared.set("killed", true)
        string.find(('a'):rep(30000) .. 'b', ('a*'):rep(30) .. 'c')
      end }]]
    broker:publish("a", {})
    local response = broker:admin("POST", A, "{}")
    assert(response.headers["retry-after"], "no Retry-After")
    return told(row, response)
  end,
  ["draining"] = function(row)
    local broker = broker_of(nil, { settings = { ["drain.window"] = 2 } })
    assert(broker:connect("/ws/a", { no_close_reply = true })) -- who says no goodbye is waited for
    broker:drain()
    assert(broker:wait(function() return broker:admin("GET", "/readyz").status == 503 end, 5))
    return told(row, broker:admin("POST", A, "{}"))
  end,
}
