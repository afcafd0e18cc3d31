/* Lua values <-> JSON, by tidewire.json and by message.data. */
#include "script_support.h"

#include <math.h>

#include "script/lua_json.h"

static void values_come_back_as_they_were(void **state) {
    (void)state;
    static const char *const same[] = {
        "[]",
        "{}",
        "[[]]",
        "{\"a\":[]}",
        "{\"a\":{}}",
        "[1,2,3]",
        "null",
        "[null]",
        "{\"a\":null}",
        "true",
        "false",
        "\"\"",
        "0",
        "-1",
        "1234567890123456",
        "9007199254740992",
        "-9007199254740992",
        "0.1",
        "1e+300",
        "1.5",
        "12.25",
        "-0.001",
        "1e-07",
        "0.30000000000000004",
        "4.94065645841247e-324",
        "1.7976931348623157e+308",
        "\"\\\"\\\\\\b\\f\\n\\r\\t\\u0001/\\u001f\"",
        "\"\xC3\xA9\xF0\x9F\x98\x80\"",
        "{\"\":1,\"a\":{\"b\":[{},[],null]}}",
        "[[[[[[[[[[1]]]]]]]]]]",
        "123456789012345",
        "0.123456789012345",
        "1.2345678901234567",
    };
    struct stage stage;
    stage_init(&stage, "return { transform = function(m) m.data = m.data return m end }");
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        assert_int_equal(transformed(&stage, same[i], same[i]), 0);
    static const char *const other[][2] = {
        {" { \"b\" : 1 , \"a\" : [ 1 , 2 ] } ", "{\"a\":[1,2],\"b\":1}"},
        {"1.0", "1"},
        {"1E2", "100"},
        {"-0", "0"},
        {"1e-400", "0"},
        {"1e-9999999", "0"}, /* LuaJIT counts exponents up to 2^20 */
        {"0e9999999", "0"},
        {"\"\\u0041\\/\\ud83d\\ude00\\u00e9\"", "\"A/\xF0\x9F\x98\x80\xC3\xA9\""},
        {"{\"a\":1,\"a\":2}", "{\"a\":2}"},
        {"{\"\\u0061\":1}", "{\"a\":1}"},
        {"10000000000000000000000", "1e+22"},
        {"0.1000000000000000055511151231257827", "0.1"},
        {"{\"ab\":1,\"a\":2,\"\xC3\xA9\":3,\"B\":4}", "{\"B\":4,\"a\":2,\"ab\":1,\"\xC3\xA9\":3}"},
    };
    for (size_t i = 0; i < sizeof other / sizeof *other; i++)
        assert_int_equal(transformed(&stage, other[i][0], other[i][1]), 0);
    stage_deinit(&stage);
}

static void many_keys_are_sorted_too(void **state) {
    (void)state;
    lua_is_good("local t = {} for i = 1, 300 do t['k' .. (i * 7919 % 1000)] = i end "
                "local text = tidewire.json.encode(t) local last = '' "
                "for k in text:gmatch('\"(k%d+)\"') do assert(k > last) last = k end "
                "for k, v in pairs(tidewire.json.decode(text)) do assert(t[k] == v) end");
}

/* As %.15g, %.16g or %.17g has it, the first that reads back the same. */
static void check_number(double number, char text[32]) {
    char wanted[32];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(wanted, sizeof wanted, "%.*g", digits, number);
        if (strtod(wanted, NULL) == number) break;
    }
    if (fabs(number) < 1e18 && number == (double)(long long)number &&
        number <= 9007199254740992.0 && number >= -9007199254740992.0) {
        snprintf(wanted, sizeof wanted, "%lld", (long long)number);
    }
    size_t length = tw_lua_json_number(number, text);
    assert_text((struct tw_str){text, length}, wanted);
}

