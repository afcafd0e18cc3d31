---@meta tidewire.settings

-- The table that broker.lua returns. Every key has a default; an unknown key is an error that
-- suggests the nearest one. Each can be set from outside: `tidewire run APP -D limits.violations=5`.
-- Durations are in seconds, fractions allowed. Sizes are in bytes.

---A token bucket: `rate` a second, at most `burst` at once. With a rate of 0 there is no limit; with
---a burst below 1 it is a second's worth.
---@class tidewire.Settings.Rate
---@field rate? number
---@field burst? number

---@class tidewire.Settings.Heartbeat
---@field interval? number # `heartbeat.interval` s; a client silent for so long is pinged; 0: never. Default 25
---@field timeout? number # `heartbeat.timeout` s; and closed with 4408 when it stays silent. Default 10

---@class tidewire.Settings.HandshakesPerIp: tidewire.Settings.Rate
---@field rate? number # `limits.handshakes_per_ip.rate` a second. Default 0
---@field burst? number # `limits.handshakes_per_ip.burst`. Default 0

---@class tidewire.Settings.Messages: tidewire.Settings.Rate
---@field rate? number # `limits.messages.rate` a second and client. Default 100
---@field burst? number # `limits.messages.burst`. Default 200

---@class tidewire.Settings.Bytes: tidewire.Settings.Rate
---@field rate? number # `limits.bytes.rate` a second and client. Default 1048576
---@field burst? number # `limits.bytes.burst`. Default 4194304

---@class tidewire.Settings.Limits
---@field connections? integer # `limits.connections` WebSockets in all. Default 100000
---@field connections_per_ip? integer # `limits.connections_per_ip`, IPv6 by /64; 0: no cap. Default 0
---@field handshakes_per_ip? tidewire.Settings.HandshakesPerIp
---@field messages? tidewire.Settings.Messages
---@field bytes? tidewire.Settings.Bytes
---@field message_size? integer # `limits.message_size` bytes; longer closes with 1009. Default 65536
---@field header_size? integer # `limits.header_size` bytes of a request. Default 8192
---@field handshake_timeout? number # `limits.handshake_timeout` s for the request. Default 10
---@field channels_per_client? integer # `limits.channels_per_client`. Default 100
---@field violations? integer # `limits.violations` refusals, then 4429. Default 20

---@alias tidewire.Overflow
---| "drop_oldest" # the oldest waiting message goes
---| "drop_newest" # the new one is not queued
---| "conflate" # the newest per key replaces the older in place; needs queue.key in the channel
---| "disconnect" # the client is closed with 4431

---@class tidewire.Settings.Queue
---@field size? integer # `queue.size` messages per subscription. Default 256
---@field bytes? integer # `queue.bytes` per client. Default 1048576
---@field overflow? tidewire.Overflow # `queue.overflow` when it is full. Default "drop_oldest"

---@class tidewire.Settings.Drain
---@field window? number # `drain.window` s over which goodbyes are spread. Default 5
---@field timeout? number # `drain.timeout` s until the process ends anyway. Default 30

---@class tidewire.Settings.Script
---@field deadline? number # `script.deadline` s for one handler. Default 0.1
---@field memory? integer # `script.memory` bytes per worker, at least 1 MiB. Default 67108864
---@field jit? boolean # `script.jit`: compile Lua to machine code; measure before. Default false

---@class tidewire.Settings.Listener
---@field address string
---@field tls? table not supported yet: an error

---@class tidewire.Settings
---@field listen? string|tidewire.Settings.Listener|(string|tidewire.Settings.Listener)[] # `listen`: "127.0.0.1:8080" (the default), "[::1]:8080", "unix:/run/tw.sock"
---@field workers? integer|"auto" # `workers`: threads; "auto", the default: one per CPU
---@field heartbeat? tidewire.Settings.Heartbeat
---@field limits? tidewire.Settings.Limits
---@field queue? tidewire.Settings.Queue
---@field socket_buffer? integer # `socket_buffer` bytes of the kernel's per client; 0: the system's choice. Default 65536
---@field trusted_proxies? string[] # `trusted_proxies`: networks ("10.0.0.0/8") whose X-Forwarded-For is believed. Default none
---@field allowed_origins? string[] # `allowed_origins`: "https://example.com", "https://*.example.com". Default: every origin
---@field reject_with? "http"|"close" # `reject_with`: a status before the upgrade, or accept and close 44xx, for browsers. Default "http"
---@field drain? tidewire.Settings.Drain
---@field script? tidewire.Settings.Script

---An app that is one file returns its settings with these two beside them.
---@class tidewire.App: tidewire.Settings
---@field auth? tidewire.Auth
---@field channels? table<string, tidewire.Definition> the key is the default name
