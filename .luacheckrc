std = "luajit"
max_line_length = 100
self = false
exclude_files = { "build" }
files["spec"] = { std = "+busted" }
files["examples/*/spec"] = { std = "+busted" }
files["examples/cookbook/*/spec"] = { std = "+busted" }
files["scripts/*/spec"] = { std = "+busted" }
files["scripts/tidewire/meta"] = { ignore = { "212", "221", "241" } } -- stubs have no bodies
