--- Sequences that failed once, shrunk; invariants_spec plays them again. To add one: what
-- `./dev soak` printed, under a name that says what was wrong.
return {
  {
    name = "tells the clients of a channel that a reload took away, however long nothing happened",
    seed = 130, workers = 1,
    { "advance", 9, 0, 0, 0, 0 },
    { "reload", 0, 4, 0, 0, 1 },
  },
}
