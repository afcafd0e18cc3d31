/* poller.h: which streams of a loop can be read or written. An epoll set of our own, which the loop
 * watches as one descriptor: a uv_poll_t for each connection would be 160 bytes of it. */
#ifndef TW_NET_POLLER_H
#define TW_NET_POLLER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <uv.h>

struct tw_poller;
struct tw_stream;

enum { TW_READABLE = 1, TW_WRITABLE = 2, TW_POLLER_EVENTS = 128 };

struct tw_stream_ops {
    /* True: the loop has read for long enough in this turn. NULL: never. */
    bool (*is_late)(struct tw_poller *poller);
    /* True: what has come stays unread until the loop's next turn. NULL: never. */
    bool (*is_held)(struct tw_stream *stream);
    void (*on_read)(struct tw_stream *stream, const void *bytes, size_t length); /* borrowed */
    void (*on_eof)(struct tw_stream *stream);               /* the peer sends no more */
    void (*on_writable)(struct tw_stream *stream);          /* after a short write */
    void (*on_error)(struct tw_stream *stream, int status); /* broken: close it */
    void (*on_closed)(struct tw_stream *stream);            /* the last call */
};

struct tw_poller {
    uv_poll_t poll;
    uv_idle_t reaper;
    int epoll;
    const struct tw_stream_ops *ops; /* of all its streams */
    struct tw_stream *closed;        /* on_closed is still to be called */
    size_t bytes;                    /* read in this turn */
    unsigned held;                   /* how often a stream was held */
    int next, count;                 /* of `events`: the first that is not told; how many */
    struct epoll_event events[TW_POLLER_EVENTS];
};

/* 0 or a uv error. */
int tw_poller_open(struct tw_poller *poller, uv_loop_t *loop, const struct tw_stream_ops *ops);
/* Says on_closed to streams that were closed; no other may be open. Asynchronous. */
void tw_poller_close(struct tw_poller *poller);

/* For streams: reports of the stream what `wanted` says, of TW_READABLE and TW_WRITABLE, where
 * `known` was the last word. 0 or a uv error. */
int tw_poller_watch(struct tw_poller *poller, struct tw_stream *stream, int fd, uint8_t known,
                    uint8_t wanted);
/* For streams: on_closed follows, from the loop. */
void tw_poller_forget(struct tw_poller *poller, struct tw_stream *stream);

#endif
