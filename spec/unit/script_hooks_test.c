/* What the hub gets from each hook: good values, errors, nonsense. */
#include "script_support.h"

static void an_untouched_message_is_the_same_one(void **state) {
    (void)state;
    struct stage stage;
    stage_init(&stage,
               "return { transform = function(m, c) local _ = c.name, m.raw return m end }");
    assert_int_equal(stage_open(&stage), 0);
    struct tw_message *message = message_of("{ \"b\" : 1.50, \"a\" : [ ] }"), *before = message;
    assert_int_equal(stage_transform(&stage, &message), 0);
    assert_ptr_equal(message, before);
    tw_message_unref(&message);
    stage_deinit(&stage);
}

/* The hub lets no such payload in. Here it shows that nobody read it: to decode it is an error. */
static void an_untouched_message_is_not_decoded(void **state) {
    (void)state;
    struct stage stage;
    stage_init(&stage, "return {\n"
                       "  queue = { overflow = 'conflate', key = function(m) return #m.raw end },\n"
                       "  transform = function(m, c)\n"
                       "    if c.state.reads then local _ = m.data end\n"
                       "    local _ = m.channel, m.binary, m.raw\n"
                       "    return m\n"
                       "  end,\n"
                       "  migrate = function() return { reads = true } end,\n"
                       "}");
    assert_int_equal(stage_open(&stage), 0);
    struct tw_message *message = message_of("{ not JSON"), *before = message;
    struct tw_buf key = {0};
    assert_int_equal(stage_transform(&stage, &message), 0);
    assert_ptr_equal(message, before); /* nor was anything encoded */
    assert_int_equal(tw_script_hooks.key(stage.vm, stage.channel, message, &key, &stage.failure),
                     0);
    assert_text((struct tw_str){key.data, key.length}, "10");
    assert_int_equal(tw_script_hooks.save(stage.vm, stage.channel, &stage.failure), 0);
    assert_int_equal(tw_script_hooks.carry(stage.vm, stage.channel, &stage.effects, &stage.failure),
                     0);
    tw_buf_deinit(&stage.channel->carried);
    assert_int_equal(stage_transform(&stage, &message), TW_ESCRIPT);
    tw_buf_deinit(&key);
    tw_message_unref(&message);
    stage_deinit(&stage);
}

static void reading_a_plain_value_does_not_touch(void **state) {
    (void)state;
    struct stage stage;
    stage_init(&stage, "return { transform = function(m) assert(m.data == 1.5) return m end }");
    struct tw_message *message = message_of(" 1.50 "), *before = message;
    assert_int_equal(stage_transform(&stage, &message), 0);
    assert_ptr_equal(message, before);
    tw_message_unref(&message);
    stage_deinit(&stage);
}

static void a_touched_message_is_encoded_anew(void **state) {
    (void)state;
    struct stage stage;
    stage_init(&stage, "return { transform = function(m, c)\n"
                       "  m.data.change = m.data.price - (c.state.last or m.data.price)\n"
                       "  c.state.last = m.data.price\n"
                       "  return m end }");
    assert_int_equal(stage_open(&stage), 0);
    assert_int_equal(transformed(&stage, "{\"price\":10}", "{\"change\":0,\"price\":10}"), 0);
    assert_int_equal(transformed(&stage, "{\"price\":12.5,\"x\":[]}",
                                 "{\"change\":2.5,\"price\":12.5,\"x\":[]}"),
                     0);
    tw_script_hooks.close(stage.vm, stage.channel);
    assert_null(stage.channel->script);
    stage_deinit(&stage);
}

static void data_can_be_replaced(void **state) {
    (void)state;
    struct stage stage;
    stage_init(&stage, "return { transform = function(m) m.data = { n = m.data } return m end }");
    assert_int_equal(transformed(&stage, "7", "{\"n\":7}"), 0);
    stage_deinit(&stage);
    stage_init(&stage, "return { transform = function(m) m.data = nil return m end }");
    assert_int_equal(transformed(&stage, "7", "null"), 0);
    stage_deinit(&stage);
}

static void a_binary_message_has_no_data(void **state) {
    (void)state;
    struct stage stage;
    stage_init(&stage, "return { transform = function(m)\n"
                       "  assert(m.data == nil and m.binary and m.raw == '\\1\\0\\2')\n"
                       "  assert(m.channel == 'market') return m end }");
    struct tw_message *message = tw_message_try_new("\1\0\2", 3, true), *before = message;
    assert_int_equal(stage_transform(&stage, &message), 0);
    assert_ptr_equal(message, before);
    tw_message_unref(&message);
    stage_deinit(&stage);
}

