return {
  env = { "JWT_SECRET" }, -- what is not listed here, no script can read
}
