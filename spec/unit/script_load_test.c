/* tw_app_load: folders and single files, definitions, require and tidewire.file, and errors with
 * their places. */
#include "script_support.h"

#include <pthread.h>

#include "script/read_definition.h"

static void a_channel_gets_its_files_name_and_the_queue_of_the_settings(void **state) {
    (void)state;
    struct app app;
    app_init(&app);
    app_file(&app, "broker.lua", "return { queue = { size = 3, overflow = 'drop_newest' } }");
    app_file(&app, "channels/market.lua", "return {}");
    app_file(&app, "channels/.hidden.lua", "this is no Lua");
    app_file(&app, "channels/notes.txt", "this is no Lua");
    app_must_load(&app);
    const struct tw_definition *d = &app.generation->definitions[0];
    assert_int_equal(app.generation->definition_count, 1);
    assert_string_equal(d->name, "market");
    assert_int_equal(d->queue.size, 3);
    assert_int_equal(d->queue.overflow, TW_DROP_NEWEST);
    assert_int_equal(d->publish, TW_PUBLISH_NEVER);
    assert_false(d->is_pattern || d->has_key || d->has_authorize || d->has_transform ||
                 d->has_on_subscribe || d->has_on_unsubscribe || d->has_init);
    assert_true(d->tick_ms == 0 && d->policy_print == 0);
    app_deinit(&app);
}

static void every_key_of_a_definition_is_read(void **state) {
    (void)state;
    struct app app;
    app_init(&app);
    app_file(&app, "channels/a.lua",
             "local f = function() end\n"
             "return { name = 'room:{id}', history = { size = 5, ttl = 60 }, presence = true,\n"
             "  queue = { size = 2, overflow = 'conflate', key = 'symbol' },\n"
             "  publish = 'authorize', authorize = f, transform = f, init = f, on_subscribe = f,\n"
             "  on_unsubscribe = f, tick = { every = 0.25, run = f }, migrate = f,\n"
             "  audience = f, views = { pro = f, free = f, ['a b'] = f } }");
    app_file(&app, "channels/b.lua", "return { publish = true, queue = { key = print } }");
    app_must_load(&app);
    const struct tw_definition *d = &app.generation->definitions[0];
    assert_string_equal(d->name, "room:{id}");
    assert_true(d->is_pattern && d->has_key && d->has_authorize && d->has_transform &&
                d->has_on_subscribe && d->has_on_unsubscribe && d->has_init);
    assert_string_equal(d->key_field, "symbol");
    assert_int_equal(d->queue.overflow, TW_CONFLATE);
    assert_int_equal(d->publish, TW_PUBLISH_ASK);
    assert_int_equal(d->tick_ms, 250);
    assert_true(d->policy_print != 0 && d->has_audience);
    assert_int_equal(d->view_count, 3);
    assert_string_equal(d->views[0], "a b");
    assert_string_equal(d->views[1], "free");
    assert_string_equal(d->views[2], "pro");
    assert_int_equal(d[1].index, 1);
    assert_true(d[1].has_key && !d[1].key_field);
    assert_int_equal(d[1].publish, TW_PUBLISH_ALWAYS);
    assert_true(was_logged("warn script history has no effect yet channel=room:{id}"));
    assert_true(was_logged("warn script presence has no effect yet"));
    app_deinit(&app);
}

