---@meta tidewire.client

---One connection. Valid until the handler that got it ends; any use after that raises. Read-only.
---@class tidewire.Client
---16 hex digits, unique in the process
---@field id string
---as auth said
---@field user string?
---as auth said; {} if it said nothing. A copy: changes do not last
---@field claims table
---@field ip string
local client = {}

---Sends a message to this client alone, when the handler has ended well.
---Raises if the data is no JSON, in hooks that only decide (authorize, queue.key), and past 10000
---effects in one handler.
---@param data any what JSON can hold
function client:send(data) end

---Closes the connection, when the handler has ended well. Raises as `send` does.
---@param code? integer 1000, or 3000 to 4999 (RFC 6455 §7.4). Default 4403
---@param reason? string at most 123 bytes of UTF-8. Default ""
function client:disconnect(code, reason) end

return client
