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

static void it_is_won_when_its_time_is_over(void **state) {
    (void)state;
    const struct tw_rollback_settings settings = {10000, 20, 0.5};
    struct tw_trial trial = {0};
    assert_false(tw_trial_is_on(&trial, 0));
    assert_true(tw_trial_start(&trial, &settings, 7, (struct tw_trial_counts){1, 0}, 500));
    assert_int_equal(trial.generation, 7);
    assert_true(tw_trial_is_on(&trial, 10499));
    assert_false(tw_trial_is_on(&trial, 10500));
    assert_int_equal(trial.generation, 0);
    assert_false(tw_trial_is_on(&trial, 10499)); /* nor again */
}

static void without_a_window_there_is_none(void **state) {
    (void)state;
    const struct tw_rollback_settings settings = {0, 20, 0.5};
    struct tw_trial trial = {.generation = 3, .until_ms = 1000};
    assert_false(tw_trial_start(&trial, &settings, 7, (struct tw_trial_counts){1, 0}, 500));
    assert_false(tw_trial_is_on(&trial, 600)); /* the one before has ended, too */
}

static void it_is_asked_about_some_ten_times(void **state) {
    (void)state;
    static const uint64_t every[][2] = {{1, 20}, {100, 20}, {1000, 100}, {5000, 500}, {90000, 500}};
    for (size_t i = 0; i < sizeof every / sizeof *every; i++) {
        const struct tw_rollback_settings settings = {every[i][0], 20, 0.5};
        struct tw_trial trial;
        tw_trial_start(&trial, &settings, 2, (struct tw_trial_counts){0, 0}, 0);
        assert_int_equal(trial.every_ms, every[i][1]);
    }
}

static void it_says_why(void **state) {
    (void)state;
    const struct tw_rollback_settings settings = {1000, 20, 0.5};
    struct tw_trial trial = {0};
    char why[TW_TRIAL_REASON] = "";
    tw_trial_start(&trial, &settings, 2, (struct tw_trial_counts){100, 1}, 0);
    assert_false(tw_trial_judge(&trial, &settings, (struct tw_trial_counts){19, 19}, why));
    assert_string_equal(why, "");
    assert_true(tw_trial_judge(&trial, &settings, (struct tw_trial_counts){20, 19}, why));
    assert_string_equal(why, "19 of 20 hook calls failed after the reload, 1 of 100 before");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_takes_enough_calls_and_enough_failures),
        cmocka_unit_test(it_takes_twice_the_share_of_before),
        cmocka_unit_test(without_a_failure_it_is_never_lost),
        cmocka_unit_test(it_is_won_when_its_time_is_over),
        cmocka_unit_test(without_a_window_there_is_none),
        cmocka_unit_test(it_is_asked_about_some_ten_times),
        cmocka_unit_test(it_says_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
