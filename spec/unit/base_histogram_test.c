/* Quantiles of histograms: how near, over the whole range, merged, and when a bucket is full. */
#include "base_support.h"

#include "base/histogram.h"

static void an_empty_one_says_0(void **state) {
    (void)state;
    struct tw_histogram h = {0};
    assert_int_equal(tw_histogram_quantile(&h, 0.5), 0);
    assert_int_equal(tw_histogram_quantile(&h, 1), 0);
}

static void one_value_is_every_quantile(void **state) {
    (void)state;
    for (uint64_t value = 0; value < (uint64_t)1 << 39; value = value * 5 / 4 + 1) {
        struct tw_histogram h = {0};
        tw_histogram_add(&h, value);
        assert_int_equal(tw_histogram_quantile(&h, 0), value);
        assert_int_equal(tw_histogram_quantile(&h, 0.5), value);
        assert_int_equal(tw_histogram_quantile(&h, 1), value);
    }
}

/* Each value below a far greater one, so that the maximum does not help. */
static void a_quantile_is_at_most_a_quarter_too_high(void **state) {
    (void)state;
    for (uint64_t value = 0; value < (uint64_t)1 << 39; value = value * 9 / 8 + 1) {
        struct tw_histogram h = {0};
        tw_histogram_add(&h, value);
        tw_histogram_add(&h, UINT64_MAX);
        uint64_t found = tw_histogram_quantile(&h, 0.5);
        assert_true(found >= value && found <= value + value / 4);
        assert_true(tw_histogram_quantile(&h, 1) > value);
        assert_true(h.max == UINT64_MAX);
    }
}

static void the_median_of_a_thousand(void **state) {
    (void)state;
    struct tw_histogram h = {0};
    for (unsigned i = 1; i <= 1000; i++)
        tw_histogram_add(&h, i);
    uint64_t p50 = tw_histogram_quantile(&h, 0.5), p99 = tw_histogram_quantile(&h, 0.99);
    assert_true(p50 >= 500 && p50 <= 625);
    assert_true(p99 >= 990 && p99 <= 1000);
    assert_int_equal(tw_histogram_quantile(&h, 1), 1000);
}

static void merged_is_as_if_all_had_come_to_one(void **state) {
    (void)state;
    struct tw_histogram a = {0}, b = {0}, both = {0};
    for (unsigned i = 1; i <= 500; i++) {
        tw_histogram_add(&a, i);
        tw_histogram_add(&b, i * 1000);
        tw_histogram_add(&both, i);
        tw_histogram_add(&both, i * 1000);
    }
    tw_histogram_merge(&a, &b);
    assert_memory_equal(&a, &both, sizeof a);
}

static void a_full_bucket_keeps_the_shares(void **state) {
    (void)state;
    struct tw_histogram h = {0}, other = {0};
    h.buckets[1] = UINT32_MAX;
    h.buckets[2] = UINT32_MAX - 1;
    h.max = 3;
    tw_histogram_add(&h, 1);
    tw_histogram_add(&h, 3);
    assert_int_equal(h.buckets[1], (UINT32_MAX >> 1) + 1);
    assert_int_equal(h.buckets[2], UINT32_MAX >> 1);
    assert_int_equal(tw_histogram_quantile(&h, 0.4), 1);
    assert_int_equal(tw_histogram_quantile(&h, 0.9), 2);
    other.buckets[1] = UINT32_MAX;
    tw_histogram_merge(&h, &other);
    assert_int_equal(tw_histogram_quantile(&h, 0.6), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_one_says_0),
        cmocka_unit_test(one_value_is_every_quantile),
        cmocka_unit_test(a_quantile_is_at_most_a_quarter_too_high),
        cmocka_unit_test(the_median_of_a_thousand),
        cmocka_unit_test(merged_is_as_if_all_had_come_to_one),
        cmocka_unit_test(a_full_bucket_keeps_the_shares),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
