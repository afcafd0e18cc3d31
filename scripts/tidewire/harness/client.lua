--- What clients of both harnesses have in common, on top of what each has of its own: receive,
-- send_frame, configure, messages, and the fields state, head, body.
local json = require "tidewire.harness.json"

local Client = {}

--- The next message as a Lua value; nil when none comes.
function Client:receive_json(within)
  local payload = self:receive(within)
  if not payload then return nil end
  local value, failure = json.decode(payload)
  if value == nil then error(failure, 2) end
  return value
end

--- The next `count` payloads as a list, which is shorter when no more come.
function Client:receive_many(count, within)
  local list = {}
  for i = 1, count do
    local payload = self:receive(within)
    if not payload then break end
    list[i] = payload
  end
  return list
end

--- Sends a message: a table as JSON, a string as it is. Options: binary.
function Client:send(data, options)
  local payload = type(data) == "string" and data or json.encode(data)
  self:send_frame(options and options.binary and 0x82 or 0x81, payload)
end

function Client:ping(payload)
  self:send_frame(0x89, payload)
end

--- Begins the closing handshake; wait_closed waits for its end.
function Client:close(code, reason)
  local head = code and string.char(math.floor(code / 256), code % 256) or ""
  self:send_frame(0x88, head .. (reason or ""))
end

--- Stops reading: what is sent fills the buffers.
function Client:stall()
  self:configure { stalled = true }
end

function Client:resume()
  self:configure { stalled = false }
end

--- The connection stands and the broker has not said goodbye.
function Client:is_open()
  return self.state == "open" and self.close_code == 1006
end

--- A header of the answer to the handshake, by its name in lower case; nil: there is none.
function Client:header(name)
  for found, value in self.head:gmatch("\n([^:\r\n]+):[ \t]*([^\r\n]-)[ \t]*\r") do
    if found:lower() == name then return value end
  end
end

--- The body of a refusal, as a Lua value.
function Client:json()
  local value, failure = json.decode(self.body)
  if value == nil then error(failure, 2) end
  return value
end

--- What a failure says of the client: its state, and all that it has not been asked for.
function Client:describe()
  local lines = { ("the client of %s: %s, status %d"):format(self.path, self.state, self.status) }
  local function add(...) lines[1] = lines[1] .. (...):format(select(2, ...)) end
  if self.state == "ended" or self.close_code ~= 1006 then
    add(", closed with %d %q", self.close_code, self.close_reason)
  end
  if self.status ~= 101 and #self.body > 0 then add(", refused: %s", self.body:sub(1, 300)) end
  if self.fault then add(", fault of the broker: %s", self.fault) end
  local rest = self:messages()
  for i = 1, math.min(#rest, 5) do lines[#lines + 1] = "  then came: " .. rest[i]:sub(1, 200) end
  if #rest > 5 then lines[#lines + 1] = ("  and %d more"):format(#rest - 5) end
  return table.concat(lines, "\n")
end

--- Adds these to a class.
return function(class)
  for name, method in pairs(Client) do class[name] = class[name] or method end
end