static void wrong_definitions_say_what_is_expected(void **state) {
    (void)state;
    static const struct {
        const char *inside, *message;
    } cases[] = {
        {"name = 5", "name: expected a text, the channel's name, got 5"},
        {"name = 'a/b'", "name: a channel's name is 1 to 200 bytes"},
        {"name = 'a b'", "without spaces, control characters and any of / ? # % \" \\"},
        {"name = 'a{b'", "name: a capture is a name in braces, as in room:{id}"},
        {"publish = 'yes'", "publish: expected true, false or \"authorize\", got the text \"yes\""},
        {"quarantine = true", "quarantine: expected \"refuse\", \"pass\" or false, got true"},
        {"publish = 'authorize'", "publish: \"authorize\" needs a function `authorize`"},
        {"queue = 5", "queue: expected a table, got 5"},
        {"queue = { size = 0 }", "queue.size: expected a whole number from 1"},
        {"queue = { bytes = 5 }", "queue.bytes: unknown key"},
        {"queue = { key = 5 }", "queue.key: expected the name of a field, or a function(message)"},
        {"queue = { overflow = 'conflate' }", "queue.overflow: \"conflate\" needs queue.key"},
        {"queue = { overflow = 'x' }", "queue.overflow: expected \"drop_oldest\""},
        {"transform = 'x'", "transform: expected a function, got the text \"x\""},
        {"authorize = true", "authorize: expected a function, got true"},
        {"on_subscibe = print", "on_subscibe: unknown key; did you mean 'on_subscribe'?"},
        {"tick = print", "tick: expected a table { every = seconds, run = function }"},
        {"tick = { run = print }", "tick.every: expected seconds from 0.001 to 86400, got nil"},
        {"tick = { every = 1 }", "tick.run: expected a function, got nil"},
        {"tick = { every = 1, run = 2 }", "tick.run: expected a function, got 2"},
        {"tick = { evry = 1, every = 1, run = print }", "did you mean 'every'?"},
        {"history = 5", "history: expected a table { size =, ttl = }"},
        {"history = { ttl = 5 }", "history.size: expected a whole number"},
        {"presence = 1", "presence: expected true or false"},
        {"audience = 'free'", "audience: expected a function, got the text \"free\""},
        {"audience = print, views = print", "views: expected a table from classes to functions"},
        {"views = { free = print }", "views: without `audience` nobody is of any class"},
        {"audience = print, views = { free = 5 }",
         "views.free: expected a function(message), got 5"},
        {"audience = print, views = { print }", "views: expected names of classes"},
        {"audience = print, views = { [''] = print }", "views: expected names of classes"},
        {"migrate = 1", "migrate: expected a function"},
    };
    struct app app;
    app_init(&app);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text = tw_format("-- a channel\nreturn {\n\n%s }", cases[i].inside);
        app_file(&app, "channels/market.lua", text);
        tw_free(text);
        app_must_fail(&app, "channels/market.lua", 4, cases[i].message);
        assert_int_equal(app.errors.count, 1);
    }
    app_file(&app, "channels/market.lua", "return nil");
    app_must_fail(&app, "channels/market.lua", 0, "expected that the file returns a table");
    app_file(&app, "channels/market.lua", "return true");
    app_must_fail(&app, "channels/market.lua", 0, "the definition, got true");
    app_deinit(&app);
}

static void a_file_without_return_is_told_so(void **state) {
    (void)state;
    static const char *const files[] = {"broker.lua", "auth.lua", "channels/market.lua"};
    struct app app;
    app_init(&app);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        app_file(&app, files[i], "local x = {}");
        app_must_fail(&app, files[i], 0, "got nothing: it ends without `return ...`");
        app_file(&app, files[i], i == 0 ? "return {}" : "return { auth = print }");
    }
    app_deinit(&app);
}

static void a_channel_named_by_its_file_needs_a_name_that_fits(void **state) {
    (void)state;
    struct app app;
    app_init(&app);
    app_file(&app, "channels/a b.lua", "return {}");
    app_must_fail(&app, "channels/a b.lua", 0, "the file's name is the channel's: a channel's");
    app_file(&app, "channels/a b.lua", "return { name = 'ab' }");
    app_must_load(&app);
    app_deinit(&app);
}

static void conflation_by_the_settings_needs_a_key_too(void **state) {
    (void)state;
    struct app app;
    app_init(&app);
    app_file(&app, "broker.lua", "return { queue = { overflow = 'conflate' } }");
    app_file(&app, "channels/market.lua", "return {}");
    app_must_fail(&app, "channels/market.lua", 0, "\"conflate\" needs queue.key");
    app_deinit(&app);
}

