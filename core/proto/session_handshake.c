/* session_handshake.c: from a WebSocket request to an open channel, or to the refusal that
 * DESIGN.md section 5 names for it. The order: is it a handshake, may this address, may this
 * origin, is there a place, may this user (auth), may this user here (the channel's home). */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/status.h"
#include "proto/handshake.h"
#include "proto/session_parts.h"

#define MAX_PAIRS 64

struct refusal {
    int status;
    const char *message;
    double retry_after;  /* seconds */
    const char *headers; /* or NULL */
};

static const struct tw_str prefix = {"/ws/", 4};

bool tw_session_is_ws_path(const struct tw_http_request *request) {
    return tw_str_eq(request->path, TW_STR("/ws")) || tw_str_starts(request->path, prefix);
}

static const struct tw_settings *settings_of(const struct tw_session *session) {
    return &session->client.hub->generation->settings;
}

/* --- refusing --- */

/* False: there was no memory for the answer, and the connection is gone. */
static bool open_session(struct tw_session *session) {
    struct tw_buf answer = {0};
    tw_handshake_accept(&answer, &session->http->request, NULL);
    int status = tw_client_try_control(&session->client, answer.data, answer.length);
    tw_buf_deinit(&answer);
    if (status != 0) {
        tw_log(TW_LOG_ERROR, "conn", "handshake not answered: %s", tw_strerror(status));
        tw_session_abort(session);
        return false;
    }
    tw_session_free_http(session);
    tw_session_set_state(session, TW_SESSION_OPEN);
    return true;
}

static const struct {
    unsigned code;
    int status;
} statuses[] = {{4401, 401}, {4403, 403}, {4404, 404}, {4429, 429}};

static unsigned close_code(int status) {
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
        if (statuses[i].status == status) return statuses[i].code;
    return 1013; /* try again later */
}

static void refuse(struct tw_session *session, const struct refusal *refusal) {
    char ip[TW_IP_TEXT_SIZE];
    const char *why = NULL;
    struct tw_exchange *http = session->http;
    tw_ip_format(&http->peer, ip);
    tw_log(TW_LOG_INFO, "conn", "refused status=%d ip=%s reason=\"%s\"", refusal->status, ip,
           refusal->message);
    tw_session_give_place_back(session);
    if (settings_of(session)->reject_with_close && tw_handshake_check(&http->request, &why) == 0) {
        if (!open_session(session)) return;
        tw_session_close(&session->client, close_code(refusal->status), refusal->message, true);
        tw_session_read_on(session); /* for their close */
        return;
    }
    struct tw_buf body = {0};
    tw_http_error_body(&body, refusal->message);
    tw_session_set_state(session, TW_SESSION_SERVING);
    tw_session_respond(session, &(struct tw_http_response){.status = refusal->status,
                                                           .type = "application/json",
                                                           .body = {body.data, body.length},
                                                           .retry_after = refusal->retry_after,
                                                           .headers = refusal->headers,
                                                           .close = true});
    tw_buf_deinit(&body);
}

void tw_session_refuse_handshake(struct tw_session *session, unsigned code, const char *reason) {
    struct refusal refusal = {503, reason, 5, NULL};
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
        if (statuses[i].code == code)
            refusal = (struct refusal){statuses[i].status, reason, 0, NULL};
    refuse(session, &refusal);
    tw_client_retire(&session->client); /* the home's answer comes too late */
}

/* --- the checks --- */

static int check_request(const struct tw_http_request *request, struct refusal *out) {
    *out = (struct refusal){400, "this path speaks WebSocket, and the request does not", 0, NULL};
    if (!tw_handshake_is_wanted(request)) return out->status;
    out->status = tw_handshake_check(request, &out->message);
    if (out->status == 426) out->headers = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
    if (out->status == 405) out->headers = "Allow: GET\r\n";
    return out->status;
}

static int check_address(struct tw_session *session, const struct tw_ip *ip, struct refusal *out) {
    struct tw_hub *hub = session->client.hub;
    struct tw_str origin = tw_http_header(&session->http->request, "origin");
    const struct tw_settings *settings = settings_of(session);
    uint64_t retry_ms = 0;
    if (hub->is_draining) {
        *out = (struct refusal){503, "the server is going away", 5, NULL};
    } else if (tw_admission_handshake(&hub->hubs->admission, &settings->limits, ip, hub->now_ms,
                                      &retry_ms) != 0) {
        *out = (struct refusal){429, "too many handshakes from this address",
                                (double)retry_ms / 1000.0, NULL};
    } else if (!tw_handshake_origin_allowed(origin, settings->allowed_origins,
                                            settings->allowed_origin_count)) {
        *out = (struct refusal){403, "this origin is not allowed", 0, NULL};
    } else {
        return 0;
    }
    return out->status;
}

static int take_place(struct tw_session *session, const struct tw_ip *ip, struct refusal *out) {
    int status = tw_admission_enter(&session->client.hub->hubs->admission,
                                    &settings_of(session)->limits, ip);
    if (status == TW_EFULL) *out = (struct refusal){503, "the server is full", 5, NULL};
    if (status == TW_ERATE)
        *out = (struct refusal){429, "too many connections from this address", 1, NULL};
    return status;
}

