/* poller.c: epoll, below the loop. */
#include "net/poller.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "net/stream.h"

enum { ROUNDS = 8, BYTES_A_TURN = 512 << 10 };

static void tell(const struct epoll_event *event) {
    unsigned seen = 0;
    if (event->events & (EPOLLIN | EPOLLHUP | EPOLLERR)) seen |= TW_READABLE;
    if (event->events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) seen |= TW_WRITABLE;
    tw_stream_on_ready((struct tw_stream *)event->data.ptr, seen);
}

static bool is_full(const struct tw_poller *poller) {
    return poller->bytes >= BYTES_A_TURN;
}

/* False: they were all that are ready. */
static bool fetch(struct tw_poller *poller) {
    poller->next = 0;
    poller->count = epoll_wait(poller->epoll, poller->events, TW_POLLER_EVENTS, 0);
    return poller->count == TW_POLLER_EVENTS;
}

/* While one is told, the next one comes into the cache. */
static void tell_some(struct tw_poller *poller) {
    while (poller->next < poller->count && !is_full(poller)) {
        const struct epoll_event *event = &poller->events[poller->next++];
        if (poller->next < poller->count) __builtin_prefetch(event[1].data.ptr);
        if (event->data.ptr) tell(event);
    }
}

/* What a turn does not get to comes first in the next one: what was fetched is told then, and what
 * was not stands in front of what was. Streams that are held cost nothing, and are many when
 * handshakes take long: those behind them are told all the same. */
static void on_poll(uv_poll_t *poll, int status, int ready) {
    struct tw_poller *poller = (struct tw_poller *)poll->data;
    (void)status, (void)ready;
    poller->bytes = 0;
    for (int round = 0; round < ROUNDS; round++) {
        unsigned held = poller->held;
        bool are_more = poller->next < poller->count || fetch(poller);
        tell_some(poller);
        if (!are_more || is_full(poller)) return;
        if (held == poller->held && poller->ops->is_late && poller->ops->is_late(poller)) return;
    }
}

static void reap(struct tw_poller *poller) {
    struct tw_stream *stream;
    while ((stream = poller->closed)) {
        poller->closed = stream->next_closed;
        stream->poller = poller;
        poller->ops->on_closed(stream);
    }
}

static void on_idle(uv_idle_t *idle) {
    uv_idle_stop(idle);
    reap((struct tw_poller *)idle->data);
}

int tw_poller_open(struct tw_poller *poller, uv_loop_t *loop, const struct tw_stream_ops *ops) {
    *poller = (struct tw_poller){.ops = ops, .epoll = epoll_create1(EPOLL_CLOEXEC)};
    if (poller->epoll < 0) return -errno;
    int status = uv_poll_init(loop, &poller->poll, poller->epoll);
    if (status < 0) {
        close(poller->epoll);
        return status;
    }
    uv_idle_init(loop, &poller->reaper);
    poller->poll.data = poller->reaper.data = poller;
    return uv_poll_start(&poller->poll, UV_READABLE, on_poll);
}

void tw_poller_close(struct tw_poller *poller) {
    reap(poller);
    uv_close((uv_handle_t *)&poller->poll, NULL);
    uv_close((uv_handle_t *)&poller->reaper, NULL);
    close(poller->epoll);
}

int tw_poller_watch(struct tw_poller *poller, struct tw_stream *stream, int fd, uint8_t known,
                    uint8_t wanted) {
    struct epoll_event event = {.data.ptr = stream};
    if (wanted & TW_READABLE) event.events |= EPOLLIN;
    if (wanted & TW_WRITABLE) event.events |= EPOLLOUT;
    int what = known == 0 ? EPOLL_CTL_ADD : wanted == 0 ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;
    return epoll_ctl(poller->epoll, what, fd, &event) < 0 ? -errno : 0;
}

/* Not at once: it may be the one that is being told. */
void tw_poller_forget(struct tw_poller *poller, struct tw_stream *stream) {
    for (int i = poller->next; i < poller->count; i++)
        if (poller->events[i].data.ptr == stream) poller->events[i].data.ptr = NULL;
    stream->next_closed = poller->closed;
    poller->closed = stream;
    uv_idle_start(&poller->reaper, on_idle);
}