static void nil_drops_and_effects_stay(void **state) {
    (void)state;
    struct stage stage;
    stage_init(&stage, "return { transform = function(m, c) c:publish {1} return nil end }");
    assert_int_equal(transformed(&stage, "1", ""), TW_EDROPPED);
    assert_int_equal(stage.effects.count, 1);
    assert_text(tw_message_text(stage.effects.items[0].message), "[1]");
    stage_deinit(&stage);
}

static void nothing_and_nonsense_are_errors(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"function(m) m.data = 1 end", "transform of market returned nothing; return the message"},
        {"function() return 5 end", "transform of market returned 5; return the message"},
        {"function() return false end", "returned false"},
        {"function() return {} end", "returned a table"},
        {"function(m, c) return c end", "returned a userdata"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct stage stage;
        char *text = tw_format("return {\n transform = %s }", cases[i][0]);
        stage_init(&stage, text);
        tw_free(text);
        assert_int_equal(transformed(&stage, "1", ""), TW_ESCRIPT);
        assert_non_null(strstr(stage.failure.message, cases[i][1]));
        assert_string_equal(stage.failure.hook, "transform");
        assert_string_equal(stage.failure.script, "channels/market.lua");
        assert_int_equal(stage.failure.line, 2); /* where the function begins */
        stage_deinit(&stage);
    }
}

static void an_error_has_no_effects_and_is_logged_with_its_place(void **state) {
    (void)state;
    struct stage stage;
    stage_init(&stage, "local function deep(x)\n  return x.a.b\nend\n"
                       "return { transform = function(m, c)\n"
                       "  c:publish { 1 }\n"
                       "  local y = deep {}\n  return m\nend }");
    assert_int_equal(tw_effects_try_publish(&stage.effects, TW_STR("x"), TW_STR("1"), false), 0);
    struct tw_message *message = message_of("{}"), *before = message;
    assert_int_equal(stage_transform(&stage, &message), TW_ESCRIPT);
    assert_ptr_equal(message, before);
    assert_int_equal(stage.effects.count, 1); /* what was there before */
    assert_string_equal(stage.failure.script, "channels/market.lua");
    assert_int_equal(stage.failure.line, 2);
    assert_string_equal(stage.failure.message, "attempt to index field 'a' (a nil value)");
    assert_true(was_logged("error script hook failed channel=market hook=transform "
                           "script=channels/market.lua:2 error=attempt to index"));
    assert_true(was_logged("\n    channels/market.lua:6: in the function of line 4"));
    tw_message_unref(&message);
    stage_deinit(&stage);
}

static void errors_of_every_kind_are_named(void **state) {
    (void)state;
    lua_fails("error()", "error(nil)");
    lua_fails("error(nil)", "error(nil)");
    lua_fails("error(12)", "12");
    lua_fails("error({})", "error(a table)");
    lua_fails("error(true)", "error(a boolean)");
    lua_fails("error(setmetatable({}, {__tostring = function() return 'own' end}))", "own");
    lua_fails("error(setmetatable({}, {__tostring = function() error('x') end}))",
              "error(a table)");
    lua_fails("error(setmetatable({}, {__tostring = function() return {} end}))", "error(a table)");
    lua_fails("error(setmetatable({}, {__tostring = 5}))", "error(a table)");
    lua_fails("error('plain', 0)", "plain");
    lua_fails("local function f() return 1 + f() end f()", "stack overflow");
    lua_fails("coroutine.yield(1)", "attempt to yield");
    lua_fails("local co = coroutine.wrap(function() error('inside') end) co()", "inside");
}

