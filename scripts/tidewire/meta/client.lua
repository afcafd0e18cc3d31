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

---Subscribes the client, when the handler has ended well, to another channel; this one's payloads
---arrive on its socket, too, and what it publishes goes where it went before. The channel's
---authorize is not asked, its audience is. Nothing happens if it is subscribed already, or gone;
---past limits.channels_per_client, and for a channel that is not there, an error is logged. Raises
---as `send` does, and if the name cannot be a channel's.
---@param name string
function client:subscribe(name) end

---Ends a subscription, also the one that the client began with, when the handler has ended well.
---Nothing happens if there is none. Raises as `subscribe` does.
---@param name string
function client:unsubscribe(name) end

return client
