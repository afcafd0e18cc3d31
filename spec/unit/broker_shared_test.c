/* The dictionary: values, time, bounds, and threads. */
#include "broker_support.h"

#include <pthread.h>

#include "broker/shared.h"

static const uint64_t seed[2] = {1, 2};

static struct tw_shared_value number(double value) {
    return (struct tw_shared_value){.kind = TW_SHARED_NUMBER, .number = value};
}

static struct tw_shared_value text(const char *value) {
    return (struct tw_shared_value){.kind = TW_SHARED_TEXT, .bytes = tw_str_of(value)};
}

static int set(struct tw_shared *shared, const char *key, struct tw_shared_value value, double ttl,
               double now) {
    return tw_shared_set(shared, tw_str_of(key), &value, ttl, false, now);
}

static int get(struct tw_shared *shared, const char *key, double now, struct tw_shared_value *out) {
    static struct tw_buf buf;
    int status = tw_shared_get(shared, tw_str_of(key), now, out, &buf);
    static char copy[100];
    if (status == 0 && out->bytes.length < sizeof copy) {
        memcpy(copy, out->bytes.data, out->bytes.length);
        out->bytes.data = copy;
    }
    tw_buf_deinit(&buf);
    return status;
}

static size_t count(struct tw_shared *shared, size_t *bytes) {
    size_t keys, all;
    tw_shared_count(shared, &keys, bytes ? bytes : &all);
    return keys;
}

static void keeps_values_of_each_kind(void **state) {
    (void)state;
    struct tw_shared *shared = tw_shared_new(seed, 10000);
    struct tw_shared_value value = {.kind = TW_SHARED_BOOLEAN, .boolean = true}, got;
    size_t bytes;
    assert_int_equal(get(shared, "a", 0, &got), -ENOENT);
    assert_int_equal(set(shared, "a", value, 0, 0), 0);
    assert_int_equal(get(shared, "a", 0, &got), 0);
    assert_true(got.kind == TW_SHARED_BOOLEAN && got.boolean);
    assert_int_equal(set(shared, "a", number(1.5), 0, 0), 0);
    assert_int_equal(get(shared, "a", 0, &got), 0);
    assert_true(got.kind == TW_SHARED_NUMBER && got.number == 1.5);
    assert_int_equal(set(shared, "a", text("hello"), 0, 0), 0);
    assert_int_equal(get(shared, "a", 0, &got), 0);
    assert_true(got.kind == TW_SHARED_TEXT && tw_str_eq(got.bytes, TW_STR("hello")));
    assert_int_equal(set(shared, "a", text(""), 0, 0), 0);
    assert_int_equal(get(shared, "a", 0, &got), 0);
    assert_int_equal(got.bytes.length, 0);
    assert_int_equal(count(shared, &bytes), 1);
    assert_int_equal(bytes, TW_SHARED_OVERHEAD + 1);
    assert_true(tw_shared_delete(shared, TW_STR("a"), 0));
    assert_false(tw_shared_delete(shared, TW_STR("a"), 0));
    assert_int_equal(count(shared, &bytes), 0);
    assert_int_equal(bytes, 0);
    tw_shared_free(shared);
}

static void adds_and_counts(void **state) {
    (void)state;
    struct tw_shared *shared = tw_shared_new(seed, 10000);
    struct tw_shared_value one = number(1), got;
    double sum = 0;
    assert_int_equal(tw_shared_set(shared, TW_STR("a"), &one, 0, true, 0), 0);
    one.number = 2;
    assert_int_equal(tw_shared_set(shared, TW_STR("a"), &one, 0, true, 0), -EEXIST);
    get(shared, "a", 0, &got);
    assert_true(got.number == 1);
    assert_int_equal(tw_shared_incr(shared, TW_STR("a"), 2.5, 100, 0, 0, &sum), 0);
    assert_true(sum == 3.5);
    assert_int_equal(tw_shared_incr(shared, TW_STR("b"), 1, 100, 0, 0, &sum), 0);
    assert_true(sum == 101);
    set(shared, "t", text("x"), 0, 0);
    assert_int_equal(tw_shared_incr(shared, TW_STR("t"), 1, 0, 0, 0, &sum), TW_EPARSE);
    tw_shared_free(shared);
}

