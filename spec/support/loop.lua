return require "spec.support.harness" "loop" -- see scripts/tidewire/harness
