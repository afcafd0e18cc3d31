--- Sequences that failed once, shrunk; invariants_spec plays them again. To add one: what
-- `./dev soak` printed, under a name that says what was wrong.
return {
  {
    name = "tells the clients of a channel that a reload took away, however long nothing happened",
    seed = 135, workers = 1,
    { "connect", 46917, 44983, 76209, 15951, 17657 },
    { "advance", 48549, 34181, 49948, 7186, 9962 },
    { "reload", 52097, 90542, 94373, 40290, 28497 },
  },
}
