/* session_http.c: requests and responses, one after the other on a connection that is kept alive.
 */
#include <string.h>

#include "base/mem.h"
#include "base/status.h"
#include "proto/session_parts.h"

void tw_session_free_http(struct tw_session *session) {
    if (!session->http) return;
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

void tw_session_end_idle(struct tw_session *session) {
    if (session->state == TW_SESSION_HTTP && !tw_http_reader_has_begun(session->http->reader))
        tw_session_abort(session);
}

static void next_request(struct tw_session *session) {
    struct tw_hub *hub = session->config->hub;
    tw_http_reader_reset(session->http->reader);
    tw_session_set_state(session, TW_SESSION_HTTP);
    tw_wait_start(&hub->waits, &session->client.wait, TW_WAIT_HANDSHAKE, hub->now_ms);
    tw_session_read_on(session);
}

void tw_session_flush_http(struct tw_session *session) {
    struct tw_exchange *http = session->http;
    if (session->state != TW_SESSION_SERVING) return;
    while (http->sent < http->out.length) {
        struct iovec span = {http->out.data + http->sent, http->out.length - http->sent};
        int64_t written = session->config->transport->write(session->transport, &span, 1);
        if (written < 0 && written != TW_EAGAIN) {
            tw_session_abort(session);
            return;
        }
        if (written > 0) http->sent += (size_t)written;
        if (http->sent < http->out.length) {
            session->client.is_blocked = true;
            return;
        }
    }
    if (http->out.length == 0) return;
    tw_buf_deinit(&http->out);
    http->sent = 0;
    if (http->close_after)
        tw_session_linger(session);
    else
        next_request(session);
}

void tw_session_respond(struct tw_session *session, const struct tw_http_response *response) {
    struct tw_exchange *http = session->http;
    struct tw_http_response copy = *response;
    if (!http || session->state != TW_SESSION_SERVING || http->out.length > 0) return;
    copy.close = response->close || !http->request.keep_alive || session->config->hub->is_draining;
    copy.head_only = tw_str_eq(http->request.method, TW_STR("HEAD"));
    http->close_after = copy.close;
    tw_http_write(&http->out, &copy);
    tw_session_flush_http(session);
}

void tw_session_refuse(struct tw_session *session, int status, const char *message) {
    struct tw_buf body = {0};
    tw_http_error_body(&body, message);
    if (session->state == TW_SESSION_ASKING) tw_session_set_state(session, TW_SESSION_SERVING);
    tw_session_respond(session, &(struct tw_http_response){.status = status,
                                                           .type = "application/json",
                                                           .body = {body.data, body.length},
                                                           .close = true});
    tw_buf_deinit(&body);
}
