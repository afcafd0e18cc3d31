/* link.c: pipes, and the transport that a session writes to. */
#include "sim/link.h"

#include <string.h>

#include "base/mem.h"
#include "base/status.h"
#include "sim/sim.h"

#define PIECE_S 0.1

/* --- pipes --- */

static size_t pipe_room(const struct tw_pipe *pipe) {
    return pipe->bytes.length < pipe->capacity ? pipe->capacity - pipe->bytes.length : 0;
}

/* Appends as many of the bytes as there is room for. They arrive bit by bit, as far as their reader
 * can tell: in pieces of PIECE_S seconds each. */
static size_t pipe_write(struct tw_pipe *pipe, const char *bytes, size_t length, uint64_t now_us) {
    size_t room = pipe_room(pipe), done = 0;
    if (length > room) length = room;
    if (length == 0) return 0;
    uint64_t from_us = pipe->busy_until_us > now_us ? pipe->busy_until_us : now_us;
    size_t most = pipe->speed > 0 ? 1 + (size_t)(pipe->speed * PIECE_S) : length;
    while (done < length) {
        struct tw_pipe_chunk chunk = {length - done < most ? length - done : most, 0};
        done += chunk.length;
        double takes_us = pipe->speed > 0 ? (double)done / pipe->speed * 1e6 : 0;
        pipe->busy_until_us = from_us + (uint64_t)takes_us;
        chunk.at_us = pipe->busy_until_us + pipe->delay_us;
        tw_buf_append(&pipe->chunks, &chunk, sizeof chunk);
    }
    tw_buf_append(&pipe->bytes, bytes, length);
    return length;
}

static struct tw_pipe_chunk *first_chunk(const struct tw_pipe *pipe) {
    size_t offset = pipe->chunk_at * sizeof(struct tw_pipe_chunk);
    if (offset >= pipe->chunks.length) return NULL;
    return (struct tw_pipe_chunk *)(void *)(pipe->chunks.data + offset);
}

static size_t pipe_arrived(const struct tw_pipe *pipe, uint64_t now_us) {
    size_t offset = pipe->chunk_at * sizeof(struct tw_pipe_chunk), sum = 0;
    for (; offset < pipe->chunks.length; offset += sizeof(struct tw_pipe_chunk)) {
        const struct tw_pipe_chunk *chunk =
            (const struct tw_pipe_chunk *)(const void *)(pipe->chunks.data + offset);
        if (chunk->at_us > now_us) break;
        sum += chunk->length;
    }
    return sum;
}

/* Takes the first `length` bytes out; owned. */
static struct tw_buf pipe_take(struct tw_pipe *pipe, size_t length) {
    struct tw_buf taken = {0};
    struct tw_pipe_chunk *chunk;
    if (length == pipe->bytes.length) {
        taken = pipe->bytes;
        pipe->bytes = (struct tw_buf){0};
    } else {
        tw_buf_append(&taken, pipe->bytes.data, length);
        tw_buf_consume(&pipe->bytes, length);
    }
    while (length > 0 && (chunk = first_chunk(pipe))) {
        size_t part = length < chunk->length ? length : chunk->length;
        chunk->length -= part;
        length -= part;
        if (chunk->length == 0) pipe->chunk_at++;
    }
    if (first_chunk(pipe)) return taken;
    pipe->chunks.length = 0;
    pipe->chunk_at = 0;
    return taken;
}

static void pipe_deinit(struct tw_pipe *pipe) {
    tw_buf_deinit(&pipe->bytes);
    tw_buf_deinit(&pipe->chunks);
}

/* --- the session's side --- */

static int64_t transport_write(void *transport, const struct iovec *spans, int count) {
    struct tw_link *link = transport;
    int64_t sum = 0;
    if (link->is_reset || link->is_closed) return -104; /* ECONNRESET */
    for (int i = 0; i < count; i++) {
        size_t written =
            pipe_write(&link->down, spans[i].iov_base, spans[i].iov_len, tw_sim_now_us(link->sim));
        sum += (int64_t)written;
        if (written == spans[i].iov_len) continue;
        link->wants_writable = true;
        break;
    }
    tw_sim_ready(link);
    return sum > 0 ? sum : TW_EAGAIN;
}

static void transport_set_reading(void *transport, bool on) {
    struct tw_link *link = transport;
    link->is_reading = on;
    if (on) tw_sim_ready(link);
}

static void transport_shutdown(void *transport) {
    struct tw_link *link = transport;
    link->down.is_ended = true;
    tw_sim_ready(link);
}

/* Bytes that the session never read make the kernel answer with a reset, which overtakes what was
 * written. */
static void transport_close(void *transport) {
    struct tw_link *link = transport;
    link->is_closed = true;
    link->is_broken_off = !link->down.is_ended;
    link->down.is_ended = true;
    if (link->up.bytes.length > 0) link->is_reset = true;
    tw_sim_ready(link);
}

const struct tw_transport_ops tw_link_transport = {
    .write = transport_write,
    .set_reading = transport_set_reading,
    .shutdown = transport_shutdown,
    .close = transport_close,
};

/* --- the client's side --- */

