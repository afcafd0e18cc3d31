/* What a handler can do to last for ever, and that it does not: stage 1 ends it by an error, stage
 * 2 together with its VM, which is then built anew. Deadlines here are short; nothing asserts how
 * long anything took. */
#include "script_support.h"

#include "script/guard.h"

static const char *const hostile[] = {
    "while true do end",
    "pcall(function() while true do end end) while true do pcall(function() while true do end end) "
    "end",
    "while true do pcall(pcall, error) end",
    "coroutine.wrap(function() while true do end end)()",
    "xpcall(function() error('x') end, function() while true do end end)",
    "return setmetatable({}, { __index = function() while true do end end }).x",
    "table.sort({ 1, 2, 3, 4, 5, 6, 7, 8 }, function() while true do end end)",
    "string.gsub(('x'):rep(100), 'x', function() while true do end end)",
    "string.find(('a'):rep(30000) .. 'b', ('a*'):rep(30) .. 'c')",
    "local s = 'x' while true do s = s .. s end",
    "local t = {} while true do t[#t + 1] = {} end",
    "local function f() return f() + 1 end f()",
    "local function f() pcall(f) f() end f()",
    "error(setmetatable({}, { __tostring = function() while true do end end }))",
    "error(nil)",
    "return ('x'):rep(1e9)",
    "local t = {} for i = 1, 1e9 do t[i] = coroutine.create(function() end) end",
    "while true do local x = ('x'):rep(1000) end",
    "local t = {} while true do t[1] = tostring(math.random()) end",
};

/* An app with one channel for each hostile script, and a peaceful one that counts. */
static void hostile_app(struct app *app, const char *jit) {
    app_init(app);
    app_file(app, "broker.lua", "return { script = { deadline = 0.02, memory = 16777216 } }");
    app->overrides[0] = jit;
    app->how.override_count = 1;
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
        char name[40];
        snprintf(name, sizeof name, "channels/hostile%02zu.lua", i);
        char *text = tw_format("return { transform = function(message)\n%s\nend }", hostile[i]);
        app_file(app, name, text);
        tw_free(text);
    }
    app_file(app, "channels/peaceful.lua",
             "return { init = function(channel) channel.state.n = 0 end,\n"
             "transform = function(message, channel)\n"
             "channel.state.n = channel.state.n + 1\n"
             "message.data.n = channel.state.n\n"
             "return message end }");
    app_must_load(app);
}

static int transform(struct app *app, struct tw_channel *channel, const char *payload,
                     struct tw_failure *failure, char *result, size_t size) {
    struct tw_effects effects = {0};
    struct tw_message *message = message_of(payload);
    int status = tw_script_hooks.transform(app->vms[0], channel, NULL, &message, &effects, failure);
    snprintf(result, size, "%.*s", TW_STR_ARG(tw_message_text(message)));
    tw_message_unref(&message);
    tw_effects_deinit(&effects);
    return status;
}

static struct tw_channel *open_channel(struct app *app, const char *text) {
    struct tw_failure failure;
    struct tw_effects effects = {0};
    struct tw_channel *channel = channel_of(app, text);
    assert_int_equal(tw_script_hooks.open(app->vms[0], channel, &effects, &failure), 0);
    tw_effects_deinit(&effects);
    return channel;
}

/* As the hub does it. */
static void reopen_if_new(struct app *app, struct tw_channel *channel, unsigned *incarnation) {
    struct tw_failure failure;
    struct tw_effects effects = {0};
    if (tw_script_hooks.incarnation(app->vms[0]) == *incarnation) return;
    *incarnation = tw_script_hooks.incarnation(app->vms[0]);
    channel->script = NULL;
    assert_int_equal(tw_script_hooks.open(app->vms[0], channel, &effects, &failure), 0);
    tw_effects_deinit(&effects);
}

