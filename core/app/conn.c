/* conn.c: one connection: stream callbacks in, transport calls out. */
#include "app/conn.h"

#include "app/server.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/status.h"
#include "net/stream.h"

/* Its session lies behind it. */
struct tw_conn {
    struct tw_list node; /* of worker->conns */
    struct tw_stream stream;
};

static struct tw_conn *conn_of(struct tw_stream *stream) {
    return TW_CONTAINER(stream, struct tw_conn, stream);
}

static struct tw_session *session_of(struct tw_conn *conn) {
    return (struct tw_session *)(void *)(conn + 1);
}

static struct tw_worker *worker_of(const struct tw_conn *conn) {
    return TW_CONTAINER(conn->stream.poller, struct tw_worker, poller);
}

static void set_now(const struct tw_conn *conn) {
    struct tw_worker *worker = worker_of(conn);
    tw_worker_note_awake(worker);
    worker->hub.now_ms = uv_now(&worker->loop);
}

/* A handshake runs auth. What open clients say is read all the same, or they would seem silent. */
static bool is_held(struct tw_stream *stream) {
    struct tw_conn *conn = conn_of(stream);
    set_now(conn);
    return tw_session_is_http(session_of(conn)) && tw_hub_is_late(&worker_of(conn)->hub);
}

static bool is_late(struct tw_poller *poller) {
    return tw_hub_is_late(&TW_CONTAINER(poller, struct tw_worker, poller)->hub);
}

static void on_read(struct tw_stream *stream, const void *bytes, size_t length) {
    struct tw_conn *conn = conn_of(stream);
    set_now(conn);
    tw_session_on_read(session_of(conn), bytes, length);
}

static void on_eof(struct tw_stream *stream) {
    set_now(conn_of(stream));
    tw_session_on_eof(session_of(conn_of(stream)));
}

static void on_writable(struct tw_stream *stream) {
    set_now(conn_of(stream));
    tw_session_on_writable(session_of(conn_of(stream)));
}

static void on_error(struct tw_stream *stream, int status) {
    tw_log(TW_LOG_DEBUG, "conn", "broken error=\"%s\"", tw_strerror(status));
    tw_session_abort(session_of(conn_of(stream)));
}

static void on_closed(struct tw_stream *stream) {
    struct tw_conn *conn = conn_of(stream);
    struct tw_worker *worker = worker_of(conn);
    set_now(conn);
    tw_session_deinit(session_of(conn));
    tw_list_remove(&conn->node);
    tw_free(conn);
    tw_worker_on_conn_closed(worker);
}

const struct tw_stream_ops tw_conn_streams = {
    .is_late = is_late,
    .is_held = is_held,
    .on_read = on_read,
    .on_eof = on_eof,
    .on_writable = on_writable,
    .on_error = on_error,
    .on_closed = on_closed,
};

static int64_t transport_write(void *conn, const struct iovec *spans, int count) {
    return tw_stream_write(&((struct tw_conn *)conn)->stream, spans, count);
}

static void transport_set_reading(void *conn, bool on) {
    tw_stream_set_reading(&((struct tw_conn *)conn)->stream, on);
}

static void transport_shutdown(void *conn) {
    tw_stream_shutdown(&((struct tw_conn *)conn)->stream);
}

static void transport_close(void *conn) {
    tw_stream_close(&((struct tw_conn *)conn)->stream);
}

const struct tw_transport_ops tw_conn_transport = {
    .write = transport_write,
    .set_reading = transport_set_reading,
    .shutdown = transport_shutdown,
    .close = transport_close,
};

void tw_conn_accept(struct tw_worker *worker, int fd, const struct sockaddr *peer) {
    int buffer = (int)worker->hub.generation->settings.socket_buffer;
    struct tw_ip ip = tw_ip_of_sockaddr(peer);
    struct tw_conn *conn = tw_alloc(sizeof *conn + tw_session_size());
    if (buffer != worker->send_buffer || peer->sa_family == AF_UNIX)
        tw_listener_bound_sends(fd, buffer);
    int status = tw_stream_open(&conn->stream, &worker->poller, fd);
    if (status < 0) {
        tw_log(TW_LOG_ERROR, "conn", "not accepted error=\"%s\"", tw_strerror(status));
        tw_free(conn);
        return;
    }
    set_now(conn);
    tw_session_init(session_of(conn), &worker->sessions, conn, &ip);
    tw_list_append(&worker->conns, &conn->node);
    worker->conn_count++;
}

static void for_all(struct tw_worker *worker, void (*act)(struct tw_conn *conn)) {
    struct tw_list *node = worker->conns.next;
    while (node != &worker->conns) {
        struct tw_conn *conn = TW_CONTAINER(node, struct tw_conn, node);
        node = node->next;
        act(conn);
    }
}

static void abort_one(struct tw_conn *conn) {
    tw_session_abort(session_of(conn));
}

/* A request that has come but was not read yet gets its answer. */
static void end_if_idle(struct tw_conn *conn) {
    if (tw_session_is_idle(session_of(conn))) tw_stream_read_now(&conn->stream);
    if (tw_session_is_idle(session_of(conn))) tw_session_abort(session_of(conn));
}

void tw_conn_abort_all(struct tw_worker *worker) {
    for_all(worker, abort_one);
}

void tw_conn_end_idle(struct tw_worker *worker) {
    for_all(worker, end_if_idle);
}
