/* A channel's state moves to the next generation: as it is, through migrate, or not at all. */
#include "script/vm.h"
#include "script_support.h"

/* The stage is loaded anew with `text`; what it was before stays in `old`. */
static void reload(struct stage *stage, const char *text, struct tw_vm **old,
                   struct tw_generation **old_generation) {
    *old = stage->app.vms[0];
    *old_generation = tw_generation_ref(stage->app.generation);
    stage->app.vm_count = 0;
    app_file(&stage->app, "channels/market.lua", text);
    app_must_load(&stage->app);
    stage->vm = stage->app.vms[0];
    assert_true(tw_channel_bind(stage->channel, stage->app.generation));
}

static int carry(struct stage *stage, const char *text) {
    struct tw_vm *old;
    struct tw_generation *old_generation;
    reload(stage, text, &old, &old_generation);
    int status = tw_script_hooks.save(old, stage->channel, &stage->failure);
    tw_vm_free(old); /* nothing of it is needed any more */
    stage->channel->carried_from = 7;
    struct tw_failure other;
    bool is_saved = status == 0;
    if (is_saved)
        status = tw_script_hooks.carry(stage->vm, stage->channel, &stage->effects, &stage->failure);
    else
        tw_script_hooks.open(stage->vm, stage->channel, &stage->effects, &other);
    tw_buf_deinit(&stage->channel->carried);
    tw_generation_unref(&old_generation);
    return status;
}

#define SHOW "transform = function(m, c) m.data = c.state return m end"

static void begin(struct stage *stage, const char *fill) {
    char *text =
        tw_format("return { init = function(channel) local state = channel.state %s end }", fill);
    stage_init(stage, text);
    tw_free(text);
    assert_int_equal(stage_open(stage), 0);
}

static void plain_data_is_carried(void **state) {
    (void)state;
    struct stage stage;
    begin(&stage, "state.a = { 1, 2.5, 'x\\0y', true, false, tidewire.json.null } "
                  "state.e = tidewire.json.array() state.o = {} "
                  "state[1], state[2.5], state[true] = 'one', 'two and a half', 'yes' "
                  "state.big = ('x'):rep(100000) state.n = 0.1 ");
    assert_int_equal(carry(&stage, "return { init = function(c) c.state.new = true end,\n"
                                   "transform = function(m, c) local s = c.state\n"
                                   "assert(s.a[1] == 1 and s.a[2] == 2.5 and s.a[3] == 'x\\0y')\n"
                                   "assert(s.a[4] == true and s.a[5] == false)\n"
                                   "assert(s.a[6] == tidewire.json.null and s.n == 0.1)\n"
                                   "assert(s[1] == 'one' and s[2.5] and s[true] == 'yes')\n"
                                   "assert(#s.big == 100000 and not s.new)\n"
                                   "m.data = { s.e, s.o } return m end }"),
                     0);
    assert_int_equal(transformed(&stage, "1", "[[],{}]"), 0);
    stage_deinit(&stage);
}

static void shared_tables_stay_shared(void **state) {
    (void)state;
    struct stage stage;
    begin(&stage, "local t = { 1 } state.a, state.b, state.c = t, { t }, { x = { y = t } }");
    assert_int_equal(carry(&stage, "return { transform = function(m, c) local s = c.state\n"
                                   "assert(s.a == s.b[1] and s.a == s.c.x.y and s.a[1] == 1)\n"
                                   "return m end }"),
                     0);
    assert_int_equal(transformed(&stage, "1", "1"), 0);
    stage_deinit(&stage);
}

static void migrate_makes_the_new_state(void **state) {
    (void)state;
    struct stage stage;
    begin(&stage, "state.n = 1");
    assert_int_equal(carry(&stage, "return { " SHOW ", migrate = function(old, generation)\n"
                                   "  tidewire.publish('log', generation)\n"
                                   "  return { n = old.n + 1, from = generation } end }"),
                     0);
    assert_int_equal(transformed(&stage, "1", "{\"from\":7,\"n\":2}"), 0);
    assert_int_equal(stage.effects.count, 1);
    stage_deinit(&stage);
}

static void a_failing_migrate_begins_anew(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"error('no')", "no"},
        {"return 5", "migrate of market returned 5; return the new state, a table"},
        {"", "migrate of market returned nil; return the new state, a table"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct stage stage;
        begin(&stage, "state.n = 1");
        char *text = tw_format("return { " SHOW ",\n init = function(c) c.state.new = 1 end,\n"
                               "migrate = function(old) old.n = 2 %s end }",
                               cases[i][0]);
        assert_int_equal(carry(&stage, text), TW_ESCRIPT);
        tw_free(text);
        assert_string_equal(stage.failure.hook, "migrate");
        assert_string_equal(stage.failure.script, "channels/market.lua");
        assert_int_equal(stage.failure.line, 3);
        assert_non_null(strstr(stage.failure.message, cases[i][1]));
        assert_true(was_logged("hook failed channel=market hook=migrate"));
        assert_int_equal(transformed(&stage, "1", "{\"new\":1}"), 0);
        stage_deinit(&stage);
    }
}