static void numbers_are_the_shortest_that_read_back(void **state) {
    (void)state;
    char text[32];
    struct tw_rand rand;
    tw_rand_seed(&rand, 7);
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = tw_rand_next(&rand);
        double number;
        memcpy(&number, &bits, sizeof number);
        if (number != number || number - number != 0) continue;
        check_number(number, text);
    }
    /* What goes the short way, and its borders. */
    for (int i = 0; i < 20000; i++) {
        double number = (double)tw_rand_below(&rand, 1ull << (1 + tw_rand_below(&rand, 53)));
        for (double ten = 1; ten <= 1e8; ten *= 10) {
            check_number(number / ten, text);
            check_number(-number / ten, text);
        }
    }
    static const double borders[] = {
        0.0001,   0.00009999,         1e15,     999999999999999.9, 0.1 + 0.2,
        1e-6,     123456.7,           0.000123, 99999999.999999,   2.675,
        1e15 - 1, 4503599627370496.5, 1e21,     9007199254740993.0};
    for (size_t i = 0; i < sizeof borders / sizeof *borders; i++)
        check_number(borders[i], text);
}

/* Also numbers that do not take the short way, and those at its border. */
static void numbers_are_read_as_strtod_reads_them(void **state) {
    (void)state;
    struct stage stage;
    struct tw_rand rand;
    tw_rand_seed(&rand, 9);
    stage_init(&stage, "return { transform = function(m) m.data = m.data return m end }");
    for (int i = 0; i < 3000; i++) {
        char digits[24], text[60], wanted[32];
        size_t length = 1 + tw_rand_below(&rand, 19);
        for (size_t j = 0; j < length; j++)
            digits[j] = (char)('0' + tw_rand_below(&rand, 10));
        digits[length] = 0;
        int exponent = (int)tw_rand_below(&rand, 40) - 20;
        const char *sign = i % 3 ? "" : "-";
        if (i % 2) {
            snprintf(text, sizeof text, "%s1.%se%d", sign, digits, exponent);
        } else {
            snprintf(text, sizeof text, "%s%d.%s", sign, (int)tw_rand_below(&rand, 100000), digits);
        }
        wanted[tw_lua_json_number(strtod(text, NULL), wanted)] = 0;
        assert_int_equal(transformed(&stage, text, wanted), 0);
    }
    stage_deinit(&stage);
}

/* ... and not 0 for what LuaJIT does not read. */
static void numbers_beyond_all_bounds_are_infinite(void **state) {
    (void)state;
    lua_is_good(
        "local decode = tidewire.json.decode "
        "for _, e in ipairs { 'e400', 'e1048575', 'e1048576', 'E+99999999999999999999' } do "
        "assert(decode('1.5' .. e) == math.huge and decode('-2' .. e) == -math.huge) end");
    lua_fails("tidewire.json.decode('0.' .. ('1'):rep(1100000))", "has a million digits");
}

static void depth_is_bounded_both_ways(void **state) {
    (void)state;
    char text[300];
    struct stage stage;
    stage_init(&stage, "return { transform = function(m) m.data = m.data return m end }");
    memset(text, '[', 128);
    memset(text + 128, ']', 128);
    text[256] = 0;
    assert_int_equal(transformed(&stage, text, text), 0);
    stage_deinit(&stage);
    lua_is_good("assert(tidewire.json.decode(('['):rep(128) .. (']'):rep(128))) "
                "local v, why, code = tidewire.json.decode(('['):rep(129) .. (']'):rep(129)) "
                "assert(v == nil and why == 'not JSON: at byte 129' and code == -10013)");
    lua_fails("local t = 1 for i = 1, 129 do t = { t } end channel:publish(t)", "data[1][1][1]");
    lua_fails("local t = 1 for i = 1, 129 do t = { t } end channel:publish(t)",
              "is nested too deep");
}

