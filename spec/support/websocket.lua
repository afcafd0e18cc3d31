return require "spec.support.harness" "websocket" -- see scripts/tidewire/harness
