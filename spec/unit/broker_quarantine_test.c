/* quarantine.c: when it begins, when one call is let through, and what that changes. */
#include "broker_support.h"

#include "broker/quarantine.h"

static const struct tw_quarantine_settings usual = {3, 1000, 500};
static const struct tw_failure oops = {.hook = "transform", .message = "oops"};

static bool fail_at(struct tw_quarantine *q, uint64_t now_ms) {
    return tw_quarantine_fail(q, &usual, TW_PART_PUBLISH, &oops, now_ms);
}

static bool may_at(const struct tw_quarantine *q, enum tw_quarantine_part part, uint64_t now_ms) {
    return tw_quarantine_may_run(q, &usual, part, now_ms);
}

static void it_begins_with_the_nth_failure_of_a_window(void **state) {
    (void)state;
    struct tw_quarantine q = {0};
    assert_false(fail_at(&q, 0));
    assert_false(fail_at(&q, 999));
    assert_false(fail_at(&q, 1000)); /* another window */
    assert_false(fail_at(&q, 1001));
    assert_true(may_at(&q, TW_PART_PUBLISH, 1001));
    assert_true(fail_at(&q, 1999));
    assert_true(tw_quarantine_is_on(&q));
    assert_string_equal(q.last->message, "oops");
    assert_int_equal(q.since_ms, 1999);
    assert_int_equal(q.until_ms, 2499);
    tw_quarantine_deinit(&q);
}

static void with_0_it_never_begins(void **state) {
    (void)state;
    struct tw_quarantine q = {0};
    const struct tw_quarantine_settings never = {0, 1000, 500};
    for (int i = 0; i < 1000; i++)
        assert_false(tw_quarantine_fail(&q, &never, TW_PART_TICK, &oops, 5));
    assert_false(tw_quarantine_is_on(&q));
}

static void begin(struct tw_quarantine *q, enum tw_quarantine_part part, uint64_t now_ms) {
    for (int i = 0; i < 3; i++)
        tw_quarantine_fail(q, &usual, part, &oops, now_ms);
    assert_true(tw_quarantine_is_on(q));
}

static void the_part_that_failed_is_tried_first(void **state) {
    (void)state;
    struct tw_quarantine q = {0};
    begin(&q, TW_PART_PUBLISH, 100);
    assert_false(may_at(&q, TW_PART_PUBLISH, 100));
    assert_false(may_at(&q, TW_PART_PUBLISH, 599));
    assert_true(may_at(&q, TW_PART_PUBLISH, 600));
    assert_false(may_at(&q, TW_PART_TICK, 600));
    assert_false(may_at(&q, TW_PART_TICK, 1099));
    assert_true(may_at(&q, TW_PART_TICK, 1100)); /* nobody came for another `retry` */
    tw_quarantine_deinit(&q);
    begin(&q, TW_PART_STATE, 100); /* which is never on trial itself */
    assert_false(may_at(&q, TW_PART_TICK, 599));
    assert_true(may_at(&q, TW_PART_TICK, 600));
    tw_quarantine_deinit(&q);
}

static void a_trial_ends_it_or_renews_it(void **state) {
    (void)state;
    struct tw_quarantine q = {0};
    const struct tw_failure other = {.hook = "tick", .message = "another"};
    begin(&q, TW_PART_PUBLISH, 100);
    assert_true(tw_quarantine_fail(&q, &usual, TW_PART_TICK, &other, 700));
    assert_int_equal(q.since_ms, 100);
    assert_int_equal(q.until_ms, 1200);
    assert_string_equal(q.last->message, "another");
    assert_false(may_at(&q, TW_PART_TICK, 1199));
    assert_true(may_at(&q, TW_PART_TICK, 1200));
    assert_true(tw_quarantine_pass(&q));
    assert_false(tw_quarantine_is_on(&q));
    assert_false(tw_quarantine_pass(&q));
    assert_false(fail_at(&q, 1201)); /* what failed before is forgotten */
    assert_false(fail_at(&q, 1201));
    assert_true(fail_at(&q, 1201));
    tw_quarantine_deinit(&q);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_begins_with_the_nth_failure_of_a_window),
        cmocka_unit_test(with_0_it_never_begins),
        cmocka_unit_test(the_part_that_failed_is_tried_first),
        cmocka_unit_test(a_trial_ends_it_or_renews_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
