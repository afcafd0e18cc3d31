-- Names in two parts, such as room:7. In a hook, channel.params.kind is "room" then, and
-- channel.params.name is "7".
return {
  name = "{kind}:{name}",
  publish = true,
}
