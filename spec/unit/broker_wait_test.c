/* broker_wait_test.c: deadlines of clients: each in its time, by kind, and new settings apply. */
#include "broker_support.h"

#include "broker/wait.h"

static void start(struct tw_waits *waits) {
    tw_waits_init(waits);
    waits->duration_ms[TW_WAIT_HANDSHAKE] = 100;
    waits->duration_ms[TW_WAIT_IDLE] = 1000;
    waits->duration_ms[TW_WAIT_PONG] = 50;
}

static void expires_in_its_time(void **state) {
    (void)state;
    struct tw_waits waits;
    start(&waits);
    struct tw_wait a, b;
    tw_wait_init(&a);
    tw_wait_init(&b);
    assert_int_equal(tw_waits_next_ms(&waits, true), UINT64_MAX);
    tw_wait_start(&waits, &a, TW_WAIT_IDLE, 10);
    tw_wait_start(&waits, &b, TW_WAIT_HANDSHAKE, 20);
    assert_int_equal(tw_waits_next_ms(&waits, true), 120);
    assert_null(tw_waits_expired(&waits, 119));
    assert_ptr_equal(tw_waits_expired(&waits, 120), &b);
    assert_int_equal(b.kind, TW_WAIT_HANDSHAKE);
    assert_null(tw_waits_expired(&waits, 1009));
    assert_ptr_equal(tw_waits_expired(&waits, 5000), &a);
    assert_null(tw_waits_expired(&waits, UINT64_MAX - 1));
}

static void a_loop_may_wake_up_a_little_later(void **state) {
    (void)state;
    struct tw_waits waits;
    start(&waits);
    struct tw_wait a;
    tw_wait_init(&a);
    assert_int_equal(tw_waits_next_ms(&waits, false), UINT64_MAX);
    tw_wait_start(&waits, &a, TW_WAIT_IDLE, 10);
    assert_int_equal(tw_waits_next_ms(&waits, true), 1010);
    assert_int_equal(tw_waits_next_ms(&waits, false), 1010 + 1000 / TW_WAIT_SLACK);
    tw_wait_stop(&a);
}

static void a_new_wait_ends_the_one_before(void **state) {
    (void)state;
    struct tw_waits waits;
    start(&waits);
    struct tw_wait a;
    tw_wait_init(&a);
    tw_wait_start(&waits, &a, TW_WAIT_PONG, 0);
    tw_wait_start(&waits, &a, TW_WAIT_IDLE, 40);
    assert_null(tw_waits_expired(&waits, 1039));
    tw_wait_start(&waits, &a, TW_WAIT_IDLE, 1000);
    assert_null(tw_waits_expired(&waits, 1999));
    tw_wait_stop(&a);
    tw_wait_stop(&a);
    assert_null(tw_waits_expired(&waits, 9999));
    assert_int_equal(tw_waits_next_ms(&waits, true), UINT64_MAX);
}

static void duration_0_is_for_ever_and_settings_apply_to_those_who_wait(void **state) {
    (void)state;
    struct tw_waits waits;
    start(&waits);
    struct tw_wait a;
    tw_wait_init(&a);
    tw_wait_start(&waits, &a, TW_WAIT_CLOSE, 0);
    assert_int_equal(tw_waits_next_ms(&waits, true), UINT64_MAX);
    assert_null(tw_waits_expired(&waits, UINT64_MAX - 1));
    waits.duration_ms[TW_WAIT_CLOSE] = 7;
    assert_int_equal(tw_waits_next_ms(&waits, true), 7);
    assert_ptr_equal(tw_waits_expired(&waits, 7), &a);
}

static void many_in_any_order(void **state) {
    (void)state;
    enum { COUNT = 200 };
    static struct tw_wait nodes[COUNT];
    struct tw_waits waits;
    start(&waits);
    uint64_t due[COUNT];
    struct tw_rand rand;
    tw_rand_seed(&rand, 3);
    for (size_t i = 0; i < COUNT; i++) {
        tw_wait_init(&nodes[i]);
        due[i] = UINT64_MAX;
    }
    for (uint64_t now = 1; now < 20000; now++) {
        struct tw_wait *wait;
        while ((wait = tw_waits_expired(&waits, now))) {
            assert_int_equal(due[wait - nodes], now); /* not late, not early */
            due[wait - nodes] = UINT64_MAX;
        }
        size_t i = tw_rand_below(&rand, COUNT);
        enum tw_wait_kind kind = (enum tw_wait_kind)tw_rand_below(&rand, TW_WAIT_CLOSE);
        if (tw_rand_below(&rand, 4) == 0) {
            tw_wait_stop(&nodes[i]);
            due[i] = UINT64_MAX;
        } else {
            tw_wait_start(&waits, &nodes[i], kind, now);
            due[i] = now + waits.duration_ms[kind];
        }
        uint64_t next = UINT64_MAX;
        for (size_t k = 0; k < COUNT; k++)
            if (due[k] < next) next = due[k];
        assert_int_equal(tw_waits_next_ms(&waits, true), next);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(expires_in_its_time),
        cmocka_unit_test(a_loop_may_wake_up_a_little_later),
        cmocka_unit_test(a_new_wait_ends_the_one_before),
        cmocka_unit_test(duration_0_is_for_ever_and_settings_apply_to_those_who_wait),
        cmocka_unit_test(many_in_any_order),
    };
    return cmocka_run_group_tests(tests, NULL, no_failed_checks);
}