static void the_same_name_twice_names_both_files(void **state) {
    (void)state;
    struct app app;
    app_init(&app);
    app_file(&app, "channels/a.lua", "return { name = 'b' }");
    app_file(&app, "channels/b.lua", "return {}");
    app_must_fail(&app, "channels/b.lua", 0, "the name \"b\" is that of channels/a.lua, too");
    app_deinit(&app);
}

static void errors_have_file_and_line_and_do_not_hide_each_other(void **state) {
    (void)state;
    struct app app;
    app_init(&app);
    app_file(&app, "broker.lua", "return {\n  workers = 'x' }");
    app_file(&app, "auth.lua", "\nreturn 5");
    app_file(&app, "channels/a.lua", "local x = 1\nlocal y = = 2\nreturn {}");
    app_file(&app, "channels/b.lua", "local x\n\nlocal y = x.z\nreturn {}");
    app_file(&app, "channels/c.lua", "require 'transforms.broken'\nreturn {}");
    app_file(&app, "channels/d.lua", "require 'transforms.broken'\nreturn {}");
    app_file(&app, "channels/e.lua", "require 'transforms.late'()\nreturn {}");
    app_file(&app, "channels/f.lua", "\n\n\nerror({})");
    app_file(&app, "transforms/broken.lua", "\nfoo(");
    app_file(&app, "transforms/late.lua", "return function()\n  error('bare', 0)\nend");
    app_file(&app, "channels/g.lua", "require 'transforms.bare'\nreturn {}");
    app_file(&app, "transforms/bare.lua", "\n\nerror('bare', 0)");
    app_file(&app, "channels/h.lua", "\nreturn { transfrom = print }");
    app_must_fail(&app, "broker.lua", 2, "workers: expected");
    assert_true(app_has_error(&app, "auth.lua", 0,
                              "expected that the file returns a function(request), or a"));
    assert_true(app_has_error(&app, "channels/a.lua", 2, "unexpected symbol near '='"));
    assert_true(app_has_error(&app, "channels/b.lua", 3, "attempt to index local 'x'"));
    assert_true(app_has_error(&app, "transforms/broken.lua", 2, "unexpected symbol"));
    assert_true(app_has_error(&app, "transforms/late.lua", 2, "bare"));
    assert_true(app_has_error(&app, "transforms/bare.lua", 3, "bare"));
    assert_true(app_has_error(&app, "channels/f.lua", 4, "error(a table)"));
    assert_true(app_has_error(&app, "channels/h.lua", 2, "did you mean 'transform'?"));
    assert_int_equal(app.errors.count, 9);                     /* the broken one once */
    assert_string_equal(app.errors.items[0].file, "auth.lua"); /* sorted */
    assert_false(was_logged("error"));
    app_deinit(&app);
}

