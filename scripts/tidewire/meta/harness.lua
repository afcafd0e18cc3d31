---@meta tidewire.harness

---Brokers for busted specs. `tidewire.sim` and `tidewire.live` have these functions; this module is
---one of the two, as TIDEWIRE_HARNESS says (sim, the default, or live).
---@class tidewire.Harness
---@field name "sim"|"live"
local harness = {}

---@class tidewire.harness.BrokerOptions
---the app's folder or file. Default, unless `files` is given: the app under test
---@field app string?
---path -> text. Alone they are the app, and a broker.lua that sets nothing is added; with `app`
---they lie on top of a copy of it (false: without that file). Only such an app can be changed by
---`reload`
---@field files table<string, string|false>?
---one of `files`, to run as a single-file app
---@field entry string?
---as -D on the command line: { limits = { violations = 3 } } or { ["limits.violations"] = 3 }
---@field settings table?
---variables that scripts see in tidewire.env; false removes one
---@field env table<string, string|false>?
---sim: picks the order of everything that threads and networks leave open. Default 1
---@field seed integer?
---default $TIDEWIRE_WORKERS, or 1
---@field workers integer?
---live: more arguments for the command line
---@field args string[]?
---live: seconds to start in. Default 5
---@field within number?

---Starts a broker. Returns nil and the errors when the app does not load.
---@param options? tidewire.harness.BrokerOptions
---@return tidewire.harness.Broker? broker
---@return tidewire.harness.LoadError[]? errors
function harness.broker(options) end

---For after_each: ends every broker of the spec and removes its files. Raises if a client saw a
---fault of the broker, if a check of its core failed, if the log has a warning or an error that the
---spec did not expect (expect_log, allow_log); live also if it does not exit with 0 in time.
function harness.teardown() end

---@class tidewire.harness.LoadError
---@field file string
---0: no line
---@field line integer
---@field message string

---@class tidewire.harness.Broker
local broker = {}

---@class tidewire.harness.ClientOptions
---becomes the query argument `token`
---@field token string?
---@field query table<string, string>?
---name -> value; false leaves out a header that a handshake has
---@field headers table<string, string|false>?
---where it comes from. Default 127.0.0.1; live: of 127.0.0.0/8
---@field ip string?
---it reads nothing, not even the answer
---@field stalled boolean?
---@field no_pong boolean?
---@field no_close_reply boolean?
---`receive` and `messages` give pings and pongs, too
---@field keeps_pings boolean?
---all that it says, instead of a handshake
---@field raw string?
---bytes that may be under way to it; live: its receive buffer. Default socket_buffer + 65536
---@field down_buffer integer?
---sim, as all that follow: bytes a second, both ways. Default: at once
---@field speed number?
---@field up_speed number?
---@field down_speed number?
---seconds, each way
---@field delay number?
---@field up_buffer integer?
---what arrives is read in pieces of random sizes
---@field split boolean?

---Connects, and returns when the handshake is answered, also if that is a refusal (client.status).
---nil if nobody listens any more. Live: raises for options of virtual links.
---@param path string "/ws/market"
---@param options? tidewire.harness.ClientOptions
---@return tidewire.harness.Client?
function broker:connect(path, options) end

---The same without waiting for the answer.
---@param path string
---@param options? tidewire.harness.ClientOptions
---@return tidewire.harness.Client?
function broker:dial(path, options) end

---@class tidewire.harness.Published
---@field channel string?
---@field epoch string?
---@field offset integer?
---the transform returned nil
---@field dropped boolean?
---why it was refused; the words of the two harnesses differ
---@field error string?
---when it is quarantined: seconds
---@field retry_after number?
---when a hook failed, or did before the quarantine
---@field hook string?
---@field script string?
---@field line integer?
---@field message string?

---Publishes from outside, as the admin API does.
---@param channel string
---@param data string|table text as it is, a table as JSON
---@param options? { binary: boolean? }
---@return tidewire.harness.Published
function broker:publish(channel, data, options) end

---Writes files (false removes one) and loads the app anew. Returns when all workers have swapped.
---Raises for files of an app that was not given with `files`.
---@param files? table<string, string|false> path -> text
---@param options? { wait: boolean? } wait = false: returns while the workers swap one by one; live:
---without knowing the outcome
---@return boolean loaded
---@return tidewire.harness.LoadError[] errors
function broker:reload(files, options) end

---Goes back to the files of the generation before, as a new generation. Returns when all workers
---have swapped.
---@return boolean done
---@return tidewire.harness.LoadError[] errors none when there is nothing to go back to
function broker:rollback() end

