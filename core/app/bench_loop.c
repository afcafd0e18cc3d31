/* bench_loop.c: the load tool's sockets and its one epoll. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "app/bench_parts.h"
#include "base/check.h"

#define CLIENTS_PER_SOURCE 20000 /* the usual range of local ports has 28,232 */
#define MAX_EVENTS 512

uint64_t tw_bench_clock(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void tw_bench_fail(struct tw_bench *bench, const char *format, ...) {
    char text[sizeof bench->error];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (!bench->has_failed) memcpy(bench->error, text, sizeof text);
    bench->has_failed = true;
}

/* ---- interest ---- */

/* Edge-triggered: a level would be asked for once more by each wait that follows a read. A read
 * that does not fill the buffer has emptied the socket, and EPOLLRDHUP tells that there is an end
 * behind it. Changing the interest arms it anew. */

static void watch(struct tw_bench *bench, struct tw_bench_peer *peer, int operation) {
    struct epoll_event event = {.events = (peer->is_stalled ? 0u : EPOLLIN) |
                                          (peer->is_writable_wanted ? EPOLLOUT : 0u),
                                .data.ptr = peer};
    TW_REQUIRE(epoll_ctl(bench->epoll, operation, peer->fd, &event) == 0);
}

static void want_writable(struct tw_bench *bench, struct tw_bench_peer *peer, bool is_wanted) {
    if (peer->is_writable_wanted == is_wanted) return;
    peer->is_writable_wanted = is_wanted;
    watch(bench, peer, EPOLL_CTL_MOD);
}

void tw_bench_peer_stall(struct tw_bench *bench, struct tw_bench_peer *peer, bool is_stalled) {
    if (peer->state == TW_BENCH_CLOSED || peer->is_stalled == is_stalled) return;
    peer->is_stalled = is_stalled;
    watch(bench, peer, EPOLL_CTL_MOD);
}

/* ---- open, close ---- */

/* A source address of its own for every 20,000 clients of a server on 127.0.0.0/8. */
static int bind_source(int fd, const struct sockaddr_storage *to, uint32_t client) {
    struct sockaddr_in source = {.sin_family = AF_INET};
    uint32_t address = ntohl(((const struct sockaddr_in *)to)->sin_addr.s_addr);
    int one = 1;
    if (to->ss_family != AF_INET || address >> 24 != 127 || client < CLIENTS_PER_SOURCE) return 0;
    source.sin_addr.s_addr = htonl(INADDR_LOOPBACK + client / CLIENTS_PER_SOURCE);
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    return bind(fd, (struct sockaddr *)&source, sizeof source) < 0 ? -errno : 0;
}

int tw_bench_peer_open(struct tw_bench *bench, struct tw_bench_peer *peer,
                       enum tw_bench_peer_kind kind, uint32_t client) {
    const struct sockaddr_storage *to =
        kind == TW_BENCH_POST ? &bench->post_address : &bench->address;
    socklen_t length = kind == TW_BENCH_POST ? bench->post_address_length : bench->address_length;
    int one = 1, buffer = (int)bench->options->receive_buffer;
    int fd = socket(to->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), status;
    if (fd < 0) return -errno;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (buffer > 0) setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
    if ((status = bind_source(fd, to, client)) < 0) goto fail;
    peer->began_ns = tw_bench_clock();
    if (connect(fd, (const struct sockaddr *)to, length) < 0 && errno != EINPROGRESS) {
        status = -errno;
        goto fail;
    }
    peer->fd = fd;
    peer->kind = kind;
    peer->state = TW_BENCH_CONNECTING;
    peer->is_writable_wanted = true;
    peer->is_stalled = false;
    watch(bench, peer, EPOLL_CTL_ADD);
    if (kind == TW_BENCH_SOCKET) bench->opening++;
    return 0;

fail:
    close(fd);
    return status;
}

void tw_bench_peer_close(struct tw_bench *bench, struct tw_bench_peer *peer, bool reset) {
    const struct linger now = {.l_onoff = 1};
    if (peer->state == TW_BENCH_CLOSED) return;
    if (peer->kind == TW_BENCH_SOCKET) {
        if (peer->state == TW_BENCH_OPEN)
            bench->open--;
        else
            bench->opening--;
    }
    if (reset) setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(peer->fd);
    peer->fd = -1;
    peer->state = TW_BENCH_CLOSED;
    tw_buf_deinit(&peer->in);
    tw_buf_deinit(&peer->out);
}

static void lost(struct tw_bench *bench, struct tw_bench_peer *peer, const char *why) {
    tw_bench_peer_close(bench, peer, false);
    if (peer->kind == TW_BENCH_POST)
        tw_bench_fail(bench, "the connection to %s ended: %s", bench->options->publish_text, why);
    else
        tw_bench_client_lost(bench, (struct tw_bench_client *)peer, why);
}

/* ---- write, read ---- */

void tw_bench_peer_mark(struct tw_bench *bench, struct tw_bench_peer *peer) {
    if (peer->is_dirty) return;
    peer->is_dirty = true;
    peer->next_dirty = bench->dirty;
    bench->dirty = peer;
}

static void flush(struct tw_bench *bench, struct tw_bench_peer *peer) {
    while (peer->out.length > 0) {
        ssize_t wrote = send(peer->fd, peer->out.data, peer->out.length, MSG_NOSIGNAL);
        if (wrote < 0 && errno == EAGAIN) break;
        if (wrote < 0) {
            lost(bench, peer, strerror(errno));
            return;
        }
        tw_buf_consume(&peer->out, (size_t)wrote);
    }
    want_writable(bench, peer, peer->out.length > 0);
    if (peer->state == TW_BENCH_SHAKING && peer->out.length == 0) tw_buf_deinit(&peer->out);
}

static void flush_dirty(struct tw_bench *bench) {
    while (bench->dirty) {
        struct tw_bench_peer *peer = bench->dirty;
        bench->dirty = peer->next_dirty;
        peer->is_dirty = false;
        if (peer->state > TW_BENCH_CONNECTING && !peer->is_writable_wanted) flush(bench, peer);
    }
}

static void on_connected(struct tw_bench *bench, struct tw_bench_peer *peer) {
    int status = 0;
    socklen_t size = sizeof status;
    getsockopt(peer->fd, SOL_SOCKET, SO_ERROR, &status, &size);
    if (status != 0) {
        lost(bench, peer, strerror(status));
        return;
    }
    want_writable(bench, peer, false);
    if (peer->kind == TW_BENCH_SOCKET) {
        tw_bench_client_connected(bench, (struct tw_bench_client *)peer);
        return;
    }
    peer->state = TW_BENCH_OPEN;
    tw_bench_peer_mark(bench, peer);
}

/* Reads once. How much there was; 0 when there was nothing, or when that was the end. */
static size_t on_readable(struct tw_bench *bench, struct tw_bench_peer *peer) {
    ssize_t got = recv(peer->fd, bench->buffer, TW_BENCH_READ_SIZE, 0);
    if (got < 0 && errno == EAGAIN) return 0;
    bench->now_ns = tw_bench_clock();
    if (got <= 0)
        lost(bench, peer, got == 0 ? "closed by the server" : strerror(errno));
    else if (peer->kind == TW_BENCH_POST)
        tw_bench_poster_read(bench, (struct tw_bench_poster *)peer, bench->buffer, (size_t)got);
    else
        tw_bench_client_read(bench, (struct tw_bench_client *)peer, bench->buffer, (size_t)got);
    return peer->state == TW_BENCH_CLOSED ? 0 : (size_t)got;
}

static void on_event(struct tw_bench *bench, struct tw_bench_peer *peer, uint32_t events) {
    if (peer->state == TW_BENCH_CLOSED) return;
    if (peer->state == TW_BENCH_CONNECTING) {
        on_connected(bench, peer);
        return;
    }
    if (events & EPOLLOUT) flush(bench, peer);
    bool has_ended = (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    if (!(events & EPOLLIN) && !has_ended) return;
    if (peer->state == TW_BENCH_CLOSED) return; /* by flush */
    size_t got;
    do
        got = on_readable(bench, peer);
    while (got == TW_BENCH_READ_SIZE || (got > 0 && has_ended));
}

static int wait_for(struct tw_bench *bench, struct epoll_event *events, uint64_t until_ns) {
    uint64_t wait = until_ns > bench->now_ns ? until_ns - bench->now_ns : 0;
    struct timespec timeout = {(time_t)(wait / 1000000000u), (long)(wait % 1000000000u)};
    return epoll_pwait2(bench->epoll, events, MAX_EVENTS, &timeout, NULL);
}

/* Asks without sleeping, so that nobody pays for waking it up; what that takes is no work. */
static int spin(struct tw_bench *bench, struct epoll_event *events, uint64_t until_ns) {
    uint64_t began_ns = bench->now_ns, asked_ns = began_ns;
    int count;
    while ((count = epoll_wait(bench->epoll, events, MAX_EVENTS, 0)) == 0 && asked_ns < until_ns)
        asked_ns = tw_bench_clock();
    bench->spun_ns += asked_ns - began_ns;
    return count;
}

void tw_bench_turn(struct tw_bench *bench, uint64_t until_ns) {
    struct epoll_event events[MAX_EVENTS];
    flush_dirty(bench);
    bench->now_ns = tw_bench_clock();
    int count = bench->options->busy_poll ? spin(bench, events, until_ns)
                                          : wait_for(bench, events, until_ns);
    TW_REQUIRE(count >= 0 || errno == EINTR);
    bench->now_ns = tw_bench_clock();
    for (int i = 0; i < count; i++)
        on_event(bench, events[i].data.ptr, events[i].events);
    flush_dirty(bench);
}
