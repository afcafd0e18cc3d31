/* script_revive_test.c: a killed VM whose files do not load any more: what each hook says, and when
 * it is tried again. Time is a number; the files load before 100 and from 1000 on. */
#include "script_support.h"

#include "script/revive.h"

static double now;

static double read_clock(void *data) {
    (void)data;
    return now;
}

#define BREAKS                                                                                     \
    "local tidewire = require 'tidewire'\n"                                                        \
    "if tidewire.now() >= 100 and tidewire.now() < 1000 then error 'not now' end\n"

static void dead_stage(struct stage *stage) {
    memset(stage, 0, sizeof *stage);
    now = 50;
    app_init(&stage->app);
    stage->app.how.clock.now = read_clock;
    app_file(&stage->app, "broker.lua", "return { script = { deadline = 0.01 } }");
    app_file(&stage->app, "auth.lua",
             BREAKS "return { auth = function(request) return { user = 'alice' } end,\n"
                    "on_expire = function(client) return 2000 end }");
    app_file(&stage->app, "channels/plain.lua", "return {}");
    app_file(&stage->app, "channels/market.lua",
             BREAKS
             "return { init = function(channel) channel.state.n = 1 end,\n"
             "queue = { overflow = 'conflate', key = function() return 'k' end },\n"
             "authorize = function() return true end,\n"
             "audience = function() return 'a' end, views = { a = function(m) return m end },\n"
             "on_subscribe = function() end, on_unsubscribe = function() end,\n"
             "tick = { every = 1, run = function() end },\n"
             "migrate = function(old) return old end,\n"
             "transform = function(message, channel)\n"
             "if message.data.die then string.find(('a'):rep(30000) .. 'b', ('a*'):rep(30) .. 'c') "
             "end\n"
             "channel.state.n = channel.state.n + 1\n"
             "message.data.n = channel.state.n return message end }");
    stage_load(stage);
    assert_int_equal(stage_open(stage), 0);
    now = 100;
    assert_int_equal(transformed(stage, "{\"die\":1}", ""), TW_ESCRIPT);
    assert_non_null(strstr(stage->failure.message, "killed"));
    assert_true(tw_vm_is_dead(stage->vm));
    assert_null(stage->channel->script);
}

static void refused(const struct stage *stage, int status) {
    assert_int_equal(status, TW_EUNLOADED);
    assert_string_equal(stage->failure.message, "not now");
    assert_string_equal(stage->failure.script, "auth.lua");
    assert_int_equal(stage->failure.line, 2);
    assert_in_range(stage->failure.retry_ms, 1, 32000);
    assert_int_equal(stage->effects.count, 0);
}

static void each_hook_that_the_app_has_refuses(void **state) {
    struct stage stage;
    const struct tw_hooks *hooks = &tw_script_hooks;
    struct tw_auth_request request = {.path = TW_STR("/ws/market"), .dialect = "raw"};
    struct tw_auth auth = {0};
    struct tw_message *message = message_of("{}"), *out;
    struct tw_buf text = {0};
    double expires = 0;
    (void)state;
    dead_stage(&stage);
    struct tw_channel *channel = stage.channel, *plain = channel_of(&stage.app, "plain");
    struct tw_identity *client = stage.client;
    struct tw_effects *effects = &stage.effects;
    struct tw_failure *failure = &stage.failure;
    void *vm = stage.vm;
    refused(&stage, hooks->auth(vm, &request, &auth, failure));
    refused(&stage, hooks->on_expire(vm, client, &expires, failure));
    refused(&stage, hooks->open(vm, channel, effects, failure));
    refused(&stage, hooks->authorize(vm, channel, client, TW_ACTION_SUBSCRIBE, failure));
    refused(&stage, hooks->transform(vm, channel, client, &message, effects, failure));
    refused(&stage, hooks->key(vm, channel, message, &text, failure));
    refused(&stage, hooks->on_subscribe(vm, channel, client, effects, failure));
    refused(&stage, hooks->on_unsubscribe(vm, channel, client, effects, failure));
    refused(&stage, hooks->tick(vm, channel, effects, failure));
    refused(&stage, hooks->audience(vm, channel, client, &text, failure));
    refused(&stage, hooks->view(vm, channel, 0, message, &out, failure));
    assert_null(out);
    assert_int_equal(hooks->save(vm, channel, failure), 0); /* the state is gone already */
    assert_int_equal(channel->carried.length, 0);
    tw_buf_append(&channel->carried, "x", 1);
    refused(&stage, hooks->carry(vm, channel, effects, failure));
    assert_int_equal(channel->carried.length, 1);
    assert_int_equal(hooks->next_timer_ms(vm, NULL), UINT64_MAX);
    hooks->close(vm, channel);
    /* What the app does not have decides nothing. */
    assert_int_equal(hooks->open(vm, plain, effects, failure), 0);
    assert_int_equal(hooks->authorize(vm, plain, client, TW_ACTION_SUBSCRIBE, failure), 0);
    assert_int_equal(hooks->transform(vm, plain, client, &message, effects, failure), 0);
    tw_channel_free(plain);
    tw_message_unref(&message);
    tw_buf_deinit(&text);
    tw_auth_deinit(&auth);
    stage_deinit(&stage);
}

