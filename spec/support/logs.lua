return require "spec.support.harness" "logs" -- see scripts/tidewire/harness
