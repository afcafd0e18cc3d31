/* proto_session_support.h: sessions over a transport that is a few numbers: what it takes, what it
 * got. Real hubs, whose scripts are fakes, and a service that answers when the test says so. Time
 * is a number. */
#ifndef PROTO_SESSION_SUPPORT_H
#define PROTO_SESSION_SUPPORT_H

#include "broker_hub_support.h"

#include "broker/admission.h"
#include "proto/raw.h"
#include "proto/session.h"
#include "proto/session_parts.h"

#define TIMEOUT_MS 10000 /* handshake_timeout, the default */
#define CLOSE_MS 2000
#define GET "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
#define HANDSHAKE                                                                                  \
    "GET /ws/market HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"          \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
#define HELLO                                                                                      \
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\n"                     \
    "hello"
#define MASK "\0\0\0\0"
#define BYTES(text) text, sizeof(text) - 1
#define assert_starts(got, text) assert_memory_equal(got, text, sizeof(text) - 1)

/* --- what is around the session --- */

struct wire {
    struct tw_session *session; /* NULL: freed */
    size_t room;                /* bytes it takes; what it took makes it less */
    bool is_reading, is_shut, is_closed, is_broken;
    char *got;
    size_t length;
    unsigned writes;
    uint64_t pinged_ms; /* when one began with a ping */
};

static struct world world;
static struct tw_hooks hooks;
static struct tw_ws_pool *pool;

/* The service. */
static struct {
    bool is_late; /* the test answers */
    unsigned requests, gone;
    char paths[256]; /* "/a /b " */
    struct tw_session *last;
} served;

static inline int64_t wire_write(void *transport, const struct iovec *spans, int count) {
    struct wire *wire = transport;
    size_t taken = 0;
    assert_false(wire->is_closed || wire->is_shut);
    wire->writes++;
    if (*(const unsigned char *)spans->iov_base == 0x89) wire->pinged_ms = world.now_ms;
    if (wire->is_broken) return -EPIPE;
    for (int i = 0; i < count; i++) {
        size_t n = spans[i].iov_len < wire->room ? spans[i].iov_len : wire->room;
        wire->got = tw_realloc(wire->got, wire->length + n + 1);
        memcpy(wire->got + wire->length, spans[i].iov_base, n);
        wire->length += n;
        wire->got[wire->length] = 0;
        wire->room -= n;
        taken += n;
        if (n < spans[i].iov_len) break;
    }
    return taken == 0 ? TW_EAGAIN : (int64_t)taken;
}

static inline void wire_set_reading(void *transport, bool on) {
    ((struct wire *)transport)->is_reading = on;
}

static inline void wire_shutdown(void *transport) {
    ((struct wire *)transport)->is_shut = true;
}

static inline void wire_close(void *transport) {
    ((struct wire *)transport)->is_closed = true;
}

static const struct tw_transport_ops transport = {
    .write = wire_write,
    .set_reading = wire_set_reading,
    .shutdown = wire_shutdown,
    .close = wire_close,
};

static inline void answer(struct tw_session *session) {
    tw_session_respond(session, &(struct tw_http_response){
                                    .status = 200, .type = "text/plain", .body = TW_STR("hello")});
}

static inline void on_request(void *data, struct tw_session *session,
                              const struct tw_http_request *request) {
    (void)data;
    served.requests++;
    served.last = session;
    snprintf(served.paths + strlen(served.paths), 32, "%.*s ", TW_STR_ARG(request->path));
    if (!served.is_late) answer(session);
}

static inline void on_gone(void *data, struct tw_session *session) {
    (void)data;
    assert_ptr_equal(session, served.last);
    served.gone++;
}

static const struct tw_http_service service = {
    .on_request = on_request, .on_gone = on_gone, .websocket = true, .body_size = 1000};
static struct tw_session_config configs[MAX_HUBS];

static inline int hook_auth(void *vm, const struct tw_auth_request *request, struct tw_auth *out,
                            struct tw_failure *failure) {
    (void)vm, (void)request, (void)out, (void)failure;
    return 0;
}

