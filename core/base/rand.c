/* rand.c: xoshiro256++ (Blackman and Vigna, public domain), seeded by splitmix64 as its authors
 * advise, so that neighbouring seeds give unrelated streams and the state is never all zero. */
#include "base/rand.h"

#include <errno.h>
#include <stddef.h>
#include <sys/random.h>
#include <sys/types.h>

#include "base/check.h"

static uint64_t rotate(uint64_t x, int by);

void tw_rand_seed(struct tw_rand *rand, uint64_t seed) {
    for (int i = 0; i < 4; i++) {
        uint64_t z = seed += 0x9E3779B97F4A7C15u;
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
        z = (z ^ z >> 27) * 0x94D049BB133111EBu;
        rand->s[i] = z ^ z >> 31;
    }
}

void tw_rand_seed_system(struct tw_rand *rand) {
    uint64_t seed = 0;
    ssize_t got;
    do {
        got = getrandom(&seed, sizeof seed, 0);
    } while (got < 0 && errno == EINTR);
    TW_REQUIRE(got == (ssize_t)sizeof seed);
    tw_rand_seed(rand, seed);
}

uint64_t tw_rand_next(struct tw_rand *rand) {
    uint64_t *s = rand->s;
    uint64_t result = rotate(s[0] + s[3], 23) + s[0];
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

uint64_t tw_rand_below(struct tw_rand *rand, uint64_t bound) {
    TW_REQUIRE(bound > 0);
    /* 2^64 mod bound: drawing again below it leaves a multiple of bound, so no remainder is more
     * likely than another. */
    uint64_t reject_below = -bound % bound;
    uint64_t drawn;
    do {
        drawn = tw_rand_next(rand);
    } while (drawn < reject_below);
    return drawn % bound;
}

static uint64_t rotate(uint64_t x, int by) {
    return x << by | x >> (64 - by);
}
