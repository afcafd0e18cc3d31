/* admin.c: requests to the admin API and for files of public/, through a whole server without
 * sockets and threads: app/admin, stats, reload, static, over proto/session, hubs and scripts.
 *
 * Every answer is whole, and JSON where it says so; without the key nothing but health is told; no
 * file outside of public/ is ever sent; every request gets its answer, and a reload ends.
 *
 * Input: key or none, then operations. Not reached: signals, the drain's states but for what they
 * mean to a request, listeners, bodies over a megabyte. */
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/admin.h"
#include "conn.h"
#include "proto/raw.h"
#include "script/script.h"

enum { WORKERS = 2, CONNS = 4, BOUND = 100, MOST_TURNS = 100000 };
#define KEY "sesame"
#define SECRET "TOPSECRET" /* in every file that nobody may read */

static struct tw_server *server;
static struct conn conns[CONNS];
static struct tw_session_config configs[2]; /* of the control worker, of worker 0 */
static bool is_woken[WORKERS + 1];
static uint64_t now_ms, next_ms[WORKERS + 1];
static char folder[FUZZ_FOLDER];

/* --- the app --- */

static const char *const channel_files[] = {
    "return {} -- " SECRET,
    "return { transform = function(m) m.data = { m.data } return m end } -- " SECRET,
    "return { transform = function(m, c) c:publish('x') error('no') end } -- " SECRET,
    "return { transform = function(m) return nil end, init = function(c) c.state.a = {} end }",
    "return { queue = { size = 0 }, nonsense = 1 } -- " SECRET,
    "return { -- " SECRET,
    "return { name = 'b:{id}', transform = function(m) return 5 end } -- " SECRET,
};
enum { CHANNEL_FILES = sizeof channel_files / sizeof *channel_files };

static const char *const files[][2] = {
    {"channels/a.lua", NULL}, /* one of the above */
    {"secret.txt", SECRET},
    {"public/index.html", "<p>hello"},
    {"public/docs/index.html", "<p>docs"},
    {"public/a b.txt", "text"},
    {"public/.hidden", SECRET},
    {"public/.git/config", SECRET},
};
static const char *const folders[] = {"channels", "public", "public/docs", "public/.git"};
static const char *const links[][2] = {{"public/out", "../secret.txt"}, {"public/up", ".."}};
#define EACH(i, array)                                                                             \
    size_t i = 0;                                                                                  \
    i < sizeof(array) / sizeof *(array);                                                           \
    i++

