--- Assertions for busted about clients; a failure shows what came instead, and the end of the log.
--
--   assert.receives(client, value[, within])      the next message: text as it is, a table as JSON
--   assert.receives_nothing(client[, within])     no message comes
--   assert.closed_with(client, code[, reason])    waits for the end of the connection
--   assert.refused_with(client, status)           the answer to the handshake
local assert = require "luassert"
local util = require "luassert.util"
local json = require "tidewire.harness.json"

local function show(value)
  if value == nil then return "nothing" end
  return type(value) == "table" and json.encode(value) or tostring(value):sub(1, 1000)
end

-- Sets what a failure says, which is built only if there is one.
local function explain(state, arguments, client, wanted, got)
  arguments.nofmt = { true, true, true, true }
  state.failure_message = setmetatable({}, { __tostring = function()
    return ("%s\n  wanted: %s\n  got:    %s\n%s\n%s"):format(
      state.mod and "it did not come so" or "it must not come so", show(wanted), show(got),
      client:describe(), client.broker:log_tail())
  end })
end

local function is_client(value)
  return type(value) == "table" and value.broker and value.path
end

local function check_client(name, arguments)
  if not is_client(arguments[1]) then error("assert." .. name .. " takes a client first", 4) end
  return arguments[1]
end

local function receives(state, arguments)
  local client, wanted = check_client("receives", arguments), arguments[2]
  local got = client:receive(arguments[3])
  explain(state, arguments, client, wanted, got)
  if type(wanted) ~= "table" or got == nil then return got == wanted, { got } end
  return (util.deepcompare(json.decode(got), wanted, true)), { got }
end

local function receives_nothing(state, arguments)
  local client = check_client("receives_nothing", arguments)
  local got = client:receive(arguments[2] or client.broker.NOTHING_WITHIN)
  explain(state, arguments, client, nil, got)
  return got == nil
end

local function closed_with(state, arguments)
  local client = check_client("closed_with", arguments)
  local code, reason = arguments[2], arguments[3]
  local got, got_reason = client:wait_closed()
  local function both(number, text) return ("%d %s"):format(number, text or "") end
  explain(state, arguments, client, both(code, reason),
    got and both(got, got_reason) or "no end of the connection")
  return got == code and (reason == nil or reason == got_reason), { got, got_reason }
end

local function refused_with(state, arguments)
  local client = check_client("refused_with", arguments)
  explain(state, arguments, client, "status " .. arguments[2], "status " .. client.status)
  return client.status == arguments[2] and client.status ~= 101, { client }
end

assert:register("assertion", "receives", receives)
assert:register("assertion", "receives_nothing", receives_nothing)
assert:register("assertion", "closed_with", closed_with)
assert:register("assertion", "refused_with", refused_with)
