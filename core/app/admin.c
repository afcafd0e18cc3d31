/* admin.c: the routes of the admin API, DESIGN.md section 5.
 *
 * It listens on loopback, but so do browsers: a request with a foreign Origin is refused, or any
 * web page could publish through its visitor. */
#include "app/admin.h"

#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/status.h"
#include "proto/http.h"

#define MESSAGES "/v1/channels/"

struct tw_pending {
    struct tw_list all;         /* server->pending */
    struct tw_list node;        /* see admin.h */
    struct tw_session *session; /* NULL: gone meanwhile */
};

struct tw_list *tw_pending_node(struct tw_pending *pending) {
    return &pending->node;
}

struct tw_pending *tw_pending_of(struct tw_list *node) {
    return TW_CONTAINER(node, struct tw_pending, node);
}

static struct tw_pending *pend(struct tw_server *server, struct tw_session *session) {
    struct tw_pending *pending = TW_NEW(struct tw_pending);
    pending->session = session;
    tw_list_init(&pending->node);
    tw_list_init(&pending->all);
    tw_list_append(&server->pending, &pending->all);
    return pending;
}

static void on_gone(void *data, struct tw_session *session) {
    struct tw_server *server = data;
    for (struct tw_list *node = server->pending.next; node != &server->pending; node = node->next) {
        struct tw_pending *pending = TW_CONTAINER(node, struct tw_pending, all);
        if (pending->session == session) pending->session = NULL;
    }
}

static void respond_json_later(struct tw_session *session, int status, const struct tw_buf *json,
                               double retry_after) {
    tw_session_respond(session, &(struct tw_http_response){.status = status,
                                                           .type = "application/json",
                                                           .body = {json->data, json->length},
                                                           .retry_after = retry_after});
}

static void respond_json(struct tw_session *session, int status, const struct tw_buf *json) {
    respond_json_later(session, status, json, status == 503 ? 5 : 0);
}

static struct tw_session *settle(struct tw_pending *pending) {
    struct tw_session *session = pending->session;
    tw_list_remove(&pending->all);
    tw_list_remove(&pending->node);
    tw_free(pending);
    return session;
}

void tw_admin_answer(struct tw_pending *pending, int status, const struct tw_buf *json) {
    struct tw_session *session = settle(pending);
    if (session) respond_json(session, status, json);
}

/* An answer that does not end the connection, unlike tw_session_refuse. */
static void respond_error(struct tw_session *session, int status, const char *message) {
    struct tw_buf body = {0};
    tw_http_error_body(&body, message);
    respond_json(session, status, &body);
    tw_buf_deinit(&body);
}

/* --- publish --- */

static void print_failure(struct tw_buf *json, const char *error,
                          const struct tw_failure *failure) {
    tw_buf_print(json, "{\"error\":\"%s\",\"hook\":", error);
    tw_buf_json_string(json, failure->hook, strlen(failure->hook));
    tw_buf_print(json, ",\"script\":");
    tw_buf_json_string(json, failure->script, strlen(failure->script));
    tw_buf_print(json, ",\"line\":%d,\"message\":", failure->line);
    tw_buf_json_string(json, failure->message, strlen(failure->message));
    if (failure->retry_ms > 0)
        tw_buf_print(json, ",\"retry_after\":%.3f", (double)failure->retry_ms / 1000.0);
    tw_buf_print(json, "}");
}

/* With what failed last, which is the reason. */
static void answer_not_now(const struct tw_mail *mail) {
    struct tw_session *session = settle(mail->request);
    struct tw_buf json = {0};
    print_failure(&json, tw_strerror(mail->status), mail->failure);
    if (session) respond_json_later(session, 503, &json, (double)mail->failure->retry_ms / 1000.0);
    tw_buf_deinit(&json);
}

static void on_answer(struct tw_hub *hub, const struct tw_mail *mail) {
    struct tw_buf json = {0};
    int status = 200;
    (void)hub;
    if (mail->failure && mail->failure->retry_ms > 0) {
        answer_not_now(mail);
        return;
    }
    if (mail->status == 0 || mail->status == TW_EDROPPED) {
        tw_buf_print(&json, "{\"channel\":");
        tw_buf_json_string(&json, mail->channel->text.data, mail->channel->text.length);
        if (mail->status == 0)
            tw_buf_print(&json, ",\"epoch\":\"%s\",\"offset\":%llu}", mail->epoch,
                         (unsigned long long)mail->offset);
        else
            tw_buf_print(&json, ",\"dropped\":true}");
    } else if (mail->status == TW_ESCRIPT) {
        status = 500;
        print_failure(&json, "the hook failed", mail->failure);
    } else {
        status = mail->status == TW_ENOCHANNEL ? 404 : 503;
        tw_http_error_body(&json, tw_strerror(mail->status));
    }
    tw_admin_answer(mail->request, status, &json);
    tw_buf_deinit(&json);
}

