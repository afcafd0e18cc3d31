/* base_json_test.c: what is JSON, where it stops being JSON, and the bytes of members. The cases
 * are in the spirit of JSONTestSuite's y_ and n_ files. */
#include "base_support.h"

#include "base/json.h"
#include "base/status.h"

struct sample {
    const char *bytes;
    size_t length;
};
#define SAMPLE(text)                                                                               \
    { text, sizeof(text) - 1 }

static const struct sample good[] = {
    SAMPLE("[]"),
    SAMPLE("{}"),
    SAMPLE("[[]   ]"),
    SAMPLE("[\"\"]"),
    SAMPLE("[\"a\"]"),
    SAMPLE(" [] "),
    SAMPLE("[1\n]"),
    SAMPLE("[1,null,2]"),
    SAMPLE("[null,1,\"1\",{}]"),
    SAMPLE("null"),
    SAMPLE("true"),
    SAMPLE("false"),
    SAMPLE("\"\""),
    SAMPLE("42"),
    SAMPLE("-0"),
    SAMPLE("\t\r\n true\t\r\n "),
    SAMPLE("[true,false]"),
    SAMPLE("[123e65]"),
    SAMPLE("[0e+1]"),
    SAMPLE("[0e1]"),
    SAMPLE("[20e1]"),
    SAMPLE("[1E-2]"),
    SAMPLE("[-0.1]"),
    SAMPLE("[1E+22]"),
    SAMPLE("[123.456e78]"),
    SAMPLE("[0.4e006699999999991]"),
    SAMPLE("[-123123123123123123123123123123]"),
    SAMPLE("[-1e+9999]"),
    SAMPLE("[1.5e-9999]"),
    SAMPLE("{\"a\":\"b\"}"),
    SAMPLE("{\"a\":\"b\",\"a\":\"c\"}"),
    SAMPLE("{\"\":0}"),
    SAMPLE("{\"a\\u0000b\": 42}"),
    SAMPLE("{ \"x\" : [ { \"id\" : 1 } ] , \"y\" : { } }"),
    SAMPLE("{\n\"a\": \"b\"\n}"),
    SAMPLE("[\"\\u0060\\u012a\\u12AB\"]"),
    SAMPLE("[\"\\uD801\\udc37\"]"),
    SAMPLE("[\"\\ud83d\\ude39\\ud83d\\udc8d\"]"),
    SAMPLE("[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]"),
    SAMPLE("[\"\\\\u0000\"]"),
    SAMPLE("[\"\\\\a\"]"),
    SAMPLE("[\"a/*b*/c/*d//e\"]"),
    SAMPLE("[\"\\uFFFF\\uDBFF\\uDFFF\\uFFFE\"]"),
    SAMPLE("[\"\x7F\"]"),
    SAMPLE("[\"\xC2\x80\xDF\xBF\xE0\xA0\x80\xED\x9F\xBF\xF4\x8F\xBF\xBF\"]"),
    SAMPLE("\"\xD8\xB4\xD8\xA7\xD8\xAE\xD8\xB5 12345678 \xE2\x82\xAC 1234567 \xF0\x9F\x98\x80\""),
    SAMPLE("{\"symbol\":\"FOLD\",\"price\":4321.5,\"at\":[1,2,3],\"ok\":true,\"x\":null}"),
};