static void values_expire(void **state) {
    (void)state;
    struct tw_shared *shared = tw_shared_new(seed, 10000);
    struct tw_shared_value got;
    double sum;
    set(shared, "a", number(1), 10, 1000);
    assert_int_equal(get(shared, "a", 1009.9, &got), 0);
    assert_int_equal(get(shared, "a", 1010, &got), -ENOENT);
    assert_int_equal(count(shared, NULL), 0);
    /* incr leaves the time of a key that is there alone. */
    tw_shared_incr(shared, TW_STR("n"), 1, 0, 10, 1000, &sum);
    tw_shared_incr(shared, TW_STR("n"), 1, 0, 10, 1009, &sum);
    assert_true(sum == 2);
    tw_shared_incr(shared, TW_STR("n"), 1, 0, 10, 1010, &sum);
    assert_true(sum == 1);
    assert_true(tw_shared_expire(shared, TW_STR("n"), 0, 1011)); /* never */
    assert_int_equal(get(shared, "n", 9e9, &got), 0);
    assert_true(tw_shared_expire(shared, TW_STR("n"), 1, 2000));
    assert_false(tw_shared_expire(shared, TW_STR("n"), 1, 2001));
    assert_false(tw_shared_delete(shared, TW_STR("n"), 2001));
    set(shared, "a", number(1), 10, 1000);
    struct tw_shared_value one = number(7);
    assert_int_equal(tw_shared_set(shared, TW_STR("a"), &one, 0, true, 1010), 0);
    tw_shared_free(shared);
}

static void refuses_when_full_but_for_what_has_expired(void **state) {
    (void)state;
    struct tw_shared *shared = tw_shared_new(seed, 10 * (TW_SHARED_OVERHEAD + 1));
    struct tw_shared_value got;
    char key[2] = "0";
    size_t bytes;
    for (; *key <= '9'; ++*key)
        assert_int_equal(set(shared, key, number(*key), *key >= '8' ? 10 : 0, 100), 0);
    assert_int_equal(set(shared, "x", number(1), 0, 109), TW_EFULL);
    double sum;
    assert_int_equal(tw_shared_incr(shared, TW_STR("x"), 1, 0, 0, 109, &sum), TW_EFULL);
    assert_int_equal(set(shared, "0", number(5), 0, 109), 0); /* as large as before */
    assert_int_equal(set(shared, "0", text("longer"), 0, 109), TW_EFULL);
    assert_int_equal(get(shared, "0", 109, &got), 0); /* and what was there stays */
    assert_true(got.number == 5);
    assert_int_equal(count(shared, &bytes), 10);
    assert_int_equal(set(shared, "x", number(1), 0, 110), 0);
    assert_int_equal(count(shared, &bytes), 9);
    assert_int_equal(bytes, 9 * (TW_SHARED_OVERHEAD + 1));
    /* A smaller bound throws nothing away. */
    tw_shared_set_bound(shared, 100);
    assert_int_equal(tw_shared_bound(shared), 100);
    assert_int_equal(set(shared, "y", number(1), 0, 111), TW_EFULL);
    assert_int_equal(set(shared, "x", number(2), 0, 111), 0);
    assert_int_equal(get(shared, "7", 111, &got), 0);
    tw_shared_set_bound(shared, 10000);
    assert_int_equal(set(shared, "y", number(1), 0, 112), 0);
    tw_shared_free(shared);
}

static void an_allocation_that_fails_changes_nothing(void **state) {
    (void)state;
    struct tw_shared *shared = tw_shared_new(seed, 10000);
    struct tw_shared_value got;
    struct tw_buf buf = {0};
    size_t bytes;
    set(shared, "a", text("before"), 0, 0);
    tw_mem_fail_after(1);
    assert_int_equal(set(shared, "a", text("after!"), 0, 0), -ENOMEM);
    tw_mem_fail_after(1);
    assert_int_equal(tw_shared_get(shared, TW_STR("a"), 0, &got, &buf), -ENOMEM);
    tw_mem_fail_after(1);
    assert_int_equal(tw_shared_keys(shared, TW_STR(""), 10, 0, &buf), -ENOMEM);
    tw_mem_fail_after(-1);
    assert_int_equal(get(shared, "a", 0, &got), 0);
    assert_true(tw_str_eq(got.bytes, TW_STR("before")));
    assert_int_equal(count(shared, &bytes), 1);
    assert_int_equal(bytes, TW_SHARED_OVERHEAD + 7);
    tw_buf_deinit(&buf);
    tw_shared_free(shared);
}

