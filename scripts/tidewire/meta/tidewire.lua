---@meta tidewire

---The module; also a global. `local tidewire = require "tidewire"`
---
---It and Lua's own libraries (string, table, math, bit, os.clock/date/time, coroutine) are
---read-only, and no tables: `pairs(string)` raises. Each file has globals of its own; builtin names
---cannot be set. `load` takes text only; what it loads has the globals of the file that calls it.
---@class tidewire
local tidewire = {}

---The broker's version.
---@type string
tidewire.version = ""

---The variables of the process's environment that `env` of broker.lua lists:
---tidewire.env.WS_TOKEN is a string, or nil when it is not set. To read one that is not listed
---raises. Read-only; it cannot be walked with pairs.
---@type table<string, string?>
tidewire.env = {}

---Unix seconds, with fractions. In the simulator, virtual ones.
---@return number
function tidewire.now() end

---Publishes on any channel, when the handler has ended well. Raises if the name cannot be a
---channel's, if the data is no JSON, in hooks that only decide (auth, authorize, queue.key), while
---the app is loaded, and past 10000 effects in one handler.
---@param name string
---@param data any what JSON can hold
function tidewire.publish(name, data) end

---Runs the function once, later, with the channel of the handler that asks, if that handler ends
---well; it may do what a tick may. Those of the same time run in the order in which they were asked
---for. It is forgotten when the scripts are reloaded or thrown away (the guard), and when the
---channel is closed. Raises in hooks that only decide, while the app is loaded, and past 4096 that
---wait in one worker.
---@param seconds number 0 to 86400; at least a millisecond passes
---@param run fun(channel: tidewire.Channel)
---@return integer id
function tidewire.after(seconds, run) end

---Forgets what `after` was to run, when the handler has ended well. Nothing happens if it ran, or
---was forgotten. Raises as `after` does.
---@param id integer as `after` returned it
function tidewire.cancel(id) end

---The text of a file of the app. Only while the app is loaded: call it at the top of a file, not
---in a hook. Raises if it is not there, or not inside of the app's folder.
---@param path string relative to the app's folder
---@return string
function tidewire.file(path) end

---JSON, strictly RFC 8259.
tidewire.json = {}

---What null is in decoded data: nil would make the field vanish.
---@type lightuserdata
tidewire.json.null = nil

---@param text string
---@return any value nil if it is not JSON; then also:
---@return string? message
---@return integer? code -10013
function tidewire.json.decode(text) end

---Keys in the order of their bytes; whole numbers up to 2^53 exactly, others as the shortest text
---that reads back the same. Raises what JSON cannot hold, with its path: functions, NaN and the
---infinities, arrays with holes, mixed keys, text that is not UTF-8, cycles, more than 128 levels.
---@param value any
---@return string
function tidewire.json.encode(value) end

---Marks a table as an array, so that it is written as [] when it is empty.
---@generic T: table
---@param t? T default: a new one
---@return T
function tidewire.json.array(t) end

---Each writes one line to the broker's log at once, also if the handler fails later. `print` is
---tidewire.log.info. All arguments, as tostring shows them, with spaces between; a table with names
---behind them as fields, sorted: log.info("filled", { id = 7, side = "buy" }) writes
---`filled id=7 side=buy channel=market hook=transform`.
tidewire.log = {}

---@param ... any
function tidewire.log.debug(...) end

---@param ... any
function tidewire.log.info(...) end

---@param ... any
function tidewire.log.warn(...) end

---@param ... any
function tidewire.log.error(...) end

---A dictionary that the scripts of all workers share. It survives reloads and the end of a worker's
---scripts, but not the process. Bounded by `shared.memory` of broker.lua: when it is full, what has
---expired goes; nothing alive is thrown out, the write is refused instead. In the simulator each
---broker has its own, and time is virtual.
---
---Reads and writes are atomic, one by one. Writes are no effects: they are done at once, and they
---stay when the handler fails. Not while the app is loaded, where only get and keys work.
---
---A key is a text of 1 to 1024 bytes. A value is a boolean, a number, a text (any bytes), or what
---JSON can hold, which is kept as JSON: a table that is read is a new one each time.
tidewire.shared = {}

