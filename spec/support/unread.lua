return require "spec.support.harness" "unread" -- see scripts/tidewire/harness
