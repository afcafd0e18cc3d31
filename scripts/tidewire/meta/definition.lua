---@meta tidewire.definition

-- The table that a file of channels/ returns. All keys are optional; an unknown one is an error that
-- suggests the nearest. A handler that fails has had no effect, is logged with its place, and refuses
-- or drops what it was asked about; what it wrote into channel.state stays.

---@alias tidewire.Action "subscribe"|"publish"|"history"|"presence"

---@class tidewire.Definition.Queue
---@field size? integer # `queue.size` messages per subscription. Default: broker.lua's
---@field overflow? tidewire.Overflow # `queue.overflow`. Default: broker.lua's
---@field key? string|fun(message: tidewire.Message): string|number|nil # `queue.key` for "conflate": the name of a field of the payload, or a function; nil: no key

---@class tidewire.Definition.Tick
---@field every number # `tick.every` s, at least 0.001
---@field run fun(channel: tidewire.Channel) # `tick.run`

---@class tidewire.Definition.History
---@field size integer # `history.size` messages
---@field ttl? number # `history.ttl` s

---@class tidewire.Definition
---@field name? string # `name`: the channel's; "room:{id}" captures channel.params.id. Default: the file's name
---@field history? tidewire.Definition.History # `history`: no effect yet, with a warning
---@field presence? boolean # `presence`: no effect yet, with a warning
---@field queue? tidewire.Definition.Queue # `queue` of each subscription
---@field publish? boolean|"authorize" # `publish`: may clients? "authorize" asks the function. Default false
---@field authorize? fun(client: tidewire.Client?, action: tidewire.Action, channel: tidewire.Channel): boolean?, string? # `authorize`: true, or false and a reason; anything else refuses, too, and is logged as an error
---@field transform? fun(message: tidewire.Message, channel: tidewire.Channel, client: tidewire.Client?): tidewire.Message? # `transform`, once per publish: the message, or nil to drop it; to return nothing at all is an error. client is nil for the HTTP API and for scripts
---@field audience? any # `audience`: not supported yet: an error
---@field views? any # `views`: not supported yet: an error
---@field init? fun(channel: tidewire.Channel) # `init`: when the state is new
---@field on_subscribe? fun(client: tidewire.Client, channel: tidewire.Channel) # `on_subscribe`
---@field on_unsubscribe? fun(client: tidewire.Client, channel: tidewire.Channel) # `on_unsubscribe`
---@field tick? tidewire.Definition.Tick # `tick`: a timer
---@field migrate? fun(state: table, generation: integer): table # `migrate`: after a reload, the old state (plain data) and the number of the generation that it is of; returns the new state

---What auth.lua returns: asked once per handshake. A table lets the client in; nil or false and a
---reason refuses it (401); anything else is an error and refuses it, too.
---@alias tidewire.Auth fun(request: tidewire.Request): tidewire.Identity?, string?

---@class tidewire.Request
---@field path string percent-decoded
---@field query table<string, string> decoded; the first of a name
---@field headers table<string, string> names in lower case; several of a name are joined with ", "
---@field cookies table<string, string> the first of a name
---@field ip string
---@field origin string? of a browser
---@field dialect string "raw" or "tidewire.v1"

---@class tidewire.Identity
---@field user? string UTF-8
---@field claims? table names as keys, what JSON can hold; later client.claims
---@field expires? number unix seconds