static void a_single_file_is_an_app(void **state) {
    (void)state;
    struct app app;
    app_init(&app);
    app_file(&app, "app.lua",
             "print('hello', 1, nil, true)\nreturn {\n"
             "  limits = { violations = 4 },\n"
             "  auth = function() return {} end,\n"
             "  channels = {\n    market = { transform = function(m) return m end },\n"
             "    b = { name = 'room:{id}' } } }");
    snprintf(app.path, sizeof app.path, "%s/app.lua", app.folder);
    assert_int_equal(app_load(&app, 2), 0);
    assert_int_equal(app.vm_count, 2);
    assert_int_equal(app.generation->settings.limits.violations, 4);
    assert_true(app.generation->has_auth);
    assert_int_equal(app.generation->definition_count, 2);
    assert_string_equal(app.generation->definitions[0].name, "room:{id}");
    assert_string_equal(app.generation->definitions[1].name, "market");
    assert_true(was_logged("info script hello 1 nil true hook=load"));
    assert_null(strstr(strstr(logged, "hello") + 1, "hello")); /* said once, not per VM */

    assert_false(app.generation->has_on_expire);
    app_file(&app, "app.lua",
             "return {\n  auth = {\n    auth = function() return {} end,\n"
             "    on_expire = function() return nil end } }");
    app_must_load(&app);
    assert_true(app.generation->has_auth && app.generation->has_on_expire);
    app_file(&app, "app.lua", "return {\n  auth = {\n    auth = print,\n    on_expre = print } }");
    app_must_fail(&app, "app.lua", 4, "auth.on_expre: unknown key; did you mean 'on_expire'?");
    app_file(&app, "app.lua", "return {\n  auth = {\n    on_expire = print } }");
    app_must_fail(&app, "app.lua", 2, "auth.auth: expected a function(request), got nil");

    app_file(&app, "app.lua", "return {\n  auth = 5,\n  chanels = {} }");
    app_must_fail(&app, "app.lua", 2, "auth: expected a function(request), or a table");
    assert_true(
        app_has_error(&app, "app.lua", 3, "chanels: unknown key; did you mean 'channels'?"));
    app_file(&app, "app.lua",
             "return {\n  channels = {\n    market = {\n      queue = {\n"
             "        sise = 1 } } } }");
    app_must_fail(&app, "app.lua", 5, "queue.sise: unknown key; did you mean 'size'?");
    app_file(&app, "app.lua", "return { channels = { 5 } }");
    app_must_fail(&app, "app.lua", 1, "channels: expected names as keys");
    app_file(&app, "app.lua", "return { channels = 5 }");
    app_must_fail(&app, "app.lua", 1, "channels: expected a table from names to definitions");
    app_file(&app, "app.lua", "return { channels = { a = { name = 'b' }, b = {} } }");
    app_must_fail(&app, "app.lua", 0, "channels.b: the name \"b\" is that of channels.a, too");
    app_file(&app, "other.lua", "return 1");
    app_file(&app, "app.lua", "require 'other' return {}");
    app_must_fail(&app, "app.lua", 1, "other.lua: a single-file app has no other files");
    app_file(&app, "app.lua", "x");
    app_must_fail(&app, "app.lua", 1, "'=' expected near '<eof>'");
    app_deinit(&app);
}

static void no_app_is_said(void **state) {
    (void)state;
    struct app app;
    app_init(&app);
    app_must_fail(&app, app.path, 0, "no app here");
    snprintf(app.path, sizeof app.path, "%s/nowhere", app.folder);
    app_must_fail(&app, app.path, 0, "No such file");
    app_deinit(&app);
}

static void require_finds_files_of_the_app_only(void **state) {
    (void)state;
    static const char *const bad[][2] = {
        {"../secret", "a module is named like"},
        {"/etc/passwd", "a module is named like"},
        {"a..b", "a module is named like"},
        {"", "a module is named like"},
        {"a.", "a module is named like"},
        {".a", "a module is named like"},
        {"a/b", "a module is named like"},
        {"a\\0b", "a module is named like"},
        {"string", "there is no such file"},
        {"ffi", "there is no such file"},
        {"jit", "there is no such file"},
        {"tidewire.x", "there is no such file"},
        {"lib.out", "a link leads out of the app's folder"},
        {"lib.dir", "not a regular file"},
        {"lib.bytecode", "attempt to load chunk with wrong mode"},
    };
    struct app app;
    char path[200];
    app_init(&app);
    app_file(&app, "lib/in.lua", "return { 'in' }");
    app_file(&app, "lib/bytecode.lua", "\33LJ\2");
    snprintf(path, sizeof path, "%s/lib/dir.lua", app.folder);
    assert_int_equal(mkdir(path, 0755), 0);
    snprintf(path, sizeof path, "%s/lib/out.lua", app.folder);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    snprintf(path, sizeof path, "%s/lib/link.lua", app.folder);
    assert_int_equal(symlink("in.lua", path), 0);
    app_file(&app, "channels/market.lua",
             "local a, b = require 'lib.in', require 'lib.in'\n"
             "assert(a == b and a[1] == 'in' and require 'lib.link'[1] == 'in')\n"
             "assert(require 'tidewire' == tidewire)\n"
             "assert(not pcall(require, 5))\nreturn {}");
    app_must_load(&app);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char *text = tw_format("\nrequire '%s'\nreturn {}", bad[i][0]);
        app_file(&app, "channels/market.lua", text);
        tw_free(text);
        app_must_fail(&app,
                      strstr(bad[i][0], "bytecode") ? "lib/bytecode.lua" : "channels/market.lua",
                      strstr(bad[i][0], "bytecode") ? 0 : 2, bad[i][1]);
    }
    app_deinit(&app);
}

