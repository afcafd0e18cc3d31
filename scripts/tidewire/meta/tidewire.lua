---@meta tidewire

---The module; also a global. `local tidewire = require "tidewire"`
---@class tidewire
local tidewire = {}

---The broker's version.
---@type string
tidewire.version = ""

---The environment of the process: tidewire.env.WS_TOKEN is a string, or nil. Read-only; it
---cannot be walked with pairs.
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
---tidewire.log.info. All arguments, as tostring shows them, with spaces between.
tidewire.log = {}

---@param ... any
function tidewire.log.debug(...) end

---@param ... any
function tidewire.log.info(...) end

---@param ... any
function tidewire.log.warn(...) end

---@param ... any
function tidewire.log.error(...) end

return tidewire
