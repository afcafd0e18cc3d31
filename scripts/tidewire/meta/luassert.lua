---@meta luassert

---Assertions for busted, there as soon as a harness is required. Their failures show what came
---instead, and the end of the log.
---@class luassert
local luassert = {}

---The next message is this: text exactly, a table as JSON. Returns its payload.
---@param client tidewire.harness.Client
---@param value string|table
---@param within? number seconds
function luassert.receives(client, value, within) end

---@param client tidewire.harness.Client
---@param within? number seconds. Default: sim 0 (all that can happen at this moment has), live 0.1
function luassert.receives_nothing(client, within) end

---The connection ends with this. Returns code and reason.
---@param client tidewire.harness.Client
---@param code integer
---@param reason? string
function luassert.closed_with(client, code, reason) end

---The handshake was refused with this status of HTTP.
---@param client tidewire.harness.Client
---@param status integer
function luassert.refused_with(client, status) end

return luassert
