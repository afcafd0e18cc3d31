/* bench.h: `tidewire bench`: a load tool for WebSocket brokers. */
#ifndef TW_APP_BENCH_H
#define TW_APP_BENCH_H

#include <stdio.h>

/* `args`: what follows "bench", ended by NULL. Runs to the end. Returns the exit code: 0 it has
 * measured, 1 it could not, or what it awaited did not come, 2 wrong usage. */
int tw_bench_command(char **args, FILE *out, FILE *err);

#endif
