/* outbox.h: what waits to be written to one client.
 *
 *   control lane   whole frames (pong, close, handshake answer), lossless, bounded
 *   data lane      references to parcels, bounded per subscription and in bytes
 *
 * On the wire: the rest of a half-written frame first, then control, then data, at last the final
 * bytes (our close frame). A frame is never broken up.
 *
 * Grows on demand from nothing, so an idle client holds no heap. Nothing
 * here calls anybody; the hub decides when to write. */
#ifndef TW_BROKER_OUTBOX_H
#define TW_BROKER_OUTBOX_H

#include <sys/uio.h>

#include "broker/message.h"
#include "broker/settings.h"

struct tw_sub;

/* A message at one worker, shared by that worker's outboxes without atomics. */
struct tw_parcel {
    struct tw_message *message; /* ref */
    uint32_t refs;
};

struct tw_parcel *tw_parcel_new(struct tw_message *message); /* keeps a ref; one owned */
void tw_parcel_unref(struct tw_parcel *parcel);

struct tw_entry {
    struct tw_parcel *parcel; /* NULL: dropped meanwhile */
    struct tw_sub *sub;       /* NULL: not of a subscription */
};

#define TW_OUTBOX_LEAST 4           /* entries; a power of two */
#define TW_OUTBOX_MAX_CONTROL 16384 /* bytes; more is a peer that pings and does not read */

/* The control lane. */
struct tw_control {
    uint32_t length, capacity;
    char bytes[];
};

struct tw_outbox {                  /* there are many of these: 56 bytes */
    struct tw_entry *ring;          /* owned; NULL: none yet */
    uint32_t head, count, capacity; /* entries, dropped ones included; capacity a power of two */
    uint32_t dead;                  /* of these, dropped ones */
    uint32_t sent;  /* bytes of the first entry's frame already written; its sub is NULL then */
    uint32_t bytes; /* of the frames in the data lane */
    uint8_t final_length, final_sent;
    bool is_over;               /* something was appended past its bounds */
    struct tw_control *control; /* owned; NULL: nothing in that lane */
    char *final; /* owned: the close frame, written when all else is; nothing more comes then */
};

enum tw_push {
    TW_PUSHED,       /* queued; *dropped older ones were lost to the policy */
    TW_PUSH_REFUSED, /* not queued: drop_newest, or no room at all; counted in *dropped */
    TW_PUSH_TOO_SLOW /* policy disconnect: not queued */
};

void tw_outbox_init(struct tw_outbox *outbox);
void tw_outbox_deinit(struct tw_outbox *outbox);
/* 0, TW_EFULL, TW_ECLOSED after finish, or -ENOMEM. `bytes` are whole frames. */
int tw_outbox_try_control(struct tw_outbox *outbox, const void *bytes, size_t length);
/* Would this push need the overflow policy? */
bool tw_outbox_is_full(const struct tw_outbox *outbox, const struct tw_sub *sub, size_t frame_bytes,
                       uint32_t max_bytes);
/* Queues a reference without asking for the bounds: what the socket takes at the end of the turn
 * was never queued, so only tw_outbox_enforce, behind the write, says what is too much. 0 or
 * -ENOMEM. */
int tw_outbox_try_append(struct tw_outbox *outbox, struct tw_sub *sub, struct tw_parcel *parcel);
/* Queues, without asking for the bounds, what is left of what is on its way to the sub (see
 * tw_batch) after a write that took the first `written` bytes. The outbox is empty. 0 or -ENOMEM.
 */
int tw_outbox_try_keep(struct tw_outbox *outbox, struct tw_sub *sub, size_t written);
/* As if all that is queued had just come, in its order, while the socket took nothing. Adds to the
 * topics' `dropped`. TW_PUSH_TOO_SLOW: a policy says disconnect, or there is no memory to ask. */
enum tw_push tw_outbox_enforce(struct tw_outbox *outbox, uint32_t max_bytes);
/* Queues a reference; applies the policy of the sub's topic if full (drop_newest for a message of
 * no subscription). Only the sub's own messages give way, and only if that makes the room: with
 * conflate first all that have a newer one of their key, in whose place that one moves. Adds to
 * *dropped. After finish nothing is queued or counted. */
enum tw_push tw_outbox_push(struct tw_outbox *outbox, struct tw_sub *sub, struct tw_parcel *parcel,
                            uint32_t max_bytes, uint64_t *dropped);
/* The last word: `final` (at most 255 bytes) goes out behind everything, or, with `discard`, behind
 * the half-written frame and the control lane, the rest of the data lane being dropped. */
void tw_outbox_finish(struct tw_outbox *outbox, const void *final, size_t length, bool discard);
/* Forgets the entries of a subscription that ends, but for a half-written frame. */
void tw_outbox_forget(struct tw_outbox *outbox, struct tw_sub *sub);
/* Keeps the entries of a subscription that ends, as belonging to none. */
void tw_outbox_orphan(struct tw_outbox *outbox, struct tw_sub *sub);
/* Fills up to `max` spans in the order of the wire; returns how many. They stay valid until the
 * outbox changes. */
int tw_outbox_gather(const struct tw_outbox *outbox, struct iovec *spans, int max);
/* `written` bytes of what was gathered are gone. */
void tw_outbox_consume(struct tw_outbox *outbox, size_t written);
bool tw_outbox_is_empty(const struct tw_outbox *outbox);
/* Gives heap back if there is nothing in it. */
void tw_outbox_shrink(struct tw_outbox *outbox);

#endif
