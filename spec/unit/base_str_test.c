/* base_str_test.c */
#include "base_support.h"

#include "base/status.h"
#include "base/str.h"

static const struct tw_str nothing = {NULL, 0};

static void assert_str(struct tw_str s, const char *want) {
    assert_int_equal(s.length, strlen(want));
    if (s.length > 0) assert_memory_equal(s.data, want, s.length);
}

static void test_comparing(void **state) {
    (void)state;
    assert_true(tw_str_eq(TW_STR("a\0b"), TW_STR("a\0b")));
    assert_false(tw_str_eq(TW_STR("a\0b"), TW_STR("a\0c")));
    assert_false(tw_str_eq(TW_STR("ab"), TW_STR("abc")));
    assert_true(tw_str_eq(nothing, TW_STR("")));
    assert_true(tw_str_eq(tw_str_of(NULL), nothing));
    assert_str(tw_str_of("xyz"), "xyz");
    assert_true(tw_str_eq_nocase(TW_STR("WebSocket"), TW_STR("wEBsOCKET")));
    assert_false(tw_str_eq_nocase(TW_STR("@[`{"), TW_STR("`{@["))); /* the letters' neighbours */
    assert_false(tw_str_eq_nocase(TW_STR("\xC4"), TW_STR("\xE4"))); /* ASCII only */
    assert_true(tw_str_eq_nocase(nothing, TW_STR("")));
    assert_true(tw_str_starts(TW_STR("room:1"), TW_STR("room:")));
    assert_true(tw_str_starts(TW_STR("room"), nothing));
    assert_true(tw_str_starts(nothing, nothing));
    assert_false(tw_str_starts(TW_STR("roo"), TW_STR("room")));
    assert_int_equal(tw_str_compare(TW_STR("a"), TW_STR("a")), 0);
    assert_int_equal(tw_str_compare(nothing, nothing), 0);
    assert_true(tw_str_compare(nothing, TW_STR("a")) < 0);
    assert_true(tw_str_compare(TW_STR("ab"), TW_STR("a")) > 0);
    assert_true(tw_str_compare(TW_STR("ab"), TW_STR("b")) < 0);
    assert_true(tw_str_compare(TW_STR("\xff"), TW_STR("a")) > 0);
}

static void test_trim(void **state) {
    (void)state;
    assert_str(tw_str_trim(TW_STR(" \t a b\t ")), "a b");
    assert_str(tw_str_trim(TW_STR(" \t ")), "");
    assert_str(tw_str_trim(TW_STR("\r\na\n")), "\r\na\n"); /* not OWS */
    assert_str(tw_str_trim(nothing), "");
}

static void test_cut(void **state) {
    (void)state;
    struct tw_str rest = TW_STR("a,,b,");
    assert_str(tw_str_cut(&rest, ','), "a");
    assert_str(tw_str_cut(&rest, ','), "");
    assert_str(tw_str_cut(&rest, ','), "b");
    assert_non_null(rest.data); /* an empty piece is still to come */
    assert_str(tw_str_cut(&rest, ','), "");
    assert_null(rest.data);
    assert_null(tw_str_cut(&rest, ',').data);
    assert_null(rest.data);
    rest = TW_STR("");
    assert_str(tw_str_cut(&rest, ','), "");
    assert_null(rest.data);
}

static void test_list_has(void **state) {
    (void)state;
    struct tw_str list = TW_STR("keep-alive,\tUpgrade , ,x");
    assert_true(tw_str_list_has(list, TW_STR("upgrade")));
    assert_true(tw_str_list_has(list, TW_STR("Keep-Alive")));
    assert_true(tw_str_list_has(list, TW_STR("X")));
    assert_false(tw_str_list_has(list, TW_STR("alive")));
    assert_false(tw_str_list_has(list, TW_STR("upgradex")));
    assert_false(tw_str_list_has(list, TW_STR("")));
    assert_false(tw_str_list_has(nothing, TW_STR("x")));
    assert_false(tw_str_list_has(TW_STR("up,grade"), TW_STR("up,grade")));
}