---@param key string
---@return any value nil: not there, or expired
function tidewire.shared.get(key) end

---Raises what it cannot hold, with the path to it.
---@param key string
---@param value any not nil: see delete
---@param ttl? number seconds until it expires; nil: never
---@return boolean? ok true; or nil:
---@return string? message "full"
---@return integer? code -10002
function tidewire.shared.set(key, value, ttl) end

---Sets it only if it is not there.
---@param key string
---@param value any
---@param ttl? number seconds
---@return boolean? added false: it was there; nil: refused, as in set
---@return string? message
---@return integer? code
function tidewire.shared.add(key, value, ttl) end

---Adds to a number. One that is not there begins with `init` and expires after `ttl`; one that is
---there keeps its time. A fixed window for a limit: incr("logins:" .. ip, 1, 0, 60) > 5
---@param key string
---@param by? number default 1
---@param init? number default 0
---@param ttl? number seconds
---@return number? sum nil: refused,
---@return string? message "full", or "not a number"
---@return integer? code
function tidewire.shared.incr(key, by, init, ttl) end

---Has it expire `ttl` seconds from now; nil: never.
---@param key string
---@param ttl? number seconds
---@return boolean found
function tidewire.shared.expire(key, ttl) end

---@param key string
---@return boolean found
function tidewire.shared.delete(key) end

---The keys that begin with `prefix`, sorted; when there are more than `limit`, any of them. Looks
---at every key, so keep it out of what runs for each message.
---@param prefix? string default "": all
---@param limit? integer default 1000
---@return string[]
function tidewire.shared.keys(prefix, limit) end

---Base64 (RFC 4648). Decoding is strict: no white space, nothing behind the padding, no bits left
---over, so that bytes have one text only.
tidewire.base64 = {}

---@param bytes string
---@return string text with padding
function tidewire.base64.encode(bytes) end

---@param text string with padding
---@return string? bytes nil if it is not base64; then also:
---@return string? message
---@return integer? code -10004
function tidewire.base64.decode(text) end

---The URL-safe alphabet.
---@param bytes string
---@return string text without padding
function tidewire.base64.encode_url(bytes) end

---@param text string with or without padding
---@return string? bytes nil if it is not base64url; then also:
---@return string? message
---@return integer? code -10004
function tidewire.base64.decode_url(text) end

---@alias tidewire.DigestFormat
---| "hex" # lower-case, the default
---| "raw" # bytes
---| "base64" # with padding
---| "base64url" # without

---@param data string
---@param format? tidewire.DigestFormat
---@return string
function tidewire.sha256(data, format) end

---RFC 2104. Compare what clients send by tidewire.equal, not by ==.
---@param algorithm "sha1"|"sha256"|"sha384"|"sha512"
---@param key string
---@param data string
---@param format? tidewire.DigestFormat
---@return string
function tidewire.hmac(algorithm, key, data, format) end

---Are these two the same text? Takes a time that says nothing of where they differ, so it is fit
---for secrets (their lengths may show). False when one of them is no text.
---@param a any
---@param b any
---@return boolean
function tidewire.equal(a, b) end

---Random numbers of the kernel's, fit for secrets. In the simulator they come from its seed, so
---that a run repeats.
tidewire.random = {}

---@param n integer 0 to 1048576
---@return string
function tidewire.random.bytes(n) end

---`n` random bytes as 2n hexadecimal digits.
---@param n integer 0 to 1048576
---@return string
function tidewire.random.hex(n) end

---@return number x 0 <= x < 1
function tidewire.random.number() end

---Evenly from a to b, both included.
---@param a integer
---@param b integer
---@return integer
function tidewire.random.integer(a, b) end

---A UUID of version 4: "f47ac10b-58cc-4372-a567-0e02b2c3d479"
---@return string
function tidewire.random.uuid() end

