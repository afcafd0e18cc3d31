-- Any name: /ws/hello and /ws/chat are two channels, each there as soon as somebody wants it.
-- What one client sends, all subscribers of the channel get, the sender too.
return {
  name = "{name}", -- a capture ends at a ':', so names with one are in rooms.lua
  publish = true,
}