---As SIGTERM does: goodbyes over drain.window (live: 0 unless the spec sets it), nobody new.
function broker:drain() end

---What GET /v1/stats says. Sim: not pauses, but queued, queued_bytes (in all outboxes) and mail
---(between workers). Live, after a drain when nobody answers any more: only connections and checks.
---@return table
function broker:stats() end

---What is known of one channel: subscribers, offset, dropped, withheld, epoch, quarantined (then
---also `until`, in unix seconds, and `reason`). nil while it does not exist.
---@param name string
---@return table?
function broker:channel(name) end

---Waits until so many connections are counted.
---@param count integer
---@param within? number seconds
---@return true? counted nil: it did not come to that
function broker:wait_connections(count, within) end

---Waits until `condition()` is truthy: sim in virtual time, from one event to the next; live in
---real time, times TIDEWIRE_LOAD_FACTOR.
---@generic T
---@param condition fun(): T
---@param within? number seconds. Default 2
---@return T? value nil: in vain
function broker:wait(condition, within) end

---Sim: moves the clock on, through all that is due on the way. Live: raises; a spec that is to run
---on both uses `wait`.
---@param seconds number
function broker:advance(seconds) end

---Unix seconds, as scripts see them. Sim: 2026-01-01T01:00:00Z at the start, and virtual.
---@return number
function broker:now() end

---The log since the broker started.
---@return string
function broker:log() end

---The end of the log, for failures.
---@return string
function broker:log_tail() end

---Lines of level warn or error that match are no failure, and one at least must come.
---@param pattern string
function broker:expect_log(pattern) end

---Lines of level warn or error that match are no failure.
---@param pattern string
function broker:allow_log(pattern) end

---Ends it now; teardown does, too.
function broker:free() end

---@class tidewire.harness.Client
---@field path string
---@field state "http"|"open"|"ended"
---of the answer to the handshake; 0: none yet
---@field status integer
---of the answer: status line and headers
---@field head string
---of a refusal
---@field body string
---1006 until the broker's close frame came (RFC 6455 §7.1.5), 1005: it had none
---@field close_code integer
---@field close_reason string
---what the broker did against RFC 6455
---@field fault string?
---that came in all
---@field pings integer
---messages that nobody has taken
---@field count integer
---bytes that the broker's side has not accepted
---@field unsent integer
---@field was_reset boolean
---sim: the index of its worker
---@field worker integer?
---sim: the broker still has it in its memory
---@field has_session boolean?
local client = {}

---The next message, or nil when none comes.
---@param within? number seconds. Default 2; sim: virtual
---@return string? payload
---@return ("text"|"binary"|"ping"|"pong")? kind
function client:receive(within) end

---The next message decoded. Raises if it is not JSON.
---@param within? number
---@return any
function client:receive_json(within) end

---The next `count` payloads; fewer when no more come.
---@param count integer
---@param within? number seconds, for each
---@return string[]
function client:receive_many(count, within) end

---All payloads that are here, without waiting.
---@return string[]
function client:messages() end

---@param data string|table text as it is, a table as JSON
---@param options? { binary: boolean? }
function client:send(data, options) end

---@param first_byte integer FIN, RSV and opcode; 0x81: a whole text
---@param payload? string
function client:send_frame(first_byte, payload) end

---Sends bytes as they are.
---@param bytes string
function client:write_raw(bytes) end

---@param payload? string
function client:ping(payload) end

---Begins the closing handshake.
---@param code? integer
---@param reason? string
function client:close(code, reason) end

---Waits for the end of the connection.
---@param within? number seconds. Default 60 virtual ones; live: 5
---@return integer? close_code nil: it has not ended
---@return string? close_reason
function client:wait_closed(within) end

---The connection stands, and the broker has not said goodbye.
---@return boolean
function client:is_open() end

---Stops reading: what is sent fills the buffers, then the queue.
function client:stall() end

function client:resume() end

---Changes options of connect: the link's (sim), stalled, no_pong, no_close_reply, keeps_pings.
---@param options tidewire.harness.ClientOptions
function client:configure(options) end

---Says that it will write no more (FIN).
function client:half_close() end

---Breaks the connection off (RST).
function client:reset() end

---A header of the answer.
---@param name string in lower case
---@return string?
function client:header(name) end

---The body of a refusal, decoded. Raises if it is not JSON.
---@return any
function client:json() end

---What failures say of it. Takes its messages.
---@return string
function client:describe() end

return harness
