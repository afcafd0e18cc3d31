/* base_buf_test.c */
#include "base_support.h"

#include <errno.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"

static void assert_buf(const struct tw_buf *buf, const char *want, size_t length) {
    assert_int_equal(buf->length, length);
    assert_true(buf->length <= buf->capacity);
    if (length > 0) assert_memory_equal(buf->data, want, length);
}

static void test_append_and_consume(void **state) {
    (void)state;
    struct tw_buf buf = {0};
    tw_buf_append(&buf, NULL, 0);
    tw_buf_consume(&buf, 0);
    assert_buf(&buf, "", 0);
    for (int i = 0; i < 5000; i++) {
        char byte = (char)i;
        tw_buf_append(&buf, &byte, 1);
    }
    assert_int_equal(buf.length, 5000);
    for (int i = 0; i < 5000; i++)
        assert_int_equal(buf.data[i], (char)i);
    tw_buf_consume(&buf, 1234);
    assert_int_equal(buf.length, 5000 - 1234);
    assert_int_equal(buf.data[0], (char)1234);
    tw_buf_consume(&buf, buf.length);
    assert_buf(&buf, "", 0);
    tw_buf_append(&buf, "again", 5);
    assert_buf(&buf, "again", 5);
    tw_buf_deinit(&buf);
    assert_null(buf.data);
    assert_int_equal(buf.capacity, 0);
    tw_buf_deinit(&buf);
}

static void drop(void *data, enum tw_log_level level, const char *line, size_t length) {
    (void)data, (void)level, (void)line, (void)length;
}

static void test_consuming_too_much_is_a_bug_but_harmless(void **state) {
    (void)state;
    struct tw_buf buf = {0};
    tw_buf_append(&buf, "abc", 3);
    unsigned long before = tw_check_count();
    tw_log_set_sink(drop, NULL);
    tw_buf_consume(&buf, 4);
    tw_log_set_sink(NULL, NULL);
    assert_int_equal(tw_check_count(), before + 1);
    assert_buf(&buf, "", 0);
    tw_buf_deinit(&buf);
}

static void test_out_of_memory_leaves_it_as_it_was(void **state) {
    (void)state;
    struct tw_buf buf = {0};
    tw_mem_fail_after(1);
    assert_int_equal(tw_buf_try_append(&buf, "abc", 3), -ENOMEM);
    assert_buf(&buf, "", 0);
    assert_int_equal(tw_buf_try_append(&buf, "abc", 3), 0);
    size_t capacity = buf.capacity;
    tw_mem_fail_after(1);
    assert_int_equal(tw_buf_try_reserve(&buf, capacity), -ENOMEM);
    assert_int_equal(buf.capacity, capacity);
    assert_buf(&buf, "abc", 3);
    assert_int_equal(tw_buf_try_reserve(&buf, SIZE_MAX), -ENOMEM); /* the sum overflows */
    assert_int_equal(tw_buf_try_reserve(&buf, SIZE_MAX - 3), -ENOMEM);
    assert_int_equal(tw_buf_try_reserve(&buf, PTRDIFF_MAX), -ENOMEM);
    assert_buf(&buf, "abc", 3);
    /* What has room allocates nothing; what may abort never fails by the hook. */
    tw_mem_fail_after(1);
    assert_int_equal(tw_buf_try_reserve(&buf, capacity - 3), 0);
    for (int i = 0; i < 100; i++)
        tw_buf_append(&buf, "0123456789", 10);
    assert_int_equal(buf.length, 1003);
    tw_mem_fail_after(-1);
    tw_buf_deinit(&buf);
}

static void append_too_much(void) {
    struct tw_buf buf = {0};
    tw_buf_append(&buf, "", SIZE_MAX);
}

static void test_append_aborts(void **state) {
    (void)state;
    char said[512];
    assert_true(aborts(append_too_much, said, sizeof said));
    assert_non_null(strstr(said, "out of memory"));
}

static void test_print(void **state) {
    (void)state;
    struct tw_buf buf = {0};
    tw_buf_print(&buf, "%s", "");
    assert_buf(&buf, "", 0);
    tw_buf_print(&buf, "%d-%s", 12, "ab");
    assert_buf(&buf, "12-ab", 5);
    tw_buf_deinit(&buf);
    /* Every length across the first growth: the NUL must not spill. */
    for (int length = 0; length < 200; length++) {
        struct tw_buf other = {0};
        tw_buf_print(&other, "x");
        tw_buf_print(&other, "%*s", length, length ? "y" : "");
        tw_buf_print(&other, "z");
        assert_int_equal(other.length, (size_t)length + 2);
        assert_int_equal(other.data[length], length ? 'y' : 'x');
        assert_int_equal(other.data[length + 1], 'z');
        tw_buf_deinit(&other);
    }
}

static void test_json_string(void **state) {
    (void)state;
    const struct {
        const char *in;
        size_t length;
        const char *want;
    } cases[] = {
        {"", 0, "\"\""},
        {"abc", 3, "\"abc\""},
        {"a\"b\\c/", 6, "\"a\\\"b\\\\c/\""},
        {"\b\f\n\r\t", 5, "\"\\b\\f\\n\\r\\t\""},
        {"\0\x01\x1f\x7f", 4, "\"\\u0000\\u0001\\u001f\x7f\""},
        {"\xD8\xA8\xE2\x82\xAC\xF0\x9F\x98\x80", 9, "\"\xD8\xA8\xE2\x82\xAC\xF0\x9F\x98\x80\""},
        {"a\xFFz", 3, "\"a\xEF\xBF\xBDz\""},
        {"\x80\xC0", 2, "\"\xEF\xBF\xBD\xEF\xBF\xBD\""},
        {"x\xE2\x82", 3, "\"x\xEF\xBF\xBD\xEF\xBF\xBD\""}, /* cut */
        {"\xE2\"", 2, "\"\xEF\xBF\xBD\\\"\""}, /* a bad lead must not swallow the quote */
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct tw_buf buf = {0};
        char *in = exact_copy(cases[i].in, cases[i].length);
        tw_buf_json_string(&buf, in, cases[i].length);
        assert_buf(&buf, cases[i].want, strlen(cases[i].want));
        tw_buf_deinit(&buf);
        free(in);
    }
}

/* Whatever bytes go in, JSON comes out. */
static void test_json_string_of_anything_is_json(void **state) {
    (void)state;
    unsigned seed = 1;
    for (int round = 0; round < 3000; round++) {
        char bytes[12];
        size_t length = (size_t)round % (sizeof bytes + 1);
        for (size_t i = 0; i < length; i++) {
            seed = seed * 1664525 + 1013904223;
            bytes[i] = (char)(seed >> 24);
        }
        struct tw_buf buf = {0};
        tw_buf_json_string(&buf, bytes, length);
        assert_int_equal(tw_json_check((struct tw_str){buf.data, buf.length}, NULL), 0);
        tw_buf_deinit(&buf);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_append_and_consume),
        cmocka_unit_test(test_consuming_too_much_is_a_bug_but_harmless),
        cmocka_unit_test(test_out_of_memory_leaves_it_as_it_was),
        cmocka_unit_test(test_append_aborts),
        cmocka_unit_test(test_print),
        cmocka_unit_test(test_json_string),
        cmocka_unit_test(test_json_string_of_anything_is_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