static void what_is_not_plain_is_refused_with_its_path(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"state.handlers = { 1, 2, print }", "state.handlers[3] is a function"},
        {"state.a = { ['b c'] = { d = coroutine.create(print) } }",
         "state.a[\"b c\"].d is a thread"},
        {"state.c = channel", "state.c is a userdata"},
        {"state[print] = 1", "state has a function as a key"},
        {"state.x = { [{}] = 1 }", "state.x has a table as a key"},
        {"state.a = { b = state }", "state.a.b contains itself"},
        {"state.object = setmetatable({}, {})", "state.object is a table with a metatable"},
        {"local t = state for i = 1, 128 do t.t = {} t = t.t end", "is nested too deep"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct stage stage;
        begin(&stage, cases[i][0]);
        assert_int_equal(carry(&stage, "return { " SHOW ", migrate = function(s) return s end,\n"
                                       " init = function(c) c.state.new = 1 end }"),
                         TW_ESCRIPT);
        if (!strstr(stage.failure.message, cases[i][1])) {
            fail_msg("got %s, wanted %s", stage.failure.message, cases[i][1]);
        }
        assert_true(was_logged("error script state not carried over channel=market error=state"));
        assert_int_equal(transformed(&stage, "1", "{\"new\":1}"), 0);
        stage_deinit(&stage);
    }
}

static void the_whole_state_can_be_replaced(void **state) {
    (void)state;
    struct stage stage;
    begin(&stage, "channel.state = { fresh = 1 } assert(channel.state.fresh == 1) "
                  "assert(not pcall(function() channel.state = 5 end)) "
                  "assert(not pcall(function() channel.name = 'x' end))");
    assert_int_equal(carry(&stage, "return { " SHOW " }"), 0);
    assert_int_equal(transformed(&stage, "1", "{\"fresh\":1}"), 0);
    stage_deinit(&stage);
}

static void too_much_for_the_new_vm_begins_anew(void **state) {
    (void)state;
    struct stage stage;
    begin(&stage, "state.t = {} for i = 1, 30000 do state.t[i] = { i } end");
    app_file(&stage.app, "broker.lua", "return { script = { memory = 1500000 } }");
    assert_int_equal(carry(&stage, "return { " SHOW " }"), TW_ESCRIPT);
    assert_non_null(strstr(stage.failure.message, "not enough memory"));
    assert_int_equal(transformed(&stage, "1", "{}"), 0);
    stage_deinit(&stage);
}

/* The VM, which holds or gets the states of others, lives on. */
static void what_takes_too_long_to_copy_costs_itself_alone(void **state) {
    (void)state;
    static const char large[] = "for i = 1, 400000 do state[i] = i end";
    for (int is_read = 0; is_read < 2; is_read++) {
        struct stage stage;
        struct tw_vm *old;
        struct tw_generation *old_generation;
        begin(&stage, large);
        reload(&stage, "return { " SHOW " }", &old, &old_generation);
        struct tw_vm *new = stage.vm, *late = is_read ? new : old;
        old->deadline_ms = new->deadline_ms = 10000;
        late->deadline_ms = 1;
        int status = tw_script_hooks.save(old, stage.channel, &stage.failure);
        if (is_read) {
            assert_int_equal(status, 0);
            status = tw_script_hooks.carry(stage.vm, stage.channel, &stage.effects, &stage.failure);
        }
        assert_int_equal(status, TW_ESCRIPT);
        if (!strstr(stage.failure.message, "takes longer than script.deadline"))
            fail_msg("%s", stage.failure.message);
        assert_false(late->is_dead);
        assert_int_equal(late->incarnation, 0);
        late->deadline_ms = 10000;
        if (!is_read) tw_script_hooks.open(stage.vm, stage.channel, &stage.effects, &stage.failure);
        assert_int_equal(transformed(&stage, "1", "{}"), 0);
        tw_vm_free(old);
        tw_generation_unref(&old_generation);
        stage_deinit(&stage);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        SCRIPT_TEST(plain_data_is_carried),
        SCRIPT_TEST(shared_tables_stay_shared),
        SCRIPT_TEST(migrate_makes_the_new_state),
        SCRIPT_TEST(a_failing_migrate_begins_anew),
        SCRIPT_TEST(what_is_not_plain_is_refused_with_its_path),
        SCRIPT_TEST(the_whole_state_can_be_replaced),
        SCRIPT_TEST(too_much_for_the_new_vm_begins_anew),
        SCRIPT_TEST(what_takes_too_long_to_copy_costs_itself_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
