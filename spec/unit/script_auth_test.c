/* auth.lua: what it is asked, and that only a clear yes is one. */
#include "script_support.h"

static const struct tw_pair query[] = {{{"token", 5}, {"x", 1}}, {{"token", 5}, {"y", 1}}};
static const struct tw_pair headers[] = {
    {{"host", 4}, {"a", 1}}, {{"accept", 6}, {"b", 1}}, {{"accept", 6}, {"c", 1}}};
static const struct tw_pair cookies[] = {{{"id", 2}, {"7", 1}}};

/* `text` is auth.lua. The result is in *out. */
static int ask(const char *text, struct tw_auth *out, struct tw_failure *failure) {
    struct app app;
    app_init(&app);
    app_file(&app, "broker.lua", "return {}");
    if (text) app_file(&app, "auth.lua", text);
    app_must_load(&app);
    assert_int_equal(app.generation->has_auth, text != NULL);
    struct tw_auth_request request = {
        .path = TW_STR("/ws/caf\xC3\xA9"),
        .query = query,
        .headers = headers,
        .cookies = cookies,
        .query_count = 2,
        .header_count = 3,
        .cookie_count = 1,
        .origin = TW_STR("https://example.com"),
        .dialect = "raw",
    };
    tw_ip_parse(TW_STR("::1"), &request.ip);
    memset(out, 0, sizeof *out);
    int status = tw_script_hooks.auth(app.vms[0], &request, out, failure);
    app_deinit(&app);
    return status;
}

static void without_auth_everybody_comes_in(void **state) {
    (void)state;
    struct tw_auth out;
    struct tw_failure failure;
    assert_int_equal(ask(NULL, &out, &failure), 0);
    assert_false(out.has_user);
    tw_auth_deinit(&out);
}

static void the_request_is_all_there(void **state) {
    (void)state;
    struct tw_auth out;
    struct tw_failure failure;
    assert_int_equal(ask("return function(r)\n"
                         "  assert(r.path == '/ws/caf\\195\\169' and r.query.token == 'x')\n"
                         "  assert(r.headers.host == 'a' and r.headers.accept == 'b, c')\n"
                         "  assert(r.cookies.id == '7' and r.ip == '::1' and r.dialect == 'raw')\n"
                         "  assert(r.origin == 'https://example.com' and r.headers.none == nil)\n"
                         "  return {} end",
                         &out, &failure),
                     0);
    assert_false(out.has_user);
    assert_int_equal(out.claims.length, 0);
    assert_true(out.expires == 0);
    tw_auth_deinit(&out);
}

static void a_table_is_a_yes(void **state) {
    (void)state;
    struct tw_auth out;
    struct tw_failure failure;
    assert_int_equal(
        ask("return function() return { user = 'alice', expires = 2e9 + 0.5,\n"
            "  claims = { plan = 'pro', roles = { 'a' }, none = tidewire.json.null } }\n"
            "end",
            &out, &failure),
        0);
    assert_true(out.has_user);
    assert_text((struct tw_str){out.user.data, out.user.length}, "alice");
    assert_text((struct tw_str){out.claims.data, out.claims.length},
                "{\"none\":null,\"plan\":\"pro\",\"roles\":[\"a\"]}");
    assert_true(out.expires == 2e9 + 0.5);
    tw_auth_deinit(&out);
    assert_int_equal(ask("return function() return { user = '', claims = {} } end", &out, &failure),
                     0);
    assert_true(out.has_user && out.user.length == 0);
    assert_text((struct tw_str){out.claims.data, out.claims.length}, "{}");
    tw_auth_deinit(&out);
}

static void nil_and_false_are_a_no(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"return nil, 'invalid token'", "invalid token"},
        {"return false, 'x'", "x"},
        {"return nil", "refused"},
        {"return false", "refused"},
        {"", "refused"},
        {"return nil, {}", "refused"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tw_auth out;
        struct tw_failure failure;
        char *text = tw_format("return function() %s end", cases[i][0]);
        assert_int_equal(ask(text, &out, &failure), TW_EREFUSED);
        assert_string_equal(out.reason, cases[i][1]);
        tw_free(text);
        tw_auth_deinit(&out);
    }
    assert_false(was_logged("error"));
    struct tw_auth out; /* a long reason is cut within its place, at a character */
    struct tw_failure failure;
    assert_int_equal(
        ask("return function() return nil, 'x' .. ('\\195\\169'):rep(100) end", &out, &failure),
        TW_EREFUSED);
    assert_int_equal(strlen(out.reason), 123);
    tw_auth_deinit(&out);
}

static void nonsense_is_a_no_and_an_error(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"return true", "auth returned true; return a table such as"},
        {"return 'alice'", "auth returned the text \"alice\""},
        {"return 1", "auth returned 1"},
        {"return { user = 5 }", "auth: user is a text, or nil"},
        {"return { user = '\\255' }", "auth: user is not UTF-8"},
        {"return { usr = 'a' }", "auth: unknown key 'usr'; did you mean 'user'?"},
        {"return { 'alice' }", "auth: unknown key 'a key'"},
        {"return { claims = 'x' }", "auth: claims is a table"},
        {"return { claims = { 1 } }", "auth: claims is a table with names as keys"},
        {"return { claims = { f = print } }", "claims.f is a function"},
        {"return { expires = 'soon' }", "auth: expires is a time in unix seconds"},
        {"return { expires = 0 }", "auth: expires is a time in unix seconds"},
        {"return { expires = 0/0 }", "auth: expires is a time in unix seconds"},
        {"error('oops')", "oops"},
        {"tidewire.publish('x', 1) return {}", "tidewire.publish: not in auth"},
        {"return setmetatable({}, { __index = function() error('x') end })", "x"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tw_auth out;
        struct tw_failure failure;
        logged[0] = 0;
        char *text = tw_format("return function()\n %s end", cases[i][0]);
        assert_int_equal(ask(text, &out, &failure), TW_ESCRIPT);
        tw_free(text);
        if (!strstr(failure.message, cases[i][1])) fail_msg("got %s", failure.message);
        assert_string_equal(failure.hook, "auth");
        assert_string_equal(failure.script, "auth.lua");
        assert_true(was_logged("error script hook failed hook=auth script=auth.lua:"));
        assert_false(out.has_user);
        assert_null(out.user.data);
        tw_auth_deinit(&out);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        SCRIPT_TEST(without_auth_everybody_comes_in),
        SCRIPT_TEST(the_request_is_all_there),
        SCRIPT_TEST(a_table_is_a_yes),
        SCRIPT_TEST(nil_and_false_are_a_no),
        SCRIPT_TEST(nonsense_is_a_no_and_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
