/* tidewire.shared and tidewire.metrics from Lua: values, misuse, bounds, what stays. */
#include "script_support.h"

static void shared_keeps_values(void **state) {
    (void)state;
    lua_is_good("local s = tidewire.shared "
                "assert(s.get('a') == nil) "
                "for _, value in ipairs { true, false, 0, -1.5, 2^53, '', 'x\\0y' } do "
                "  assert(s.set('a', value) == true) assert(s.get('a') == value) "
                "end "
                "assert(s.set('t', { list = { 1, { x = 'y' } }, empty = tidewire.json.array() })) "
                "local t = s.get('t') "
                "assert(t.list[2].x == 'y' and tidewire.json.encode(t.empty) == '[]') "
                "t.list[2].x = 'z' assert(s.get('t').list[2].x == 'y') "
                "assert(s.set('n', tidewire.json.null) and s.get('n') == tidewire.json.null) "
                "assert(s.add('a', 1) == false and s.get('a') == 'x\\0y') "
                "assert(s.delete('a') == true and s.delete('a') == false and s.add('a', 1)) "
                "assert(s.incr('a') == 2 and s.incr('a', -5) == -3 and s.incr('b', 1, 10) == 11) "
                "local sum, why, code = s.incr('t') "
                "assert(sum == nil and why == 'not a number' and code == -10004) "
                "assert(s.expire('a', 60) and s.expire('a') and not s.expire('zz', 1)) "
                "assert(table.concat(s.keys(), ' ') == 'a b n t') "
                "assert(#s.keys('t') == 1 and #s.keys('', 2) == 2 and #s.keys('x') == 0) "
                "assert(s.set('tab', 1) and table.concat(s.keys('t'), ' ') == 't tab')");
}

static void shared_says_what_is_wrong(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"tidewire.shared.get(5)", "string expected"},
        {"tidewire.shared.get('')", "a key is a text of 1 to 1024 bytes"},
        {"tidewire.shared.set(('k'):rep(1025), 1)", "a key is a text of 1 to 1024 bytes"},
        {"tidewire.shared.set('a')", "a value expected; delete(key) takes one away"},
        {"tidewire.shared.set('a', nil)", "a value expected"},
        {"tidewire.shared.set('a', print)", "value is a function, which JSON cannot hold"},
        {"tidewire.shared.add('a', { b = { print } })", "value.b[1] is a function"},
        {"tidewire.shared.set('a', client)", "value is a userdata"},
        {"tidewire.shared.set('a', 1, 0)", "seconds, more than 0"},
        {"tidewire.shared.set('a', 1, 0/0)", "seconds, more than 0"},
        {"tidewire.shared.set('a', 1, 'x')", "number expected"},
        {"tidewire.shared.expire('a', -1)", "seconds, more than 0"},
        {"tidewire.shared.incr('a', 'x')", "number expected"},
        {"tidewire.shared.incr('a', 1/0)", "a finite number"},
        {"tidewire.shared.keys(5)", "string expected"},
        {"tidewire.shared.keys('', -1)", "a whole number"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        lua_fails(cases[i][0], cases[i][1]);
}

static void loading_changes_nothing(void **state) {
    (void)state;
    static const char *const calls[] = {"shared.set('a', 1)",    "shared.add('a', 1)",
                                        "shared.incr('a')",      "shared.delete('a')",
                                        "shared.expire('a')",    "metrics.count('a')",
                                        "metrics.gauge('a', 1)", "metrics.observe('a', 1)"};
    struct app app;
    app_init(&app);
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        char *text = tw_format("assert(tidewire.shared.get('a') == nil)\n"
                               "assert(#tidewire.shared.keys() == 0)\n"
                               "tidewire.%s\nreturn {}",
                               calls[i]);
        app_file(&app, "channels/market.lua", text);
        app_must_fail(&app, "channels/market.lua", 3, "not while the app is loaded");
        tw_free(text);
    }
    app_deinit(&app);
}

static double virtual_now(void *data) {
    return *(double *)data;
}

/* One dictionary, whose owner is the test, for an app that is loaded again and again. */
static void shared_survives_loads_and_failures_and_obeys_the_clock(void **state) {
    (void)state;
    struct stage stage;
    double now = 5000;
    memset(&stage, 0, sizeof stage);
    app_init(&stage.app);
    stage.app.how.clock = (struct tw_script_clock){virtual_now, &now};
    struct tw_common *common = stage.app.how.common = tw_common_new(NULL, NULL);
    app_file(&stage.app, "channels/market.lua",
             "return { transform = function(m)\n"
             "  m.data = tidewire.shared.incr('n', 1, 0, 10)\n"
             "  tidewire.metrics.count('calls')\n"
             "  if m.data == 3 then error('the third') end\n"
             "  return m\n"
             "end }");
    stage_load(&stage);
    assert_int_equal(transformed(&stage, "1", "1"), 0);
    tw_channel_free(stage.channel);
    tw_identity_unref(&stage.client);
    stage_load(&stage); /* anew */
    assert_int_equal(transformed(&stage, "1", "2"), 0);
    assert_int_equal(transformed(&stage, "1", ""), TW_ESCRIPT);
    assert_int_equal(transformed(&stage, "1", "4"), 0); /* what it wrote stays */
    now = 5010;
    assert_int_equal(transformed(&stage, "1", "1"), 0);
    stage_deinit(&stage);
    struct tw_buf json = {0};
    tw_metrics_print_json(common->metrics, &json);
    assert_text((struct tw_str){json.data, json.length}, "{\"calls\":5}");
    tw_buf_deinit(&json);
    tw_common_unref(&common);
}

