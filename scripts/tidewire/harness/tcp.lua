--- A TCP connection on which a spec can misbehave: stall, reset, half-close, tiny buffers, bytes in
-- pieces that the peer has surely read one by one.
--
-- States: connecting -> open -> ended (with `why`: "eof", "reset", "closed", or a luv error name)
local uv = require "luv"
local loop = require "tidewire.harness.loop"
local unread = require "tidewire.harness.unread"

local HOST = "127.0.0.1"

local Tcp = {}
Tcp.__index = Tcp

local function finish(self, why)
  if self.state == "ended" then return end
  self.state, self.why = "ended", why
  if not self.handle:is_closing() then self.handle:close() end
  if self.on_end then self.on_end(why) end
end

local function read(self)
  self.handle:read_start(function(failure, bytes)
    if failure then
      finish(self, failure:match("ECONNRESET") and "reset" or failure)
    elseif bytes then
      self.received = self.received + #bytes
      self.on_bytes(bytes)
    else
      finish(self, "eof")
    end
  end)
end

--- Begins to connect. Options: port, ip (our own address, e.g. "127.0.0.2"), receive_buffer (bytes
-- of the kernel's, set before the connection so that the window is small too), on_bytes, on_end;
-- or path: of a unix socket.
local function connect(options)
  local self = setmetatable({
    handle = options.path and uv.new_pipe(false) or uv.new_tcp("inet"),
    state = "connecting",
    port = options.port,
    on_bytes = options.on_bytes or function() end,
    on_end = options.on_end,
    received = 0,
  }, Tcp)
  if options.receive_buffer then self.handle:recv_buffer_size(options.receive_buffer) end
  if options.ip then assert(self.handle:bind(options.ip, 0)) end
  local function on_connected(failure)
    if failure then return finish(self, failure) end
    if self.state ~= "connecting" then return end
    self.state = "open"
    if not options.path then
      self.handle:nodelay(true)
      self.own = self.handle:getsockname()
    end
    if not self.is_stalled then read(self) end
  end
  if options.path then
    self.handle:connect(options.path, on_connected)
  else
    assert(self.handle:connect(HOST, options.port, on_connected))
  end
  return self
end

--- Waits until the connection stands or has failed; true when it stands.
function Tcp:wait_open(within)
  loop.wait(function() return self.state ~= "connecting" end, within)
  return self.state == "open"
end

function Tcp:write(bytes)
  if self.state == "open" then self.handle:write(bytes) end
end

--- Bytes that the kernel has not taken from us yet.
function Tcp:unwritten()
  return self.state == "open" and self.handle:get_write_queue_size() or 0
end

--- Waits until the peer has read all that was written.
function Tcp:wait_read_by_peer(within)
  return loop.wait(function()
    if self.state ~= "open" then return true end
    return self.handle:get_write_queue_size() == 0
      and unread(HOST, self.port, self.own.ip, self.own.port) == 0
  end, within)
end

--- Writes the bytes in pieces of these lengths (the last length repeats), each read by the peer
-- before the next is written. Stops early when the connection ends.
function Tcp:write_in_pieces(bytes, lengths)
  local position, index = 1, 1
  while position <= #bytes and self.state == "open" do
    local length = math.max(1, lengths[math.min(index, #lengths)])
    self:write(bytes:sub(position, position + length - 1))
    self:wait_read_by_peer()
    position, index = position + length, index + 1
  end
end

--- Stops reading: the kernel's buffers fill, then the peer can send no more.
function Tcp:stall()
  self.is_stalled = true
  if self.state == "open" then self.handle:read_stop() end
end

function Tcp:resume()
  self.is_stalled = false
  if self.state == "open" then read(self) end
end

--- Our side says it will write no more (FIN); reading goes on.
function Tcp:half_close()
  if self.state == "open" then self.handle:shutdown() end
end

--- Ends with RST: what the peer sends next fails.
function Tcp:reset()
  if self.state == "ended" then return end
  if self.state == "open" and self.own then self.handle:close_reset() end
  finish(self, "closed")
end

function Tcp:close()
  finish(self, "closed")
end

return { connect = connect }