static void test_percent_decode(void **state) {
    (void)state;
    const struct {
        const char *in;
        bool plus;
        const char *want; /* NULL: refused */
    } cases[] = {
        {"", false, ""},         {"abc", false, "abc"},       {"a%20b", false, "a b"},
        {"a+b", false, "a+b"},   {"a+b", true, "a b"},        {"%2B", true, "+"},
        {"%2f%2F", false, "//"}, {"%25%32%35", false, "%25"}, {"%D8%A8", false, "\xD8\xA8"},
        {"%ff", false, "\xFF"},  {"%", false, NULL},          {"a%4", false, NULL},
        {"%zz", false, NULL},    {"%4g", false, NULL},        {"%g4", false, NULL},
        {"%00", false, NULL},    {"a%00b", true, NULL},       {"%%41", false, NULL},
        {"%+1", true, NULL},     {"% 1", false, NULL},        {"%0x", false, NULL},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        size_t length = strlen(cases[i].in);
        char *in = exact_copy(cases[i].in, length), *out = exact_copy("", 0);
        free(out);
        out = malloc(length + 1);
        int64_t got = tw_str_percent_decode((struct tw_str){in, length}, cases[i].plus, out);
        if (cases[i].want) {
            assert_int_equal(got, strlen(cases[i].want));
            assert_memory_equal(out, cases[i].want, (size_t)got);
        } else {
            assert_int_equal(got, TW_EPARSE);
        }
        free(in);
        free(out);
    }
    assert_int_equal(tw_str_percent_decode(nothing, true, NULL), 0);
}

static void test_hex(void **state) {
    (void)state;
    const char *digits = "0123456789abcdefABCDEF";
    for (int c = 0; c < 256; c++) {
        const char *at = c ? strchr(digits, c) : NULL;
        unsigned want = !at ? 16 : (unsigned)(at - digits) - (at - digits > 15 ? 6 : 0);
        assert_int_equal(tw_hex_value((char)c), want);
    }
}

/* Short names that differ little, as channels do, must spread over the low bits, which a map uses.
 */
static void test_hash_spreads(void **state) {
    (void)state;
    enum { BUCKETS = 1024, NAMES = 16 * BUCKETS };
    static int counts[BUCKETS];
    char name[32];
    for (int i = 0; i < NAMES; i++) {
        snprintf(name, sizeof name, "room:%d", i);
        counts[tw_str_hash(tw_str_of(name)) % BUCKETS]++;
    }
    for (int i = 0; i < BUCKETS; i++) {
        assert_true(counts[i] > 0 && counts[i] < 48); /* 16 in the mean */
    }
    assert_int_equal(tw_str_hash(TW_STR("a")), tw_str_hash(tw_str_of("a")));
    assert_int_not_equal(tw_str_hash(TW_STR("a\0")), tw_str_hash(TW_STR("a")));
    assert_int_equal(tw_str_hash(nothing), tw_str_hash(TW_STR("")));
}

static void test_nearest(void **state) {
    (void)state;
    static const char *const names[] = {"heartbeat", "limits", "queue", "listen", "tls", "q", NULL};
    const struct {
        const char *word, *want;
    } cases[] = {
        {"heartbeat", "heartbeat"},
        {"heartbeet", "heartbeat"},
        {"hartbeat", "heartbeat"},
        {"haertbeat", "heartbeat"},
        {"heart_beat", "heartbeat"},
        {"limit", "limits"},
        {"qeueu", "queue"},
        {"lisen", "listen"},
        {"tsl", "tls"},
        {"workers", NULL},
        {"x", NULL},
        {"", NULL},
        {"abcdefgh", NULL},
        {"xyz", NULL},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const char *got = tw_str_nearest(cases[i].word, names);
        if (cases[i].want) {
            assert_non_null(got);
            assert_string_equal(got, cases[i].want);
        } else {
            assert_null(got);
        }
    }
    char longest[300];
    memset(longest, 'q', sizeof longest);
    longest[299] = 0;
    assert_null(tw_str_nearest(longest, names));
    const char *const only_long[] = {longest, NULL}, *const none[] = {NULL};
    assert_null(tw_str_nearest("q", only_long));
    assert_null(tw_str_nearest("q", none));
    longest[64] = 0; /* as long as it may be */
    assert_ptr_equal(tw_str_nearest(longest, only_long), longest);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_comparing),
        cmocka_unit_test(test_trim),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_list_has),
        cmocka_unit_test(test_percent_decode),
        cmocka_unit_test(test_hex),
        cmocka_unit_test(test_hash_spreads),
        cmocka_unit_test(test_nearest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