static size_t keys_of(struct tw_shared *shared, const char *prefix, size_t limit, double now) {
    struct tw_buf buf = {0};
    size_t found = 0;
    assert_int_equal(tw_shared_keys(shared, tw_str_of(prefix), limit, now, &buf), 0);
    for (size_t at = 0, length; at < buf.length; at += sizeof length + length, found++) {
        memcpy(&length, buf.data + at, sizeof length);
        assert_true(tw_str_starts((struct tw_str){buf.data + at + sizeof length, length},
                                  tw_str_of(prefix)));
    }
    tw_buf_deinit(&buf);
    return found;
}

static void lists_keys(void **state) {
    (void)state;
    struct tw_shared *shared = tw_shared_new(seed, 1000000);
    for (int i = 0; i < 1000; i++) {
        char *key = tw_format("%s:%d", i % 2 ? "odd" : "even", i);
        assert_int_equal(set(shared, key, number(i), i % 10 == 0 ? 5 : 0, 0), 0);
        tw_free(key);
    }
    assert_int_equal(keys_of(shared, "", 5000, 0), 1000);
    assert_int_equal(keys_of(shared, "odd:", 5000, 0), 500);
    assert_int_equal(keys_of(shared, "odd:", 17, 0), 17);
    assert_int_equal(keys_of(shared, "none", 5000, 0), 0);
    assert_int_equal(keys_of(shared, "", 0, 0), 0);
    assert_int_equal(keys_of(shared, "", 5000, 5), 900);
    assert_int_equal(count(shared, NULL), 900);
    tw_shared_free(shared);
}

/* --- threads --- */

enum { THREADS = 4, ROUNDS = 20000 };

static void *work(void *data) {
    struct tw_shared *shared = (struct tw_shared *)data;
    static const char *const keys[] = {"a", "b", "c", "d", "e", "f", "g"};
    for (int i = 0; i < ROUNDS; i++) {
        struct tw_shared_value got;
        struct tw_buf buf = {0};
        char own[32];
        double sum;
        int length = snprintf(own, sizeof own, "%d", i % 200);
        struct tw_str key = {own, (size_t)length};
        tw_shared_incr(shared, TW_STR("sum"), 1, 0, 0, i, &sum);
        struct tw_shared_value value = text(keys[i % 7]);
        int status = tw_shared_set(shared, key, &value, i % 3, false, i);
        assert_true(status == 0 || status == TW_EFULL);
        if (tw_shared_get(shared, key, i, &got, &buf) == 0) assert_int_equal(got.bytes.length, 1);
        if (i % 5 == 0) tw_shared_delete(shared, key, i);
        if (i % 1000 == 0) tw_shared_keys(shared, TW_STR("1"), 50, i, &buf);
        tw_buf_deinit(&buf);
    }
    return NULL;
}

static void threads_share_it(void **state) {
    (void)state;
    size_t bound = 100 * (TW_SHARED_OVERHEAD + 4), bytes;
    struct tw_shared *shared = tw_shared_new(seed, bound);
    pthread_t threads[THREADS];
    struct tw_shared_value got;
    set(shared, "sum", number(0), 0, 0); /* so that there is room for it */
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, shared), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(get(shared, "sum", 0, &got), 0);
    assert_true(got.number == THREADS * ROUNDS);
    size_t left = count(shared, &bytes);
    assert_true(bytes <= bound && bytes >= left * TW_SHARED_OVERHEAD);
    for (int i = 0; i < 200; i++) {
        char *key = tw_format("%d", i);
        tw_shared_delete(shared, tw_str_of(key), 0);
        tw_free(key);
    }
    assert_int_equal(count(shared, &bytes), 1);
    assert_int_equal(bytes, TW_SHARED_OVERHEAD + 3);
    tw_shared_free(shared);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_values_of_each_kind),
        cmocka_unit_test(adds_and_counts),
        cmocka_unit_test(values_expire),
        cmocka_unit_test(refuses_when_full_but_for_what_has_expired),
        cmocka_unit_test(an_allocation_that_fails_changes_nothing),
        cmocka_unit_test(lists_keys),
        cmocka_unit_test(threads_share_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
