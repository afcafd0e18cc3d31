/* broker.lua and -D: defaults, every key, mistakes and how they are named. */
#include "script_support.h"

#include "script/read_settings.h"

static const struct tw_settings *settings_of(struct app *app) {
    return &app->generation->settings;
}

/* What broker.lua returns, given as the inside of its table. */
static void broker(struct app *app, const char *inside) {
    char *text = tw_format("-- listen = no, a comment\nreturn {\n%s\n}\n", inside);
    app_file(app, "broker.lua", text);
    tw_free(text);
}

static void without_a_word_it_is_the_defaults(void **state) {
    (void)state;
    struct app app;
    app_init(&app);
    broker(&app, "");
    app_must_load(&app);
    const struct tw_settings *s = settings_of(&app);
    assert_int_equal(s->listen_count, 1);
    assert_string_equal(s->listen[0], "127.0.0.1:8080");
    assert_int_equal(s->workers, sysconf(_SC_NPROCESSORS_ONLN));
    assert_int_equal(s->heartbeat_interval_ms, 25000);
    assert_int_equal(s->limits.connections, 100000);
    assert_true(s->limits.messages.rate == 100 && s->limits.messages.burst == 200);
    assert_int_equal(s->script_memory, 67108864);
    assert_false(s->script_jit);
    assert_int_equal(s->quarantine.failures, 200);
    assert_int_equal(s->rollback.window_ms, 0);
    assert_int_equal(app.vm_count, 1);
    assert_false(app.generation->has_auth);
    assert_null(app.generation->public_dir);
    app_deinit(&app);
}

static void every_key_is_read(void **state) {
    (void)state;
    struct app app;
    app_init(&app);
    broker(&app, "listen = { '[::1]:0', 'unix:/run/tw.sock', { address = 'localhost:81' } },\n"
                 "workers = 3, heartbeat = { interval = 0, timeout = 0.25 },\n"
                 "limits = { connections = 7, connections_per_ip = 2,\n"
                 "  handshakes_per_ip = { rate = 0.5 }, messages = { rate = 1, burst = 2 },\n"
                 "  bytes = { rate = 3, burst = 4 }, message_size = 5, header_size = 512,\n"
                 "  handshake_timeout = 1.5, channels_per_client = 6, violations = 8 },\n"
                 "queue = { size = 9, bytes = 10, overflow = 'disconnect' },\n"
                 "socket_buffer = 0, trusted_proxies = { '10.0.0.0/8', '::1' },\n"
                 "allowed_origins = { 'https://*.example.com' }, reject_with = 'close',\n"
                 "drain = { window = 0, timeout = 1 },\n"
                 "script = { deadline = 0.0001 + 0.001, memory = 1048576 * 3, jit = true,\n"
                 "  quarantine = { failures = 0, window = 0.5, retry = 7 },\n"
                 "  rollback = { window = 10, calls = 5, share = 0.25 } }");
    assert_int_equal(app_load(&app, 0), 0);
    const struct tw_settings *s = settings_of(&app);
    assert_int_equal(app.vm_count, 3);
    assert_int_equal(s->listen_count, 3);
    assert_string_equal(s->listen[1], "unix:/run/tw.sock");
    assert_string_equal(s->listen[2], "localhost:81");
    assert_int_equal(s->heartbeat_interval_ms, 0);
    assert_int_equal(s->heartbeat_timeout_ms, 250);
    assert_int_equal(s->limits.connections_per_ip, 2);
    assert_true(s->limits.handshakes_per_ip.rate == 0.5);
    assert_true(s->limits.handshakes_per_ip.burst == 1); /* completed: 0 would let nobody in */
    assert_true(s->limits.bytes.rate == 3 && s->limits.bytes.burst == 4);
    assert_int_equal(s->limits.header_size, 512);
    assert_int_equal(s->limits.handshake_timeout_ms, 1500);
    assert_int_equal(s->limits.channels_per_client, 6);
    assert_int_equal(s->limits.violations, 8);
    assert_int_equal(s->queue.size, 9);
    assert_int_equal(s->queue_bytes, 10);
    assert_int_equal(s->queue.overflow, TW_DISCONNECT);
    assert_int_equal(s->trusted_proxy_count, 2);
    assert_int_equal(s->trusted_proxies[0].bits, 96 + 8);
    assert_int_equal(s->allowed_origin_count, 1);
    assert_true(s->reject_with_close && s->script_jit);
    assert_int_equal(s->drain_window_ms, 0);
    assert_int_equal(s->script_deadline_ms, 1);
    assert_int_equal(s->script_memory, 3145728);
    assert_int_equal(s->quarantine.failures, 0);
    assert_int_equal(s->quarantine.window_ms, 500);
    assert_int_equal(s->quarantine.retry_ms, 7000);
    assert_int_equal(s->rollback.window_ms, 10000);
    assert_int_equal(s->rollback.calls, 5);
    assert_true(s->rollback.share == 0.25);
    app_deinit(&app);
}

