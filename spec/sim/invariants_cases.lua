--- Sequences that failed once, shrunk; invariants_spec plays them again. To add one: what
-- `./dev soak` printed, under a name that says what was wrong.
return {
  {
    name = "tells the clients of a channel that a reload took away, however long nothing happened",
    seed = 130, workers = 1,
    { "advance", 9, 0, 0, 0, 0 },
    { "reload", 0, 4, 0, 0, 1 },
  },
  {
    name = "loses no key's only message to another key's past, when a conflated queue is full",
    seed = 2001, workers = 1,
    { "connect", 34633, 11389, 97333, 25746, 36109 },
    { "stall", 26279, 18053, 69644, 42046, 819 },
    { "publish", 98035, 85087, 80472, 57733, 9708 },
  },
}
