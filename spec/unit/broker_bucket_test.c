/* broker_bucket_test.c: token buckets: rates, bursts, debt, and clocks that wrap or lag. */
#include "broker_support.h"

#include "broker/bucket.h"

static const struct tw_rate ten_a_second = {.rate = 10, .burst = 3};

static unsigned take_all(struct tw_bucket *bucket, struct tw_rate rate, uint64_t now_ms) {
    unsigned taken = 0;
    while (taken < 1000 && tw_bucket_try_take(bucket, rate, 1, now_ms))
        taken++;
    return taken;
}

static void lets_a_burst_through_then_the_rate(void **state) {
    (void)state;
    struct tw_bucket bucket = {0};
    assert_int_equal(take_all(&bucket, ten_a_second, 5000), 3);
    assert_int_equal(take_all(&bucket, ten_a_second, 5099), 0);
    assert_int_equal(take_all(&bucket, ten_a_second, 5100), 1);
    assert_int_equal(take_all(&bucket, ten_a_second, 5299), 1);
    assert_int_equal(take_all(&bucket, ten_a_second, 5300), 1);
    assert_int_equal(take_all(&bucket, ten_a_second, 60000), 3);
}

static void says_how_long_until_one_is_there(void **state) {
    (void)state;
    struct tw_bucket bucket = {0};
    assert_int_equal(tw_bucket_wait_ms(&bucket, ten_a_second, 0), 0);
    take_all(&bucket, ten_a_second, 0);
    uint64_t wait_ms = tw_bucket_wait_ms(&bucket, ten_a_second, 0);
    assert_in_range(wait_ms, 100, 102);
    assert_false(tw_bucket_try_take(&bucket, ten_a_second, 1, 99));
    assert_true(tw_bucket_try_take(&bucket, ten_a_second, 1, wait_ms));
}

static void has_no_limit_at_rate_0(void **state) {
    (void)state;
    struct tw_bucket bucket = {0};
    struct tw_rate none = {0};
    assert_int_equal(take_all(&bucket, none, 1), 1000);
    assert_int_equal(tw_bucket_wait_ms(&bucket, none, 1), 0);
}

static void a_full_bucket_goes_into_debt_for_more_than_a_burst(void **state) {
    (void)state;
    struct tw_bucket bucket = {0};
    assert_true(tw_bucket_try_take(&bucket, ten_a_second, 13, 0)); /* 10 more than a burst */
    assert_false(tw_bucket_try_take(&bucket, ten_a_second, 1, 1000));
    assert_true(tw_bucket_try_take(&bucket, ten_a_second, 1, 1100));
    assert_false(tw_bucket_try_take(&bucket, ten_a_second, 13, 1200)); /* not full: not at all */
    assert_true(tw_bucket_try_take(&bucket, ten_a_second, 13, 3000));
}

static void the_rate_holds_over_many_small_steps(void **state) {
    (void)state;
    struct tw_bucket bucket = {0};
    struct tw_rate rate = {.rate = 100, .burst = 4194304};
    unsigned taken = 0;
    assert_true(tw_bucket_try_take(&bucket, rate, rate.burst, 0));
    /* Each refusal leaves the bucket as it was: a tenth of a token is not lost to rounding. */
    for (uint64_t now_ms = 1; now_ms <= 100000; now_ms++)
        taken += tw_bucket_try_take(&bucket, rate, 1, now_ms);
    assert_in_range(taken, 9990, 10000);
}

static void the_clock_wraps(void **state) {
    (void)state;
    uint64_t wrap = (uint64_t)1 << 32;
    for (uint64_t start = wrap - 70000; start < wrap + 10; start += start < wrap - 10 ? 9973 : 1) {
        struct tw_bucket bucket = {0};
        assert_int_equal(take_all(&bucket, ten_a_second, start), 3);
        assert_int_equal(take_all(&bucket, ten_a_second, start + 99), 0);
        assert_int_equal(take_all(&bucket, ten_a_second, start + 100), 1);
        assert_int_equal(take_all(&bucket, ten_a_second, start + 1000), 3);
    }
}

/* Two workers share the bucket of an address, and each has the time of its own loop turn. */
static void a_clock_that_lags_brings_no_tokens(void **state) {
    (void)state;
    struct tw_bucket bucket = {0};
    assert_int_equal(take_all(&bucket, ten_a_second, 5000), 3);
    assert_int_equal(take_all(&bucket, ten_a_second, 4990), 0);
    unsigned taken = 0;
    for (uint64_t now_ms = 5000; now_ms < 15000; now_ms++) {
        taken += take_all(&bucket, ten_a_second, now_ms);
        taken += take_all(&bucket, ten_a_second, now_ms - 7);
    }
    assert_in_range(taken, 99, 100);
}

static void new_rates_apply_at_once(void **state) {
    (void)state;
    struct tw_bucket bucket = {0};
    assert_int_equal(take_all(&bucket, ten_a_second, 0), 3);
    assert_int_equal(take_all(&bucket, (struct tw_rate){10, 5}, 0), 2);
    assert_int_equal(take_all(&bucket, (struct tw_rate){1000, 5}, 3), 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lets_a_burst_through_then_the_rate),
        cmocka_unit_test(says_how_long_until_one_is_there),
        cmocka_unit_test(has_no_limit_at_rate_0),
        cmocka_unit_test(a_full_bucket_goes_into_debt_for_more_than_a_burst),
        cmocka_unit_test(the_rate_holds_over_many_small_steps),
        cmocka_unit_test(the_clock_wraps),
        cmocka_unit_test(a_clock_that_lags_brings_no_tokens),
        cmocka_unit_test(new_rates_apply_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, no_failed_checks);
}