static void memory_has_a_cap_and_the_vm_lives_on(void **state) {
    (void)state;
    struct stage stage;
    memset(&stage, 0, sizeof stage);
    app_init(&stage.app);
    app_file(&stage.app, "broker.lua", "return { script = { memory = 4194304, deadline = 60 } }");
    app_file(&stage.app, "channels/market.lua",
             "local bombs = {\n"
             "  function() return string.rep('x', 1e8) end,\n"
             "  function() local t = {} for i = 1, 1e8 do t[i] = {} end end,\n"
             "  function() local s = 'x' while true do s = s .. s end end,\n"
             "  function(c) c.state.a = {} for i = 1, 1e8 do c.state.a[i] = {} end end,\n"
             "  function(c) local s = ('x'):rep(1e5) for i = 1, 1000 do c:publish(s) end end,\n"
             "  function(c) local t = {} for i = 1, 60 do t = {t, t} end c:publish(t) end,\n"
             "}\n"
             "return { transform = function(m, c)\n"
             "  if m.data.bomb then bombs[m.data.bomb](c) end\n"
             "  return m end }");
    stage_load(&stage);
    assert_int_equal(stage_open(&stage), 0);
    for (int round = 0; round < 3; round++) {
        for (int bomb = 1; bomb <= 6; bomb++) {
            char payload[40];
            snprintf(payload, sizeof payload, "{\"bomb\":%d}", bomb);
            assert_int_equal(transformed(&stage, payload, ""), TW_ESCRIPT);
            if (bomb < 5) assert_non_null(strstr(stage.failure.message, "not enough memory"));
            assert_string_equal(stage.failure.script, "channels/market.lua");
            assert_int_equal(stage.effects.count, 0);
            if (bomb == 4) { /* what a handler wrote into the state stays */
                tw_script_hooks.close(stage.vm, stage.channel);
                stage_open(&stage);
            }
            assert_int_equal(transformed(&stage, "{\"a\":1}", "{\"a\":1}"), 0);
            assert_true(tw_vm_memory(stage.vm) < 4194304);
        }
    }
    stage_deinit(&stage);
}

static void garbage_is_collected_before_the_cap(void **state) {
    (void)state;
    struct stage stage;
    memset(&stage, 0, sizeof stage);
    app_init(&stage.app);
    app_file(&stage.app, "broker.lua", "return { script = { memory = 4194304 } }");
    /* 2 MB stay; each message makes half a megabyte of garbage. */
    app_file(&stage.app, "channels/market.lua",
             "return { init = function(c) for i = 1, 20 do\n"
             "    c.state[i] = ('x'):rep(1e5) .. i end end,\n"
             "  transform = function(m, c)\n"
             "    for i = 1, 5 do local s = ('y'):rep(1e5) .. i .. c.state[1]:sub(1, 3) end\n"
             "    return m end }");
    stage_load(&stage);
    assert_int_equal(stage_open(&stage), 0);
    for (int i = 0; i < 200; i++)
        assert_int_equal(transformed(&stage, "1", "1"), 0);
    stage_deinit(&stage);
}

static void authorize_decides(void **state) {
    (void)state;
    struct stage stage;
    stage_init(&stage, "return { authorize = function(client, action, channel)\n"
                       "  local v = ({ subscribe = true, publish = false, history = 1 })[action]\n"
                       "  if client.user == 'eve' then return nil, 'not eve' end\n"
                       "  if channel.name ~= 'market' then error('other') end\n"
                       "  return v, 'because ' .. action end }");
    int (*ask)(void *, struct tw_channel *, struct tw_identity *, enum tw_action,
               struct tw_failure *) = tw_script_hooks.authorize;
    assert_int_equal(
        ask(stage.vm, stage.channel, stage.client, TW_ACTION_SUBSCRIBE, &stage.failure), 0);
    assert_int_equal(ask(stage.vm, stage.channel, stage.client, TW_ACTION_PUBLISH, &stage.failure),
                     TW_EREFUSED);
    assert_string_equal(stage.failure.message, "because publish");
    assert_int_equal(ask(stage.vm, stage.channel, stage.client, TW_ACTION_HISTORY, &stage.failure),
                     TW_ESCRIPT);
    assert_non_null(strstr(stage.failure.message, "authorize of market returned 1; return true"));
    assert_int_equal(ask(stage.vm, stage.channel, stage.client, TW_ACTION_PRESENCE, &stage.failure),
                     TW_EREFUSED);
    struct tw_identity *eve = identity_of("eve", "");
    assert_int_equal(ask(stage.vm, stage.channel, eve, TW_ACTION_SUBSCRIBE, &stage.failure),
                     TW_EREFUSED);
    assert_string_equal(stage.failure.message, "not eve");
    assert_int_equal(ask(stage.vm, stage.channel, NULL, TW_ACTION_PUBLISH, &stage.failure),
                     TW_ESCRIPT); /* client is nil */
    tw_identity_unref(&eve);
    stage_deinit(&stage);

    stage_init(&stage, "return {}");
    assert_int_equal(
        ask(stage.vm, stage.channel, stage.client, TW_ACTION_SUBSCRIBE, &stage.failure), 0);
    stage_deinit(&stage);
}

