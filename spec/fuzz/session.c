/* session.c: whole connections, first byte to last, through proto/session and real hubs. Sockets
 * take and give bytes as the input says, time is a number, handlers are those of hubs.h.
 *
 * What comes out must be whole responses and frames, and nothing behind a close frame; nothing is
 * read while reading is off; in the end every connection whose peer is silent has ended, every
 * source and place was given back, and hubs and pools are empty.
 *
 * Input: the app (hubs.h), then operations. */
#include "conn.h"
#include "hubs.h"
#include "proto/raw.h"
#include "proto/session_parts.h"

enum { WORKERS = 2, CONNS = 5, MOST_ROUNDS = 10000 };

static struct world world;
static struct conn conns[CONNS];
static struct tw_ws_pool *pools[WORKERS];
static struct tw_session_config configs[WORKERS];
static unsigned open_sources;

/* --- the service --- */

static int64_t source_read(void *data, void *bytes, size_t size) {
    unsigned luck = roll(&world);
    (void)data;
    if (luck & 0x80) return luck & 1 ? 0 : -EIO;
    size_t length = luck & 0x40 && size > 7 ? 7 : size;
    memset(bytes, 'x', length);
    return (int64_t)length;
}

static void source_close(void *data) {
    (void)data;
    FUZZ_ASSERT(open_sources > 0);
    open_sources--;
}

static void respond(struct conn *conn, unsigned luck) {
    struct tw_http_response response = {.status = 200, .type = "text/plain"};
    conn->is_asked = false;
    if (luck & 8) {
        struct tw_http_source source = {.read = source_read, .close = source_close};
        source.length = (luck & 7u) * 20000u;
        open_sources++;
        tw_session_respond_from(conn->session, &response, &source);
    } else if (luck & 16) {
        tw_session_refuse(conn->session, 404, "no");
    } else {
        response.body = luck & 7 ? TW_STR("hello") : TW_STR("");
        response.close = luck & 32;
        if (luck & 64) response.status = 304;
        tw_session_respond(conn->session, &response);
    }
}

static struct conn *conn_of(const struct tw_session *session) {
    struct conn *conn = conns;
    while (conn->session != session)
        conn++;
    return conn;
}

static void on_request(void *data, struct tw_session *session,
                       const struct tw_http_request *request) {
    struct conn *conn = conn_of(session);
    unsigned luck = roll(&world);
    (void)data;
    FUZZ_ASSERT(!conn->is_asked && request->path.data[0] == '/');
    conn->is_asked = true;
    if (!(luck & 0x80)) respond(conn, luck);
}

static void on_gone(void *data, struct tw_session *session) {
    (void)data;
    FUZZ_ASSERT(conn_of(session)->is_asked);
    conn_of(session)->is_asked = false;
}

static const struct tw_http_service service = {
    .on_request = on_request, .on_gone = on_gone, .websocket = true, .body_size = 100};

/* --- operations --- */

static void enter(struct tw_hub *hub) {
    hub->now_ms = world.now_ms;
    world.is_woken[hub->index] = true;
}

static void publish_from_api(struct fuzz_input *input) {
    uint8_t choice = fuzz_byte(input);
    unsigned channel = choice % CHANNELS;
    struct tw_hub *hub = &world.hub[(choice >> 4) % (WORKERS + 1)];
    char *text = payload_of(&world, channel, 1, false);
    struct tw_message *message = tw_message_try_new(text, strlen(text), choice & 8);
    hub->now_ms = world.now_ms;
    tw_hub_publish_from_api(hub, tw_str_of(fuzz_channels[channel]), message, NULL);
    world.is_woken[hub->index] = true;
    tw_free(text);
}

static void operate_on(struct conn *conn, unsigned operation, struct fuzz_input *input) {
    enter(conn->config->hub);
    if (!operate_socket(conn, operation, input)) {
        if (operation < 9)
            say_request(conn, input);
        else if (operation < 12)
            say_frame(conn, input);
        else if (operation == 12)
            say(conn, "\x81\x81\0\0\0\0001", 7);
        else if (conn->is_asked)
            respond(conn, fuzz_byte(input));
    }
    pump(conn);
}

