/* rand.h: random numbers. The generator is seeded once per process from the system, or from a
 * number, which makes a simulation repeat. Not for secrets. */
#ifndef TW_BASE_RAND_H
#define TW_BASE_RAND_H

#include <stdint.h>

struct tw_rand {
    uint64_t s[4]; /* xoshiro256++ */
};

void tw_rand_seed(struct tw_rand *rand, uint64_t seed);
/* Seeds from getrandom(2). */
void tw_rand_seed_system(struct tw_rand *rand);
uint64_t tw_rand_next(struct tw_rand *rand);
/* Evenly in [0, bound); bound > 0. */
uint64_t tw_rand_below(struct tw_rand *rand, uint64_t bound);

#endif