static void each_key_says_what_it_expects(void **state) {
    (void)state;
    static const struct {
        const char *inside, *message;
    } cases[] = {
        {"listen = 80", "listen: expected an address such as \"127.0.0.1:8080\""},
        {"listen = {}", "listen: the list is empty"},
        {"listen = 'x'", "got the text \"x\""},
        {"listen = '::1:80'", "listen: expected an address"},
        {"listen = ':80'", "listen: expected an address"},
        {"listen = 'a:65536'", "listen: expected an address"},
        {"listen = 'unix:'", "listen: expected an address"},
        {"listen = { 'a:1', 5 }", "listen[2]: expected an address"},
        {"listen = { address = 'a:1', tls = {} }", "listen: tls is not supported yet"},
        {"listen = { { addres = 'a:1' } }",
         "listen[1].addres: unknown key; did you mean 'address'?"},
        {"workers = 0", "workers: expected \"auto\" or a whole number from 1 to 256, got 0"},
        {"workers = 'all'", "workers: expected \"auto\""},
        {"workers = 1.5", "workers: expected \"auto\""},
        {"heartbeat = 5", "heartbeat: expected a table, got 5"},
        {"heartbeat = { interval = '25' }",
         "heartbeat.interval: expected seconds from 0 to 86400, got the text \"25\""},
        {"heartbeat = { timeout = 0 }", "heartbeat.timeout: expected seconds from 0.001"},
        {"limits = { connections = -1 }", "limits.connections: expected a whole number from 1 to "
                                          "4294967295, got -1"},
        {"limits = { connections_per_ip = 1.5 }", "limits.connections_per_ip: expected a whole"},
        {"limits = { handshakes_per_ip = 3 }", "limits.handshakes_per_ip: expected a table, got 3"},
        {"limits = { messages = { rate = {} } }", "limits.messages.rate: expected a number from 0"},
        {"limits = { messages = { rate = 0/0 } }", "limits.messages.rate: expected a number"},
        {"limits = { bytes = { burst = true } }", "limits.bytes.burst: expected a number"},
        {"limits = { bytes = { brust = 1 } }",
         "limits.bytes.brust: unknown key; did you mean 'burst'?"},
        {"limits = { message_size = 0 }", "limits.message_size: expected a whole number from 1"},
        {"limits = { header_size = 1 }", "limits.header_size: expected a whole number from 256"},
        {"limits = { handshake_timeout = false }", "limits.handshake_timeout: expected seconds"},
        {"limits = { channels_per_client = 65536 }", "limits.channels_per_client: expected"},
        {"limits = { violations = 0 }", "limits.violations: expected"},
        {"queue = { size = 0 }", "queue.size: expected"},
        {"queue = { bytes = 'x' }", "queue.bytes: expected"},
        {"queue = { overflow = 'drop_oldes' }", "did you mean \"drop_oldest\"?"},
        {"queue = { overflow = 1 }", "queue.overflow: expected \"drop_oldest\", \"drop_newest\", "
                                     "\"conflate\" or \"disconnect\", got 1"},
        {"socket_buffer = -1", "socket_buffer: expected"},
        {"trusted_proxies = '10.0.0.0/8'", "trusted_proxies: expected a list of networks"},
        {"trusted_proxies = { '10.0.0.0/99' }", "trusted_proxies[1]: expected a network such as"},
        {"trusted_proxies = { '::1', x = 1 }", "trusted_proxies: expected a list of networks, got "
                                               "a table with other keys or holes"},
        {"allowed_origins = { 'example.com' }", "allowed_origins[1]: expected an origin such as"},
        {"reject_with = 'html'", "reject_with: expected \"http\" or \"close\""},
        {"drain = { window = 1/0 }", "drain.window: expected seconds"},
        {"drain = { timout = 1 }", "drain.timout: unknown key; did you mean 'timeout'?"},
        {"script = { deadline = 0 }", "script.deadline: expected seconds from 0.001"},
        {"script = { memory = 1000 }", "script.memory: expected a whole number from 1048576"},
        {"script = { jit = 1 }", "script.jit: expected true or false, got 1"},
        {"limit = {}", "limit: unknown key; did you mean 'limits'?"},
        {"zzz = 1", "zzz: unknown key"},
        {"5", "unknown key (1)"},
        {"auth = function() end", "auth: unknown key"},
    };
    struct app app;
    app_init(&app);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        broker(&app, cases[i].inside);
        int line = cases[i].inside[0] == '5' ? 0 : 3;
        app_must_fail(&app, "broker.lua", line, cases[i].message);
        assert_int_equal(app.errors.count, 1);
    }
    app_deinit(&app);
}