static void what_json_cannot_hold_is_named_with_its_path(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"print", "data is a function, which JSON cannot hold"},
        {"{ a = { print } }", "data.a[1] is a function"},
        {"{ ['x y'] = { b = coroutine.create(print) } }", "data[\"x y\"].b is a thread"},
        {"{ a = channel }", "data.a is a userdata"},
        {"{ 1, nil, 3, [100] = 4 }", "data is an array with holes"},
        {"{ a = { [2] = 1 } }", "data.a is an array with holes"},
        {"{ [0] = 1 }", "data has a key that is no index"},
        {"{ [1.5] = 1 }", "data has a key that is no index"},
        {"{ 1, a = 2 }", "data mixes names and indices as keys"},
        {"{ [true] = 1 }", "data has a key that is neither a string nor an index"},
        {"{ [{}] = 1 }", "data has a key that is neither"},
        {"0/0", "data is not a finite number"},
        {"{ 1/0 }", "data[1] is not a finite number"},
        {"{ a = -1/0 }", "data.a is not a finite number"},
        {"'\\255'", "data is not UTF-8"},
        {"{ a = '\\237\\160\\128' }", "data.a is not UTF-8"},
        {"{ ['\\255'] = 1 }", "is not UTF-8"},
        {"(function() local t = { a = {} } t.a.b = t return t end)()", "data.a.b contains itself"},
        {"(function() local t = tidewire.json.array() t.x = 1 return t end)()",
         "data mixes names and indices as keys"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *body = tw_format("channel:publish(1) channel:publish(%s)", cases[i][0]);
        lua_fails(body, cases[i][1]);
        tw_free(body);
    }
    lua_fails("message.data = { f = print }", "message.data.f is a function");
    lua_fails("tidewire.json.encode({ f = print })", "value.f is a function");
}

static void arrays_and_null_are_told_apart(void **state) {
    (void)state;
    lua_is_good("local j = tidewire.json "
                "assert(j.encode {} == '{}' and j.encode(j.array()) == '[]') "
                "assert(j.encode(j.array {}) == '[]' and j.encode { j.null } == '[null]') "
                "assert(j.encode(nil) == 'null' and j.encode(j.null) == 'null') "
                "local t = j.decode('[]') t[1] = 5 assert(j.encode(t) == '[5]') "
                "t = { 1 } assert(j.array(t) == t and j.array(t) == t) "
                "assert(j.decode('{\"a\":null}').a == j.null) "
                "assert(not pcall(j.array, setmetatable({}, {})) and not pcall(j.array, 5)) "
                "assert(not pcall(j.decode) and not pcall(j.decode, 5) and not pcall(j.encode)) "
                "assert(not pcall(setmetatable, j.array(), {}))"); /* ours stays what it is */
}

static void decode_is_strict(void **state) {
    (void)state;
    lua_is_good(
        "for _, text in ipairs { '', ' ', '0x10', 'nan', 'NaN', '01', '+1', '.5', '1.', "
        "  '[1,]', '{a:1}', \"'a'\", '[1] x', '\"\\\\ud800\"', '\"\\n\"', 'tru', '//', "
        "  '{\"a\"}', '[', '\\239\\187\\1911' } do "
        "  local v, why, code = tidewire.json.decode(text) "
        "  assert(v == nil and why:find('^not JSON: at byte %d+$') and code == -10013, text) "
        "end");
}

static void metatables_are_not_asked(void **state) {
    (void)state;
    lua_is_good("local t = setmetatable({ a = 1 }, { __index = error, __pairs = error, "
                "__tostring = error }) assert(tidewire.json.encode(t) == '{\"a\":1}')");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        SCRIPT_TEST(values_come_back_as_they_were),
        SCRIPT_TEST(many_keys_are_sorted_too),
        SCRIPT_TEST(numbers_are_the_shortest_that_read_back),
        SCRIPT_TEST(numbers_are_read_as_strtod_reads_them),
        SCRIPT_TEST(numbers_beyond_all_bounds_are_infinite),
        SCRIPT_TEST(depth_is_bounded_both_ways),
        SCRIPT_TEST(what_json_cannot_hold_is_named_with_its_path),
        SCRIPT_TEST(arrays_and_null_are_told_apart),
        SCRIPT_TEST(decode_is_strict),
        SCRIPT_TEST(metatables_are_not_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
