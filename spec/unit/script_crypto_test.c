/* tidewire.base64, sha256, hmac, equal and random: what they give, and what misuse says. */
#include "script_support.h"

static void base64_goes_both_ways(void **state) {
    (void)state;
    lua_is_good("local b = tidewire.base64 "
                "assert(b.encode('\\251\\255') == '+/8=' and b.encode_url('\\251\\255') == '-_8') "
                "assert(b.decode('+/8=') == '\\251\\255' and b.decode_url('-_8') == '\\251\\255') "
                "assert(b.encode('') == '' and b.decode('') == '') "
                "local big = ('x\\0'):rep(100000) "
                "assert(b.decode(b.encode(big)) == big) "
                "local bytes, why, code = b.decode('Zg') "
                "assert(bytes == nil and why == 'not base64' and code == -10004) "
                "assert(select(2, b.decode_url('+/8=')) == 'not base64url')");
    lua_fails("tidewire.base64.encode(5)", "string expected");
    lua_fails("tidewire.base64.decode()", "string expected");
}

static void digests_are_those_of_the_rfcs(void **state) {
    (void)state;
    lua_is_good("local abc = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad' "
                "assert(tidewire.sha256('abc') == abc and tidewire.sha256('abc', 'hex') == abc) "
                "assert(#tidewire.sha256('', 'raw') == 32) "
                "assert(tidewire.sha256('abc', 'base64') == "
                "'ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=') "
                "assert(tidewire.sha256('abc', 'base64url') == "
                "'ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0')");
    /* RFC 4231 and 2202, test case 2 */
    lua_is_good("local function is(algorithm, wanted) "
                "  local got = tidewire.hmac(algorithm, 'Jefe', 'what do ya want for nothing?') "
                "  assert(got == wanted, got) "
                "end "
                "is('sha1', 'effcdf6ae5eb2fa2d27416d5f184df9c259a7c79') "
                "is('sha256', '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843') "
                "is('sha384', 'af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e'"
                "  .. '8e2240ca5e69e2c78b3239ecfab21649') "
                "is('sha512', '164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554'"
                "  .. '9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737') "
                "assert(#tidewire.hmac('sha256', '', '', 'raw') == 32) "
                "assert(#tidewire.hmac('sha512', ('k'):rep(1000), 'x\\0y', 'base64url') == 86)");
    lua_fails("tidewire.hmac('md5', 'k', 'd')", "invalid option 'md5'");
    lua_fails("tidewire.hmac('sha256', nil, 'd')", "string expected, got nil");
    lua_fails("tidewire.sha256('x', 'HEX')", "invalid option 'HEX'");
}

static void equal_compares_texts(void **state) {
    (void)state;
    lua_is_good("local equal = tidewire.equal "
                "assert(equal('', '') and equal('a\\0b', 'a\\0b') and not equal('a\\0b', 'a\\0c')) "
                "assert(not equal('a', 'ab') and not equal('1', 1) and not equal(nil, nil)) "
                "assert(not equal(nil, 'a') and not equal({}, 'a'))");
    lua_fails("tidewire.equal('a')", "value expected");
}

static void random_is_random_and_in_its_bounds(void **state) {
    (void)state;
    lua_is_good(
        "local r = tidewire.random "
        "assert(#r.bytes(0) == 0 and #r.bytes(1000) == 1000 and r.bytes(16) ~= r.bytes(16)) "
        "assert(r.hex(8):match('^%x+$') and #r.hex(8) == 16 and r.hex(0) == '') "
        "local seen = {} "
        "for i = 1, 1000 do "
        "  local x, n = r.number(), r.integer(-2, 2) "
        "  assert(x >= 0 and x < 1 and n == math.floor(n) and n >= -2 and n <= 2) "
        "  seen[n] = true "
        "end "
        "for n = -2, 2 do assert(seen[n], 'never drawn') end "
        "assert(r.integer(5, 5) == 5) "
        "local wide = r.integer(-2^53, 2^53) assert(wide >= -2^53 and wide <= 2^53) "
        "local uuid = r.uuid() "
        "assert(uuid:match('^%x%x%x%x%x%x%x%x%-%x%x%x%x%-4%x%x%x%-[89ab]%x%x%x%-%x+$'), uuid) "
        "assert(#uuid == 36 and uuid ~= r.uuid())");
    lua_fails("tidewire.random.bytes(-1)", "a whole number of bytes up to 1048576");
    lua_fails("tidewire.random.bytes(1.5)", "a whole number of bytes");
    lua_fails("tidewire.random.hex(1048577)", "a whole number of bytes");
    lua_fails("tidewire.random.integer(2, 1)", "not below the first number");
    lua_fails("tidewire.random.integer(1)", "number expected");
    lua_fails("tidewire.random.integer(0.5, 1)", "a whole number");
    lua_fails("tidewire.random.integer(0, 2^53 + 2)", "a whole number");
}

static void count_up(void *data, void *bytes, size_t length) {
    for (size_t i = 0; i < length; i++)
        ((unsigned char *)bytes)[i] = ++*(unsigned char *)data;
}

static void random_is_what_the_broker_is_given(void **state) {
    (void)state;
    struct stage stage;
    unsigned char last = 0;
    memset(&stage, 0, sizeof stage);
    app_init(&stage.app);
    stage.app.how.common = tw_common_new(count_up, &last);
    last = 0;
    app_file(&stage.app, "channels/market.lua",
             "return { transform = function(m)\n"
             "  m.data = { tidewire.random.hex(3), tidewire.random.uuid() }\n"
             "  return m\n"
             "end }");
    stage_load(&stage);
    assert_int_equal(
        transformed(&stage, "1", "[\"010203\",\"0b0a0908-0706-4504-9312-11100f0e0d0c\"]"), 0);
    stage_deinit(&stage);
    tw_common_unref(&stage.app.how.common);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        SCRIPT_TEST(base64_goes_both_ways),
        SCRIPT_TEST(digests_are_those_of_the_rfcs),
        SCRIPT_TEST(equal_compares_texts),
        SCRIPT_TEST(random_is_random_and_in_its_bounds),
        SCRIPT_TEST(random_is_what_the_broker_is_given),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