/* With the offset of the first wrong byte. */
static const struct {
    const char *bytes;
    size_t length, at;
} bad[] = {
#define BAD(text, at)                                                                              \
    { text, sizeof(text) - 1, at }
    BAD("", 0),
    BAD(" ", 1),
    BAD("\xEF\xBB\xBF{}", 0),
    BAD("\0", 0),
    BAD("[]\0", 2),
    BAD("[1 true]", 3),
    BAD("[a\xE5]", 1),
    BAD("[\"\": 1]", 3),
    BAD("[\"\"],", 4),
    BAD("[1,,2]", 3),
    BAD("[1,]", 3),
    BAD("[,1]", 1),
    BAD("[,]", 1),
    BAD("[\"x\"]]", 5),
    BAD("[\"x\"", 4),
    BAD("[3[4]]", 2),
    BAD("[1", 2),
    BAD("[", 1),
    BAD("]", 0),
    BAD("[}", 1),
    BAD("{]", 1),
    BAD("[-]", 2),
    BAD("[*]", 1),
    BAD("[\"a\",\n4\n,1,", 11),
    BAD("[\x0c]", 1),
    BAD("[\v1]", 1),
    BAD("[fals]", 5),
    BAD("[nul]", 4),
    BAD("[tru]", 4),
    BAD("nulL", 3),
    BAD("True", 0),
    BAD("truex", 4),
    BAD("TRUE", 0),
    BAD("tr", 2),
    BAD("undefined", 0),
    BAD("[++1]", 1),
    BAD("[+1]", 1),
    BAD("[-01]", 3),
    BAD("[01]", 2),
    BAD("[-1.0.]", 5),
    BAD("[-2.]", 4),
    BAD("[.1]", 1),
    BAD("[.-1]", 1),
    BAD("[0.1.2]", 4),
    BAD("[0.3e+]", 6),
    BAD("[0.3e]", 5),
    BAD("[0.e1]", 3),
    BAD("[0E+]", 4),
    BAD("[1.0e-]", 6),
    BAD("[1 000.0]", 3),
    BAD("[1eE2]", 3),
    BAD("[2.e3]", 3),
    BAD("[9.e+]", 3),
    BAD("[Inf]", 1),
    BAD("[NaN]", 1),
    BAD("[-NaN]", 2),
    BAD("[-Infinity]", 2),
    BAD("[1+2]", 2),
    BAD("[0x1]", 2),
    BAD("[-1x]", 3),
    BAD("[1e1.5]", 4),
    BAD("-", 1),
    BAD("1.", 2),
    BAD("1e", 2),
    BAD("[1_0]", 2),
    BAD("[\xEF\xBC\x91]", 1),
    BAD("{,}", 1),
    BAD("{\"x\"}", 4),
    BAD("{\"x\", null}", 4),
    BAD("{\"x\"::\"b\"}", 5),
    BAD("{a: \"b\"}", 1),
    BAD("{'a':0}", 1),
    BAD("{\"a\":\"a\" 123}", 9),
    BAD("{key: 1}", 1),
    BAD("{\"a\":", 5),
    BAD("{\"a\"", 4),
    BAD("{1:1}", 1),
    BAD("{null:null}", 1),
    BAD("{\"a\":}", 5),
    BAD("{\"id\":0,}", 8),
    BAD("{\"id\":0,,}", 8),
    BAD("{\"a\":\"b\"}/**/", 9),
    BAD("{}#", 2),
    BAD("{\"a\":\"b\"}//", 9),
    BAD("{\"a\":/*c*/1}", 5),
    BAD("{\"a\":1 \"b\":2}", 7),
    BAD("{}}", 2),
    BAD("{} {}", 3),
    BAD("{[]:1}", 1),
    BAD("{\"a\" \"b\"}", 5),
    BAD("\"", 1),
    BAD("'a'", 0),
    BAD("[\"a", 3),
    BAD("\"\\", 2),
    BAD("\"\\\"", 3),
    BAD("[\"\\x00\"]", 3),
    BAD("[\"\\a\"]", 3),
    BAD("[\"\\\0\"]", 3),
    BAD("[\"\\\t\"]", 3),
    BAD("[\"\\U0041\"]", 3),
    BAD("[\"\\u\"]", 4),
    BAD("[\"\\u00A\"]", 7),
    BAD("[\"\\u00Gx\"]", 6),
    BAD("[\"\\uqqqq\"]", 4),
    BAD("[\"\\u 123\"]", 4),
    BAD("[\"\\u-123\"]", 4),
    BAD("[\"new\nline\"]", 5),
    BAD("[\"\t\"]", 2),
    BAD("[\"a\0a\"]", 3),
    BAD("[\"12345678\x1f\"]", 10),
    BAD("[\"\\uD800\"]", 8),
    BAD("[\"\\uD800x\"]", 8),
    BAD("[\"\\uD800\\\"]", 9),
    BAD("[\"\\uD800\\n\"]", 9),
    BAD("[\"\\uD800\\u\"]", 10),
    BAD("[\"\\uD800\\u1\"]", 11),
    BAD("[\"\\uD800\\u0041\"]", 8),
    BAD("[\"\\uD800\\uD800\\uDC00\"]", 8),
    BAD("[\"\\uDC00\"]", 2),
    BAD("[\"a\\udfffb\"]", 3),
    BAD("[\"\\uD834\\uDd\"]", 12),
    BAD("[\"\xFF\"]", 2),
    BAD("[\"\x80\"]", 2),
    BAD("[\"\xC0\xAF\"]", 2),
    BAD("[\"\xE0\x80\x80\"]", 2),
    BAD("[\"\xED\xA0\x80\"]", 2),
    BAD("[\"\xF4\x90\x80\x80\"]", 2),
    BAD("[\"\xE2\x82\"]", 2),
    BAD("[\"12345678901\xE5\"]", 13),
    BAD("\"\xF0\x9F\x98", 1),
    BAD("[\"a\"\xC2\xA0]", 4),
    BAD("[1\xE2\x81\xA0]", 2),
    BAD("<null>", 0),
    BAD("[<null>]", 1),
    BAD("\"a\"b", 3),
};

