--- A WebSocket client that obeys by default and misbehaves on request.
--
-- Reads in the loop's callbacks only collect; everything that can raise happens in the calls of the
-- spec. A frame of the server that breaks RFC 6455 makes the next wait raise.
local frame = require "tidewire.harness.frame"
local http = require "tidewire.harness.http"
local json = require "tidewire.harness.json"
local loop = require "tidewire.harness.loop"
local tcp = require "tidewire.harness.tcp"

local Client = {}
Client.__index = Client

-- The pair of RFC 6455 section 1.3; another key needs its answer given.
local KEY, ACCEPT = "dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

local function with_token(path, token)
  if not token then return path end
  return path .. (path:find("?", 1, true) and "&" or "?") .. "token=" .. token
end

--- The bytes of a handshake. Options: method, headers (a map that adds, replaces, or with false
-- removes), lines (more header lines as text), token (as ?token=).
local function handshake(path, options)
  local headers = {
    Host = "127.0.0.1",
    Upgrade = "websocket",
    Connection = "Upgrade",
    ["Sec-WebSocket-Key"] = options.key or KEY,
    ["Sec-WebSocket-Version"] = "13",
  }
  for name, value in pairs(options.headers or {}) do headers[name] = value or nil end
  for index, line in ipairs(options.lines or {}) do headers[index] = line end
  return http.format(options.method or "GET", with_token(path, options.token), headers)
end

