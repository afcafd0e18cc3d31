/* base_rand_test.c */
#include "base_support.h"

#include "base/rand.h"

/* The reference implementation's first numbers from the state 1, 2, 3, 4. */
static void test_is_xoshiro256plusplus(void **state) {
    (void)state;
    const uint64_t want[] = {
        41943041u,
        58720359u,
        3588806011781223u,
        3591011842654386u,
        9228616714210784205u,
        9973669472204895162u,
        14011001112246962877u,
        12406186145184390807u,
    };
    struct tw_rand rand = {{1, 2, 3, 4}};
    for (size_t i = 0; i < COUNT_OF(want); i++)
        assert_true(tw_rand_next(&rand) == want[i]);
}

/* splitmix64's first numbers from 1234567. */
static void test_is_seeded_by_splitmix64(void **state) {
    (void)state;
    const uint64_t want[] = {6457827717110365317u, 3203168211198807973u, 9817491932198370423u,
                             4593380528125082431u};
    struct tw_rand rand;
    tw_rand_seed(&rand, 1234567);
    for (size_t i = 0; i < 4; i++)
        assert_true(rand.s[i] == want[i]);
    tw_rand_seed(&rand, 0);
    assert_true((rand.s[0] | rand.s[1] | rand.s[2] | rand.s[3]) != 0);
}

static void test_repeats(void **state) {
    (void)state;
    struct tw_rand a, b, c, d;
    tw_rand_seed(&a, 42);
    tw_rand_seed(&b, 42);
    tw_rand_seed(&c, 43);
    int equal = 0;
    for (int i = 0; i < 1000; i++) {
        uint64_t next = tw_rand_next(&a);
        assert_true(next == tw_rand_next(&b));
        equal += next == tw_rand_next(&c);
    }
    assert_int_equal(equal, 0);
    tw_rand_seed_system(&c);
    tw_rand_seed_system(&d);
    assert_true(tw_rand_next(&c) != tw_rand_next(&d)); /* wrong once in 2^64 */
}

static void test_below(void **state) {
    (void)state;
    struct tw_rand rand;
    tw_rand_seed(&rand, 5);
    for (int i = 0; i < 100; i++) {
        assert_true(tw_rand_below(&rand, 1) == 0);
        assert_true(tw_rand_below(&rand, UINT64_MAX) < UINT64_MAX);
    }
    int counts[6] = {0};
    for (int i = 0; i < 60000; i++)
        counts[tw_rand_below(&rand, 6)]++;
    for (int i = 0; i < 6; i++)
        assert_true(counts[i] > 9500 && counts[i] < 10500);
    /* A bound of 3/4 of the range: plain `%` would draw the lower third twice as often. */
    const uint64_t bound = (uint64_t)3 << 62;
    int low = 0;
    for (int i = 0; i < 30000; i++)
        low += tw_rand_below(&rand, bound) < (uint64_t)1 << 62;
    assert_true(low > 9500 && low < 10500);
}

static void draw_from_nothing(void) {
    struct tw_rand rand;
    tw_rand_seed(&rand, 1);
    tw_rand_below(&rand, 0);
}

static void test_nothing_to_draw_from(void **state) {
    (void)state;
    char said[512];
    assert_true(aborts(draw_from_nothing, said, sizeof said));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_is_xoshiro256plusplus),
        cmocka_unit_test(test_is_seeded_by_splitmix64),
        cmocka_unit_test(test_repeats),
        cmocka_unit_test(test_below),
        cmocka_unit_test(test_nothing_to_draw_from),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
