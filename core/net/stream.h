/* stream.h: one connected socket on a loop. The owner embeds it.
 *
 *   open --> callbacks --> close --> on_closed (the owner may free it there, not before)
 */
#ifndef TW_NET_STREAM_H
#define TW_NET_STREAM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "net/poller.h"

struct tw_stream {
    union {
        struct tw_poller *poller;
        struct tw_stream *next_closed; /* of the poller: while it is closing, before on_closed */
    };
    int fd;
    uint8_t wanted;  /* TW_READABLE, TW_WRITABLE */
    uint8_t watched; /* what the poller reports; more than `wanted` until it does */
    bool is_closing;
};

/* Takes the descriptor (non-blocking), also when it fails; begins to read. 0 or a uv error. */
int tw_stream_open(struct tw_stream *stream, struct tw_poller *poller, int fd);
/* Bytes written; TW_EAGAIN for none; or an error. After less than all, on_writable follows. */
int64_t tw_stream_write(struct tw_stream *stream, const struct iovec *spans, int count);
/* Reads what is here now, as if it had just come. */
void tw_stream_read_now(struct tw_stream *stream);
void tw_stream_set_reading(struct tw_stream *stream, bool on);
/* Ends our side: the peer reads what was written, and then the end. */
void tw_stream_shutdown(struct tw_stream *stream);
/* Idempotent, asynchronous. No callback but on_closed comes any more. */
void tw_stream_close(struct tw_stream *stream);

/* For the poller: it is readable, or writable, or both. */
void tw_stream_on_ready(struct tw_stream *stream, unsigned ready);

#endif