static int check(const char *bytes, size_t length, size_t *at) {
    char *copy = exact_copy(bytes, length);
    int status = tw_json_check((struct tw_str){copy, length}, at);
    free(copy);
    return status;
}

static void test_good(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        size_t at = 777;
        if (check(good[i].bytes, good[i].length, &at) != 0) fail_msg("%zu: %s", at, good[i].bytes);
        assert_int_equal(at, 777);
        assert_int_equal(check(good[i].bytes, good[i].length, NULL), 0);
    }
}

static void test_bad(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        size_t at = 777;
        int status = check(bad[i].bytes, bad[i].length, &at);
        if (status != TW_EJSON || at != bad[i].at) {
            fail_msg("%s: status %d, at %zu, want %zu", bad[i].bytes, status, at, bad[i].at);
        }
        assert_int_equal(check(bad[i].bytes, bad[i].length, NULL), TW_EJSON);
    }
    assert_int_equal(tw_json_check((struct tw_str){NULL, 0}, NULL), TW_EJSON);
}

/* A prefix of an array, object or string is never JSON, and wrong only at its end, or at the first
 * byte of the character that the end cuts. */
static void test_truncated(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        const char *bytes = good[i].bytes;
        if (!strchr("[{\"", bytes[0])) continue;
        for (size_t length = 0; length < good[i].length; length++) {
            size_t at = 777;
            assert_int_equal(check(bytes, length, &at), TW_EJSON);
            size_t want = length;
            if (((unsigned char)bytes[length] & 0xC0) == 0x80) {
                do
                    want--;
                while (((unsigned char)bytes[want] & 0xC0) == 0x80);
            }
            assert_int_equal(at, want);
        }
    }
}

/* Any byte at any place: no read beyond the end (the sanitizer looks), and a sane offset. */
static void test_spoiled(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        for (size_t place = 0; place < good[i].length; place++) {
            for (int byte = 0; byte < 256; byte += 3) {
                char *copy = exact_copy(good[i].bytes, good[i].length);
                copy[place] = (char)byte;
                struct tw_str text = {copy, good[i].length}, out;
                size_t at = 0;
                if (tw_json_check(text, &at) != 0) assert_true(at <= text.length);
                if (tw_json_member(text, TW_STR("id"), &out)) {
                    assert_true(out.data >= copy && out.data + out.length <= copy + text.length);
                }
                free(copy);
            }
        }
    }
}