static void it_is_tried_again_ever_more_rarely(void **state) {
    struct stage stage;
    (void)state;
    dead_stage(&stage);
    unsigned lines = 0;
    for (const char *at = logged; (at = strstr(at, "not loaded again")); at++)
        lines++;
    assert_int_equal(lines, 2); /* each file, and once */
    logged[0] = 0;
    static const double waits[] = {1, 2, 4, 8, 16, 32, 32, 32};
    for (size_t i = 0; i < sizeof waits / sizeof *waits; i++) {
        struct tw_failure failure;
        assert_int_equal(tw_vm_refuse(stage.vm, &failure), TW_EUNLOADED);
        assert_int_equal(failure.retry_ms, (uint64_t)(waits[i] * 1000));
        now += waits[i] - 0.5;
        assert_false(tw_vm_revive(stage.vm));
        tw_vm_refuse(stage.vm, &failure);
        assert_int_equal(failure.retry_ms, 500);
        now += 0.5;
        assert_false(tw_vm_revive(stage.vm));
    }
    assert_int_equal(tw_script_hooks.incarnation(stage.vm), 0);
    assert_string_equal(logged, "");
    now = 60; /* a clock that was set back makes nobody wait */
    assert_int_equal(tw_script_hooks.incarnation(stage.vm), 1);
    assert_true(was_logged("loaded again"));
    assert_false(tw_vm_is_dead(stage.vm));
    assert_int_equal(stage_open(&stage), 0);
    assert_int_equal(transformed(&stage, "{}", "{\"n\":2}"), 0);
    stage_deinit(&stage);
}

/* Only the hub, which then opens the channels, may bring a VM back: a hook would find the state of
 * another channel, or none. */
static void no_hook_of_a_channel_runs_before_the_channel_is_opened(void **state) {
    struct stage stage;
    (void)state;
    dead_stage(&stage);
    now = 1000;
    assert_int_equal(transformed(&stage, "{}", ""), TW_EUNLOADED);
    assert_int_equal(tw_script_hooks.save(stage.vm, stage.channel, &stage.failure), 0);
    assert_true(tw_vm_is_dead(stage.vm));
    assert_int_equal(tw_script_hooks.incarnation(stage.vm), 1);
    assert_int_equal(stage_open(&stage), 0);
    assert_int_equal(transformed(&stage, "{}", "{\"n\":2}"), 0);
    stage_deinit(&stage);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        SCRIPT_TEST(each_hook_that_the_app_has_refuses),
        SCRIPT_TEST(it_is_tried_again_ever_more_rarely),
        SCRIPT_TEST(no_hook_of_a_channel_runs_before_the_channel_is_opened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
