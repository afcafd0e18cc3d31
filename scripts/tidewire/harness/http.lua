--- A small HTTP/1.1 client: one request and one connection, or several on one that is kept alive;
-- also requests that are wrong on purpose.
local json = require "tidewire.harness.json"
local loop = require "tidewire.harness.loop"
local tcp = require "tidewire.harness.tcp"

local http = {}

--- The head of a response and the bytes after it; nil when it is not whole yet.
-- Head: status, reason, headers (names in lower case; repeated ones joined by ", ").
function http.parse_head(bytes)
  local head, rest = bytes:match("^(.-\r\n)\r\n(.*)$")
  if not head then return nil end
  local status, reason = head:match("^HTTP/1%.[01] (%d%d%d) ?([^\r\n]*)\r\n")
  assert(status, "no status line in " .. ("%q"):format(head))
  local headers = {}
  for name, value in head:gmatch("\n([^:\r\n]+):[ \t]*([^\r\n]-)[ \t]*\r") do
    name = name:lower()
    headers[name] = headers[name] and headers[name] .. ", " .. value or value
  end
  return { status = tonumber(status), reason = reason, headers = headers }, rest
end

--- The body out of the bytes after the head: the text, or nil when more must come.
function http.parse_body(head, rest, has_ended)
  local length = tonumber(head.headers["content-length"])
  if head.status == 304 or head.status == 204 or head.is_answer_to_head then return "" end
  if length then return #rest >= length and rest:sub(1, length) or nil end
  if (head.headers["transfer-encoding"] or ""):lower() ~= "chunked" then
    return has_ended and rest or nil
  end
  local chunks, at = {}, 1
  while true do
    local size, after = rest:match("^(%x+)[^\r\n]*\r\n()", at)
    if not size then return nil end
    size = tonumber(size, 16)
    if size == 0 then return table.concat(chunks) end
    if #rest < after + size + 1 then return nil end
    chunks[#chunks + 1], at = rest:sub(after, after + size - 1), after + size + 2
  end
end

local Response = {}
Response.__index = Response

--- The body as JSON; raises when it is not.
function Response:json()
  local value, failure = json.decode(self.body)
  return assert(value, failure)
end

--- Bytes of a request. Headers: a map, or a list of "Name: value" lines where their form matters.
function http.format(method, path, headers, body)
  local lines = { ("%s %s HTTP/1.1\r\n"):format(method, path) }
  for name, value in pairs(headers) do
    lines[#lines + 1] = (type(name) == "number" and "" or name .. ": ") .. value .. "\r\n"
  end
  if body then lines[#lines + 1] = "Content-Length: " .. #body .. "\r\n" end
  return table.concat(lines) .. "\r\n" .. (body or "")
end

local Connection = {}
Connection.__index = Connection

--- A connection for several requests, which must all be read in their order. Options: port, ip,
-- receive_buffer, on_bytes (called after each piece has been kept), path (of a unix socket, instead
-- of port and ip).
function http.open(options)
  local self = setmetatable({ chunks = {} }, Connection)
  local all = {}
  for name, value in pairs(options) do all[name] = value end
  all.on_bytes = function(bytes)
    self.chunks[#self.chunks + 1] = bytes
    if options.on_bytes then options.on_bytes(self) end
  end
  self.tcp = tcp.connect(all)
  if not self.tcp:wait_open() then error("cannot connect: " .. (self.tcp.why or "timeout"), 2) end
  return self
end

function Connection:write(bytes)
  self.tcp:write(bytes)
end

--- Sends a request without waiting. Headers as in http.format.
function Connection:send(method, path, headers, body)
  local all = { Host = "127.0.0.1" }
  for name, value in pairs(headers or {}) do all[name] = value end
  self:write(http.format(method, path, all, body))
end

-- The head of the next response, once it is whole; the bytes after it stay in the chunks.
local function take_head(self)
  if self.head then return self.head end
  local head, rest = http.parse_head(table.concat(self.chunks))
  if head then self.head, self.chunks = head, { rest } end
  return head
end

-- The next response, once it is whole.
local function take_response(self, is_head)
  local head = take_head(self)
  if not head then return end
  head.is_answer_to_head = is_head
  local has_ended, got = self.tcp.state == "ended", 0
  for _, chunk in ipairs(self.chunks) do got = got + #chunk end
  local length = tonumber(head.headers["content-length"])
  if not is_head and length and got < length then return end
  local rest = table.concat(self.chunks)
  local body = http.parse_body(head, rest, has_ended)
  if not body then return end
  self.head, self.chunks = nil, { rest:sub(#body + 1) }
  return setmetatable({ status = head.status, headers = head.headers, body = body }, Response)
end

--- The next response, or nil and why there is none. Options: is_head, within.
function Connection:response(options)
  options = options or {}
  local response
  loop.wait(function()
    response = take_response(self, options.is_head)
    return response or self.tcp.state == "ended"
  end, options.within)
  response = response or take_response(self, options.is_head)
  if response then return response end
  return nil, self.tcp.state == "ended" and "ended (" .. self.tcp.why .. ")" or "no answer in time"
end

--- Waits until the server has ended the connection: how ("eof", "reset"), or nil.
function Connection:wait_end(within)
  return loop.wait(function() return self.tcp.state == "ended" and self.tcp.why end, within)
end

function Connection:is_open() return self.tcp.state == "open" end
function Connection:stall() self.tcp:stall() end
function Connection:resume() self.tcp:resume() end
function Connection:reset() self.tcp:reset() end
function Connection:half_close() self.tcp:half_close() end
--- Ends the connection (FIN).
function Connection:close() self.tcp:close() end

--- Sends these bytes and waits for the answer. Options: port, ip, bytes, is_head, within.
-- Returns status, headers, body, or nil and why there was no answer.
function http.exchange(options)
  local got, ended, response = "", false, nil
  local connection
  local function look()
    local head, rest = http.parse_head(got)
    if not head then return end
    head.is_answer_to_head = options.is_head
    local body = http.parse_body(head, rest, ended)
    if body then response = setmetatable({
      status = head.status, headers = head.headers, body = body, bytes_after_head = #rest,
    }, Response) end
  end
  connection = tcp.connect {
    port = options.port,
    ip = options.ip,
    on_bytes = function(bytes) got = got .. bytes end,
    on_end = function() ended = true end,
  }
  if not connection:wait_open(options.within) then
    local why = connection.why or "timeout"
    connection:close()
    return nil, "cannot connect: " .. why
  end
  connection:write(options.bytes)
  loop.wait(function()
    look()
    return response or ended
  end, options.within)
  look()
  connection:close()
  if response then return response end
  return nil, ended and ("ended (%s) after %q"):format(connection.why, got:sub(1, 300))
    or ("no whole answer in time, only %q"):format(got:sub(1, 300))
end

--- One request. Options: port, method, path, headers, body, ip, within. Raises without an answer.
function http.request(options)
  local method = options.method or (options.body and "POST" or "GET")
  local headers = { Host = "127.0.0.1:" .. options.port, Connection = "close" }
  for name, value in pairs(options.headers or {}) do headers[name] = value end
  local response, why = http.exchange {
    port = options.port,
    ip = options.ip,
    within = options.within,
    is_head = method == "HEAD",
    bytes = http.format(method, options.path, headers, options.body),
  }
  if not response then error(("%s %s: %s"):format(method, options.path, why), 2) end
  return response
end

return http
