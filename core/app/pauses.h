/* pauses.h: how long a worker's loop was away from its sockets, turn by turn: from the first thing
 * that a poll brought until the next poll. Whatever a client says meanwhile waits for that long.
 *
 * Counted twice: on the clock, where other processes that have the core count too, and in processor
 * time of the thread, the kernel's work for it included. To read the latter is a system call, so
 * it is read only where there was time for much of it: a turn's share is up to
 * TW_PAUSES_SAMPLE_NS too high, but never above what the clock says. */
#ifndef TW_APP_PAUSES_H
#define TW_APP_PAUSES_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/histogram.h"

#define TW_PAUSES_SAMPLE_NS 2000000
#define TW_PAUSES_SLOT_NS UINT64_C(10000000000)
#define TW_PAUSES_SLOTS 7 /* the worst of each of so many, the newest unfinished: a minute */

struct tw_pause_slot {
    uint64_t number; /* time / TW_PAUSES_SLOT_NS */
    uint64_t clock_ns, cpu_ns;
};

struct tw_pauses {
    uint64_t (*cpu_ns)(void); /* of the thread, since it began */
    uint64_t since_ns;        /* 0: the loop is at its sockets */
    uint64_t sampled_ns;      /* when cpu_ns was asked last ... */
    uint64_t sampled_cpu_ns;  /* ... and what it said */
    uint64_t turns;
    struct tw_histogram clock, cpu; /* ns */
    struct tw_pause_slot slots[TW_PAUSES_SLOTS];
};

/* `cpu_ns` NULL: the system's. */
void tw_pauses_init(struct tw_pauses *pauses, uint64_t (*cpu_ns)(void));
/* A turn begins, if none is under way. */
static inline bool tw_pauses_is_on(const struct tw_pauses *pauses) {
    return pauses->since_ns != 0;
}
void tw_pauses_start(struct tw_pauses *pauses, uint64_t now_ns);
/* It ends: the loop goes to its sockets. */
void tw_pauses_stop(struct tw_pauses *pauses, uint64_t now_ns);
/* Appends {"worker":..,"turns":..,"p99":..,"max":..,"recent":..,"cpu":{..}}; seconds. */
void tw_pauses_print(const struct tw_pauses *pauses, unsigned worker, uint64_t now_ns,
                     struct tw_buf *json);

#endif