static void deciding_hooks_have_no_effects(void **state) {
    (void)state;
    struct stage stage;
    stage_init(&stage, "return { authorize = function(client) client:send(1) return true end,\n"
                       "queue = { key = function() require('tidewire').publish('x', 1) end } }");
    assert_int_equal(tw_script_hooks.authorize(stage.vm, stage.channel, stage.client,
                                               TW_ACTION_SUBSCRIBE, &stage.failure),
                     TW_ESCRIPT);
    assert_string_equal(stage.failure.message, "client:send: not in authorize, which only decides");
    struct tw_buf key = {0};
    struct tw_message *message = message_of("1");
    assert_int_equal(tw_script_hooks.key(stage.vm, stage.channel, message, &key, &stage.failure),
                     TW_ESCRIPT);
    tw_message_unref(&message);
    stage_deinit(&stage);
}

static int key_of(struct stage *stage, const char *payload, struct tw_buf *key) {
    struct tw_message *message = message_of(payload);
    int status = tw_script_hooks.key(stage->vm, stage->channel, message, key, &stage->failure);
    tw_message_unref(&message);
    return status;
}

static void a_key_is_a_text_or_a_number_or_none(void **state) {
    (void)state;
    struct stage stage;
    struct tw_buf key = {0};
    stage_init(&stage, "return { queue = { overflow = 'conflate',\n"
                       "  key = function(m) return m.data.k end } }");
    assert_true(stage.channel->definition->has_key);
    assert_null(stage.channel->definition->key_field);
    assert_int_equal(key_of(&stage, "{\"k\":\"MSFT\"}", &key), 0);
    assert_text((struct tw_str){key.data, key.length}, "MSFT");
    assert_int_equal(key_of(&stage, "{\"k\":1234567890123456}", &key), 0);
    assert_text((struct tw_str){key.data, key.length}, "1234567890123456");
    assert_int_equal(key_of(&stage, "{}", &key), 0);
    assert_int_equal(key.length, 0);
    assert_int_equal(key_of(&stage, "{\"k\":[]}", &key), TW_ESCRIPT);
    assert_string_equal(stage.failure.hook, "queue.key");
    tw_buf_deinit(&key);
    stage_deinit(&stage);
}

static void events_see_client_and_channel_and_have_effects(void **state) {
    (void)state;
    struct stage stage;
    stage_init(
        &stage,
        "local tw = require 'tidewire'\n"
        "return {\n"
        "  on_subscribe = function(client, channel)\n"
        "    assert(client.id == '0000000000000abc' and client.user == 'alice')\n"
        "    assert(client.claims.plan == 'pro' and client.ip == '1.2.3.4')\n"
        "    assert(client.claims == client.claims)\n"
        "    client:send { hello = channel.name, n = channel.subscribers, o = channel.offset }\n"
        "  end,\n"
        "  on_unsubscribe = function(client) client:disconnect()\n"
        "    client:disconnect(4001, 'bye') client:disconnect(1000) end,\n"
        "  tick = { every = 0.5, run = function(channel)\n"
        "    channel:publish { t = tw.now() > 1e9 } tw.publish('other', tw.json.null) end },\n"
        "}");
    assert_int_equal(stage.channel->definition->tick_ms, 500);
    stage.channel->subscribers = 3;
    stage.channel->offset = 9007199254740993u;
    assert_int_equal(tw_script_hooks.on_subscribe(stage.vm, stage.channel, stage.client,
                                                  &stage.effects, &stage.failure),
                     0);
    assert_int_equal(tw_script_hooks.on_unsubscribe(stage.vm, stage.channel, stage.client,
                                                    &stage.effects, &stage.failure),
                     0);
    assert_int_equal(tw_script_hooks.tick(stage.vm, stage.channel, &stage.effects, &stage.failure),
                     0);
    const struct tw_effect *effects = stage.effects.items;
    assert_int_equal(stage.effects.count, 6);
    assert_int_equal(effects[0].kind, TW_EFFECT_SEND);
    assert_text(tw_message_text(effects[0].message),
                "{\"hello\":\"market\",\"n\":3,\"o\":9007199254740992}");
    assert_int_equal(effects[1].code, 4403);
    assert_int_equal(effects[2].code, 4001);
    assert_string_equal(effects[2].reason, "bye");
    assert_int_equal(effects[3].code, 1000);
    assert_text(effects[4].channel->text, "market");
    assert_text(tw_message_text(effects[4].message), "{\"t\":true}");
    assert_text(effects[5].channel->text, "other");
    assert_text(tw_message_text(effects[5].message), "null");
    stage_deinit(&stage);
}

