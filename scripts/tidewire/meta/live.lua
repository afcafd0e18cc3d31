---@meta tidewire.live

---Brokers that are processes, in real time. See tidewire.harness.
---@type tidewire.Harness
local live

---What a broker has beside all that tidewire.harness.Broker has.
---@class tidewire.live.Broker: tidewire.harness.Broker
---of the public listener
---@field port integer
---@field admin_port integer
local broker = {}

---A request to the admin listener, with the key of options.env.TIDEWIRE_ADMIN_KEY. Raises when no
---answer comes.
---@param method string
---@param path string "/v1/stats"
---@param body? string
---@param headers? table<string, string|false> false: without that one
---@return { status: integer, headers: table<string, string>, body: string, json: fun(self): any }
function broker:admin(method, path, body, headers) end

---@param name "sigterm"|"sigint"|"sighup"
function broker:signal(name) end

---Waits for the end of a broker that was told to end. Raises when it does not come, or by a signal.
---@param within? number seconds. Default: the drain window and 3
---@return integer exit_code
function broker:wait_exit(within) end

return live
