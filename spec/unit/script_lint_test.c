/* Where in a source a mistake is; what the lint can and cannot look at. */
#include "script_support.h"

#include "script/where.h"

static void columns_are_found_by_what_messages_say(void **state) {
    (void)state;
    static const struct {
        const char *line, *message;
        int column, length;
    } cases[] = {
        {"  limits = { mesages = 1 }", "limits.mesages: unknown key; did you mean 'messages'?", 14,
         7},
        {"  a.b, b = 1", "b: unknown key", 5, 1},
        {"ab = b", "b: unknown key", 6, 1},
        {"listen = { 1 }", "listen[1]: expected a text", 1, 6},
        {"x = = 1", "unexpected symbol near '='", 3, 1},
        {"s = \"abc", "unfinished string near '\"abc'", 5, 4},
        {"f('')", "unexpected symbol near '''", 3, 1},
        {"  local x = a.nothing.b", "attempt to index field 'nothing' (a nil value)", 15, 7},
        {"\t\tfoo()", "nothing is quoted", 3, 1},
        {"  foo()", "not 'here'", 3, 1},
        {"  foo()", "", 3, 1},
        {"  foo()", "'", 3, 1},
        {"  foo()", "near '", 3, 1},
        {"  foo()", ": ", 3, 1},
        {"", "x: y", 1, 1},
        {"   ", "x: y", 1, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text = tw_format("first\n%s\nlast", cases[i].line);
        int length = 0;
        int column = tw_where_column(tw_str_of(text), 2, cases[i].message, &length);
        if (column != cases[i].column || length != cases[i].length)
            fail_msg("%s / %s: %d, %d", cases[i].line, cases[i].message, column, length);
        tw_free(text);
    }
}

static void lines_are_found(void **state) {
    (void)state;
    struct tw_str text = TW_STR("one\r\n\nthree");
    int length;
    assert_text(tw_where_line(text, 1), "one");
    assert_text(tw_where_line(text, 2), "");
    assert_text(tw_where_line(text, 3), "three");
    assert_text(tw_where_line(text, 4), "");
    assert_text(tw_where_line(text, 0), "");
    assert_text(tw_where_line(TW_STR(""), 1), "");
    assert_int_equal(tw_where_column(text, 0, "x: y", &length), 0);
    assert_int_equal(tw_where_column(text, 9, "x: y", &length), 1);
}

static size_t lint(struct app *app, struct tw_load_errors *warnings) {
    char *why = NULL;
    *warnings = (struct tw_load_errors){0};
    app_must_load(app);
    assert_int_equal(tw_vm_lint(app->vms[0], TW_SCRIPTS_DIR, warnings, &why), 0);
    assert_null(why);
    return warnings->count;
}

static void only_files_that_were_loaded_are_looked_at(void **state) {
    (void)state;
    struct app app;
    struct tw_load_errors warnings;
    app_init(&app);
    app_file(&app, "channels/market.lua",
             "#! a first line\n"
             "local text = tidewire.file('notes.lua')\n"
             "return { transform = #text > 0 and require 'lib.b', on_subscribe = print }");
    app_file(&app, "notes.lua", "x = = this is no Lua");
    app_file(&app, "lib/b.lua", "y = 1 return function(m) return m end");
    app_file(&app, "lib/unused.lua", "z = 1");
    assert_int_equal(lint(&app, &warnings), 1);
    assert_string_equal(warnings.items[0].file, "lib/b.lua");
    assert_int_equal(warnings.items[0].line, 1);
    assert_int_equal(warnings.items[0].column, 1);
    tw_load_errors_deinit(&warnings);
    app_deinit(&app);
}

static void functions_on_one_line_are_not_confused(void **state) {
    (void)state;
    struct app app;
    struct tw_load_errors warnings;
    app_init(&app);
    app_file(&app, "channels/market.lua",
             "return { init = function() end, transform = function(m) return m end }");
    assert_int_equal(lint(&app, &warnings), 0);
    tw_load_errors_deinit(&warnings);
    app_deinit(&app);
}

static void looking_runs_nothing_and_leaves_the_vm_alone(void **state) {
    (void)state;
    struct stage stage;
    struct tw_load_errors warnings;
    memset(&stage, 0, sizeof stage);
    app_init(&stage.app);
    app_file(&stage.app, "channels/market.lua",
             "print 'ran'\n"
             "return { transform = function(m) m.data.x = #tostring(print) > 0 return m end }");
    assert_int_equal(lint(&stage.app, &warnings), 0);
    logged[0] = 0;
    char *why;
    assert_int_equal(tw_vm_lint(stage.app.vms[0], TW_SCRIPTS_DIR, &warnings, &why), 0);
    assert_false(was_logged("ran"));
    stage.vm = stage.app.vms[0];
    stage.channel = channel_of(&stage.app, "market");
    stage.client = identity_of("alice", "{}");
    assert_int_equal(transformed(&stage, "{}", "{\"x\":true}"), 0);
    stage_deinit(&stage);
}

static void without_its_scripts_it_says_so(void **state) {
    (void)state;
    struct app app;
    struct tw_load_errors warnings = {0};
    char *why = NULL;
    app_init(&app);
    app_file(&app, "channels/market.lua", "return {}");
    app_must_load(&app);
    assert_int_equal(tw_vm_lint(app.vms[0], "/nonexistent", &warnings, &why), TW_ESCRIPT);
    assert_non_null(strstr(why, "module 'tidewire.check.lint' not found"));
    assert_int_equal(warnings.count, 0);
    tw_free(why);
    app_deinit(&app);
}

static void assert_given(const struct app *app, size_t i, const char *path, const char *value) {
    assert_true(i < app->generation->given_count);
    assert_string_equal(app->generation->given[i].path, path);
    assert_string_equal(app->generation->given[i].value, value);
}

static void settings_that_differ_are_noted(void **state) {
    (void)state;
    struct app app;
    app_init(&app);
    app_file(
        &app, "broker.lua",
        "return { listen = '127.0.0.1:8080', queue = { size = 256, overflow = 'drop_newest' },\n"
        "  heartbeat = { interval = 1.5 }, script = { jit = true, memory = 67108864 },\n"
        "  allowed_origins = { 'https://a.example' }, reject_with = 'http' }");
    app_must_load(&app);
    assert_int_equal(app.generation->given_count, 4);
    assert_given(&app, 0, "heartbeat.interval", "1.5");
    assert_given(&app, 1, "queue.overflow", "\"drop_newest\"");
    assert_given(&app, 2, "allowed_origins", "[\"https://a.example\"]");
    assert_given(&app, 3, "script.jit", "true");
    app.overrides[app.how.override_count++] = "queue.overflow=drop_oldest";
    app.overrides[app.how.override_count++] = "listen=unix:/tmp/\xFF";
    app_must_load(&app);
    assert_int_equal(app.generation->given_count, 4);
    assert_given(&app, 0, "listen", "\"?\"");
    assert_given(&app, 3, "script.jit", "true");
    app_deinit(&app);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        SCRIPT_TEST(columns_are_found_by_what_messages_say),
        SCRIPT_TEST(lines_are_found),
        SCRIPT_TEST(only_files_that_were_loaded_are_looked_at),
        SCRIPT_TEST(functions_on_one_line_are_not_confused),
        SCRIPT_TEST(looking_runs_nothing_and_leaves_the_vm_alone),
        SCRIPT_TEST(without_its_scripts_it_says_so),
        SCRIPT_TEST(settings_that_differ_are_noted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
