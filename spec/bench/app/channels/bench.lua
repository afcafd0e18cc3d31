-- A hook on every publish which touches nothing: what it costs to be programmable.
return {
  name = "bench:{id}",
  publish = true,
  transform = function(message) return message end,
}
