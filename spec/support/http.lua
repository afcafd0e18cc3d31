return require "spec.support.harness" "http" -- see scripts/tidewire/harness
