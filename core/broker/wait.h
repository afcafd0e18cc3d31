/* wait.h: deadlines of clients. One list per kind; all of a kind wait equally long, so a list in
 * order of arrival is in order of expiry, and a change of settings applies to those who wait. */
#ifndef TW_BROKER_WAIT_H
#define TW_BROKER_WAIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"

#define TW_WAIT_SLACK 64

enum tw_wait_kind {
    TW_WAIT_HANDSHAKE, /* for a request to be complete and answered */
    TW_WAIT_IDLE,      /* for anything from the client, then a ping goes out */
    TW_WAIT_PONG,      /* for a sign of life after the ping */
    TW_WAIT_CLOSE,     /* for the closing handshake, and for the peer to hang up */
    TW_WAIT_KINDS
};

struct tw_wait { /* there are many of these: 24 bytes */
    struct tw_list node;
    uint64_t since_ms : 56;
    enum tw_wait_kind kind : 8;
};

struct tw_waits {
    struct tw_list lists[TW_WAIT_KINDS];
    uint64_t duration_ms[TW_WAIT_KINDS]; /* 0: for ever */
};

void tw_waits_init(struct tw_waits *waits);
void tw_wait_init(struct tw_wait *wait);
/* Ends another wait of the same node. */
void tw_wait_start(struct tw_waits *waits, struct tw_wait *wait, enum tw_wait_kind kind,
                   uint64_t now_ms);
void tw_wait_stop(struct tw_wait *wait); /* idempotent */
/* The next one that is due, removed from its list; NULL: none. */
struct tw_wait *tw_waits_expired(struct tw_waits *waits, uint64_t now_ms);
/* When the next one is due; UINT64_MAX: never. Not `exactly`: later by a TW_WAIT_SLACK-th of its
 * duration, so that many end together and a loop wakes up less often. */
uint64_t tw_waits_next_ms(const struct tw_waits *waits, bool exactly);

#endif
