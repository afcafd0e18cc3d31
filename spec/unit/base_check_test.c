/* base_check_test.c: the fatal assertion kills and says where; the other counts and goes on. */
#include "base_support.h"

#include <pthread.h>

#include "base/check.h"
#include "base/log.h"

struct seen {
    int lines;
    char last[256];
};

static void keep(void *data, enum tw_log_level level, const char *line, size_t length) {
    struct seen *seen = (struct seen *)data;
    assert_int_equal(level, TW_LOG_ERROR);
    assert_true(length < sizeof seen->last);
    memcpy(seen->last, line, length);
    seen->last[length] = 0;
    seen->lines++;
}

static void test_a_true_check_is_silent(void **state) {
    (void)state;
    struct seen seen = {0};
    tw_log_set_sink(keep, &seen);
    unsigned long before = tw_check_count();
    assert_true(TW_CHECK(1 + 1 == 2));
    TW_REQUIRE(1 + 1 == 2);
    tw_log_set_sink(NULL, NULL);
    assert_int_equal(tw_check_count(), before);
    assert_int_equal(seen.lines, 0);
}

static void test_a_false_check_counts_and_logs(void **state) {
    (void)state;
    struct seen seen = {0};
    int evaluated = 0;
    tw_log_set_sink(keep, &seen);
    unsigned long before = tw_check_count();
    assert_false(TW_CHECK(evaluated++ > 0));
    tw_log_set_sink(NULL, NULL);
    assert_int_equal(evaluated, 1);
    assert_int_equal(tw_check_count(), before + 1);
    assert_int_equal(seen.lines, 1);
    assert_non_null(strstr(seen.last, "evaluated++ > 0"));
    assert_non_null(strstr(seen.last, "base_check_test.c:"));
}

static void drop(void *data, enum tw_log_level level, const char *line, size_t length) {
    (void)data, (void)level, (void)line, (void)length;
}

static void *fail_often(void *data) {
    (void)data;
    for (int i = 0; i < 500; i++)
        (void)TW_CHECK(i < 0);
    return NULL;
}

static void test_threads_lose_no_count(void **state) {
    (void)state;
    pthread_t threads[4];
    tw_log_set_sink(drop, NULL);
    unsigned long before = tw_check_count();
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, fail_often, NULL), 0);
    }
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        pthread_join(threads[i], NULL);
    tw_log_set_sink(NULL, NULL);
    assert_int_equal(tw_check_count(), before + 2000);
}

static void require_nonsense(void) {
    TW_REQUIRE(2 > 3);
}

static void require_in_sink(void *data, enum tw_log_level level, const char *line, size_t length) {
    (void)data, (void)level, (void)line, (void)length;
    TW_REQUIRE(4 > 5);
}

static void require_under_the_logs_lock(void) {
    alarm(10); /* instead of a deadlock */
    tw_log_set_sink(require_in_sink, NULL);
    tw_log(TW_LOG_INFO, "test", "hello");
}

static void test_a_false_require_aborts(void **state) {
    (void)state;
    char said[512];
    assert_true(aborts(require_nonsense, said, sizeof said));
    assert_non_null(strstr(said, " error check "));
    assert_non_null(strstr(said, "2 > 3"));
    assert_non_null(strstr(said, "base_check_test.c:"));
    assert_true(aborts(require_under_the_logs_lock, said, sizeof said));
    assert_non_null(strstr(said, "4 > 5"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_true_check_is_silent),
        cmocka_unit_test(test_a_false_check_counts_and_logs),
        cmocka_unit_test(test_threads_lose_no_count),
        cmocka_unit_test(test_a_false_require_aborts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