static int ask_auth(struct tw_session *session, const struct tw_ip *ip, struct tw_auth *auth) {
    const struct tw_http_request *request = &session->http->request;
    struct tw_hub *hub = session->client.hub;
    struct tw_pair query[MAX_PAIRS], cookies[MAX_PAIRS];
    struct tw_buf scratch = {0};
    struct tw_failure failure = {0};
    struct tw_auth_request ask = {
        .path = request->path,
        .query = query,
        .headers = request->headers,
        .cookies = cookies,
        .header_count = request->header_count,
        .ip = *ip,
        .origin = tw_http_header(request, "origin"),
        .dialect = hub->hubs->dialect->name,
    };
    ask.query_count = tw_http_parse_query(request->query, query, MAX_PAIRS, &scratch);
    /* Half a request must not be judged as if it were the whole. */
    if (request->query.length > 0 && !scratch.data) return -ENOMEM;
    ask.cookie_count = tw_http_parse_cookies(tw_http_header(request, "cookie"), cookies, MAX_PAIRS);
    int status = hub->hubs->hooks->auth(hub->vm, &ask, auth, &failure);
    if (status == TW_ESCRIPT) hub->stats.hook_failures++;
    tw_buf_deinit(&scratch);
    return status;
}

static bool is_expired(const struct tw_session *session, double expires) {
    const struct tw_hub *hub = session->client.hub;
    double now = (double)((int64_t)hub->now_ms + hub->hubs->wall_offset_ms) / 1000.0;
    return expires > 0 && expires <= now;
}

/* Auth's answer: joins the hub as who it says. */
static int identify(struct tw_session *session, const struct tw_ip *ip, struct refusal *out) {
    static _Thread_local char reason[124];
    struct tw_hub *hub = session->client.hub;
    struct tw_auth auth = {0};
    int status = ask_auth(session, ip, &auth);
    *out = (struct refusal){401, "authentication failed", 0, "WWW-Authenticate: Bearer\r\n"};
    if (status == TW_EREFUSED && auth.reason[0]) {
        memcpy(reason, auth.reason, sizeof reason);
        out->message = reason;
    } else if (status == 0 && is_expired(session, auth.expires)) {
        out->message = "token expired";
        status = TW_EREFUSED;
    }
    if (status == 0) {
        struct tw_str user = {auth.has_user ? (auth.user.data ? auth.user.data : "") : NULL,
                              auth.user.length};
        struct tw_str claims = {auth.claims.data, auth.claims.length};
        struct tw_identity *identity =
            tw_identity_try_new(tw_hub_client_id(hub), hub->index, ip, user, claims);
        if (identity)
            tw_hub_join(hub, &session->client, identity, auth.expires);
        else
            status = -ENOMEM;
    }
    if (status == -ENOMEM) *out = (struct refusal){503, "out of memory", 5, NULL};
    if (status == TW_EUNLOADED) *out = (struct refusal){503, tw_strerror(status), 1, NULL};
    tw_auth_deinit(&auth);
    return status;
}

void tw_session_handshake(struct tw_session *session, const struct tw_http_request *request) {
    struct tw_hub *hub = session->client.hub;
    const struct tw_settings *settings = settings_of(session);
    struct refusal refusal;
    struct tw_str channel = request->path;
    struct tw_ip ip = tw_handshake_client_ip(
        request, &session->http->peer, settings->trusted_proxies, settings->trusted_proxy_count);
    if (check_request(request, &refusal) != 0 || check_address(session, &ip, &refusal) != 0) {
        refuse(session, &refusal);
        return;
    }
    if (take_place(session, &ip, &refusal) != 0) {
        refuse(session, &refusal);
        return;
    }
    if (identify(session, &ip, &refusal) != 0) {
        tw_admission_leave(&hub->hubs->admission, &ip);
        refuse(session, &refusal);
        return;
    }
    session->has_place = true;
    if (!tw_str_starts(channel, prefix)) {
        refuse(session, &(struct refusal){404, "name a channel: /ws/{channel}", 0, NULL});
        return;
    }
    channel.data += prefix.length;
    channel.length -= prefix.length;
    int status = tw_hub_subscribe(hub, &session->client, channel);
    if (status != 0) {
        const char *why = status == -ENOMEM ? "out of memory" : "too many channels";
        refuse(session, &(struct refusal){503, why, 5, NULL});
        return;
    }
    session->channel = tw_name_ref(session->client.subs->name);
}

/* --- the home's answer --- */

void tw_session_on_subscribed(struct tw_client *client, struct tw_sub *sub,
                              const struct tw_mail *answer) {
    struct tw_session *session = tw_session_of(client);
    if (session->state != TW_SESSION_ASKING || sub->by_script) return;
    if (client->hub->is_draining) {
        tw_session_refuse_handshake(session, 1001, "the server is going away");
    } else if (answer->status == TW_ENOCHANNEL) {
        refuse(session, &(struct refusal){404, "no such channel", 0, NULL});
    } else if (answer->failure && answer->failure->retry_ms > 0) {
        refuse(session, &(struct refusal){503, tw_strerror(answer->status),
                                          (double)answer->failure->retry_ms / 1000.0, NULL});
    } else if (answer->status != 0) {
        bool is_told = answer->status == TW_EREFUSED && answer->failure;
        const char *reason = is_told ? answer->failure->message : "";
        refuse(session, &(struct refusal){403, *reason ? reason : "not allowed", 0, NULL});
    } else if (open_session(session)) {
        tw_wait_start(&client->hub->waits, &client->wait, TW_WAIT_IDLE, client->hub->now_ms);
        tw_session_read_on(session);
    }
}
