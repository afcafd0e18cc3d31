return require "spec.support.harness" "json" -- see scripts/tidewire/harness
