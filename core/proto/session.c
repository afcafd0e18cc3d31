/* session.c: the life of a connection: states, reading, flushing, deadlines. HTTP, the handshake
 * and WebSocket frames stand in session_*.c. */
#include "proto/session.h"

#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/status.h"
#include "broker/pack.h"
#include "proto/session_parts.h"

#define MAX_SPANS 64

static const uint8_t allowed[] = {
    [TW_SESSION_HTTP] = 1 << TW_SESSION_SERVING | 1 << TW_SESSION_ASKING | 1 << TW_SESSION_LINGER,
    [TW_SESSION_SERVING] = 1 << TW_SESSION_HTTP | 1 << TW_SESSION_LINGER,
    [TW_SESSION_ASKING] = 1 << TW_SESSION_OPEN | 1 << TW_SESSION_SERVING,
    [TW_SESSION_OPEN] = 1 << TW_SESSION_CLOSING,
    [TW_SESSION_CLOSING] = 1 << TW_SESSION_LINGER,
    [TW_SESSION_LINGER] = 0,
    [TW_SESSION_DONE] = 0,
};

static struct tw_hub *hub_of(const struct tw_session *session) {
    return session->config->hub;
}

void tw_session_set_state(struct tw_session *session, enum tw_session_state to) {
    TW_CHECK(to == TW_SESSION_DONE || (allowed[session->state] & 1 << to));
    session->state = to;
}

size_t tw_session_size(void) {
    return sizeof(struct tw_session);
}

struct tw_session *tw_session_new(const struct tw_session_config *config, void *transport,
                                  const struct tw_ip *ip) {
    struct tw_session *session = TW_NEW(struct tw_session);
    tw_session_init(session, config, transport, ip);
    return session;
}

void tw_session_init(struct tw_session *session, const struct tw_session_config *config,
                     void *transport, const struct tw_ip *ip) {
    session->config = config;
    session->transport = transport;
    tw_client_init(&session->client, config->hub, &tw_session_client_ops);
    session->http = TW_NEW(struct tw_exchange);
    session->http->peer = *ip;
    const struct tw_limits *limits = &config->hub->generation->settings.limits;
    session->http->reader = tw_http_reader_new(
        (struct tw_http_limits){limits->header_size, config->service->body_size});
    tw_wait_start(&config->hub->waits, &session->client.wait, TW_WAIT_HANDSHAKE,
                  config->hub->now_ms);
}

void tw_session_give_place_back(struct tw_session *session) {
    if (!session->has_place) return;
    session->has_place = false;
    tw_admission_leave(&hub_of(session)->hubs->admission, &session->client.identity->ip);
}

static void free_input(struct tw_buf *input) {
    if (!input) return;
    tw_buf_deinit(input);
    tw_free(input);
}

void tw_session_deinit(struct tw_session *session) {
    TW_CHECK(session->state == TW_SESSION_DONE);
    tw_hub_leave(hub_of(session), &session->client);
    tw_session_give_place_back(session);
    tw_session_free_http(session);
    tw_ws_release(session->config->pool, &session->reader);
    tw_name_unref(&session->channel);
    free_input(session->input);
    tw_client_deinit(&session->client);
}

void tw_session_free(struct tw_session *session) {
    tw_session_deinit(session);
    tw_free(session);
}

void tw_session_abort(struct tw_session *session) {
    const struct tw_http_service *service = session->config->service;
    if (session->state == TW_SESSION_DONE) return;
    if (session->state == TW_SESSION_SERVING && !session->http->has_answer && service->on_gone)
        service->on_gone(service->data, session);
    tw_session_set_state(session, TW_SESSION_DONE);
    tw_client_retire(&session->client);
    session->config->transport->close(session->transport);
}

void tw_session_linger(struct tw_session *session) {
    tw_session_set_state(session, TW_SESSION_LINGER);
    session->config->transport->shutdown(session->transport);
    session->config->transport->set_reading(session->transport, true);
    tw_wait_start(&hub_of(session)->waits, &session->client.wait, TW_WAIT_CLOSE,
                  hub_of(session)->now_ms);
}