local function on_message(self, it)
  self.parts[#self.parts + 1] = it.payload
  if not it.fin then return end
  self.inbox[#self.inbox + 1] = { payload = table.concat(self.parts), kind = self.kind }
  self.parts, self.kind = {}, nil
end

-- A ping or a pong, for who wants them among the messages.
local function on_beat(self, it, list, kind)
  list[#list + 1] = it.payload
  if self.keeps_pings then self.inbox[#self.inbox + 1] = { payload = it.payload, kind = kind } end
end

local function on_frame(self, it)
  self.frames[#self.frames + 1] = it
  local fault = frame.fault(it, self.kind ~= nil)
    or (self.close_code and "a frame after the close frame (5.5.1)")
  if fault then
    self.fault = self.fault or fault
  elseif it.opcode == frame.CLOSE then
    self.close_code, self.close_reason = frame.read_close(it.payload)
    if self.auto_close and not self.sent_close then
      self:write_raw(frame.encode { opcode = frame.CLOSE, payload = it.payload })
      self.sent_close = true
    end
  elseif it.opcode == frame.PING then
    on_beat(self, it, self.pings, "ping")
    if self.auto_pong then self:pong(it.payload) end
  elseif it.opcode == frame.PONG then
    on_beat(self, it, self.pongs, "pong")
  else
    if it.opcode ~= frame.CONTINUATION then
      self.kind = it.opcode == frame.TEXT and "text" or "binary"
    end
    on_message(self, it)
  end
end

local function on_head(self)
  local head, rest = http.parse_head(self.bytes)
  if not head then return end
  self.status, self.headers = head.status, head.headers
  self.head = self.bytes:sub(1, #self.bytes - #rest)
  if head.status == 101 then
    self.bytes = nil
    for _, it in ipairs(self.read_frames(rest)) do on_frame(self, it) end
    return
  end
  self.body = http.parse_body(head, rest, self.tcp.state == "ended")
end

local function on_bytes(self, bytes)
  if self.status == 101 then
    for _, it in ipairs(self.read_frames(bytes)) do on_frame(self, it) end
  else
    self.bytes = self.bytes .. bytes
    on_head(self)
  end
end

--- Begins to connect and to shake hands; waits for nothing.
-- Options: those of the handshake, and port, ip, receive_buffer, auto_pong, auto_close (default
-- true), keeps_pings (true: pings and pongs are messages, too), is_stalled (does not read even the
-- answer), after (bytes in the same packet as the handshake), request (all its bytes), silent
-- (sends no handshake), describe (text for failures).
local function dial(path, options)
  local self = setmetatable({
    path = path,
    inbox = {}, taken = 0, parts = {},
    frames = {}, pings = {}, pongs = {},
    bytes = "", read_frames = frame.reader(),
    auto_pong = options.auto_pong ~= false,
    auto_close = options.auto_close ~= false,
    keeps_pings = options.keeps_pings,
    accept = options.accept or (not options.key and ACCEPT or nil),
    describe_broker = options.describe or function() return "" end,
  }, Client)
  self.tcp = tcp.connect {
    port = options.port,
    ip = options.ip,
    receive_buffer = options.receive_buffer,
    on_bytes = function(bytes)
      local ok, failure = pcall(on_bytes, self, bytes)
      if not ok then self.fault = self.fault or failure end
    end,
    on_end = function()
      if self.bytes and #self.bytes > 0 and not self.fault then pcall(on_head, self) end
      if not self.close_code then self.close_code, self.close_reason = 1006, "" end
    end,
  }
  if options.is_stalled then self.tcp:stall() end
  self.request = options.request or handshake(path, options) .. (options.after or "")
  self.is_silent = options.silent
  return self
end

--- Sends the handshake once the connection stands; true, or nil and why it does not.
function Client:begin(within)
  if not self.tcp:wait_open(within) then return nil, self.tcp.why or "timeout" end
  if not self.is_silent then self.tcp:write(self.request) end
  return true
end

--- Waits for the answer to the handshake: the status, or nil when none came.
function Client:wait_answer(within)
  loop.wait(function()
    return self.fault or self.status == 101 or (self.status and self.body)
      or self.tcp.state == "ended"
  end, within)
  self:check()
  local accept = self.headers and self.headers["sec-websocket-accept"]
  if self.status == 101 and self.accept and accept ~= self.accept then
    self:fail("wrong Sec-WebSocket-Accept: " .. tostring(accept))
  end
  return self.status
end

function Client:is_open()
  return self.status == 101 and self.tcp.state == "open" and not self.close_code
end

--- What a failure says of the client.
function Client:describe()
  local state = ("%s, status %s, tcp %s%s"):format(self.path, tostring(self.status), self.tcp.state,
    self.tcp.why and " (" .. self.tcp.why .. ")" or "")
  local close = ""
  if self.close_code then close = (", close %d %q"):format(self.close_code, self.close_reason) end
  local last = self.inbox[#self.inbox]
  return ("client %s%s, %d messages%s%s"):format(state, close, #self.inbox,
    last and (", the last %q"):format(last.payload:sub(1, 100)) or "",
    self.body and (", refused: %q"):format(self.body:sub(1, 200)) or "")
end

function Client:fail(text)
  error(("%s\n  %s\n%s"):format(text, self:describe(), self.describe_broker()), 0)
end

--- Raises when the server broke the protocol.
function Client:check()
  if self.fault then self:fail("the server's bytes are wrong: " .. self.fault) end
end

--- Waits for the condition; its value. Raises with what was awaited.
function Client:wait(what, condition, within)
  local value = loop.wait(function() return self.fault or condition() end, within)
  self:check()
  return value or self:fail("awaited in vain: " .. what)
end

--- The next message: payload and kind ("text" or "binary"). Raises when none comes in time.
function Client:receive(within)
  local index = self.taken + 1
  self:wait("a message", function()
    return self.inbox[index] or self.tcp.state == "ended"
  end, within)
  local message = self.inbox[index] or self:fail("awaited in vain: a message")
  self.taken = index
  return message.payload, message.kind
end

--- The next message decoded.
function Client:receive_json(within)
  local payload = self:receive(within)
  local value, failure = json.decode(payload)
  if value == nil then self:fail(failure) end
  return value
end

--- The next `count` payloads as a list.
function Client:receive_many(count, within)
  local index = self.taken + count
  self:wait(count .. " messages", function()
    return self.inbox[index] or self.tcp.state == "ended"
  end, within)
  if not self.inbox[index] then self:fail("awaited in vain: " .. count .. " messages") end
  local payloads = {}
  for i = 1, count do payloads[i] = self.inbox[self.taken + i].payload end
  self.taken = index
  return payloads
end

--- All payloads that ever came, also those that `receive` has given.
function Client:messages()
  local payloads = {}
  for index, message in ipairs(self.inbox) do payloads[index] = message.payload end
  return payloads
end

--- Sends a text message: a string as it is, another value as JSON.
function Client:send(data)
  self:write_raw(frame.text(type(data) == "string" and data or json.encode(data)))
end

function Client:send_binary(bytes)
  self:write_raw(frame.binary(bytes))
end

--- Sends one frame; options as in frame.encode.
function Client:send_frame(options)
  self:write_raw(frame.encode(options))
end

function Client:write_raw(bytes)
  self.tcp:write(bytes)
end

--- Writes in pieces that the broker reads in turn. Lengths: a number, or a list (its last repeats).
function Client:write_in_pieces(bytes, lengths)
  self.tcp:write_in_pieces(bytes, type(lengths) == "number" and { lengths } or lengths)
end

function Client:ping(payload)
  self:send_frame { opcode = frame.PING, payload = payload }
end

function Client:pong(payload)
  self:send_frame { opcode = frame.PONG, payload = payload }
end

--- Waits until `count` (default 1) pings came in all; the last one's payload.
function Client:wait_ping(count, within)
  count = count or 1
  self:wait("ping " .. count, function() return #self.pings >= count end, within)
  return self.pings[#self.pings]
end

--- Waits until `count` (default 1) pongs came in all; the last one's payload.
function Client:wait_pong(count, within)
  count = count or 1
  self:wait("pong " .. count, function() return #self.pongs >= count end, within)
  return self.pongs[#self.pongs]
end

--- Waits for the broker's close frame; code and reason. The socket may still be open.
function Client:wait_close_frame(within)
  self:wait("a close frame", function() return self.close_code end, within)
  return self.close_code, self.close_reason
end

--- Waits until the broker has closed the socket; code and reason (1006 when no close frame came).
function Client:wait_closed(within)
  self:wait("the end of the socket", function() return self.tcp.state == "ended" end, within)
  return self.close_code, self.close_reason
end

--- Says goodbye and waits until the broker has closed the socket; the code and reason it answered.
function Client:close(code, reason, within)
  self.sent_close = true
  self:write_raw(frame.close(code, reason))
  return self:wait_closed(within)
end

function Client:stall() self.tcp:stall() end
function Client:resume() self.tcp:resume() end
function Client:reset() self.tcp:reset() end
function Client:half_close() self.tcp:half_close() end
--- Ends the connection (FIN) without a close frame.
function Client:drop() self.tcp:close() end

return { dial = dial, handshake = handshake, KEY = KEY, ACCEPT = ACCEPT }