static inline struct tw_generation *market(void) {
    struct tw_generation *generation = generation_new(1);
    define(generation, "market");
    generation->settings.heartbeat_interval_ms = 0;
    return generation;
}

/* Takes the generation. `bound`: of each lane of a mailbox. */
static inline void begin(unsigned workers, struct tw_generation *generation, size_t bound) {
    memset(&served, 0, sizeof served);
    world_begin(&world, workers, generation, bound);
    hooks = fake_hooks;
    hooks.auth = hook_auth;
    world.hubs.hooks = &hooks;
    world.hubs.dialect = &tw_dialect_raw;
    tw_admission_init(&world.hubs.admission);
    pool = tw_ws_pool_new(2);
    for (unsigned i = 0; i < workers; i++)
        configs[i] = (struct tw_session_config){&world.hub[i], pool, &service, &transport};
    settle(&world);
}

static inline void finish(void) {
    settle(&world);
    assert_int_equal(tw_admission_count(&world.hubs.admission), 0);
    world_end(&world);
    tw_ws_pool_free(pool);
    tw_admission_deinit(&world.hubs.admission);
}

static inline void dial(struct wire *wire, unsigned worker) {
    struct tw_ip ip = ip_of("10.0.0.1");
    *wire = (struct wire){.room = SIZE_MAX, .is_reading = true};
    wire->got = tw_format("%s", "");
    world.hub[worker].now_ms = world.now_ms;
    wire->session = tw_session_new(&configs[worker], wire, &ip);
}

static inline struct tw_hub *hub_of(struct wire *wire) {
    return wire->session->client.hub;
}

static inline void touch(struct wire *wire) {
    hub_of(wire)->now_ms = world.now_ms;
    world.is_woken[hub_of(wire)->index] = true;
}

/* Bytes come; in memory of their own, so that the sanitizer sees who keeps a pointer. */
static inline void say_bytes(struct wire *wire, const void *bytes, size_t length) {
    char *copy = tw_alloc(length + 1);
    memcpy(copy, bytes, length);
    touch(wire);
    tw_session_on_read(wire->session, copy, length);
    tw_free(copy);
}

static inline void say(struct wire *wire, const char *text) {
    say_bytes(wire, text, strlen(text));
}

static inline void say_frame(struct wire *wire, unsigned opcode, const char *payload,
                             size_t length) {
    unsigned char frame[200] = {(unsigned char)(0x80 | opcode), (unsigned char)(0x80 | length)};
    assert_true(length < 126);
    memcpy(frame + 6, payload, length);
    say_bytes(wire, frame, 6 + length);
}

static inline void say_eof(struct wire *wire) {
    touch(wire);
    tw_session_on_eof(wire->session);
}

/* The peer takes that much from now on. */
static inline void give_room(struct wire *wire, size_t room) {
    wire->room = room;
    touch(wire);
    if (wire->session->client.is_blocked) tw_session_on_writable(wire->session);
}

static inline void forget(struct wire *wire) {
    tw_free(wire->got);
    wire->got = tw_format("%s", "");
    wire->length = 0;
}

#define assert_got(wire, text)                                                                     \
    do {                                                                                           \
        assert_int_equal((wire)->length, sizeof(text) - 1);                                        \
        assert_memory_equal((wire)->got, text, sizeof(text) - 1);                                  \
        forget(wire);                                                                              \
    } while (0)

/* The connection has ended, and its owner lets go of it. */
static inline void bury(struct wire *wire) {
    settle(&world);
    assert_true(wire->is_closed);
    touch(wire);
    tw_session_free(wire->session);
    wire->session = NULL;
    tw_free(wire->got);
}

static inline void hang_up(struct wire *wire) {
    say_eof(wire);
    bury(wire);
}

static inline void open_socket(struct wire *wire, unsigned worker) {
    dial(wire, worker);
    say(wire, HANDSHAKE);
    settle(&world);
    assert_int_equal(wire->session->state, TW_SESSION_OPEN);
    assert_starts(wire->got, "HTTP/1.1 101 ");
    forget(wire);
}

/* A worker that is not the home of "market". */
static inline unsigned elsewhere(void) {
    return (home_of(&world, "market") + 1) % world.hubs.workers;
}

#endif