static void circles_are_shown(void **state) {
    (void)state;
    struct app app;
    app_init(&app);
    app_file(&app, "a.lua", "return require 'b'");
    app_file(&app, "b.lua", "\nreturn require 'c'");
    app_file(&app, "c.lua", "local a = require 'a' return a");
    app_file(&app, "channels/market.lua", "require 'a' return {}");
    app_must_fail(&app, "c.lua", 1,
                  "files require each other in a circle: a.lua -> b.lua -> c.lua -> a.lua");
    /* A pcall around it does not confuse what comes later. */
    app_file(&app, "channels/market.lua",
             "assert(not pcall(require, 'a')) assert(not pcall(require, 'a'))\n"
             "assert(require 'd' == 4) return {}");
    app_file(&app, "d.lua", "return 4");
    app_must_load(&app);
    app_deinit(&app);
}

static void in_a_hook_nothing_is_read(void **state) {
    (void)state;
    struct stage stage;
    memset(&stage, 0, sizeof stage);
    app_init(&stage.app);
    app_file(&stage.app, "lib.lua", "return 7");
    app_file(&stage.app, "late.lua", "return 8");
    app_file(&stage.app, "channels/market.lua",
             "require 'lib'\nreturn { transform = function(m)\n"
             "  if m.data == 1 then m.data = require 'lib' end\n"
             "  if m.data == 2 then require 'late' end\n"
             "  if m.data == 3 then tidewire.file('lib.lua') end\n"
             "  return m end }");
    stage_load(&stage);
    assert_int_equal(transformed(&stage, "1", "7"), 0);
    assert_int_equal(transformed(&stage, "2", ""), TW_ESCRIPT);
    assert_non_null(strstr(stage.failure.message, "'late.lua' was not loaded with the app"));
    assert_int_equal(transformed(&stage, "3", ""), TW_ESCRIPT);
    assert_non_null(strstr(stage.failure.message, "reads while the app is loaded, not in a hook"));
    stage_deinit(&stage);
}

static void file_reads_inside_of_the_app_only(void **state) {
    (void)state;
    static const char *const bad[][2] = {
        {"../x", "must not leave the app's folder"},
        {"data/../../x", "must not leave the app's folder"},
        {"/etc/passwd", "must be relative to the app's folder"},
        {"", "the path is empty"},
        {"a\\0b", "NUL byte"},
        {"nowhere", "there is no such file"},
        {"out", "a link leads out of the app's folder"},
        {"outdir/passwd", "a link leads out of the app's folder"},
        {"data", "not a regular file"},
    };
    struct app app;
    char path[200];
    app_init(&app);
    app_file(&app, "data/a.csv", "1,2\n");
    app_file(&app, "data/empty", "");
    snprintf(path, sizeof path, "%s/out", app.folder);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    snprintf(path, sizeof path, "%s/outdir", app.folder);
    assert_int_equal(symlink("/etc", path), 0);
    app_file(&app, "channels/market.lua",
             "assert(tidewire.file('data/a.csv') == '1,2\\n')\n"
             "assert(tidewire.file('data/empty') == '')\nreturn {}");
    app_must_load(&app);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char *text = tw_format("\n\ntidewire.file('%s')\nreturn {}", bad[i][0]);
        app_file(&app, "channels/market.lua", text);
        tw_free(text);
        app_must_fail(&app, "channels/market.lua", 3, bad[i][1]);
    }
    app_deinit(&app);
}

