return require "spec.support.harness" "tcp" -- see scripts/tidewire/harness