static void every_hostile_handler_ends(const char *jit, int rounds) {
    struct app app;
    char result[256];
    unsigned incarnation = 0;
    hostile_app(&app, jit);
    struct tw_channel *peaceful = open_channel(&app, "peaceful");
    size_t most = 0;
    for (int round = 0; round < rounds; round++) {
        for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
            char name[40];
            struct tw_failure failure;
            snprintf(name, sizeof name, "hostile%02zu", i);
            struct tw_channel *channel = open_channel(&app, name);
            reopen_if_new(&app, channel, &incarnation);
            assert_int_equal(transform(&app, channel, "{}", &failure, result, sizeof result),
                             TW_ESCRIPT);
            assert_string_equal(failure.hook, "transform");
            assert_true(strlen(failure.message) > 0);
            tw_channel_free(channel);
            unsigned before = incarnation;
            reopen_if_new(&app, peaceful, &incarnation);
            assert_int_equal(transform(&app, peaceful, "{}", &failure, result, sizeof result), 0);
            if (before != incarnation) assert_string_equal(result, "{\"n\":1}");
            if (tw_vm_memory(app.vms[0]) > most) most = tw_vm_memory(app.vms[0]);
        }
    }
    assert_true(most < 17u << 20);
    tw_channel_free(peaceful);
    app_deinit(&app);
}

static void hostile_handlers_end_without_jit(void **state) {
    (void)state;
    every_hostile_handler_ends("script.jit=false", 3);
}

static void hostile_handlers_end_with_jit(void **state) {
    (void)state;
    every_hostile_handler_ends("script.jit=true", 3);
}

/* string.find listens to no hook, so this one is killed. */
static void a_killed_handler_says_so(void **state) {
    struct app app;
    struct tw_failure failure;
    char result[256];
    (void)state;
    hostile_app(&app, "script.jit=false");
    struct tw_channel *channel = open_channel(&app, "hostile08");
    assert_int_equal(transform(&app, channel, "{}", &failure, result, sizeof result), TW_ESCRIPT);
    assert_string_equal(failure.script, "channels/hostile08.lua");
    assert_non_null(strstr(failure.message, "killed"));
    assert_true(was_logged("hook failed channel=hostile08 hook=transform"));
    assert_int_equal(tw_script_hooks.incarnation(app.vms[0]), 1);
    tw_channel_free(channel);
    app_deinit(&app);
}

static void an_app_that_loops_at_load_does_not_load(void **state) {
    struct app app;
    (void)state;
    app_init(&app);
    app_file(&app, "broker.lua", "return { script = { deadline = 0.01 } }");
    app_file(&app, "channels/a.lua", "while true do end\nreturn {}");
    app_must_fail(&app, "channels/a.lua", 1, "deadline");
    app_file(&app, "channels/a.lua",
             "string.find(('a'):rep(30000) .. 'b', ('a*'):rep(30) .. 'c')\nreturn {}");
    assert_int_equal(app_load(&app, 1), TW_ELOAD);
    assert_non_null(strstr(app.errors.items[0].message, "killed"));
    app_deinit(&app);
}

static void wait_for_nap(void) {
    for (int i = 0; i < 6000 && !tw_guard_is_napping(); i++)
        usleep(5000);
    assert_true(tw_guard_is_napping());
}

/* Between the end of a nap and the next a call may wake nobody; so there are some tries. */
static void a_call_wakes_the_watchdog(void **state) {
    struct app app;
    struct tw_failure failure;
    char result[256];
    bool is_awake = false;
    (void)state;
    hostile_app(&app, "script.jit=false");
    struct tw_channel *peaceful = open_channel(&app, "peaceful");
    struct tw_channel *channel = open_channel(&app, "hostile00");
    for (int i = 0; i < 5 && !is_awake; i++) {
        wait_for_nap();
        assert_int_equal(transform(&app, peaceful, "{}", &failure, result, sizeof result), 0);
        is_awake = !tw_guard_is_napping();
    }
    assert_true(is_awake);
    wait_for_nap();
    assert_int_equal(transform(&app, channel, "{}", &failure, result, sizeof result), TW_ESCRIPT);
    tw_channel_free(channel);
    tw_channel_free(peaceful);
    app_deinit(&app);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        SCRIPT_TEST(hostile_handlers_end_without_jit),
        SCRIPT_TEST(hostile_handlers_end_with_jit),
        SCRIPT_TEST(a_killed_handler_says_so),
        SCRIPT_TEST(an_app_that_loops_at_load_does_not_load),
        SCRIPT_TEST(a_call_wakes_the_watchdog),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
