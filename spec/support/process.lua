return require "spec.support.harness" "process" -- see scripts/tidewire/harness
