/* broker_admission_test.c: caps that are exact on any number of threads, and freed at every leave.
 */
#include "broker_support.h"

#include <pthread.h>

#include "broker/admission.h"

static struct tw_limits limits_of(uint32_t connections, uint32_t per_ip) {
    return (struct tw_limits){.connections = connections, .connections_per_ip = per_ip};
}

static void the_cap_of_the_process_is_exact(void **state) {
    (void)state;
    struct tw_admission admission;
    struct tw_limits limits = limits_of(2, 0);
    struct tw_ip a = ip_of("10.0.0.1"), b = ip_of("10.0.0.2");
    tw_admission_init(&admission);
    assert_int_equal(tw_admission_enter(&admission, &limits, &a), 0);
    assert_int_equal(tw_admission_enter(&admission, &limits, &a), 0);
    assert_int_equal(tw_admission_enter(&admission, &limits, &b), TW_EFULL);
    assert_int_equal(tw_admission_count(&admission), 2);
    tw_admission_leave(&admission, &a);
    assert_int_equal(tw_admission_enter(&admission, &limits, &b), 0);
    assert_int_equal(tw_admission_enter(&admission, &limits, &b), TW_EFULL);
    tw_admission_leave(&admission, &a);
    tw_admission_leave(&admission, &b);
    assert_int_equal(tw_admission_count(&admission), 0);
    assert_int_equal(admission.groups.count, 0);
    tw_admission_deinit(&admission);
}

/* Enters twice from `first`, then asks from `second`, with a cap of 2. */
static int third_of_a_group(const char *first, const char *second) {
    struct tw_admission admission;
    struct tw_limits limits = limits_of(100, 2);
    struct tw_ip a = ip_of(first), b = ip_of(second);
    tw_admission_init(&admission);
    assert_int_equal(tw_admission_enter(&admission, &limits, &a), 0);
    assert_int_equal(tw_admission_enter(&admission, &limits, &a), 0);
    int status = tw_admission_enter(&admission, &limits, &b);
    if (status == 0) {
        tw_admission_leave(&admission, &b);
    } else { /* a leaver frees the place */
        tw_admission_leave(&admission, &a);
        assert_int_equal(tw_admission_enter(&admission, &limits, &b), 0);
    }
    tw_admission_leave(&admission, &a);
    tw_admission_leave(&admission, status == 0 ? &a : &b);
    assert_int_equal(tw_admission_count(&admission), 0);
    assert_int_equal(admission.groups.count, 0);
    tw_admission_deinit(&admission);
    return status;
}

static void counts_by_address_group(void **state) {
    (void)state;
    assert_int_equal(third_of_a_group("10.0.0.1", "10.0.0.1"), TW_ERATE);
    assert_int_equal(third_of_a_group("10.0.0.1", "10.0.0.2"), 0);
    assert_int_equal(third_of_a_group("10.0.0.1", "::ffff:10.0.0.1"), TW_ERATE);
    assert_int_equal(third_of_a_group("2001:db8:1:2::1", "2001:db8:1:2:ffff::9"), TW_ERATE);
    assert_int_equal(third_of_a_group("2001:db8:1:2::1", "2001:db8:1:3::1"), 0);
}

static void a_lower_cap_after_a_reload_refuses_until_enough_left(void **state) {
    (void)state;
    struct tw_admission admission;
    struct tw_limits wide = limits_of(100, 5), narrow = limits_of(100, 2);
    struct tw_ip ip = ip_of("10.0.0.1");
    tw_admission_init(&admission);
    for (int i = 0; i < 5; i++)
        assert_int_equal(tw_admission_enter(&admission, &wide, &ip), 0);
    for (int i = 0; i < 4; i++) {
        if (i < 3) assert_int_equal(tw_admission_enter(&admission, &narrow, &ip), TW_ERATE);
        tw_admission_leave(&admission, &ip);
    }
    assert_int_equal(tw_admission_enter(&admission, &narrow, &ip), 0);
    tw_admission_leave(&admission, &ip);
    tw_admission_leave(&admission, &ip);
    assert_int_equal(tw_admission_count(&admission), 0);
    tw_admission_deinit(&admission);
}

static void handshakes_have_a_rate_per_group(void **state) {
    (void)state;
    struct tw_admission admission;
    struct tw_limits limits = limits_of(100, 0);
    struct tw_ip a = ip_of("10.0.0.1"), b = ip_of("10.0.0.2");
    uint64_t retry_ms = 0;
    tw_admission_init(&admission);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(tw_admission_handshake(&admission, &limits, &a, 50000, &retry_ms), 0);
    assert_int_equal(admission.groups.count, 0); /* no limit, nothing to remember */
    limits.handshakes_per_ip = (struct tw_rate){2, 3};
    for (int i = 0; i < 3; i++)
        assert_int_equal(tw_admission_handshake(&admission, &limits, &a, 50000, &retry_ms), 0);
    assert_int_equal(tw_admission_handshake(&admission, &limits, &a, 50000, &retry_ms), TW_ERATE);
    assert_in_range(retry_ms, 500, 502);
    /* Another worker's clock that lags by a few milliseconds does not fill the bucket. */
    assert_int_equal(tw_admission_handshake(&admission, &limits, &a, 49995, &retry_ms), TW_ERATE);
    assert_int_equal(tw_admission_handshake(&admission, &limits, &b, 50000, &retry_ms), 0);
    assert_int_equal(tw_admission_handshake(&admission, &limits, &a, 50499, &retry_ms), TW_ERATE);
    assert_int_equal(tw_admission_handshake(&admission, &limits, &a, 50502, &retry_ms), 0);
    tw_admission_deinit(&admission);
}

