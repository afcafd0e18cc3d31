/* ws.h: a client's frames into messages, in a buffer that is bounded. Checks what RFC 6455 asks
 * for: masks, reserved bits and opcodes, continuation order, UTF-8 as it arrives, close payloads.
 *
 * An idle client costs one NULL pointer: a reader is lent from the pool when bytes arrive, and goes
 * back when they end at a message boundary. */
#ifndef TW_PROTO_WS_H
#define TW_PROTO_WS_H

#include "broker/message.h"
#include "proto/frame.h"

/* Frames without payload in one message, the last one too; with more, 1002. Frames with payload are
 * bounded by max_message. */
#define TW_WS_MAX_EMPTY_FRAMES 1000

struct tw_ws_pool;   /* of one thread */
struct tw_ws_reader; /* a lent one */

struct tw_ws_pool *tw_ws_pool_new(size_t keep); /* how many idle readers it keeps */
void tw_ws_pool_free(struct tw_ws_pool *pool);  /* all readers are back */

/* What was read. Payloads borrow until the next call. */
struct tw_ws_event {
    enum tw_opcode opcode; /* text, binary: a whole message; close, ping, pong */
    struct tw_str payload; /* of a close: the reason alone */
    unsigned code;         /* of a close: 1005 if it had none; of an error: to close with */
    const char *why;       /* of an error, static */
};

/* Reads on in `bytes`, taking a reader into *slot where needed (*slot is NULL at first). Returns
 *   1          an event; call again with the rest (*used says how much is gone), even if that is
 *              nothing: only then does the reader go back
 *   0          all is used; wait for more
 *   TW_EPROTO, TW_EUTF8, TW_ETOOBIG, -ENOMEM   the connection fails with event->code
 *              (1002, 1007, 1009, 1011); call no more.
 * After an event of opcode close nothing more is read: the rest is used and gives 0, and the reader
 * stays with the slot until tw_ws_release, as it does after a failure. max_message bounds a
 * message's payload. */
int tw_ws_read(struct tw_ws_pool *pool, struct tw_ws_reader **slot, const void *bytes,
               size_t length, size_t *used, size_t max_message, struct tw_ws_event *event);
/* The message of the event that was read last, owned: the payload is not copied. Once; the event's
 * span is gone then. NULL: it is larger than a message can be. */
struct tw_message *tw_ws_take(struct tw_ws_reader *reader, const struct tw_ws_event *event);
/* Gives the reader back whatever its state; *slot becomes NULL. Idempotent. */
void tw_ws_release(struct tw_ws_pool *pool, struct tw_ws_reader **slot);

#endif