/* --- reading --- */

void tw_session_keep(struct tw_session *session, const char *bytes, size_t length) {
    if (length == 0) return;
    if (!session->input) session->input = tw_try_alloc(sizeof *session->input);
    if (!session->input || tw_buf_try_append(session->input, bytes, length) != 0)
        tw_session_abort(session);
}

/* Must what comes now wait? */
static bool is_waiting(const struct tw_session *session) {
    return session->is_paused || session->state == TW_SESSION_SERVING ||
           session->state == TW_SESSION_ASKING;
}

static void feed(struct tw_session *session, const char *bytes, size_t length) {
    while (length > 0 && session->state == TW_SESSION_HTTP) {
        size_t used = tw_session_read_http(session, bytes, length);
        bytes += used;
        length -= used;
    }
    if (is_waiting(session)) {
        tw_session_keep(session, bytes, length);
        session->config->transport->set_reading(session->transport, false);
    } else if (session->state == TW_SESSION_OPEN || session->state == TW_SESSION_CLOSING) {
        tw_session_read_ws(session, bytes, length);
        if (session->is_paused) session->config->transport->set_reading(session->transport, false);
    }
}

void tw_session_on_read(struct tw_session *session, const void *bytes, size_t length) {
    if (session->state == TW_SESSION_OPEN)
        tw_wait_start(&hub_of(session)->waits, &session->client.wait, TW_WAIT_IDLE,
                      hub_of(session)->now_ms);
    if (session->input) {
        tw_session_keep(session, bytes, length);
        tw_session_read_on(session);
        return;
    }
    session->is_feeding = true;
    feed(session, bytes, length);
    session->is_feeding = false;
}

void tw_session_read_on(struct tw_session *session) {
    if (session->is_feeding || is_waiting(session)) return;
    struct tw_buf *input = session->input;
    session->input = NULL;
    session->config->transport->set_reading(session->transport, true);
    session->is_feeding = true;
    feed(session, input ? input->data : "", input ? input->length : 0); /* see tw_ws_read */
    session->is_feeding = false;
    free_input(input);
}

void tw_session_on_eof(struct tw_session *session) {
    /* A peer that only half-closed still gets the answer that is on its way. */
    bool answers = session->state == TW_SESSION_SERVING ||
                   (session->state == TW_SESSION_CLOSING && session->has_their_close);
    if (answers)
        session->config->transport->set_reading(session->transport, false);
    else
        tw_session_abort(session);
}

static void on_resume(struct tw_client *client) {
    struct tw_session *session = tw_session_of(client);
    session->is_paused = false;
    tw_session_read_on(session);
}

/* --- writing --- */

static int64_t write_spans(struct tw_client *client, const struct iovec *spans, int count,
                           size_t offered) {
    struct tw_session *session = tw_session_of(client);
    int64_t written = session->config->transport->write(session->transport, spans, count);
    if (written == TW_EAGAIN) written = 0;
    if (written < 0)
        tw_session_abort(session);
    else if ((size_t)written < offered)
        client->is_blocked = true;
    return written;
}

static size_t total(const struct iovec *spans, int count) {
    size_t sum = 0;
    for (int i = 0; i < count; i++)
        sum += spans[i].iov_len;
    return sum;
}

/* True if the outbox is empty now. */
static bool write_outbox(struct tw_session *session) {
    static _Thread_local char room[TW_PACK_ROOM];
    struct tw_outbox *outbox = &session->client.outbox;
    struct iovec spans[MAX_SPANS];
    int count;
    while ((count = tw_outbox_gather(outbox, spans, MAX_SPANS)) > 0) {
        size_t offered = total(spans, count);
        struct tw_pack pack = {.spans = spans, .room = room};
        for (int i = 0; i < count; i++)
            tw_pack_add(&pack, spans[i]);
        int64_t written = write_spans(&session->client, spans, pack.count, offered);
        if (written > 0) tw_outbox_consume(outbox, (size_t)written);
        if (written != (int64_t)offered) return false;
    }
    return true;
}