/* A special byte at every place around the 8-byte steps. */
static void test_string_steps(void **state) {
    (void)state;
    for (size_t length = 1; length < 40; length++) {
        for (size_t place = 0; place < length; place++) {
            char text[64];
            size_t at;
            memset(text, 'x', sizeof text);
            text[0] = text[length + 1] = '"';
            assert_int_equal(check(text, length + 2, &at), 0);
            for (int byte = 0; byte < 256; byte++) {
                text[place + 1] = (char)byte;
                int status = check(text, length + 2, &at);
                bool is_plain = byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
                assert_int_equal(status, is_plain ? 0 : TW_EJSON);
                if (is_plain) continue;
                size_t want = place + 1 + (byte == '"' || byte == '\\');
                if (byte == '\\' && place == length - 1) want++; /* escapes the last quote */
                assert_int_equal(at, want);
            }
        }
    }
}

static void test_depth(void **state) {
    (void)state;
    enum { MOST = TW_JSON_MAX_DEPTH };
    char text[2 * MOST + 8];
    memset(text, '[', MOST + 1);
    memset(text + MOST, ']', MOST);
    assert_int_equal(check(text, 2 * MOST, NULL), 0);
    memset(text, '[', MOST + 1);
    memset(text + MOST + 1, ']', MOST + 1);
    size_t at;
    assert_int_equal(check(text, 2 * MOST + 2, &at), TW_EJSON);
    assert_int_equal(at, MOST);
    /* Depth, not count. */
    char wide[4 * MOST + 1];
    for (size_t i = 0; i < MOST; i++)
        memcpy(wide + 4 * i, "{},\n", 4);
    char whole[sizeof wide + 4];
    int length = snprintf(whole, sizeof whole, "[%.*s0]", (int)(4 * MOST), wide);
    assert_int_equal(check(whole, (size_t)length, NULL), 0);
    /* A hostile megabyte must not eat the stack. */
    size_t size = 1 << 20;
    char *deep = malloc(size);
    memset(deep, '[', size);
    assert_int_equal(tw_json_check((struct tw_str){deep, size}, &at), TW_EJSON);
    assert_int_equal(at, MOST);
    for (size_t i = 0; i + 5 <= size; i += 5)
        memcpy(deep + i, "{\"a\":", 5);
    assert_int_equal(tw_json_check((struct tw_str){deep, size}, &at), TW_EJSON);
    assert_int_equal(at, 5 * MOST);
    free(deep);
}

