/* What Lua sees is what the stubs in scripts/tidewire/meta say (STYLE 21), and each function does
 * what its stub says. */
#include "script_support.h"

#include "script/object.h"

static char stub[32768];

static void read_stub(const char *name) {
    char path[80];
    snprintf(path, sizeof path, "scripts/tidewire/meta/%s.lua", name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    stub[fread(stub, 1, sizeof stub - 1, file)] = 0;
    fclose(file);
}

static size_t count_in_stub(const char *part) {
    size_t count = 0;
    for (const char *at = stub; (at = strstr(at, part)); at++)
        count++;
    return count;
}

static void check_class(const struct tw_class *class) {
    size_t fields = 0, methods = 0;
    read_stub(class->name);
    for (; class->fields[fields].name; fields++) {
        char *wanted = tw_format("\n---@field %s ", class->fields[fields].name);
        if (!strstr(stub, wanted)) fail_msg("%s has no stub:%s", class->name, wanted);
        tw_free(wanted);
    }
    for (; class->methods && class->methods[methods].name; methods++) {
        char *wanted = tw_format("\nfunction %s:%s(", class->name, class->methods[methods].name);
        if (!strstr(stub, wanted)) fail_msg("%s has no stub:%s", class->name, wanted);
        tw_free(wanted);
    }
    assert_int_equal(count_in_stub("\n---@field "), fields);
    assert_int_equal(count_in_stub("\nfunction "), methods);
}

static void objects_are_as_their_stubs_say(void **state) {
    (void)state;
    check_class(&tw_lua_message_class);
    check_class(&tw_lua_client_class);
    check_class(&tw_lua_channel_class);
}

/* The fields of a library (core/script/globals.h) and of those in it; how many. */
static size_t check_library(lua_State *L, const char *name) {
    size_t count = 0;
    assert_true(luaL_getmetafield(L, -1, "__index"));
    for (lua_pushnil(L); lua_istable(L, -2) && lua_next(L, -2); lua_pop(L, 1), count++) {
        char *full = tw_format("%s.%s", name, lua_tostring(L, -2));
        char *wanted = tw_format(lua_isfunction(L, -1) ? "\nfunction %s(" : "\n%s = ", full);
        if (!strstr(stub, wanted)) fail_msg("no stub:%s", wanted);
        if (lua_type(L, -1) == LUA_TUSERDATA) count += check_library(L, full);
        tw_free(wanted);
        tw_free(full);
    }
    lua_pop(L, 1);
    return count;
}

static void the_module_is_as_its_stub_says(void **state) {
    (void)state;
    struct app app;
    app_init(&app);
    read_stub("tidewire");
    app_file(&app, "channels/market.lua", "return {}");
    app_must_load(&app);
    lua_State *L = app.vms[0]->L;
    tw_vm_push(L, app.vms[0]->tidewire);
    size_t count = check_library(L, "tidewire");
    lua_pop(L, 1);
    assert_int_equal(count, count_in_stub("\nfunction tidewire.") + count_in_stub("\ntidewire."));
    app_deinit(&app);
}

static double virtual_now(void *data) {
    return *(double *)data;
}

static void now_is_the_clocks(void **state) {
    (void)state;
    struct stage stage;
    double now = 1000.25;
    memset(&stage, 0, sizeof stage);
    app_init(&stage.app);
    stage.app.how.clock = (struct tw_script_clock){virtual_now, &now};
    app_file(&stage.app, "channels/market.lua",
             "assert(tidewire.now() == 1000.25)\n"
             "return { transform = function(m) m.data = tidewire.now() return m end }");
    stage_load(&stage);
    now = 2000.5;
    assert_int_equal(transformed(&stage, "1", "2000.5"), 0);
    stage_deinit(&stage);
}

static void env_is_the_environment(void **state) {
    (void)state;
    setenv("TW_TEST_TOKEN", "secret", 1);
    setenv("TIDEWIRE_TEST", "usual", 1);
    unsetenv("WS_TOKEN");
    unsetenv("TW_TEST_NONE");
    struct app app;
    app_init(&app);
    app_file(&app, "broker.lua",
             "local ok, why = pcall(function() return tidewire.env.TW_TEST_TOKEN end)\n"
             "assert(not ok and why:find('not in `env` of broker.lua', 1, true))\n"
             "assert(tidewire.env.TIDEWIRE_TEST == 'usual' and tidewire.env.WS_TOKEN == nil)\n"
             "assert(not pcall(function() return tidewire.env.TIDEWIRE_ADMIN_KEY end))\n"
             "return { env = { 'TW_TEST_*', 'HOME_OF_TW' } }");
    app_file(
        &app, "channels/market.lua",
        "local env = tidewire.env\n"
        "local function why(name) return select(2, pcall(function() return env[name] end)) end\n"
        "assert(env.TW_TEST_TOKEN == 'secret' and env.TW_TEST_NONE == nil)\n"
        "assert(env.HOME_OF_TW == nil)\n"
        "for _, name in ipairs { 'HOME', 'TW_TEST', 'HOME_OF_TW2', 'WS_TOKEN', '' } do\n"
        "  assert(why(name):find('tidewire.env.' .. name .. ': not in `env` of broker.lua', 1,\n"
        "    true), name)\n"
        "end\n"
        "assert(why(1):find('name is a text, got a number', 1, true))\n"
        "assert(not pcall(function() env.TW_TEST_X = '1' end))\n"
        "assert(getmetatable(env) == 'tidewire.env' and type(tidewire.version) == 'string')\n"
        "assert(not pcall(next, env))\n"
        "return {}");
    app_must_load(&app);
    app_file(&app, "broker.lua", "return { env = { 'A', 'B*C', '1A', '' } }");
    app_must_fail(&app, "broker.lua", 1, "env[2]: expected a variable's name");
    assert_true(app_has_error(&app, "broker.lua", 1, "env[3]: ") &&
                app_has_error(&app, "broker.lua", 1, "env[4]: "));
    app_file(&app, "broker.lua", "return { env = 'A' }");
    app_must_fail(&app, "broker.lua", 1, "env: expected a list of variables' names");
    app_deinit(&app);
}

static void log_and_print_write_lines(void **state) {
    (void)state;
    lua_is_good("tidewire.log.debug('d', 1, nil, true, 1.5) tidewire.log.info('i\\nj') "
                "tidewire.log.warn({}) tidewire.log.error('e') print() "
                "print(setmetatable({}, { __tostring = function() return 'own' end }), message) "
                "assert(not pcall(print, setmetatable({}, { __tostring = error })))");
    assert_true(was_logged("debug script d 1 nil true 1.5 channel=market hook=transform"));
    assert_true(was_logged("info script i j channel=market"));
    assert_true(was_logged("warn script table: 0x"));
    assert_true(was_logged("error script e channel=market"));
    assert_true(was_logged("info script own message channel=market"));
}

static void log_writes_fields(void **state) {
    (void)state;
    lua_is_good("local log = tidewire.log "
                "log.info('filled', 3, { side = 'buy now', id = 7, ok = true, price = 1.5, "
                "  ['a b='] = 'x\"y', t = {}, empty = '' }) "
                "log.warn({ id = 7 }) log.warn('none', {}) log.warn('list', { 'x' }) "
                "log.error('own', setmetatable({ id = 7 }, { __tostring = function() return 'O' "
                "end }))");
    assert_true(was_logged("info script filled 3 a_b_=\"x\\\"y\" empty=\"\" id=7 ok=true price=1.5 "
                           "side=\"buy now\" t=table channel=market hook=transform"));
    assert_true(was_logged("warn script table: 0x"));
    assert_true(was_logged("warn script none table: 0x"));
    assert_true(was_logged("warn script list table: 0x"));
    assert_true(was_logged("error script own O channel=market"));
}

static void misuse_raises_and_says_how(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"local _ = message.dta", "message has no field 'dta'; did you mean 'data'?"},
        {"local _ = client.zzz", "client has no field 'zzz'"},
        {"local _ = channel[1]", "channel has no field of type number"},
        {"message.raw = 'x'", "message.raw is read-only"},
        {"message.foo = 'x'", "message has no field 'foo'"},
        {"client.user = 'x'", "client.user is read-only"},
        {"channel.offset = 1", "channel.offset is read-only"},
        {"channel.publish(5)", "channel expected, got number"},
        {"channel.publish(client, 5)", "channel expected, got userdata"},
        {"channel.publish { 1 }", "a method is called with a colon"},
        {"channel:publish()", "value expected"},
        {"client:send()", "value expected"},
        {"client:disconnect(1001)", "a close code is 1000 or 3000 to 4999"},
        {"client:disconnect(2999.5)", "a close code is 1000 or 3000 to 4999"},
        {"client:disconnect(5000)", "a close code is 1000 or 3000 to 4999"},
        {"client:disconnect(4000, ('x'):rep(124))", "at most 123 bytes"},
        {"client:disconnect(4000, '\\255')", "not UTF-8"},
        {"client:disconnect(4000, {})", "string expected"},
        {"client:subscribe()", "string expected"},
        {"client:subscribe('')", "a channel's name is"},
        {"client:unsubscribe('a/b')", "a channel's name is"},
        {"client:unsubscribe({})", "string expected"},
        {"tidewire.after()", "number expected"},
        {"tidewire.after(-1, print)", "0 to 86400 seconds"},
        {"tidewire.after(1)", "function expected"},
        {"tidewire.cancel('x')", "number expected"},
        {"tidewire.cancel(5)", "the number that tidewire.after returned"},
        {"tidewire.publish(5, 1)", "string expected"},
        {"tidewire.publish('a/b', 1)", "a channel's name is 1 to 200 bytes"},
        {"tidewire.publish('', 1)", "a channel's name is"},
        {"tidewire.publish('a')", "value expected"},
        {"tidewire.file(5)", "string expected"},
        {"require(5)", "string expected"},
        {"setmetatable(message, {})", "table expected"},
        {"require('tidewire').nothing()", "attempt to call field 'nothing'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        lua_fails(cases[i][0], cases[i][1]);
    lua_is_good("assert(getmetatable(message) == 'message' and tostring(client) == 'client') "
                "assert(getmetatable(channel) == 'channel')");
}

static void objects_work_in_coroutines_and_closures(void **state) {
    (void)state;
    lua_is_good("local co = coroutine.wrap(function() local d = message.data "
                "coroutine.yield() d.x = 1 channel:publish(d) client:send(d) end) co() co() "
                "assert(message.data.x == 1)");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        SCRIPT_TEST(objects_are_as_their_stubs_say),
        SCRIPT_TEST(the_module_is_as_its_stub_says),
        SCRIPT_TEST(now_is_the_clocks),
        SCRIPT_TEST(env_is_the_environment),
        SCRIPT_TEST(log_and_print_write_lines),
        SCRIPT_TEST(log_writes_fields),
        SCRIPT_TEST(misuse_raises_and_says_how),
        SCRIPT_TEST(objects_work_in_coroutines_and_closures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