static bool is_binary(const struct tw_http_request *request) {
    struct tw_str type = tw_http_header(request, "content-type");
    return tw_str_eq_nocase(tw_str_trim(tw_str_cut(&type, ';')),
                            TW_STR("application/octet-stream"));
}

static void publish(struct tw_server *server, struct tw_session *session,
                    const struct tw_http_request *request, struct tw_str channel) {
    struct tw_hub *hub = &tw_server_control(server)->hub;
    if (request->body.length > hub->generation->settings.limits.message_size) {
        respond_error(session, 413, "the payload is larger than limits.message_size");
        return;
    }
    struct tw_message *message =
        tw_message_try_new(request->body.data, request->body.length, is_binary(request));
    if (!message) {
        respond_error(session, 503, "out of memory");
        return;
    }
    struct tw_pending *pending = pend(server, session);
    int status = tw_hub_publish_from_api(hub, channel, message, pending);
    if (status == 0) return;
    struct tw_buf json = {0};
    if (status == TW_EJSON)
        tw_http_error_body(&json, "the payload is not JSON (send raw bytes with Content-Type: "
                                  "application/octet-stream)");
    else
        tw_http_error_body(&json, tw_strerror(status));
    tw_admin_answer(pending, status == TW_EJSON ? 422 : 503, &json);
    tw_buf_deinit(&json);
}

/* --- reload --- */

static int reload_status(int status) {
    if (status == 0) return 200;
    if (status == TW_ENOGENERATION) return 409;
    return status == TW_EDRAINING ? 503 : 422;
}

void tw_admin_answer_reload(struct tw_pending *pending, int status, unsigned generation,
                            unsigned rolled_back_to, const struct tw_load_errors *errors) {
    struct tw_buf json = {0};
    if (status == 0 && rolled_back_to > 0) {
        tw_buf_print(&json, "{\"generation\":%u,\"rolled_back_to\":%u}", generation,
                     rolled_back_to);
    } else if (status == 0) {
        tw_buf_print(&json, "{\"generation\":%u}", generation);
    } else {
        tw_buf_print(&json, "{\"error\":\"%s\",\"errors\":[", tw_strerror(status));
        for (size_t i = 0; i < errors->count; i++) {
            const struct tw_load_error *error = &errors->items[i];
            tw_buf_print(&json, "%s{\"file\":", i ? "," : "");
            tw_buf_json_string(&json, error->file, strlen(error->file));
            tw_buf_print(&json, ",\"line\":%d,\"message\":", error->line);
            tw_buf_json_string(&json, error->message, strlen(error->message));
            tw_buf_print(&json, "}");
        }
        tw_buf_print(&json, "]}");
    }
    tw_admin_answer(pending, reload_status(status), &json);
    tw_buf_deinit(&json);
}

/* --- routes --- */

static void answer_health(struct tw_server *server, struct tw_session *session, bool is_readiness) {
    struct tw_buf json = {0};
    bool ready = server->state == TW_SERVER_RUNNING;
    tw_buf_print(&json, "{\"status\":\"%s\"}", ready || !is_readiness ? "ok" : "draining");
    respond_json(session, ready || !is_readiness ? 200 : 503, &json);
    tw_buf_deinit(&json);
}

/* Equal in a time that does not tell where they differ. */
static bool is_key(struct tw_str given, const char *key) {
    size_t length = strlen(key);
    unsigned different = given.length != length;
    for (size_t i = 0; i < given.length; i++)
        different |= (unsigned char)given.data[i] ^ (unsigned char)key[i % (length + 1)];
    return different == 0;
}

static bool has_key(const struct tw_server *server) {
    return server->admin_key && *server->admin_key;
}

static bool is_authorized(const struct tw_server *server, const struct tw_http_request *request) {
    struct tw_str header = tw_http_header(request, "authorization");
    struct tw_str scheme = tw_str_cut(&header, ' ');
    if (!has_key(server)) return true;
    if (!tw_str_eq_nocase(scheme, TW_STR("Bearer")) || !header.data) return false;
    return is_key(tw_str_trim(header), server->admin_key);
}

/* Is the Host one of this machine's own names? */
static bool is_local_host(const struct tw_server *server, struct tw_str host) {
    struct tw_ip ip;
    struct tw_str name = host;
    const char *colon = memrchr(host.data ? host.data : "", ':', host.length);
    if (tw_str_eq(host, tw_str_of(server->admin_text))) return true;
    if (colon) name.length = (size_t)(colon - name.data);
    if (tw_str_eq_nocase(name, TW_STR("localhost"))) return true;
    return tw_ip_parse(host, &ip) == 0 && tw_ip_is_loopback(&ip);
}

/* A page of another origin; or of one that gave its own name our address (DNS rebinding), so that
 * Origin and Host agree. A browser sends an Origin with every POST. */
