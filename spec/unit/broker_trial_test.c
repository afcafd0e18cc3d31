/* When a new generation is so much worse that it should go. */
#include "broker_support.h"

#include "broker/trial.h"

static bool lost(uint64_t calls, uint64_t failures, uint64_t before, uint64_t before_failures) {
    const struct tw_rollback_settings settings = {10000, 20, 0.5};
    return tw_trial_is_lost(&settings, (struct tw_trial_counts){before, before_failures},
                            (struct tw_trial_counts){calls, failures});
}

static void it_takes_enough_calls_and_enough_failures(void **state) {
    (void)state;
    assert_false(lost(0, 0, 0, 0));
    assert_false(lost(19, 19, 0, 0));
    assert_true(lost(20, 20, 0, 0));
    assert_true(lost(20, 10, 1000, 0));
    assert_false(lost(20, 9, 1000, 0));
    assert_true(lost(UINT64_MAX, UINT64_MAX / 2 + 1, 1, 0));
}

static void it_takes_twice_the_share_of_before(void **state) {
    (void)state;
    assert_true(lost(20, 10, 100, 25));
    assert_false(lost(20, 10, 100, 26));
    assert_true(lost(20, 20, 100, 50));
    assert_false(lost(20, 20, 100, 51));
    assert_false(lost(20, 20, 1, 1));
}

static void without_a_failure_it_is_never_lost(void **state) {
    (void)state;
    const struct tw_rollback_settings settings = {10000, 1, 0};
    assert_false(tw_trial_is_lost(&settings, (struct tw_trial_counts){0, 0},
                                  (struct tw_trial_counts){100, 0}));
    assert_true(tw_trial_is_lost(&settings, (struct tw_trial_counts){0, 0},
                                 (struct tw_trial_counts){100, 1}));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_takes_enough_calls_and_enough_failures),
        cmocka_unit_test(it_takes_twice_the_share_of_before),
        cmocka_unit_test(without_a_failure_it_is_never_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
