---@meta tidewire.sim

---Brokers in virtual time. See tidewire.harness.
---@type tidewire.Harness
local sim

return sim
