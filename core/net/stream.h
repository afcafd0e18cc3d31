/* stream.h: one connected socket on a loop. The owner embeds it.
 *
 *   open --> callbacks --> close --> on_closed (the owner may free it there, not before)
 */
#ifndef TW_NET_STREAM_H
#define TW_NET_STREAM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>
#include <uv.h>

struct tw_stream;

struct tw_stream_ops {
    void (*on_read)(struct tw_stream *stream, const void *bytes, size_t length); /* borrowed */
    void (*on_eof)(struct tw_stream *stream);               /* the peer sends no more */
    void (*on_writable)(struct tw_stream *stream);          /* after a short write */
    void (*on_error)(struct tw_stream *stream, int status); /* broken: close it */
    void (*on_closed)(struct tw_stream *stream);            /* the last call */
};

struct tw_stream {
    uv_poll_t poll;
    const struct tw_stream_ops *ops;
    int fd;
    uint8_t events; /* UV_READABLE | UV_WRITABLE wanted now */
    bool is_closing;
};

/* Takes the descriptor (non-blocking), also when it fails; begins to read. 0 or a uv error. */
int tw_stream_open(struct tw_stream *stream, uv_loop_t *loop, int fd,
                   const struct tw_stream_ops *ops);
/* Bytes written; TW_EAGAIN for none; or an error. After less than all, on_writable follows. */
int64_t tw_stream_write(struct tw_stream *stream, const struct iovec *spans, int count);
/* Reads what is here now, as if it had just come. */
void tw_stream_read_now(struct tw_stream *stream);
void tw_stream_set_reading(struct tw_stream *stream, bool on);
/* Ends our side: the peer reads what was written, and then the end. */
void tw_stream_shutdown(struct tw_stream *stream);
/* Idempotent, asynchronous. No callback but on_closed comes any more. */
void tw_stream_close(struct tw_stream *stream);

#endif
