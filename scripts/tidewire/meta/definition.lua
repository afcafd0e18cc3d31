---@meta tidewire.definition

-- The table that a file of channels/ returns. All keys are optional; an unknown one is an error
-- that suggests the nearest. A handler that fails has had no effect, is logged with its place, and
-- refuses or drops what it was asked about; what it wrote into channel.state stays.

---@alias tidewire.Action "subscribe"|"publish"|"history"|"presence"

-- luacheck: push no max line length
---@alias tidewire.Authorize fun(client: tidewire.Client?, action: tidewire.Action, channel: tidewire.Channel): boolean?, string?
---@alias tidewire.Transform fun(message: tidewire.Message, channel: tidewire.Channel, client: tidewire.Client?): tidewire.Message?
---@alias tidewire.Audience fun(client: tidewire.Client, channel: tidewire.Channel): string?
-- luacheck: pop

---@class tidewire.Definition.Queue
---`queue.size` messages per subscription. Default: broker.lua's
---@field size? integer
---`queue.overflow`. Default: broker.lua's
---@field overflow? tidewire.Overflow
---`queue.key` for "conflate": the name of a field of the payload, or a function; nil: no key
---@field key? string|fun(message: tidewire.Message): string|number|nil

---@class tidewire.Definition.Tick
---`tick.every` s, at least 0.001
---@field every number
---`tick.run`
---@field run fun(channel: tidewire.Channel)

---@class tidewire.Definition.History
---`history.size` messages
---@field size integer
---`history.ttl` s
---@field ttl? number

---@class tidewire.Definition
---`name`: the channel's; "room:{id}" captures channel.params.id. Default: the file's name. 1 to 200
---bytes of UTF-8 without spaces and any of / ? # % " \
---@field name? string
---`history`: no effect yet, with a warning
---@field history? tidewire.Definition.History
---`presence`: no effect yet, with a warning
---@field presence? boolean
---`queue` of each subscription
---@field queue? tidewire.Definition.Queue
---`publish`: may clients? "authorize" asks the function. Default false
---@field publish? boolean|"authorize"
---`authorize`: true, or false and a reason; anything else refuses, too, and is logged as an error
---@field authorize? tidewire.Authorize
---`transform`, once per publish: the message, or nil to drop it; to return nothing at all is an
---error. client is nil for the HTTP API and for scripts
---@field transform? tidewire.Transform
---`audience`: of which class of listeners the client is, as `views` has them; nil: of none. Asked
---when it subscribes, when the file changed in a reload, and when on_expire let it stay; an error,
---or to return nothing at all, refuses the subscription. At most 64 classes listen to a channel
---@field audience? tidewire.Audience
---`views`: what a class hears instead of the transformed message: each runs once per publish, on a
---message of its own, if anybody of the class listens. nil withholds the message from the class; so
---does a view that fails. A class without a view hears all of the message; so does one whose name
---is misspelt here, as nobody can know
---@field views? table<string, fun(message: tidewire.Message): tidewire.Message?>
---`init`: when the state is new
---@field init? fun(channel: tidewire.Channel)
---`on_subscribe`
---@field on_subscribe? fun(client: tidewire.Client, channel: tidewire.Channel)
---`on_unsubscribe`
---@field on_unsubscribe? fun(client: tidewire.Client, channel: tidewire.Channel)
---`tick`: a timer
---@field tick? tidewire.Definition.Tick
---`quarantine`, when its hooks keep failing (script.quarantine): "refuse" publishes, the default;
---"pass" them without transform and queue.key (authorize is asked as always); false: never
---@field quarantine? "refuse"|"pass"|false
---`migrate`: after a reload, the old state (plain data) and the number of the generation that it is
---of; returns the new state
---@field migrate? fun(state: table, generation: integer): table

---What auth.lua returns: asked once per handshake. A table lets the client in; nil or false and a
---reason refuses it (401); anything else is an error and refuses it, too.
---@alias tidewire.Auth fun(request: tidewire.Request): tidewire.Identity?, string?

---What auth.lua may return instead, as may `auth` in an app of one file.
---@class tidewire.Policy
---@field auth tidewire.Auth
---Asked when a client's `expires` has come: another one, at least a second away, lets it stay, and
---has authorize and audience of its channels asked again. Anything else closes it with 4401
---@field on_expire? fun(client: tidewire.Client): number?

---@class tidewire.Request
---percent-decoded
---@field path string
---decoded; the first of a name
---@field query table<string, string>
---names in lower case; several of a name are joined with ", "
---@field headers table<string, string>
---the first of a name
---@field cookies table<string, string>
---@field ip string
---of a browser
---@field origin string?
---"raw" or "tidewire.v1"
---@field dialect string

---@class tidewire.Identity
---UTF-8
---@field user? string
---names as keys, what JSON can hold; later client.claims
---@field claims? table
---unix seconds; then the client is closed with 4401, or on_expire is asked
---@field expires? number
