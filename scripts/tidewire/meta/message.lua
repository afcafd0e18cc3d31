---@meta tidewire.message

---One message on its way through a channel. Valid until the handler that got it ends; any use after
---that raises "message used after its handler ended". Fields but `data` are read-only.
---@class tidewire.Message
---@field data any the payload, decoded when first touched, encoded again only if it was touched: JSON's null is tidewire.json.null, an empty array stays one; nil for binary. Assign to replace it; whatever JSON can hold
---@field raw string the payload's bytes, as they came
---@field channel string the channel's name
---@field binary boolean