static bool is_foreign(const struct tw_server *server, const struct tw_http_request *request) {
    struct tw_str origin = tw_http_header(request, "origin");
    struct tw_str host = tw_http_header(request, "host");
    if (!origin.data) return false;
    if (!tw_str_starts(origin, TW_STR("http://")) || origin.length != host.length + 7 ||
        !tw_str_eq_nocase((struct tw_str){origin.data + 7, origin.length - 7}, host))
        return true;
    return !has_key(server) && !is_local_host(server, host);
}

enum method { GET, POST };

/* The methods of a known path; 405 for the others. */
static bool is_method(struct tw_session *session, const struct tw_http_request *request,
                      enum method method) {
    bool is_get =
        tw_str_eq(request->method, TW_STR("GET")) || tw_str_eq(request->method, TW_STR("HEAD"));
    bool matches = method == GET ? is_get : tw_str_eq(request->method, TW_STR("POST"));
    struct tw_buf body = {0};
    if (matches) return true;
    tw_http_error_body(&body, method == GET ? "use GET" : "use POST");
    tw_session_respond(session,
                       &(struct tw_http_response){.status = 405,
                                                  .type = "application/json",
                                                  .body = {body.data, body.length},
                                                  .headers = method == GET ? "Allow: GET, HEAD\r\n"
                                                                           : "Allow: POST\r\n"});
    tw_buf_deinit(&body);
    return false;
}

/* "/v1/channels/NAME/messages" -> NAME */
static bool is_messages_path(struct tw_str path, struct tw_str *channel) {
    struct tw_str prefix = TW_STR(MESSAGES), suffix = TW_STR("/messages");
    if (!tw_str_starts(path, prefix) || path.length <= prefix.length + suffix.length) return false;
    *channel =
        (struct tw_str){path.data + prefix.length, path.length - prefix.length - suffix.length};
    struct tw_str tail = {channel->data + channel->length, suffix.length};
    return tw_str_eq(tail, suffix);
}

static void route(struct tw_server *server, struct tw_session *session,
                  const struct tw_http_request *request) {
    struct tw_str channel, path = request->path;
    if (tw_str_eq(path, TW_STR("/v1/stats"))) {
        if (!is_method(session, request, GET)) return;
        if (server->state >= TW_SERVER_QUIET)
            respond_error(session, 503, "stopping"); /* the workers answer no more */
        else
            tw_admin_gather_stats(server, pend(server, session));
    } else if (tw_str_eq(path, TW_STR("/v1/reload")) || tw_str_eq(path, TW_STR("/v1/rollback"))) {
        if (!is_method(session, request, POST)) return;
        if (server->state != TW_SERVER_RUNNING)
            respond_error(session, 503, "draining");
        else if (tw_str_eq(path, TW_STR("/v1/rollback")))
            tw_server_rollback(server, 0, "asked for", pend(server, session));
        else
            tw_server_reload(server, true, pend(server, session));
    } else if (is_messages_path(path, &channel)) {
        if (is_method(session, request, POST)) publish(server, session, request, channel);
    } else {
        respond_error(session, 404, "no such path");
    }
}

static void ask_for_key(struct tw_session *session) {
    struct tw_buf body = {0};
    tw_http_error_body(&body, "the admin key is missing or wrong");
    tw_session_respond(session,
                       &(struct tw_http_response){.status = 401,
                                                  .type = "application/json",
                                                  .body = {body.data, body.length},
                                                  .headers = "WWW-Authenticate: Bearer\r\n",
                                                  .close = true});
    tw_buf_deinit(&body);
}

static void on_request(void *data, struct tw_session *session,
                       const struct tw_http_request *request) {
    struct tw_server *server = data;
    bool is_readiness = tw_str_eq(request->path, TW_STR("/readyz"));
    if (is_readiness || tw_str_eq(request->path, TW_STR("/healthz"))) {
        /* Open to probes, which carry no key. */
        if (is_method(session, request, GET)) answer_health(server, session, is_readiness);
    } else if (is_foreign(server, request)) {
        tw_session_refuse(session, 403, "not from a web page");
    } else if (!is_authorized(server, request)) {
        ask_for_key(session);
    } else {
        route(server, session, request);
    }
}

void tw_admin_deinit(struct tw_server *server) {
    struct tw_list *node;
    while ((node = tw_list_shift(&server->pending)))
        tw_free(TW_CONTAINER(node, struct tw_pending, all));
}

void tw_admin_init(struct tw_server *server) {
    struct tw_worker *control = tw_server_control(server);
    control->hub.on_answer = on_answer;
    control->service = (struct tw_http_service){
        .on_request = on_request,
        .on_gone = on_gone,
        .data = server,
        .body_size = 16u << 20, /* message_size may grow by a reload; publish checks it */
    };
}