static uint64_t print_of(struct app *app, const char *file, const char *text) {
    app_file(app, file, text);
    app_must_load(app);
    return app->generation->definitions[0].policy_print;
}

static void the_print_of_authorize_follows_what_it_depends_on(void **state) {
    (void)state;
    struct app app;
    app_init(&app);
    app_file(&app, "broker.lua", "return {}");
    app_file(&app, "lib/a.lua", "return require 'lib.b'");
    app_file(&app, "lib/b.lua", "return tidewire.file('users.txt')");
    app_file(&app, "users.txt", "alice");
    app_file(&app, "channels/z.lua", "require 'lib.b' return {}");
    uint64_t first = print_of(&app, "channels/market.lua",
                              "local a = require 'lib.a'\n"
                              "return { authorize = function() return a end }");
    assert_true(print_of(&app, "channels/z.lua", "return { publish = true }") == first);
    assert_true(print_of(&app, "broker.lua", "return { workers = 3 }") == first);
    uint64_t other = print_of(&app, "users.txt", "alice, bob");
    assert_true(other != first);
    assert_true(print_of(&app, "users.txt", "alice") == first);
    assert_true(print_of(&app, "lib/b.lua", "return tidewire.file('users.txt') -- x") != first);
    app_deinit(&app);
}

static void all_workers_must_load_the_same(void **state) {
    (void)state;
    struct app app;
    app_init(&app);
    app_file(&app, "channels/market.lua",
             "return { name = 'n' .. tostring({}):gsub('[^%w]', '') }");
    assert_int_equal(app_load(&app, 2), TW_ELOAD);
    assert_true(app_has_error(&app, "channels/market.lua", 0, "another one each time"));
    app_deinit(&app);
}

static void dangerous_libraries_are_not_there(void **state) {
    (void)state;
    struct app app;
    app_init(&app);
    app_file(
        &app, "channels/market.lua",
        "for _, name in ipairs { 'io', 'debug', 'ffi', 'package', 'jit', 'dofile', 'loadfile',\n"
        "    'module', 'newproxy', 'getfenv', 'setfenv', 'collectgarbage', 'gcinfo' } do\n"
        "  assert(_G[name] == nil, name)\nend\n"
        "assert(os.time() and os.date() and os.clock())\n"
        "for _, name in ipairs { 'execute', 'exit', 'getenv', 'remove', 'rename', 'setlocale',\n"
        "    'tmpname' } do assert(os[name] == nil, name) end\n"
        "assert(string.dump == nil and ('x').dump == nil)\n"
        "assert(load('return 1 + 1')() == 2 and loadstring == load)\n"
        "assert(load('return x', 'c', 'bt', { x = 3 })() == 3)\n"
        "local f, e = load('\\27LJ\\2') assert(f == nil and e:find('wrong mode'))\n"
        "f, e = load('x = =', '=c') assert(f == nil and e:find('^c:1:'))\n"
        "assert(not pcall(load, function() end))\n"
        "assert(getmetatable('') == 'string' and getmetatable(_G) == 'globals')\n"
        "assert(bit.band(6, 3) == 2 and coroutine.wrap(function() return 1 end)() == 1)\n"
        "assert(math.floor(1.5) == 1 and table.concat { 1, 2 } == '12')\n"
        "return {}");
    app_must_load(&app);
    app_deinit(&app);
}

static void effects_are_not_for_loading(void **state) {
    (void)state;
    struct app app;
    app_init(&app);
    app_file(&app, "channels/market.lua", "tidewire.publish('x', 1)\nreturn {}");
    app_must_fail(&app, "channels/market.lua", 1, "tidewire.publish: not while the app is loaded");
    app_deinit(&app);
}

