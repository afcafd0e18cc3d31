/* app_bench_histogram_test.c */
#include "base_support.h"

#include "app/bench_histogram.h"

static struct tw_bench_histogram histogram;

static int empty(void **state) {
    (void)state;
    tw_bench_histogram_init(&histogram);
    return 0;
}

static void test_empty(void **state) {
    (void)state;
    assert_true(tw_bench_histogram_quantile(&histogram, 0.5) == 0);
    assert_true(tw_bench_histogram_mean(&histogram) == 0);
    assert_true(histogram.count == 0 && histogram.max == 0);
}

static void test_small_values_are_exact(void **state) {
    (void)state;
    for (uint64_t value = 1; value <= 60; value++)
        tw_bench_histogram_add(&histogram, value);
    assert_true(tw_bench_histogram_quantile(&histogram, 0.5) == 30);
    assert_true(tw_bench_histogram_quantile(&histogram, 0.0001) == 1);
    assert_true(tw_bench_histogram_quantile(&histogram, 1) == 60);
    assert_true(tw_bench_histogram_mean(&histogram) == 30.5);
}

/* Every power of two, its neighbours, and something in between: never below, at most 3.2 % above.
 */
static void test_quantiles_are_near(void **state) {
    (void)state;
    for (int bit = 1; bit < 64; bit++) {
        const uint64_t power = (uint64_t)1 << bit;
        const uint64_t values[] = {power - 1, power, power + 1, power + power / 3};
        for (size_t i = 0; i < COUNT_OF(values); i++) {
            tw_bench_histogram_init(&histogram);
            tw_bench_histogram_add(&histogram, values[i]);
            tw_bench_histogram_add(&histogram,
                                   UINT64_MAX); /* so that max does not hide the bucket */
            uint64_t got = tw_bench_histogram_quantile(&histogram, 0.5);
            assert_true(got >= values[i]);
            assert_true((double)(got - values[i]) <= 0.032 * (double)values[i]);
        }
    }
}

static void test_quantiles_of_many(void **state) {
    (void)state;
    for (uint64_t i = 1; i <= 100000; i++)
        tw_bench_histogram_add(&histogram, i * 1000);
    const double shares[] = {0.5, 0.9, 0.99, 0.999};
    for (size_t i = 0; i < COUNT_OF(shares); i++) {
        double got = (double)tw_bench_histogram_quantile(&histogram, shares[i]),
               want = shares[i] * 1e8;
        assert_true(got >= want && got <= want * 1.032);
    }
    assert_true(tw_bench_histogram_quantile(&histogram, 1) == 100000000);
}

static void test_merges(void **state) {
    (void)state;
    static struct tw_bench_histogram other, both;
    tw_bench_histogram_init(&other);
    tw_bench_histogram_init(&both);
    for (uint64_t i = 0; i < 1000; i++) {
        tw_bench_histogram_add(i % 3 ? &histogram : &other, i * i);
        tw_bench_histogram_add(&both, i * i);
    }
    tw_bench_histogram_merge(&histogram, &other);
    assert_memory_equal(&histogram, &both, sizeof both);
}

static void test_adds_many_at_once(void **state) {
    (void)state;
    static struct tw_bench_histogram other;
    tw_bench_histogram_init(&other);
    for (int i = 0; i < 7; i++)
        tw_bench_histogram_add(&histogram, 12345);
    tw_bench_histogram_add_many(&other, 12345, 7);
    tw_bench_histogram_add_many(&other, 99999, 0); /* never came: no max either */
    assert_memory_equal(&histogram, &other, sizeof other);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_empty, empty),
        cmocka_unit_test_setup(test_small_values_are_exact, empty),
        cmocka_unit_test_setup(test_quantiles_are_near, empty),
        cmocka_unit_test_setup(test_quantiles_of_many, empty),
        cmocka_unit_test_setup(test_merges, empty),
        cmocka_unit_test_setup(test_adds_many_at_once, empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