static void flush(struct tw_client *client) {
    struct tw_session *session = tw_session_of(client);
    if (client->is_blocked || session->state == TW_SESSION_DONE) return;
    if (session->http) tw_session_flush_http(session);
    if (session->state != TW_SESSION_OPEN && session->state != TW_SESSION_CLOSING) return;
    if (!write_outbox(session) || session->state != TW_SESSION_CLOSING) return;
    if (session->has_their_close)
        tw_session_linger(session);
    else if (client->wait.kind != TW_WAIT_CLOSE || !tw_list_is_linked(&client->wait.node))
        tw_wait_start(&client->hub->waits, &client->wait, TW_WAIT_CLOSE, client->hub->now_ms);
}

void tw_session_on_writable(struct tw_session *session) {
    session->client.is_blocked = false;
    flush(&session->client);
}

/* --- deadlines --- */

/* At once, as the peer's time runs from now, however long this turn is; so it passes the outbox by
 * if that is empty. 0, or -ENOMEM: it is not sent. */
static int ping(struct tw_client *client) {
    unsigned char frame[TW_FRAME_MAX_CONTROL];
    size_t length = tw_frame_control(frame, TW_OP_PING, NULL, 0);
    struct iovec span = {frame, length};
    int64_t written = 0;
    bool is_open =
        tw_session_of(client)->state == TW_SESSION_OPEN; /* else it may be shut already */
    bool is_direct = is_open && !client->is_blocked && tw_outbox_is_empty(&client->outbox);
    if (is_direct && (written = write_spans(client, &span, 1, length)) < 0) return 0;
    size_t rest = length - (size_t)written;
    int status = rest ? tw_client_try_control(client, frame + written, rest) : 0;
    if (status != 0 && written > 0)
        tw_session_abort(tw_session_of(client)); /* half a frame is out */
    if (!is_direct) flush(client);
    return status == -ENOMEM ? status : 0;
}

static void on_deadline(struct tw_client *client, enum tw_wait_kind kind) {
    struct tw_session *session = tw_session_of(client);
    switch (kind) {
    case TW_WAIT_HANDSHAKE:
        if (session->state == TW_SESSION_ASKING)
            tw_session_refuse_handshake(session, 0, "no answer in time");
        else
            tw_session_abort(session);
        return;
    case TW_WAIT_IDLE:
    case TW_WAIT_PONG:
        if (session->is_paused) {
            /* What it says lies unread with us, so its silence means nothing. */
            tw_wait_start(&client->hub->waits, &client->wait, kind, client->hub->now_ms);
            return;
        }
        if (kind == TW_WAIT_PONG) {
            tw_session_close(client, 4408, "heartbeat timeout", true);
            return;
        }
        tw_outbox_shrink(&client->outbox);
        /* No pong can come to a ping that there was no memory for: the next one is as good. */
        bool is_lost = ping(client) == -ENOMEM;
        tw_wait_start(&client->hub->waits, &client->wait, is_lost ? TW_WAIT_IDLE : TW_WAIT_PONG,
                      client->hub->now_ms);
        return;
    case TW_WAIT_CLOSE:
    case TW_WAIT_KINDS:
        tw_session_abort(session);
        return;
    }
}

static void on_published(struct tw_client *client, const struct tw_mail *answer) {
    /* raw has no words for it; the hub has counted the violation. */
    (void)client, (void)answer;
}

const struct tw_client_ops tw_session_client_ops = {
    .flush = flush,
    .write = write_spans,
    .on_subscribed = tw_session_on_subscribed,
    .on_published = on_published,
    .on_close = tw_session_close,
    .on_deadline = on_deadline,
    .on_resume = on_resume,
};