static const char *path_of(const char *name) {
    static char path[200];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void write_file(const char *name, const char *text) {
    FILE *file = fopen(path_of(name), "wb");
    FUZZ_ASSERT(file && fputs(text, file) >= 0);
    fclose(file);
}

static void make_app(unsigned channel) {
    fuzz_make_folder(folder);
    for (EACH(i, folders))
        mkdir(path_of(folders[i]), 0700);
    for (EACH(i, files))
        write_file(files[i][0], files[i][1] ? files[i][1] : channel_files[channel]);
    for (EACH(i, links))
        FUZZ_ASSERT(symlink(links[i][1], path_of(links[i][0])) == 0);
}

static void remove_app(void) {
    for (EACH(i, files))
        unlink(path_of(files[i][0]));
    for (EACH(i, links))
        unlink(path_of(links[i][0]));
    for (size_t i = sizeof folders / sizeof *folders; i-- > 0;)
        rmdir(path_of(folders[i]));
    FUZZ_ASSERT(rmdir(folder) == 0);
}

/* --- the server --- */

static void wake(void *driver, unsigned index) {
    (void)driver;
    is_woken[index] = true;
}

static void enter(struct tw_hub *hub) {
    hub->now_ms = now_ms;
    is_woken[hub->index] = true;
}

/* As tidewire_run has it, without listeners, threads and loops that turn. */
static void begin(bool has_key) {
    static const char *const overrides[] = {"workers=2", "script.memory=2097152"};
    struct tidewire_options options = {.app = folder,
                                       .overrides = overrides,
                                       .override_count = 2,
                                       .admin_key = has_key ? KEY : NULL};
    FUZZ_ASSERT(tidewire_new((struct tidewire **)&server, &options) == 0);
    FUZZ_ASSERT(server->hubs.workers == WORKERS);
    struct tw_hubs *hubs = &server->hubs;
    hubs->boxes = (struct tw_mailbox *)tw_alloc_lines((WORKERS + 1) * sizeof *hubs->boxes);
    for (unsigned i = 0; i <= WORKERS; i++)
        tw_mailbox_init(&hubs->boxes[i], BOUND);
    hubs->wake = wake;
    hubs->hooks = &tw_script_hooks;
    hubs->dialect = &tw_dialect_raw;
    tw_admission_init(&hubs->admission);
    server->workers = (struct tw_worker *)tw_alloc((WORKERS + 1) * sizeof *server->workers);
    for (unsigned i = 0; i <= WORKERS; i++) {
        struct tw_worker *worker = &server->workers[i];
        int status =
            tw_worker_init(worker, server, i, i < WORKERS ? server->vms[i] : NULL, NULL, 0);
        FUZZ_ASSERT(status == 0);
        if (i < WORKERS) server->vms[i] = NULL;
        worker->is_quiet = true; /* its loop takes no turns: we do */
        if (worker->hub.now_ms > now_ms) now_ms = worker->hub.now_ms;
        is_woken[i] = true;
    }
    tw_admin_init(server);
    tw_reload_init(server);
    server->admin_text = tw_format("127.0.0.1:8081");
    server->started_ms = now_ms;
    server->state = TW_SERVER_RUNNING;
    configs[0] = tw_server_control(server)->sessions;
    configs[1] = server->workers[0].sessions;
    configs[0].transport = configs[1].transport = &transport;
}

static void finish(void) {
    tw_admin_deinit(server);
    tw_reload_close(server);
    for (unsigned i = 0; i <= WORKERS; i++) {
        tw_worker_end(&server->workers[i]);
        tw_worker_run(&server->workers[i]);
    }
    tw_reload_deinit(server);
    FUZZ_ASSERT(tw_admission_count(&server->hubs.admission) == 0);
    for (unsigned i = 0; i <= WORKERS; i++) {
        tw_worker_deinit(&server->workers[i]);
        tw_mailbox_deinit(&server->hubs.boxes[i]);
    }
    tw_free(server->hubs.boxes);
    tw_admission_deinit(&server->hubs.admission);
    tidewire_free((struct tidewire *)server);
}

/* Turns until nobody has anything to do, and no reload is under way. */
static void settle(void) {
    unsigned turns = 0;
    for (bool any = true; any;) {
        any = tw_server_is_reloading(server);
        for (unsigned i = 0; i <= WORKERS; i++) {
            struct tw_hub *hub = &server->workers[i].hub;
            if (!is_woken[i] && !tw_hub_is_busy(hub) && next_ms[i] > now_ms) continue;
            is_woken[i] = false;
            next_ms[i] = tw_hub_turn(hub, now_ms);
            FUZZ_ASSERT(++turns < MOST_TURNS);
            any = true;
        }
        if (!tw_server_is_reloading(server)) continue;
        uv_run(&tw_server_control(server)->loop, UV_RUN_NOWAIT); /* the load's thread is done? */
        sched_yield();
    }
}

static void pass(unsigned ms) {
    settle();
    for (uint64_t end_ms = now_ms + ms; now_ms < end_ms;) {
        uint64_t next = end_ms;
        for (unsigned i = 0; i <= WORKERS; i++)
            if (next_ms[i] < next) next = next_ms[i];
        now_ms = next > now_ms ? next : end_ms;
        settle();
    }
}

/* --- operations --- */

static void say_known_request(struct conn *conn, struct fuzz_input *input) {
    static const char *const paths[] = {"/v1/stats",
                                        "/v1/reload",
                                        "/healthz",
                                        "/readyz",
                                        "/",
                                        "/docs",
                                        "/out",
                                        "/up/secret.txt",
                                        "/a%20b.txt",
                                        "/v1/channels/a/messages",
                                        "/.hidden",
                                        "/v1/channels/b:1/messages",
                                        "/../secret.txt",
                                        "/v1/channels/none/messages",
                                        "/docs/",
                                        "/v1/channels/%2Fa/messages"};
    static const char *const payloads[] = {"1", "{\"a\":[]}", "no", "[1e999]"};
    uint8_t choice = fuzz_byte(input), more = fuzz_byte(input);
    const char *payload = payloads[more & 3];
    bool has_body = choice & 0x20;
    char authorization[40]; /* with the key, or with the front of it */
    snprintf(authorization, sizeof authorization, "Authorization: Bearer %.*s\r\n",
             more >> 5 ? (more >> 5) - 1 : (int)strlen(KEY), KEY);
    char *text = tw_format(
        "%s %s HTTP/1.1\r\nHost: localhost\r\n%s%s%s%s%s%zu\r\n\r\n%s",
        choice & 0x40   ? "HEAD"
        : choice & 0x10 ? "POST"
                        : "GET",
        paths[choice & 15], choice & 0x80 ? authorization : "",
        more & 4 ? "Content-Type: application/octet-stream\r\n" : "",
        more & 8 ? "Origin: http://localhost\r\n" : "", more & 16 ? "Origin: http://a\r\n" : "",
        "Content-Length: ", has_body ? strlen(payload) : 0, has_body ? payload : "");
    say(conn, text, strlen(text));
    if (choice & 0x40) conn->has_head = true;
    tw_free(text);
}

/* Nothing that was sent may hold what the request had no right to. */
static void check_secrets(const struct conn *conn, bool has_key) {
    static const char *const guarded[] = {"\"epoch\"", "\"generation\"", "\"uptime\""};
    FUZZ_ASSERT(!has_text(&conn->out, SECRET));
    for (size_t i = 0; i < 3 && has_key && !has_text(&conn->wire, KEY); i++)
        FUZZ_ASSERT(!has_text(&conn->out, guarded[i]));
}

static void operate(struct fuzz_input *input, bool has_key) {
    uint8_t choice = fuzz_byte(input);
    unsigned place = (choice >> 5) % CONNS, operation = choice & 31;
    struct conn *conn = &conns[place];
    struct tw_ip ip = {{0}};
    if (operation < 20) {
        if (!conn->session) conn_open(conn, &configs[place % 2], &ip);
        if (conn->is_closed) return;
        enter(conn->config->hub);
        if (!operate_socket(conn, operation, input)) say_known_request(conn, input);
        pump(conn);
    } else if (operation < 24) {
        settle();
    } else if (operation == 24) {
        pass(100u * fuzz_byte(input));
    } else if (operation < 28) {
        settle(); /* a load that is under way has read its files */
        write_file("channels/a.lua", channel_files[fuzz_below(input, CHANNEL_FILES)]);
    } else if (operation == 28) {
        if (server->state < TW_SERVER_QUIET) server->state++;
    } else if (operation == 29) {
        enter(&tw_server_control(server)->hub);
        tw_hub_drain(&tw_server_control(server)->hub, 0);
    }
    for (unsigned i = 0; i < CONNS && operation == 31; i++) {
        if (conns[i].is_closed) check_secrets(&conns[i], has_key);
        reap(&conns[i]);
    }
}

/* Every peer reads on and says no more. */
static void end(bool has_key) {
    for (unsigned round = 0; round < 4; round++) {
        for (unsigned i = 0; i < CONNS; i++) {
            conns[i].budget = SIZE_MAX;
            pump(&conns[i]);
        }
        pass(50000);
    }
    FUZZ_ASSERT(tw_list_is_empty(&server->pending));
    for (unsigned i = 0; i < CONNS; i++) {
        if (!conns[i].session) continue;
        FUZZ_ASSERT(conns[i].is_closed);
        check_secrets(&conns[i], has_key);
        reap(&conns[i]);
    }
    settle(); /* nothing hangs on them */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct fuzz_input input = {data, data + size};
    fuzz_begin();
    memset(conns, 0, sizeof conns);
    uint8_t choice = fuzz_byte(&input);
    bool has_key = choice & 1;
    make_app((choice >> 1) % 4);
    begin(has_key);
    while (!fuzz_is_over(&input))
        operate(&input, has_key);
    end(has_key);
    finish();
    remove_app();
    return fuzz_end();
}
