/* base_status_test.c: every code has a text, whatever space it is from. */
#include "base_support.h"

#include <errno.h>
#include <limits.h>

#include "base/status.h"

static void test_ours(void **state) {
    (void)state;
    assert_string_equal(tw_strerror(0), "ok");
    assert_string_equal(tw_strerror(TW_EPARSE), "malformed");
    assert_string_equal(tw_strerror(TW_EUSAGE), "wrong usage");
#define X(name, value, text)                                                                       \
    assert_true(name < -10000);                                                                    \
    assert_string_equal(tw_strerror(name), text);
    TW_STATUS_TABLE(X)
#undef X
}

static void test_codes_are_distinct(void **state) {
    (void)state;
    const int codes[] = {
#define X(name, value, text) name,
        TW_STATUS_TABLE(X)
#undef X
    };
    for (size_t i = 0; i < COUNT_OF(codes); i++) {
        for (size_t j = 0; j < i; j++)
            assert_int_not_equal(codes[i], codes[j]);
    }
}

static void test_errno_and_libuv(void **state) {
    (void)state;
    assert_string_equal(tw_strerror(-ECONNRESET), strerror(ECONNRESET));
    assert_string_equal(tw_strerror(-ENOMEM), strerror(ENOMEM));
    assert_string_equal(tw_strerror(-4095), "end of file");
    assert_string_equal(tw_strerror(-3008), "no such host or service name");
    assert_string_equal(tw_strerror(-3006), "the name does not resolve");
}

static void test_nonsense(void **state) {
    (void)state;
    const int codes[] = {1, INT_MAX, INT_MIN, -4096, -4097, -9999, -10000, -10099};
    for (size_t i = 0; i < COUNT_OF(codes); i++) {
        assert_string_equal(tw_strerror(codes[i]), "unknown status");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ours),
        cmocka_unit_test(test_codes_are_distinct),
        cmocka_unit_test(test_errno_and_libuv),
        cmocka_unit_test(test_nonsense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