static void all_mistakes_are_found_each_on_its_line(void **state) {
    (void)state;
    struct app app;
    app_init(&app);
    app_file(&app, "broker.lua",
             "local size = 0\nreturn {\n  queue = {\n    size = size,\n  },\n"
             "  limits = {\n    -- size = 5\n    mesages = {},\n"
             "    ['violations'] = 'x',\n  },\n  wrkers = 2,\n}");
    app_must_fail(&app, "broker.lua", 4, "queue.size: expected");
    assert_true(app_has_error(&app, "broker.lua", 8, "did you mean 'messages'?"));
    assert_true(app_has_error(&app, "broker.lua", 9, "limits.violations: expected"));
    assert_true(app_has_error(&app, "broker.lua", 11, "did you mean 'workers'?"));
    assert_int_equal(app.errors.count, 4);
    app_deinit(&app);
}

static void overrides_win_and_are_checked(void **state) {
    (void)state;
    struct app app;
    app_init(&app);
    broker(&app, "limits = { connections_per_ip = 5, violations = 3 }");
    static const char *const good[] = {
        "limits.connections_per_ip=2",   "listen=0.0.0.0:9000",
        "heartbeat.interval=0.5",        "script.jit=true",
        "queue.overflow=drop_newest",    "limits.messages={ rate = 7, burst = 9 }",
        "trusted_proxies={'10.0.0.0/8'}"};
    app.how.override_count = sizeof good / sizeof *good;
    app.how.overrides = good;
    app_must_load(&app);
    const struct tw_settings *s = settings_of(&app);
    assert_int_equal(s->limits.connections_per_ip, 2);
    assert_int_equal(s->limits.violations, 3);
    assert_string_equal(s->listen[0], "0.0.0.0:9000");
    assert_int_equal(s->heartbeat_interval_ms, 500);
    assert_true(s->script_jit);
    assert_int_equal(s->queue.overflow, TW_DROP_NEWEST);
    assert_true(s->limits.messages.rate == 7 && s->limits.messages.burst == 9);
    assert_int_equal(s->trusted_proxy_count, 1);

    static const char *const bad[][2] = {
        {"limits.connections_per_ip=two", "limits.connections_per_ip: expected a whole number from "
                                          "0 to 4294967295, got the text \"two\""},
        {"limits.conections=2", "limits.conections: unknown key; did you mean 'connections'?"},
        {"workers.x=2", "workers: expected \"auto\""},
        {"workers", "workers: expected KEY=VALUE"},
        {"=1", "expected KEY=VALUE"},
        {"limits={", "limits: not a table literal"},
        {"limits={ violations = os.time() }", "limits: not a table literal"},
        {"limits.violations.x=1", "there is a value that is not a table on the way"},
        {"listen=", "listen: expected an address"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        app.how.override_count = 1;
        app.how.overrides = &bad[i][0];
        app_must_fail(&app, "-D", 0, bad[i][1]);
    }
    app_deinit(&app);
}

static void what_is_no_table_is_said(void **state) {
    (void)state;
    struct app app;
    app_init(&app);
    app_file(&app, "broker.lua", "return 5");
    app_must_fail(&app, "broker.lua", 0, "expected that the file returns a table of settings");
    app_file(&app, "broker.lua", "local x = 1");
    app_must_fail(&app, "broker.lua", 0, "expected that the file returns a table of settings");
    app_deinit(&app);
}

/* STYLE 21, for settings: each has its line in the stub, and the stub has no others. */
static void each_setting_is_in_the_stub(void **state) {
    (void)state;
    FILE *file = fopen("scripts/tidewire/meta/settings.lua", "rb");
    assert_non_null(file);
    static char text[32768];
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    fclose(file);
    size_t count = 0, stubbed = 0;
    for (const char *path; (path = tw_read_settings_path(count)); count++) {
        char *wanted = tw_format("`%s`", path);
        if (!strstr(text, wanted)) fail_msg("%s has no stub", path);
        tw_free(wanted);
    }
    /* Each leaf's docstring begins with its path in backquotes. */
    for (const char *at = text; (at = strstr(at, "\n---`")); at++)
        stubbed++;
    assert_int_equal(stubbed, count);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        SCRIPT_TEST(without_a_word_it_is_the_defaults),
        SCRIPT_TEST(every_key_is_read),
        SCRIPT_TEST(each_key_says_what_it_expects),
        SCRIPT_TEST(all_mistakes_are_found_each_on_its_line),
        SCRIPT_TEST(overrides_win_and_are_checked),
        SCRIPT_TEST(what_is_no_table_is_said),
        SCRIPT_TEST(each_setting_is_in_the_stub),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
