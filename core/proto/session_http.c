/* session_http.c: requests and responses, one after the other on a connection that is kept alive.
 */
#include <string.h>

#include "base/mem.h"
#include "base/status.h"
#include "proto/session_parts.h"

#define PIECE 65536 /* bytes of a body that are in memory at a time */

void tw_session_free_http(struct tw_session *session) {
    if (!session->http) return;
    struct tw_http_source *source = &session->http->source;
    if (source->close) source->close(source->data);
    tw_http_reader_free(session->http->reader);
    tw_buf_deinit(&session->http->out);
    tw_free(session->http);
    session->http = NULL;
}

static void on_request(struct tw_session *session) {
    const struct tw_http_service *service = session->config->service;
    const struct tw_http_request *request = &session->http->request;
    if (service->websocket && tw_session_is_ws_path(request)) {
        tw_session_set_state(session, TW_SESSION_ASKING);
        tw_session_handshake(session, request);
    } else {
        tw_session_set_state(session, TW_SESSION_SERVING);
        tw_wait_stop(&session->client.wait); /* the answer may take its time; the peer may not */
        service->on_request(service->data, session, request);
    }
}

size_t tw_session_read_http(struct tw_session *session, const char *bytes, size_t length) {
    struct tw_exchange *http = session->http;
    const char *why = "";
    size_t used = 0;
    int status = tw_http_reader_feed(http->reader, bytes, length, &used, &http->request, &why);
    if (status == TW_EAGAIN) return length;
    if (status == 0) {
        on_request(session);
        return used;
    }
    /* What a request that cannot be read left in its wake is not looked at. */
    memset(&http->request, 0, sizeof http->request);
    tw_session_set_state(session, TW_SESSION_SERVING);
    tw_session_refuse(session, status, why);
    return length;
}

bool tw_session_is_idle(const struct tw_session *session) {
    return session->state == TW_SESSION_HTTP && !tw_http_reader_has_begun(session->http->reader);
}

bool tw_session_is_http(const struct tw_session *session) {
    return session->state == TW_SESSION_HTTP;
}

static void start_wait(struct tw_session *session) {
    struct tw_hub *hub = session->config->hub;
    tw_wait_start(&hub->waits, &session->client.wait, TW_WAIT_HANDSHAKE, hub->now_ms);
}

static void end_response(struct tw_session *session) {
    struct tw_exchange *http = session->http;
    if (http->source.close) http->source.close(http->source.data);
    http->source = (struct tw_http_source){0};
    tw_buf_deinit(&http->out);
    http->sent = 0;
    http->has_answer = false;
    if (http->close_after || session->config->hub->is_draining) {
        tw_session_linger(session);
        return;
    }
    tw_http_reader_reset(http->reader);
    tw_session_set_state(session, TW_SESSION_HTTP);
    start_wait(session);
    tw_session_read_on(session);
}

/* The next piece of the body into `out`. False: the source is broken, and the length was told. */
static bool read_source(struct tw_exchange *http) {
    size_t size = http->source.length < PIECE ? (size_t)http->source.length : PIECE;
    http->out.length = http->sent = 0;
    if (tw_buf_try_reserve(&http->out, size) != 0) return false;
    int64_t length = http->source.read(http->source.data, http->out.data, size);
    if (length <= 0) return false;
    http->out.length = (size_t)length;
    http->source.length -= (uint64_t)length;
    return true;
}

/* False: blocked, or broken and aborted. */
static bool write_piece(struct tw_session *session) {
    struct tw_exchange *http = session->http;
    while (http->sent < http->out.length) {
        struct iovec span = {http->out.data + http->sent, http->out.length - http->sent};
        int64_t written = session->config->transport->write(session->transport, &span, 1);
        if (written < 0 && written != TW_EAGAIN) {
            tw_session_abort(session);
            return false;
        }
        if (written > 0) {
            http->sent += (size_t)written;
            start_wait(session); /* a slow peer may take its time as long as it takes something */
        }
        if (http->sent < http->out.length) {
            session->client.is_blocked = true;
            return false;
        }
    }
    return true;
}

void tw_session_flush_http(struct tw_session *session) {
    struct tw_exchange *http = session->http;
    if (session->state != TW_SESSION_SERVING || !http->has_answer) return;
    while (write_piece(session)) {
        if (http->source.length == 0) {
            end_response(session);
            return;
        }
        if (!read_source(http)) {
            tw_session_abort(session);
            return;
        }
    }
}

void tw_session_respond_from(struct tw_session *session, const struct tw_http_response *response,
                             const struct tw_http_source *source) {
    struct tw_exchange *http = session->http;
    struct tw_http_response copy = *response;
    if (!http || session->state != TW_SESSION_SERVING || http->has_answer) {
        if (source->close) source->close(source->data);
        return;
    }
    copy.close = response->close || !http->request.keep_alive || session->config->hub->is_draining;
    copy.head_only = tw_str_eq(http->request.method, TW_STR("HEAD"));
    copy.source_length = source->length;
    http->source = *source;
    if (copy.head_only) http->source.length = 0;
    http->close_after = copy.close;
    http->has_answer = true;
    tw_http_write(&http->out, &copy);
    start_wait(session);
    tw_session_flush_http(session);
}

void tw_session_respond(struct tw_session *session, const struct tw_http_response *response) {
    tw_session_respond_from(session, response, &(struct tw_http_source){0});
}

void tw_session_refuse(struct tw_session *session, int status, const char *message) {
    struct tw_buf body = {0};
    tw_http_error_body(&body, message);
    tw_session_respond(session, &(struct tw_http_response){.status = status,
                                                           .type = "application/json",
                                                           .body = {body.data, body.length},
                                                           .close = true});
    tw_buf_deinit(&body);
}