static void objects_die_with_their_handler(void **state) {
    (void)state;
    struct stage stage;
    stage_init(&stage,
               "local kept = {}\n"
               "return { transform = function(m, c, cl)\n"
               "  if m.data == 1 then kept = { m, c, cl } return m end\n"
               "  if m.data == 2 then return kept[1] end\n"
               "  local i = m.data - 2\n"
               "  return ({ function() return kept[1].raw end, function() kept[1].data = 1 end,\n"
               "    function() return kept[2].state end, function() kept[2]:publish(1) end,\n"
               "    function() return kept[3].claims end, function() kept[3]:send(1) end })[i]()\n"
               "end }");
    assert_int_equal(transformed(&stage, "1", "1"), 0);
    assert_int_equal(transformed(&stage, "2", ""), TW_ESCRIPT);
    static const char *const names[] = {"message", "message", "channel",
                                        "channel", "client",  "client"};
    for (int i = 0; i < 6; i++) {
        char payload[12], wanted[60];
        snprintf(payload, sizeof payload, "%d", i + 3);
        snprintf(wanted, sizeof wanted, "%s used after its handler ended", names[i]);
        assert_int_equal(transformed(&stage, payload, ""), TW_ESCRIPT);
        assert_string_equal(stage.failure.message, wanted);
    }
    stage_deinit(&stage);
}

static void init_makes_a_new_state(void **state) {
    (void)state;
    struct stage stage;
    stage_init(&stage, "return { init = function(c) c.state.n = 1 c:publish(1)\n"
                       "  if c.offset > 0 then error('no') end end,\n"
                       "  transform = function(m, c) m.data = c.state return m end }");
    assert_int_equal(stage_open(&stage), 0);
    assert_int_equal(stage.effects.count, 1);
    assert_int_equal(transformed(&stage, "1", "{\"n\":1}"), 0);
    stage.channel->offset = 1;
    assert_int_equal(stage_open(&stage), TW_ESCRIPT);
    assert_string_equal(stage.failure.hook, "init");
    assert_int_equal(stage.effects.count, 1);
    assert_int_equal(transformed(&stage, "1", "{}"), 0); /* empty, but there */
    stage_deinit(&stage);
}

static void a_state_that_nobody_looked_at_is_carried_and_takes_no_memory(void **state) {
    (void)state;
    struct stage stage;
    stage_init(&stage, "return {\n"
                       "  migrate = function(old, n) return { from = n, first = next(old) } end,\n"
                       "  transform = function(m, c) m.data = c.state return m end }");
    size_t before = tw_vm_memory(stage.vm);
    assert_int_equal(stage_open(&stage), 0);
    assert_int_equal(tw_vm_memory(stage.vm), before);
    assert_int_equal(tw_script_hooks.save(stage.vm, stage.channel, &stage.failure), 0);
    assert_true(stage.channel->carried.length > 0); /* else init would run, and not migrate */
    stage.channel->carried_from = 7;
    assert_int_equal(tw_script_hooks.carry(stage.vm, stage.channel, &stage.effects, &stage.failure),
                     0);
    tw_buf_deinit(&stage.channel->carried);
    assert_int_equal(transformed(&stage, "1", "{\"from\":7}"), 0);
    stage_deinit(&stage);
}

static void effects_are_bounded(void **state) {
    (void)state;
    struct stage stage;
    stage_init(&stage, "return { transform = function(m, c)\n"
                       "  for i = 1, m.data do c:publish(i) end return m end }");
    assert_int_equal(transformed(&stage, "10001", ""), TW_ESCRIPT);
    assert_non_null(strstr(stage.failure.message, "more than 10000 effects in one handler"));
    assert_int_equal(stage.effects.count, 0);
    assert_int_equal(transformed(&stage, "10000", "10000"), 0);
    assert_int_equal(stage.effects.count, 10000);
    stage_deinit(&stage);
}