static void shared_refuses_when_full(void **state) {
    (void)state;
    struct stage stage;
    memset(&stage, 0, sizeof stage);
    app_init(&stage.app);
    struct tw_common *common = stage.app.how.common = tw_common_new(NULL, NULL);
    tw_shared_set_bound(common->shared, 10000);
    app_file(
        &stage.app, "channels/market.lua",
        "return { transform = function(m)\n"
        "  local s = tidewire.shared\n"
        "  assert(s.set('a', 'small'))\n"
        "  local ok, why, code = s.set('a', ('x'):rep(10000))\n"
        "  assert(ok == nil and why == 'full' and code == -10002)\n"
        "  assert(s.get('a') == 'small' and select(2, s.add('b', ('x'):rep(10000))) == 'full')\n"
        "  assert(s.set('c', ('x'):rep(9500)))\n"
        "  assert(select(2, s.incr('some new key' .. ('x'):rep(300))) == 'full')\n"
        "  return m\n"
        "end }");
    stage_load(&stage);
    assert_int_equal(transformed(&stage, "1", "1"), 0);
    stage_deinit(&stage);
    tw_common_unref(&common);
}

static void metrics_say_what_is_wrong(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"tidewire.metrics.count(5)", "string expected"},
        {"tidewire.metrics.count('a-b')", "a metric's name is made of letters"},
        {"tidewire.metrics.count('tidewire_x')", "does not begin with tidewire_"},
        {"tidewire.metrics.count('a', -1)", "a finite number, 0 or more"},
        {"tidewire.metrics.count('a', 0/0)", "a finite number, 0 or more"},
        {"tidewire.metrics.gauge('a')", "number expected"},
        {"tidewire.metrics.gauge('a', 1/0)", "a finite number"},
        {"tidewire.metrics.observe('a', -0.1)", "a finite number, 0 or more"},
        {"tidewire.metrics.count('a', 1, 5)", "table expected"},
        {"tidewire.metrics.count('a', 1, { 'x' })", "a label's name is made of letters"},
        {"tidewire.metrics.count('a', 1, { le = 'x' })", "a label's name is made of letters"},
        {"tidewire.metrics.count('a', 1, { __a = 'x' })", "a label's name is made of letters"},
        {"tidewire.metrics.count('a', 1, { a = {} })", "a label's value is a text, a number"},
        {"tidewire.metrics.count('a', 1, { a = '\\255' })", "at most 256 bytes of UTF-8"},
        {"tidewire.metrics.count('a', 1, { a = ('x'):rep(257) })", "at most 256 bytes"},
        {"local t = {} for i = 1, 17 do t['l' .. i] = i end tidewire.metrics.count('a', 1, t)",
         "more than 16 labels"},
        {"tidewire.metrics.count('a') tidewire.metrics.gauge('a', 1)",
         "tidewire.metrics.gauge: a is a metric of another kind already"},
        {"for i = 1, 1001 do tidewire.metrics.gauge('g', i, { i = i }) end",
         "there are 1000 series of metrics already"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        lua_fails(cases[i][0], cases[i][1]);
}

static void metrics_sort_their_labels(void **state) {
    (void)state;
    struct stage stage;
    memset(&stage, 0, sizeof stage);
    app_init(&stage.app);
    struct tw_common *common = stage.app.how.common = tw_common_new(NULL, NULL);
    app_file(&stage.app, "channels/market.lua",
             "return { transform = function(m)\n"
             "  local k = tidewire.metrics\n"
             "  k.count('n', 2, { b = 1.5, a = true, c = 'x\"y' })\n"
             "  k.count('n', nil, { c = 'x\"y', a = 'true', b = '1.5' })\n"
             "  k.gauge('g', -1, {}) k.observe('h', 0.2)\n"
             "  return m\n"
             "end }");
    stage_load(&stage);
    assert_int_equal(transformed(&stage, "1", "1"), 0);
    stage_deinit(&stage);
    struct tw_buf json = {0};
    tw_metrics_print_json(common->metrics, &json);
    assert_text((struct tw_str){json.data, json.length},
                "{\"n{a=\\\"true\\\",b=\\\"1.5\\\",c=\\\"x\\\\\\\"y\\\"}\":3,\"g\":-1,"
                "\"h\":{\"count\":1,\"sum\":0.2,\"buckets\":[[0.25,1]]}}");
    tw_buf_deinit(&json);
    tw_common_unref(&common);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        SCRIPT_TEST(shared_keeps_values),
        SCRIPT_TEST(shared_says_what_is_wrong),
        SCRIPT_TEST(loading_changes_nothing),
        SCRIPT_TEST(shared_survives_loads_and_failures_and_obeys_the_clock),
        SCRIPT_TEST(shared_refuses_when_full),
        SCRIPT_TEST(metrics_say_what_is_wrong),
        SCRIPT_TEST(metrics_sort_their_labels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
