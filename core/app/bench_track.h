/* bench_track.h: which messages of a channel one subscriber has heard, by sequence number: 0, 1, 2
 * … without a gap is right. Knows the last 64 one by one, so that a late message and a doubled one
 * can be told apart; what comes later than that counts as doubled. */
#ifndef TW_APP_BENCH_TRACK_H
#define TW_APP_BENCH_TRACK_H

#include <stdint.h>

struct tw_bench_track {
    uint32_t next; /* sequence number that should come now */
    uint64_t seen; /* bit i: next - 1 - i has come */
};

struct tw_bench_losses {
    uint64_t missing;    /* skipped, and not come since */
    uint64_t duplicates; /* come twice */
    uint64_t reordered;  /* come after a later one */
};

/* Takes a message note of. Returns by how many it advances `next`: 1 when all is well, more if it
 * skips some, 0 for one from before. */
static inline uint32_t tw_bench_track_take(struct tw_bench_track *track,
                                           struct tw_bench_losses *losses, uint32_t sequence) {
    uint32_t ahead = sequence - track->next;
    if (__builtin_expect(ahead == 0, 1)) {
        track->next++;
        track->seen = track->seen << 1 | 1;
        return 1;
    }
    if (ahead < UINT32_MAX / 2) {
        losses->missing += ahead;
        track->next += ahead + 1;
        track->seen = ahead < 63 ? track->seen << (ahead + 1) | 1 : 1;
        return ahead + 1;
    }
    uint32_t age = track->next - 1 - sequence;
    uint64_t bit = age < 64 ? (uint64_t)1 << age : 0;
    if (bit && !(track->seen & bit)) {
        track->seen |= bit;
        losses->missing--;
        losses->reordered++;
    } else {
        losses->duplicates++;
    }
    return 0;
}

#endif
