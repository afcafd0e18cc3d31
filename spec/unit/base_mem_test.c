/* base_mem_test.c: who aborts, who returns NULL, and the hook that makes it so. */
#include "base_support.h"

#include <pthread.h>

#include "base/mem.h"

struct pair {
    char first;
    int second;
};

static void test_alloc_is_zeroed_and_never_null(void **state) {
    (void)state;
    char *p = tw_alloc(1000);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(p[i], 0);
    tw_free(p);
    p = tw_alloc(0);
    assert_non_null(p);
    tw_free(p);
    p = tw_try_alloc(0);
    assert_non_null(p);
    p = tw_try_realloc(p, 0); /* must not free */
    assert_non_null(p);
    p = tw_realloc(p, 10);
    memcpy(p, "123456789", 10);
    p = tw_realloc(p, 100000);
    assert_string_equal(p, "123456789");
    tw_free(p);
    tw_free(NULL);
}

static void test_absurd_sizes(void **state) {
    (void)state;
    char *p = tw_alloc(4);
    assert_null(tw_try_alloc(SIZE_MAX));
    assert_null(tw_try_alloc((size_t)PTRDIFF_MAX + 1));
    assert_null(tw_try_realloc(p, SIZE_MAX));
    p[3] = 1; /* still ours */
    tw_free(p);
}

static void alloc_too_much(void) {
    tw_free(tw_alloc(SIZE_MAX));
}

static void realloc_too_much(void) {
    tw_free(tw_realloc(NULL, SIZE_MAX - 1));
}

static void test_abort(void **state) {
    (void)state;
    char said[512];
    assert_true(aborts(alloc_too_much, said, sizeof said));
    assert_non_null(strstr(said, "error mem out of memory bytes=18446744073709551615"));
    assert_true(aborts(realloc_too_much, said, sizeof said));
}

static void test_copies(void **state) {
    (void)state;
    char *copy = tw_memdup("a\0b", 3);
    assert_memory_equal(copy, "a\0b", 4);
    tw_free(copy);
    copy = tw_memdup(NULL, 0);
    assert_string_equal(copy, "");
    tw_free(copy);
    copy = tw_format("%d-%s-%05.1f", 42, "x", 2.5);
    assert_string_equal(copy, "42-x-002.5");
    tw_free(copy);
    copy = tw_format("%*d", 5000, 1);
    assert_int_equal(strlen(copy), 5000);
    tw_free(copy);
    copy = tw_format("%s", "");
    assert_string_equal(copy, "");
    tw_free(copy);
}

static void test_container(void **state) {
    (void)state;
    struct pair *pair = TW_NEW(struct pair);
    assert_int_equal(pair->second, 0);
    assert_ptr_equal(TW_CONTAINER(&pair->second, struct pair, second), pair);
    tw_free(pair);
}

static void test_the_nth_fails_once(void **state) {
    (void)state;
    for (long n = 1; n <= 4; n++) {
        tw_mem_fail_after(n);
        for (long i = 1; i <= 6; i++) {
            tw_free(tw_alloc(8)); /* neither fails nor counts */
            void *p = i % 2 ? tw_try_alloc(8) : tw_try_realloc(NULL, 8);
            assert_int_equal(p == NULL, i == n);
            tw_free(p);
        }
    }
    char *p = tw_try_alloc(4);
    memcpy(p, "abc", 4);
    tw_mem_fail_after(1);
    assert_null(tw_try_realloc(p, 100));
    assert_string_equal(p, "abc"); /* as it was */
    tw_free(p);
    tw_mem_fail_after(1);
    tw_mem_fail_after(-1);
    p = tw_try_alloc(1);
    assert_non_null(p);
    tw_free(p);
}

static void *try_once(void *data) {
    (void)data;
    return tw_try_alloc(1);
}

static void test_other_threads_do_not_count(void **state) {
    (void)state;
    pthread_t thread;
    void *p = NULL;
    tw_mem_fail_after(1);
    pthread_create(&thread, NULL, try_once, NULL);
    pthread_join(thread, &p);
    assert_non_null(p);
    tw_free(p);
    assert_null(tw_try_alloc(1));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alloc_is_zeroed_and_never_null),
        cmocka_unit_test(test_absurd_sizes),
        cmocka_unit_test(test_abort),
        cmocka_unit_test(test_copies),
        cmocka_unit_test(test_container),
        cmocka_unit_test(test_the_nth_fails_once),
        cmocka_unit_test(test_other_threads_do_not_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