static void operate(struct fuzz_input *input) {
    uint8_t choice = fuzz_byte(input);
    unsigned place = (choice >> 5) % CONNS;
    struct conn *conn = &conns[place];
    unsigned hub = (choice >> 5) % (WORKERS + 1), operation = choice & 31;
    if (operation < 14) {
        struct tw_ip ip = {{(choice >> 5) % 2}};
        if (!conn->session) conn_open(conn, &configs[place % WORKERS], &ip);
        if (!conn->is_closed) operate_on(conn, operation, input);
    } else if (operation < 18) {
        world_settle(&world);
    } else if (operation == 18) {
        world_turn(&world, hub);
    } else if (operation == 19) {
        world_pass(&world, 100u * fuzz_byte(input));
    } else if (operation == 20) {
        world_pass(&world, 1000u * fuzz_byte(input));
    } else if (operation == 21) {
        world.is_asleep[hub] = !world.is_asleep[hub];
    } else if (operation == 22) {
        world_reload(&world, input);
    } else if (operation == 23) {
        world_swap(&world, hub);
    } else if (operation == 24) {
        world.hub[hub].now_ms = world.now_ms;
        tw_hub_drain(&world.hub[hub], 100u * fuzz_byte(input));
        world.is_woken[hub] = true;
    } else if (operation == 25) {
        choose_luck(&world, input);
    } else if (operation < 29) {
        publish_from_api(input);
    } else {
        for (unsigned i = 0; i < CONNS; i++)
            reap(&conns[i]);
    }
}

/* Every peer reads on and says no more, and every request is answered. */
static void attend(void) {
    for (unsigned i = 0; i < CONNS; i++) {
        conns[i].budget = SIZE_MAX;
        if (!conns[i].session) continue;
        enter(conns[i].config->hub);
        if (conns[i].is_asked) respond(&conns[i], 0);
        pump(&conns[i]);
    }
    world_settle(&world);
}

static bool is_done(const struct conn *conn) {
    return !conn->session || conn->is_closed;
}

/* Read and understood, as far as it is still of interest. */
static bool is_all_read(const struct conn *conn) {
    if (is_done(conn) || conn->session->state == TW_SESSION_LINGER) return true;
    return conn->read == conn->wire.length && !conn->session->input;
}

static void end(void) {
    memset(world.is_asleep, 0, sizeof world.is_asleep);
    memset(world.luck, 0, sizeof world.luck);
    for (unsigned round = 0;; round++) {
        bool is_all = true;
        attend();
        for (unsigned i = 0; i < CONNS; i++)
            is_all = is_all && is_all_read(&conns[i]);
        if (is_all) break;
        FUZZ_ASSERT(round < MOST_ROUNDS); /* nobody reads on */
    }
    for (unsigned round = 0; round < 4; round++) {
        world_pass(&world, 50000);
        attend();
    }
    for (unsigned i = 0; i < CONNS; i++) {
        FUZZ_ASSERT(is_done(&conns[i]));
        reap(&conns[i]);
    }
    FUZZ_ASSERT(open_sources == 0);
    world_end(&world);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct fuzz_input input = {data, data + size};
    fuzz_begin();
    memset(conns, 0, sizeof conns);
    uint8_t choice = fuzz_byte(&input);
    world_begin(&world, &input, WORKERS, choice & 1 ? 2 : 1000, &tw_dialect_raw);
    for (unsigned i = 0; i < WORKERS; i++) {
        pools[i] = tw_ws_pool_new(choice >> 1 & 3);
        configs[i] = (struct tw_session_config){
            .hub = &world.hub[i], .pool = pools[i], .service = &service, .transport = &transport};
    }
    while (!fuzz_is_over(&input))
        operate(&input);
    end();
    for (unsigned i = 0; i < WORKERS; i++)
        tw_ws_pool_free(pools[i]);
    return fuzz_end();
}