---JSON Web Tokens (RFC 7519), signed ones.
tidewire.jwt = {}

---@alias tidewire.jwt.Algorithm
---| "HS256" | "HS384" | "HS512" # a secret
---| "RS256" | "RS384" | "RS512" # an RSA key of 2048 bits or more
---| "ES256" | "ES384" # a key on the curve P-256, P-384
---| "EdDSA" # an Ed25519 key

---@class tidewire.jwt.Jwks what tidewire.jwt.jwks gives

---One of secret, key and jwks must be there.
---@class tidewire.jwt.VerifyOptions
---of an HMAC; use 32 random bytes or more
---@field secret? string
---PEM text of a public key, a certificate, or a private key
---@field key? string
---the token's `kid` picks the key; without one, the only key that fits
---@field jwks? tidewire.jwt.Jwks
---what is allowed; default: what goes with the kind of the key. "none" never is
---@field algorithms? tidewire.jwt.Algorithm[]
---one of these must be in the token's `aud`. Without it, a token that has an `aud` is refused
---@field audience? string|string[]
---the token's `iss` must be one of these. Default: any, or none
---@field issuer? string|string[]
---seconds by which clocks may differ, 0 to 86400. Default 0
---@field leeway? number

---Is the token signed by that key, for us, and in its time (`exp`, `nbf`, `iat`, by tidewire.now)?
---A token without `exp` is good for ever. Bad tokens, of any type, get nil and the reason; wrong
---options raise. Parsed keys are kept, 64 per worker.
---@param token any
---@param options tidewire.jwt.VerifyOptions
---@return table? claims nil: refused, then also:
---@return string? reason "not a JWT", "algorithm not allowed", "no such key", "wrong signature",
---"token expired", "token not valid yet", "token issued in the future", "not for this audience",
---"wrong issuer", "critical header not known", "exp is not a number" (nbf, iat)
function tidewire.jwt.verify(token, options) end

---@class tidewire.jwt.SignOptions
---@field secret? string
---PEM text of a private key
---@field key? string
---default: the first one of the key's kind
---@field algorithm? tidewire.jwt.Algorithm
---@field kid? string

---Makes a token of the claims as they are: give it an `exp`. Raises on wrong options, and on claims
---that JSON cannot hold.
---@param claims table
---@param options tidewire.jwt.SignOptions one of secret and key must be there
---@return string
function tidewire.jwt.sign(claims, options) end

---The public keys of a file of the app (a JWK set, RFC 7517), for tidewire.jwt.verify. Keys for
---other uses and of kinds that are not known are left out. Only while the app is loaded: call it at
---the top of a file. When the file changes, the app is reloaded. Raises if it cannot be read, or a
---key in it is malformed, or none can be used.
---@param path string relative to the app's folder
---@return tidewire.jwt.Jwks
function tidewire.jwt.jwks(path) end

---Metrics of the app, in `metrics` of /v1/stats: for all workers together, kept over reloads. Done
---at once, also if the handler fails later; not while the app is loaded.
---
---Names and labels as Prometheus has them: letters, digits and "_" (and ":" in names), at most 200
---bytes, not beginning with "tidewire_". At most 16 labels; their values are texts, numbers or
---booleans, at most 256 bytes. A name is of one kind. Raises otherwise, and past 1000 series (each
---name with each set of labels is one): put no client's id into a label.
tidewire.metrics = {}

---@param name string by custom ends with "_total"
---@param by? number default 1; 0 or more
---@param labels? table<string, string|number|boolean>
function tidewire.metrics.count(name, by, labels) end

---@param name string
---@param value number
---@param labels? table<string, string|number|boolean>
function tidewire.metrics.gauge(name, value, labels) end

---Into a histogram with buckets from 0.0001 to 10 seconds.
---@param name string by custom ends with "_seconds"
---@param seconds number 0 or more
---@param labels? table<string, string|number|boolean>
function tidewire.metrics.observe(name, seconds, labels) end

return tidewire
