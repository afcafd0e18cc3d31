/* session_ws.c: frames of an open WebSocket, and the closing handshake.
 *
 *   they close first: their code is echoed, our side is shut down when it is written
 *   we close first:   our close frame goes out, what they send is read only for theirs
 * Either way a deadline (TW_WAIT_CLOSE) ends it. */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "base/status.h"
#include "proto/session_parts.h"

static void log_close(const struct tw_session *session, unsigned code, const char *reason) {
    char id[TW_CLIENT_ID_SIZE] = "-"; /* refused before it had one */
    if (session->client.identity) tw_client_id_format(session->client.identity->id, id);
    tw_log(code <= 1001 ? TW_LOG_DEBUG : TW_LOG_INFO, "conn",
           "closed conn=%s code=%u reason=\"%s\"", id, code, reason);
}

/* From here on nothing but the closing handshake. */
static void begin_closing(struct tw_session *session, unsigned code, const char *reason,
                          bool discard) {
    struct tw_client *client = &session->client;
    unsigned char frame[TW_FRAME_MAX_CONTROL];
    size_t length = tw_frame_close(frame, code, reason);
    tw_session_set_state(session, TW_SESSION_CLOSING);
    tw_client_retire(client);
    tw_outbox_finish(&client->outbox, frame, length, discard);
    tw_client_mark_dirty(client);
    /* A goodbye waits for a slow reader as long as the drain lasts; anything else does not. */
    if (client->hub->is_draining && !session->has_their_close)
        tw_wait_stop(&client->wait);
    else
        tw_wait_start(&client->hub->waits, &client->wait, TW_WAIT_CLOSE, client->hub->now_ms);
    if (session->is_paused) {
        session->is_paused = false;
        tw_session_read_on(session);
    }
}

void tw_session_close(struct tw_client *client, unsigned code, const char *reason, bool discard) {
    struct tw_session *session = tw_session_of(client);
    if (session->state == TW_SESSION_ASKING) tw_session_refuse_handshake(session, code, reason);
    if (session->state != TW_SESSION_OPEN) return;
    log_close(session, code, reason);
    begin_closing(session, code, reason, discard);
}

static void on_their_close(struct tw_session *session, const struct tw_ws_event *event) {
    session->has_their_close = true;
    if (session->state == TW_SESSION_OPEN) {
        char reason[124] = "";
        memcpy(reason, event->payload.data, event->payload.length);
        begin_closing(session, event->code == 1005 ? 0 : event->code, reason, true);
    } else {
        tw_client_mark_dirty(&session->client); /* our frame may be gone already: linger now */
    }
}

/* False: read no more for now; the message itself is taken. */
static bool on_message(struct tw_session *session, const struct tw_ws_event *event) {
    struct tw_client *client = &session->client;
    struct tw_message *message = tw_ws_take(session->reader, event);
    if (!message) {
        tw_session_close(client, 1011, "out of memory", true);
        return false;
    }
    int status = tw_hub_publish(client->hub, client, session->channel, message, NULL);
    if (status == TW_EAGAIN) session->is_paused = true;
    return status != TW_EAGAIN;
}

static void on_ping(struct tw_session *session, const struct tw_ws_event *event) {
    struct tw_client *client = &session->client;
    unsigned char pong[TW_FRAME_MAX_CONTROL];
    if (tw_hub_take_control(client->hub, client) != 0) return;
    size_t length = tw_frame_control(pong, TW_OP_PONG, event->payload.data, event->payload.length);
    int status = tw_client_try_control(client, pong, length);
    if (status == TW_EFULL) tw_session_close(client, 4431, "pongs are not read", true);
    if (status == -ENOMEM) tw_session_close(client, 1011, "out of memory", true);
}

/* False: stop reading. */
static bool on_event(struct tw_session *session, const struct tw_ws_event *event) {
    if (event->opcode == TW_OP_CLOSE) {
        on_their_close(session, event);
        return false;
    }
    if (session->state != TW_SESSION_OPEN) return true;
    switch (event->opcode) {
    case TW_OP_TEXT:
    case TW_OP_BINARY:
        return on_message(session, event);
    case TW_OP_PING:
        on_ping(session, event);
        return true;
    default:
        tw_hub_take_control(session->client.hub, &session->client);
        return true;
    }
}

void tw_session_read_ws(struct tw_session *session, const char *bytes, size_t length) {
    size_t max = session->client.hub->generation->settings.limits.message_size;
    struct tw_ws_event event;
    int status = 1;
    while (status == 1) {
        size_t used = 0;
        if (session->has_their_close || session->state == TW_SESSION_DONE) return;
        status =
            tw_ws_read(session->config->pool, &session->reader, bytes, length, &used, max, &event);
        bytes += used;
        length -= used;
        if (status == 1 && !on_event(session, &event)) break;
    }
    if (status < 0) {
        /* Nothing they say from here on can be understood, so their close frame is not waited for.
         */
        tw_session_close(&session->client, event.code, event.why, true);
        tw_ws_release(session->config->pool, &session->reader);
        session->has_their_close = true;
        tw_client_mark_dirty(&session->client);
    } else if (session->is_paused) {
        tw_session_keep(session, bytes, length);
    }
}