static void test_member(void **state) {
    (void)state;
    const struct {
        const char *text, *name, *want; /* want NULL: not there */
    } cases[] = {
        {"{\"a\":1}", "a", "1"},
        {"{\"a\":1}", "b", NULL},
        {"{}", "a", NULL},
        {" { } ", "", NULL},
        {"[\"a\",1]", "a", NULL},
        {"\"a\"", "a", NULL},
        {"1", "a", NULL},
        {" {\n\"a\" : \t[ 1 , 2 ]\r , \"b\" : true } ", "a", "[ 1 , 2 ]"},
        {" {\n\"a\" : \t[ 1 , 2 ]\r , \"b\" : true } ", "b", "true"},
        {"{\"a\":-1.5e+3}", "a", "-1.5e+3"},
        {"{\"a\":-1.5e+3 ,\"b\":0}", "a", "-1.5e+3"},
        {"{\"a\":null\n}", "a", "null"},
        {"{\"a\":1,\"b\":2,\"a\":3}", "a", "3"}, /* the last one */
        {"{\"a\":1,\"a\":{},\"ab\":4}", "a", "{}"},
        {"{\"ab\":1,\"abc\":2}", "abc", "2"},
        {"{\"ab\":1}", "a", NULL},
        {"{\"a\":1}", "ab", NULL},
        {"{\"\":7}", "", "7"},
        {"{\"x\":{\"a\":1},\"y\":[{\"a\":2}]}", "a", NULL}, /* own members only */
        {"{\"x\":{\"b\":\"}\"},\"a\":\"]}\",\"z\":0}", "a", "\"]}\""},
        {"{\"x\":\"\\\"a\\\":1\",\"a\":2}", "a", "2"}, /* quotes within strings */
        {"{\"x\":\"\\\\\",\"a\":2}", "a", "2"},
        {"{\"x\":\"\\\\\\\"\",\"a\":\"\\\\\"}", "a", "\"\\\\\""},
        {"{\"x\":[[[\"]\"]]],\"a\":[]}", "a", "[]"},
        {"{\"\\u0061\":5}", "a", "5"}, /* names with escapes */
        {"{\"d\\u0061ta\":5}", "data", "5"},
        {"{\"\\\"\\\\\\/\\b\\f\\n\\r\\t\":5}", "\"\\/\b\f\n\r\t", "5"},
        {"{\"\\u0628\":1,\"\\u20AC\":2}", "\xD8\xA8", "1"},
        {"{\"\\u0628\":1,\"\\u20ac\":2}", "\xE2\x82\xAC", "2"},
        {"{\"\\uD83D\\uDE00\":3}", "\xF0\x9F\x98\x80", "3"},
        {"{\"\xD8\xA8\":4}", "\xD8\xA8", "4"},
        {"{\"\\u0061b\":5}", "a", NULL},
        {"{\"\\u0061\":5}", "ab", NULL},
        {"{\"a\\\\\":1}", "a\\", "1"},
        {"{\"a\\\"\":1}", "a\"", "1"},
        {"{\"a\":1,\"\\u0061\":2}", "a", "2"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        size_t length = strlen(cases[i].text);
        char *copy = exact_copy(cases[i].text, length);
        struct tw_str text = {copy, length}, out = {NULL, 0};
        if (tw_json_check(text, NULL) != 0) fail_msg("%s", cases[i].text);
        bool is_there = tw_json_member(text, tw_str_of(cases[i].name), &out);
        if (is_there != (cases[i].want != NULL)) fail_msg("%s in %s", cases[i].name, cases[i].text);
        if (is_there && !tw_str_eq(out, tw_str_of(cases[i].want))) {
            fail_msg("%s: got %.*s", cases[i].text, TW_STR_ARG(out));
        }
        if (!is_there) assert_null(out.data);
        free(copy);
    }
    struct tw_str out;
    assert_true(tw_json_member(TW_STR("{\"a\\u0000b\":1}"), TW_STR("a\0b"), &out));
    assert_false(tw_json_member(TW_STR("{\"a\\u0000b\":1}"), TW_STR("a"), &out));
    assert_false(tw_json_member((struct tw_str){NULL, 0}, TW_STR("a"), &out));
}

/* What a member's bytes are is JSON itself, and exactly the bytes that were sent. */
static void test_member_bytes_are_json(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        char text[512];
        int length = 0;
        if (memchr(good[i].bytes, 0, good[i].length)) continue;
        length =
            snprintf(text, sizeof text, "{\"before\":[0],\"data\":%s,\"after\":{}}", good[i].bytes);
        struct tw_str whole = {text, (size_t)length}, out;
        assert_int_equal(tw_json_check(whole, NULL), 0);
        assert_true(tw_json_member(whole, TW_STR("data"), &out));
        struct tw_str want = {good[i].bytes, good[i].length};
        while (want.length && strchr(" \t\r\n", want.data[0]))
            want.data++, want.length--;
        while (want.length && strchr(" \t\r\n", want.data[want.length - 1]))
            want.length--;
        assert_true(tw_str_eq(out, want));
        assert_int_equal(tw_json_check(out, NULL), 0);
        assert_true(tw_json_member(whole, TW_STR("after"), &out));
        assert_true(tw_str_eq(out, TW_STR("{}")));
    }
}