static void a_bomb_at_load_is_an_error(void **state) {
    (void)state;
    struct app app;
    app_init(&app);
    app_file(&app, "broker.lua", "return { script = { memory = 1048576 } }");
    app_file(&app, "channels/market.lua", "local t = {} for i = 1, 1e8 do t[i] = {} end");
    app_must_fail(&app, "channels/market.lua", 0, "not enough memory (script.memory is 1048576");
    app_file(&app, "channels/market.lua", "local function f() return 1 + f() end\nf()");
    app_must_fail(&app, "channels/market.lua", 0, "stack overflow"); /* LuaJIT asks no handler */
    app_deinit(&app);
}

static void the_public_folder_is_found(void **state) {
    (void)state;
    struct app app;
    char wanted[120];
    app_init(&app);
    app_file(&app, "broker.lua", "return {}");
    app_file(&app, "public/index.html", "x");
    app_must_load(&app);
    snprintf(wanted, sizeof wanted, "%s/public", app.folder);
    assert_string_equal(app.generation->public_dir, wanted);
    app_deinit(&app);
}

/* Loading is done off the loops, while other VMs run. ./dev tsan looks at this one. */
static void *load_and_run(void *data) {
    (void)data;
    struct stage stage;
    stage_init(&stage, "local tw = require 'tidewire'\n"
                       "return { transform = function(m, c)\n"
                       "  c.state.n = (c.state.n or 0) + 1 m.data.n = c.state.n\n"
                       "  if c.state.n % 3 == 0 then error('x') end return m end }");
    stage_open(&stage);
    for (int i = 1; i <= 50; i++) {
        struct tw_message *message = message_of("{}");
        int status = stage_transform(&stage, &message);
        TW_REQUIRE(status == (i % 3 ? 0 : TW_ESCRIPT)); /* cmocka's are for the main thread */
        tw_message_unref(&message);
    }
    stage_deinit(&stage);
    return NULL;
}

static void apps_load_and_run_on_several_threads(void **state) {
    (void)state;
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, load_and_run, NULL), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
}

static void each_key_is_in_the_stub(void **state) {
    (void)state;
    FILE *file = fopen("scripts/tidewire/meta/definition.lua", "rb");
    assert_non_null(file);
    static char text[32768];
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    fclose(file);
    for (const char *const *path = tw_read_definition_paths; *path; path++) {
        char *wanted = tw_format("`%s`", *path);
        if (!strstr(text, wanted)) fail_msg("%s has no stub", *path);
        tw_free(wanted);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        SCRIPT_TEST(a_channel_gets_its_files_name_and_the_queue_of_the_settings),
        SCRIPT_TEST(every_key_of_a_definition_is_read),
        SCRIPT_TEST(wrong_definitions_say_what_is_expected),
        SCRIPT_TEST(a_file_without_return_is_told_so),
        SCRIPT_TEST(a_channel_named_by_its_file_needs_a_name_that_fits),
        SCRIPT_TEST(conflation_by_the_settings_needs_a_key_too),
        SCRIPT_TEST(the_same_name_twice_names_both_files),
        SCRIPT_TEST(errors_have_file_and_line_and_do_not_hide_each_other),
        SCRIPT_TEST(a_single_file_is_an_app),
        SCRIPT_TEST(no_app_is_said),
        SCRIPT_TEST(require_finds_files_of_the_app_only),
        SCRIPT_TEST(circles_are_shown),
        SCRIPT_TEST(in_a_hook_nothing_is_read),
        SCRIPT_TEST(file_reads_inside_of_the_app_only),
        SCRIPT_TEST(the_print_of_authorize_follows_what_it_depends_on),
        SCRIPT_TEST(all_workers_must_load_the_same),
        SCRIPT_TEST(dangerous_libraries_are_not_there),
        SCRIPT_TEST(effects_are_not_for_loading),
        SCRIPT_TEST(a_bomb_at_load_is_an_error),
        SCRIPT_TEST(the_public_folder_is_found),
        SCRIPT_TEST(apps_load_and_run_on_several_threads),
        SCRIPT_TEST(each_key_is_in_the_stub),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
