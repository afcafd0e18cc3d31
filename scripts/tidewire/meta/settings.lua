---@meta tidewire.settings

-- The table that broker.lua returns. Every key has a default; an unknown key is an error that
-- suggests the nearest one. Each can be set from outside: `run APP -D limits.violations=5`.
-- Durations are in seconds, fractions allowed. Sizes are in bytes.

---A token bucket: `rate` a second, at most `burst` at once. With a rate of 0 there is no limit;
---a burst below 1 is a second's worth.
---@class tidewire.Settings.Rate
---@field rate? number
---@field burst? number

---@class tidewire.Settings.Heartbeat
---`heartbeat.interval` s; a client silent for so long is pinged; 0: never. Default 25
---@field interval? number
---`heartbeat.timeout` s; and closed with 4408 when it stays silent. Default 10
---@field timeout? number

---@class tidewire.Settings.HandshakesPerIp: tidewire.Settings.Rate
---`limits.handshakes_per_ip.rate` a second. Default 0
---@field rate? number
---`limits.handshakes_per_ip.burst`. Default 0
---@field burst? number

---@class tidewire.Settings.Messages: tidewire.Settings.Rate
---`limits.messages.rate` a second and client. Default 100
---@field rate? number
---`limits.messages.burst`. Default 200
---@field burst? number

---@class tidewire.Settings.Bytes: tidewire.Settings.Rate
---`limits.bytes.rate` a second and client. Default 1048576
---@field rate? number
---`limits.bytes.burst`. Default 4194304
---@field burst? number

---@class tidewire.Settings.Limits
---`limits.connections` WebSockets in all. Default 100000
---@field connections? integer
---`limits.connections_per_ip`, IPv6 by /64; 0: no cap. Default 0
---@field connections_per_ip? integer
---@field handshakes_per_ip? tidewire.Settings.HandshakesPerIp
---@field messages? tidewire.Settings.Messages
---@field bytes? tidewire.Settings.Bytes
---`limits.message_size` bytes; longer closes with 1009. Default 65536
---@field message_size? integer
---`limits.header_size` bytes of a request. Default 8192
---@field header_size? integer
---`limits.handshake_timeout` s for the request. Default 10
---@field handshake_timeout? number
---`limits.channels_per_client`. Default 100
---@field channels_per_client? integer
---`limits.violations` refusals, then 4429. Default 20
---@field violations? integer

---@alias tidewire.Overflow
---| "drop_oldest" # the oldest waiting message goes
---| "drop_newest" # the new one is not queued
---| "conflate" # of each key only the newest stays, else the oldest goes; needs queue.key
---| "disconnect" # the client is closed with 4431

---@class tidewire.Settings.Queue
---`queue.size` messages per subscription. Default 256
---@field size? integer
---`queue.bytes` per client. Default 1048576
---@field bytes? integer
---`queue.overflow` when it is full. Default "drop_oldest"
---@field overflow? tidewire.Overflow

---@class tidewire.Settings.Drain
---`drain.window` s over which goodbyes are spread. Default 5
---@field window? number
---`drain.timeout` s until the process ends anyway. Default 30
---@field timeout? number

---A channel with so many failures of its hooks within a window is set aside: its hooks do not run,
---and publishes are refused (or pass, see the definition's `quarantine`). After `retry` one call is
---let through: if it succeeds, the channel is back. A reload of changed files ends it, too.
---Clients can make hooks fail with odd messages: with a low number one of them silences a channel
---for all. Check messages in transform, and return nil for those that make no sense.
---@class tidewire.Settings.Quarantine
---`script.quarantine.failures`; 0: never. Default 200
---@field failures? integer
---`script.quarantine.window` s. Default 60
---@field window? number
---`script.quarantine.retry` s. Default 30
---@field retry? number

---When so many hooks fail right after a reload of changed files, and at least twice the share of
---the minute before, the broker goes back to the files before by itself, and logs an error.
---@class tidewire.Settings.Rollback
---`script.rollback.window` s after a reload; 0, the default: never
---@field window? number
---`script.rollback.calls` of hooks at least. Default 20
---@field calls? integer
---`script.rollback.share` of them that fails, 0 to 1. Default 0.5
---@field share? number

---@class tidewire.Settings.Script
---`script.deadline` s for one handler. Default 0.1
---@field deadline? number
---`script.memory` bytes per worker, at least 1 MiB. Default 67108864
---@field memory? integer
---`script.jit`: compile Lua to machine code; measure before. Default false
---@field jit? boolean
---what happens to a channel whose hooks keep failing
---@field quarantine? tidewire.Settings.Quarantine
---what happens after a reload that makes hooks fail
---@field rollback? tidewire.Settings.Rollback

---@class tidewire.Settings.Shared
---`shared.memory` bytes of tidewire.shared in all, a key costing about 128 beside its own and its
---value's. Made smaller by a reload, it throws nothing away. Default 16777216
---@field memory? integer

---@class tidewire.Settings.Listener
---@field address string
---not supported yet: an error
---@field tls? table

---@class tidewire.Settings
---`listen`: "127.0.0.1:8080" (the default), "[::1]:8080", "unix:/run/tw.sock"
---@field listen? string|tidewire.Settings.Listener|(string|tidewire.Settings.Listener)[]
---`workers`: threads; "auto", the default: one per CPU
---@field workers? integer|"auto"
---@field heartbeat? tidewire.Settings.Heartbeat
---@field limits? tidewire.Settings.Limits
---@field queue? tidewire.Settings.Queue
---`socket_buffer` bytes of the kernel's per client; 0: the system's choice. Default 65536
---@field socket_buffer? integer
---`trusted_proxies`: networks ("10.0.0.0/8") whose X-Forwarded-For is believed. Default none
---@field trusted_proxies? string[]
---`allowed_origins`: "https://example.com", "https://*.example.com". Default: every origin
---@field allowed_origins? string[]
---`reject_with`: a status before the upgrade, or accept and close 44xx, for browsers. Default
---"http"
---@field reject_with? "http"|"close"
---@field drain? tidewire.Settings.Drain
---@field script? tidewire.Settings.Script
---`env`: the variables that tidewire.env may read; a trailing star stands for any rest. While
---broker.lua itself is read, the default is in force. Default { "WS_TOKEN", "TIDEWIRE_*" }
---@field env? string[]
---@field shared? tidewire.Settings.Shared

---An app that is one file returns its settings with these two beside them.
---@class tidewire.App: tidewire.Settings
---@field auth? tidewire.Auth|tidewire.Policy
---the key is the default name
---@field channels? table<string, tidewire.Definition>