/* The finder must survive text that nobody checked. */
static void test_member_of_truncated_text(void **state) {
    (void)state;
    const char *text =
        "{\"x\":\"a\\\"b\",\"\\uD83D\\uDE00\":[{\"y\":\"]\"}], \"id\" : 12 , \"z\":\"\\\\\"}";
    for (size_t length = 0; length < strlen(text); length++) {
        char *copy = exact_copy(text, length);
        struct tw_str out = {NULL, 0};
        if (tw_json_member((struct tw_str){copy, length}, TW_STR("id"), &out)) {
            assert_true(tw_str_starts(TW_STR("12"), out));
        }
        tw_json_member((struct tw_str){copy, length}, TW_STR("\xF0\x9F\x98\x80"), &out);
        free(copy);
    }
    const char *const names[] = {"{\"\\u\":1}", "{\"\\q\":1}", "{\"\\uD800\":1}",
                                 "{\"\\uZZZZ\":1}"};
    struct tw_str out;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        assert_false(tw_json_member(tw_str_of(names[i]), TW_STR("x"), &out));
    }
}

static void test_string_decode(void **state) {
    (void)state;
    const struct {
        struct sample in, want; /* want.bytes NULL: refused */
    } cases[] = {
        {SAMPLE("\"\""), SAMPLE("")},
        {SAMPLE("\"market\""), SAMPLE("market")},
        {SAMPLE("\"m\\u0061rket\""), SAMPLE("market")},
        {SAMPLE("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), SAMPLE("\"\\/\b\f\n\r\t")},
        {SAMPLE("\"a\\u0000b\""), SAMPLE("a\0b")},
        {SAMPLE("\"\\u0628\\u20aC\\uD83D\\uDE00\""),
         SAMPLE("\xD8\xA8\xE2\x82\xAC\xF0\x9F\x98\x80")},
        {SAMPLE("\"\\u007f\\u0080\\u07ff\\u0800\\uffff\""),
         SAMPLE("\x7F\xC2\x80\xDF\xBF\xE0\xA0\x80\xEF\xBF\xBF")},
        {SAMPLE("\"\\uDBFF\\uDFFF\\uD800\\uDC00\""), SAMPLE("\xF4\x8F\xBF\xBF\xF0\x90\x80\x80")},
        {SAMPLE("\"\xD8\xA8\""), SAMPLE("\xD8\xA8")},
        {SAMPLE(""), {NULL, 0}},
        {SAMPLE("\""), {NULL, 0}},
        {SAMPLE("1"), {NULL, 0}},
        {SAMPLE("null"), {NULL, 0}},
        {SAMPLE("[\"a\"]"), {NULL, 0}},
        {SAMPLE("\"\\\""), {NULL, 0}},
        {SAMPLE("\"\\u12\""), {NULL, 0}},
        {SAMPLE("\"\\uD800\""), {NULL, 0}},
        {SAMPLE("\"\\q\""), {NULL, 0}},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char *in = exact_copy(cases[i].in.bytes, cases[i].in.length);
        char *out = malloc(cases[i].in.length + 1);
        int64_t got = tw_json_string_decode((struct tw_str){in, cases[i].in.length}, out);
        if (cases[i].want.bytes) {
            assert_int_equal(got, cases[i].want.length);
            assert_memory_equal(out, cases[i].want.bytes, cases[i].want.length);
        } else {
            assert_int_equal(got, TW_EPARSE);
        }
        free(in);
        free(out);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_spoiled),
        cmocka_unit_test(test_string_steps),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_member),
        cmocka_unit_test(test_member_bytes_are_json),
        cmocka_unit_test(test_member_of_truncated_text),
        cmocka_unit_test(test_string_decode),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