/* Whichever allocation fails, the handler fails as a whole and the next one is well. */
static void each_allocation_may_fail(void **state) {
    (void)state;
    struct stage stage;
    stage_init(&stage, "return { init = function(c) c.state.list = {} end,\n"
                       "transform = function(m, c, client)\n"
                       "  m.data.x = { ('y'):rep(3000), client.claims, client.ip, c.params }\n"
                       "  c:publish(m.data) client:send { m.data } client:disconnect(4000, 'x')\n"
                       "  local t = {} for i = 1, 50 do t[i] = { i } end\n"
                       "  return m end }");
    assert_int_equal(stage_open(&stage), 0);
    int failures = 0, status = TW_ESCRIPT;
    for (long n = 1; status != 0; n++) {
        struct tw_message *message = message_of("{\"a\":[1,2,{\"b\":\"c\\n\"}]}"),
                          *before = message;
        tw_mem_fail_after(n);
        status = stage_transform(&stage, &message);
        tw_mem_fail_after(0);
        assert_true(n < 5000);
        if (status != 0) {
            failures++;
            assert_int_equal(status, TW_ESCRIPT);
            assert_ptr_equal(message, before);
            assert_int_equal(stage.effects.count, 0);
            assert_non_null(strstr(stage.failure.message, "not enough memory"));
        }
        tw_message_unref(&message);
    }
    assert_true(failures > 50);
    assert_int_equal(stage.effects.count, 3);
    /* And for a channel's birth and end. */
    for (long n = 1; n < 60; n++) {
        tw_script_hooks.close(stage.vm, stage.channel);
        tw_mem_fail_after(n);
        status = stage_open(&stage);
        tw_mem_fail_after(0);
        assert_true(status == 0 || status == TW_ESCRIPT);
        struct tw_message *message = message_of("{}");
        assert_int_equal(stage_transform(&stage, &message), 0);
        tw_message_unref(&message);
        tw_effects_rewind(&stage.effects, 0);
    }
    stage_deinit(&stage);
}

static void hot_loops_run_with_and_without_the_compiler(void **state) {
    (void)state;
    static const char *const settings[] = {"return { script = { jit = true } }",
                                           "return { script = { jit = false } }"};
    for (int i = 0; i < 2; i++) {
        struct stage stage;
        memset(&stage, 0, sizeof stage);
        app_init(&stage.app);
        app_file(&stage.app, "broker.lua", settings[i]);
        app_file(&stage.app, "channels/market.lua",
                 "return { transform = function(m)\n"
                 "  local n = 0 for i = 1, m.data.n do n = n + i % 7 end\n"
                 "  if m.data.fail then error('after a hot loop') end\n"
                 "  m.data = n return m end }");
        stage_load(&stage);
        for (int round = 0; round < 200; round++) {
            assert_int_equal(transformed(&stage, "{\"n\":1000}", "3003"), 0);
            assert_int_equal(transformed(&stage, "{\"n\":100,\"fail\":1}", ""), TW_ESCRIPT);
            assert_int_equal(stage.failure.line, 3);
        }
        stage_deinit(&stage);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        SCRIPT_TEST(an_untouched_message_is_the_same_one),
        SCRIPT_TEST(an_untouched_message_is_not_decoded),
        SCRIPT_TEST(reading_a_plain_value_does_not_touch),
        SCRIPT_TEST(a_touched_message_is_encoded_anew),
        SCRIPT_TEST(data_can_be_replaced),
        SCRIPT_TEST(a_binary_message_has_no_data),
        SCRIPT_TEST(nil_drops_and_effects_stay),
        SCRIPT_TEST(nothing_and_nonsense_are_errors),
        SCRIPT_TEST(an_error_has_no_effects_and_is_logged_with_its_place),
        SCRIPT_TEST(errors_of_every_kind_are_named),
        SCRIPT_TEST(memory_has_a_cap_and_the_vm_lives_on),
        SCRIPT_TEST(garbage_is_collected_before_the_cap),
        SCRIPT_TEST(authorize_decides),
        SCRIPT_TEST(deciding_hooks_have_no_effects),
        SCRIPT_TEST(a_key_is_a_text_or_a_number_or_none),
        SCRIPT_TEST(events_see_client_and_channel_and_have_effects),
        SCRIPT_TEST(objects_die_with_their_handler),
        SCRIPT_TEST(init_makes_a_new_state),
        SCRIPT_TEST(a_state_that_nobody_looked_at_is_carried_and_takes_no_memory),
        SCRIPT_TEST(effects_are_bounded),
        SCRIPT_TEST(each_allocation_may_fail),
        SCRIPT_TEST(hot_loops_run_with_and_without_the_compiler),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
