---@meta tidewire.channel

---A channel, as its hooks see it. Valid until the handler that got it ends; any use after that
---raises. Fields but `state` are read-only.
---@class tidewire.Channel
---@field name string
---what the captures of the definition's name matched
---@field params table<string, string>
---the channel's own, from hook to hook. After a reload it is carried over if it is plain data (no
---functions, metatables, cycles)
---@field state table
---of the newest message; 0: none yet
---@field offset integer
---@field subscribers integer
local channel = {}

---Publishes on this channel, when the handler has ended well; the message goes through `transform`
---as any other. Raises if the data is no JSON, in hooks that only decide (authorize, queue.key),
---and past 10000 effects in one handler.
---@param data any what JSON can hold
function channel:publish(data) end

return channel