void tw_link_pump(struct tw_link *link) {
    struct tw_buf *out = &link->peer.out;
    if (out->length == 0 || link->up.is_ended || link->is_reset) return;
    size_t written = pipe_write(&link->up, out->data, out->length, tw_sim_now_us(link->sim));
    tw_buf_consume(out, written);
    if (written > 0) tw_sim_ready(link);
}

void tw_link_end_up(struct tw_link *link) {
    link->up.is_ended = true;
    tw_sim_ready(link);
}

void tw_link_reset(struct tw_link *link) {
    link->is_reset = true;
    tw_sim_ready(link);
}

/* --- life --- */

void tw_link_configure(struct tw_link *link, const struct tw_link_options *options) {
    link->up.speed = options->up_speed;
    link->down.speed = options->down_speed;
    link->up.delay_us = link->down.delay_us = options->delay_us;
    link->up.capacity = options->up_buffer;
    link->down.capacity = options->down_buffer;
    link->is_split = options->is_split;
    tw_sim_ready(link);
}

void tw_link_init(struct tw_link *link, struct tw_sim *sim, unsigned node,
                  const struct tw_link_options *options) {
    *link = (struct tw_link){.sim = sim, .node = node, .is_reading = true};
    tw_list_init(&link->ready);
    tw_list_init(&link->changed);
    tw_peer_init(&link->peer, tw_sim_random(sim));
    tw_link_configure(link, options);
}

void tw_link_deinit(struct tw_link *link) {
    if (link->session) {
        tw_session_abort(link->session);
        tw_session_free(link->session);
    }
    tw_list_remove(&link->ready);
    tw_list_remove(&link->changed);
    tw_peer_deinit(&link->peer);
    pipe_deinit(&link->up);
    pipe_deinit(&link->down);
}

/* --- what happens --- */

/* What has arrived, or a random part of it. The pipe is free of it before its reader sees it. */
static struct tw_buf take_arrived(struct tw_link *link, struct tw_pipe *pipe, size_t arrived) {
    if (link->is_split && arrived > 1) arrived = 1 + tw_sim_random(link->sim) % arrived;
    return pipe_take(pipe, arrived);
}

static bool read_up(struct tw_link *link) {
    size_t arrived = pipe_arrived(&link->up, tw_sim_now_us(link->sim));
    if (!link->session || link->is_closed || !link->is_reading) return false;
    if (arrived > 0) {
        struct tw_buf bytes = take_arrived(link, &link->up, arrived);
        tw_session_on_read(link->session, bytes.data, bytes.length);
        tw_buf_deinit(&bytes);
        tw_link_pump(link);
        return true;
    }
    if (!link->up.is_ended || link->up.is_end_read || link->up.bytes.length > 0) return false;
    link->up.is_end_read = true;
    tw_session_on_eof(link->session);
    return true;
}

static bool read_down(struct tw_link *link) {
    size_t arrived = pipe_arrived(&link->down, tw_sim_now_us(link->sim));
    if (link->is_stalled || link->peer.state == TW_PEER_ENDED) return false;
    if (arrived > 0) {
        struct tw_buf bytes = take_arrived(link, &link->down, arrived);
        tw_peer_read(&link->peer, bytes.data, bytes.length);
        tw_buf_deinit(&bytes);
        tw_link_pump(link);
        return true;
    }
    if (!link->down.is_ended || link->down.is_end_read || link->down.bytes.length > 0) return false;
    link->down.is_end_read = true;
    /* Half a frame is no fault then. */
    if (link->is_broken_off && link->peer.state == TW_PEER_OPEN) link->peer.in.length = 0;
    tw_peer_end(&link->peer);
    link->up.is_ended = true; /* a client hangs up when the server did */
    return true;
}

static bool tell_writable(struct tw_link *link) {
    if (!link->wants_writable || !link->session || link->is_closed) return false;
    if (pipe_room(&link->down) == 0) return false;
    link->wants_writable = false;
    tw_session_on_writable(link->session);
    return true;
}

static bool break_off(struct tw_link *link) {
    bool happened = false;
    if (!link->is_reset) return false;
    if (link->session && !link->is_closed) {
        tw_session_abort(link->session);
        happened = true;
    }
    if (link->peer.state != TW_PEER_ENDED) {
        link->peer.in.length = 0; /* what was half-way is lost, and that is no fault */
        tw_peer_end(&link->peer);
        happened = true;
    }
    return happened;
}

static bool free_session(struct tw_link *link) {
    if (!link->is_closed || !link->session) return false;
    tw_session_free(link->session);
    link->session = NULL;
    return true;
}

bool tw_link_step(struct tw_link *link) {
    return break_off(link) || free_session(link) || tell_writable(link) || read_up(link) ||
           read_down(link);
}

uint64_t tw_link_next_us(const struct tw_link *link) {
    const struct tw_pipe_chunk *up = first_chunk(&link->up), *down = first_chunk(&link->down);
    uint64_t now_us = tw_sim_now_us(link->sim), next = UINT64_MAX;
    if (up && up->at_us > now_us && link->session) next = up->at_us;
    if (down && down->at_us > now_us && down->at_us < next) next = down->at_us;
    return next;
}
