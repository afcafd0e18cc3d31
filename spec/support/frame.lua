return require "spec.support.harness" "frame" -- see scripts/tidewire/harness