static void the_sweep_leaves_nothing_of_the_idle(void **state) {
    (void)state;
    enum { COUNT = 5000 };
    struct tw_admission admission;
    struct tw_limits limits = limits_of(100, 0);
    struct tw_ip ip = ip_of("10.0.0.0"), stays = ip_of("192.0.2.1");
    uint64_t retry_ms;
    limits.handshakes_per_ip = (struct tw_rate){1, 2};
    tw_admission_init(&admission);
    assert_int_equal(tw_admission_handshake(&admission, &limits, &stays, 20000, &retry_ms), 0);
    assert_int_equal(tw_admission_enter(&admission, &limits, &stays), 0);
    for (int i = 0; i < COUNT; i++) {
        ip.bytes[14] = (uint8_t)(i >> 8), ip.bytes[15] = (uint8_t)i;
        assert_int_equal(tw_admission_handshake(&admission, &limits, &ip, 20000, &retry_ms), 0);
    }
    assert_int_equal(admission.groups.count, COUNT + 1);
    tw_admission_handshake(&admission, &limits, &stays, 29999, &retry_ms);
    assert_int_equal(admission.groups.count, COUNT + 1); /* not yet */
    tw_admission_handshake(&admission, &limits, &stays, 30000, &retry_ms);
    assert_int_equal(admission.groups.count, 1); /* it has a connection */
    tw_admission_leave(&admission, &stays);
    assert_int_equal(admission.groups.count, 1); /* its bucket is in use */
    limits.handshakes_per_ip.rate = 0;
    tw_admission_handshake(&admission, &limits, &ip, 90000, &retry_ms);
    assert_int_equal(admission.groups.count, 0);
    tw_admission_deinit(&admission);
}

/* --- many at once ----------------------------------------------------------------------------- */

enum { THREADS = 4, ROUNDS = 3000, PER_IP = 3 };

struct crowd {
    struct tw_admission admission;
    struct tw_limits limits;
    atomic_uint inside, entered;
    atomic_bool is_over;
};

static void *come_and_go(void *data) {
    struct crowd *crowd = (struct crowd *)data;
    struct tw_ip ip = ip_of("10.0.0.1");
    for (int i = 0; i < ROUNDS; i++) {
        if (tw_admission_enter(&crowd->admission, &crowd->limits, &ip) != 0) continue;
        if (atomic_fetch_add(&crowd->inside, 1) >= PER_IP) atomic_store(&crowd->is_over, true);
        atomic_fetch_add(&crowd->entered, 1);
        atomic_fetch_sub(&crowd->inside, 1);
        tw_admission_leave(&crowd->admission, &ip);
    }
    return NULL;
}

static void *come_and_stay(void *data) {
    struct crowd *crowd = (struct crowd *)data;
    struct tw_ip ip = ip_of("10.0.0.1");
    for (int i = 0; i < ROUNDS; i++)
        if (tw_admission_enter(&crowd->admission, &crowd->limits, &ip) == 0)
            atomic_fetch_add(&crowd->entered, 1);
    return NULL;
}

static void run_crowd(struct crowd *crowd, void *(*body)(void *)) {
    pthread_t threads[THREADS];
    memset(crowd, 0, sizeof *crowd);
    crowd->limits = limits_of(1000, PER_IP);
    tw_admission_init(&crowd->admission);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, body, crowd), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

static void the_cap_is_exact_when_many_come_at_once(void **state) {
    (void)state;
    struct crowd crowd;
    run_crowd(&crowd, come_and_go);
    assert_false(crowd.is_over);
    assert_true(crowd.entered > 0);
    assert_int_equal(tw_admission_count(&crowd.admission), 0);
    assert_int_equal(crowd.admission.groups.count, 0);
    tw_admission_deinit(&crowd.admission);
    run_crowd(&crowd, come_and_stay);
    assert_int_equal(crowd.entered, PER_IP);
    assert_int_equal(tw_admission_count(&crowd.admission), PER_IP);
    tw_admission_deinit(&crowd.admission);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_cap_of_the_process_is_exact),
        cmocka_unit_test(counts_by_address_group),
        cmocka_unit_test(a_lower_cap_after_a_reload_refuses_until_enough_left),
        cmocka_unit_test(handshakes_have_a_rate_per_group),
        cmocka_unit_test(the_sweep_leaves_nothing_of_the_idle),
        cmocka_unit_test(the_cap_is_exact_when_many_come_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, no_failed_checks);
}
