/* How long a loop is away from its sockets: quantiles, the worst, the worst of the last minute, and
 * what of it was the thread's own. */
#include "base_support.h"

#include "app/pauses.h"

#define MS UINT64_C(1000000)

static struct tw_pauses pauses;
static struct tw_buf json;
static uint64_t now_ns, used_ns, asked;

static uint64_t fake_cpu_ns(void) {
    asked++;
    return used_ns;
}

static int begin(void **state) {
    (void)state;
    now_ns = UINT64_C(1000000) * MS;
    used_ns = asked = 0;
    tw_pauses_init(&pauses, fake_cpu_ns);
    return 0;
}

static int end(void **state) {
    (void)state;
    tw_buf_deinit(&json);
    json = (struct tw_buf){0};
    return 0;
}

/* A turn of that length, of which the thread ran for so long. */
static void turn(uint64_t clock_ns, uint64_t cpu_ns) {
    tw_pauses_start(&pauses, now_ns);
    now_ns += clock_ns;
    used_ns += cpu_ns;
    tw_pauses_stop(&pauses, now_ns);
}

static const char *printed(void) {
    json.length = 0;
    tw_pauses_print(&pauses, 3, now_ns, &json);
    tw_buf_append(&json, "", 1);
    return json.data;
}

static void a_new_one_says_0(void **state) {
    (void)state;
    assert_string_equal(printed(), "{\"worker\":3,\"turns\":0,\"p99\":0.000000000,\"max\":"
                                   "0.000000000,\"recent\":0.000000000,\"cpu\":{\"p99\":"
                                   "0.000000000,\"max\":0.000000000,\"recent\":0.000000000}}");
}

static void the_first_start_of_a_turn_counts(void **state) {
    (void)state;
    tw_pauses_start(&pauses, now_ns);
    assert_true(tw_pauses_is_on(&pauses));
    tw_pauses_start(&pauses, now_ns + MS);
    tw_pauses_stop(&pauses, now_ns + 3 * MS);
    assert_false(tw_pauses_is_on(&pauses));
    assert_int_equal(pauses.clock.max, 3 * MS);
    assert_int_equal(pauses.turns, 1);
}

static void the_worst_of_the_last_minute_is_forgotten_after_it(void **state) {
    (void)state;
    turn(40 * MS, 40 * MS);
    now_ns += 50000 * MS;
    turn(5 * MS, 5 * MS);
    assert_non_null(strstr(printed(), "\"max\":0.040000000,\"recent\":0.040000000,\"cpu\":{"));
    now_ns += 20000 * MS;
    assert_non_null(strstr(printed(), "\"max\":0.040000000,\"recent\":0.005000000,\"cpu\":{"));
    now_ns += 60000 * MS;
    assert_non_null(strstr(printed(), "\"max\":0.040000000,\"recent\":0.000000000,\"cpu\":{"));
    turn(2 * MS, 2 * MS);
    assert_non_null(strstr(printed(), "\"max\":0.040000000,\"recent\":0.002000000,\"cpu\":{"));
}

static void what_other_threads_took_of_the_core_is_not_processor_time(void **state) {
    (void)state;
    turn(MS, MS);
    turn(100 * MS, 3 * MS);
    assert_int_equal(pauses.clock.max, 100 * MS);
    assert_int_equal(pauses.cpu.max, 3 * MS);
}

static void processor_time_is_never_above_the_clock(void **state) {
    (void)state;
    turn(MS, MS);
    used_ns += 500 * MS; /* unseen: before the loop ran */
    turn(10 * MS, 10 * MS);
    assert_int_equal(pauses.cpu.max, 10 * MS);
}

/* A row of short turns before a long one: what they used is counted to it for one sample at most.
 */
static void processor_time_is_too_high_by_one_sample_at_most(void **state) {
    (void)state;
    for (int i = 0; i < 1000; i++)
        turn(MS / 10, MS / 10);
    turn(100 * MS, 10 * MS);
    assert_true(pauses.cpu.max >= 10 * MS);
    assert_true(pauses.cpu.max <= 10 * MS + TW_PAUSES_SAMPLE_NS);
    assert_true(asked < 1000 / 10);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_new_one_says_0, begin, end),
        cmocka_unit_test_setup_teardown(the_first_start_of_a_turn_counts, begin, end),
        cmocka_unit_test_setup_teardown(the_worst_of_the_last_minute_is_forgotten_after_it, begin,
                                        end),
        cmocka_unit_test_setup_teardown(what_other_threads_took_of_the_core_is_not_processor_time,
                                        begin, end),
        cmocka_unit_test_setup_teardown(processor_time_is_never_above_the_clock, begin, end),
        cmocka_unit_test_setup_teardown(processor_time_is_too_high_by_one_sample_at_most, begin,
                                        end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
