/* Blocks keep what is written to them while others come, grow, shrink and go; memory that runs out
 * leaves them as they are; what nobody needs goes back. */
#include "base/slab.h"

#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "base/rand.h"
#include "base_support.h"

enum { BLOCKS = 300, STEPS = 20000 };

static struct {
    unsigned char *at;
    size_t size;
    unsigned char byte;
} blocks[BLOCKS];

static void check(int i) {
    for (size_t at = 0; at < blocks[i].size; at++)
        assert_int_equal(blocks[i].at[at], blocks[i].byte);
}

/* To a size of any class, or large. */
static void resize(struct tw_slabs *slabs, int i, size_t size, unsigned char byte) {
    size_t both = size < blocks[i].size ? size : blocks[i].size;
    unsigned char *moved =
        (unsigned char *)tw_slabs_resize(slabs, blocks[i].at, blocks[i].size, size, true);
    assert_int_equal(moved == NULL, size == 0);
    assert_int_equal((uintptr_t)moved % 16, 0);
    for (size_t at = 0; at < both; at++)
        assert_int_equal(moved[at], blocks[i].byte);
    if (size > 0) memset(moved, byte, size);
    blocks[i].at = moved, blocks[i].size = size, blocks[i].byte = byte;
}

static void blocks_keep_what_is_written_to_them(void **state) {
    (void)state;
    struct tw_slabs slabs;
    struct tw_rand rand;
    tw_rand_seed(&rand, 1);
    tw_slabs_init(&slabs);
    for (int round = 0; round < 2; round++) {
        memset(blocks, 0, sizeof blocks);
        for (int step = 0; step < STEPS; step++) {
            int i = (int)tw_rand_below(&rand, BLOCKS);
            size_t most = tw_rand_below(&rand, 4) == 0 ? 3 * TW_SLAB_MOST : 100;
            check(i);
            resize(&slabs, i, tw_rand_below(&rand, most), (unsigned char)step);
        }
        tw_slabs_clear(&slabs);
        assert_true(tw_list_is_empty(&slabs.all) && tw_list_is_empty(&slabs.large));
    }
}

static void what_a_block_costs_is_what_it_takes(void **state) {
    (void)state;
    assert_int_equal(tw_slabs_cost(0), 0);
    assert_int_equal(tw_slabs_cost(1), 16);
    assert_int_equal(tw_slabs_cost(16), 16);
    assert_int_equal(tw_slabs_cost(17), 32);
    assert_int_equal(tw_slabs_cost(TW_SLAB_MOST), TW_SLAB_MOST);
    assert_true(tw_slabs_cost(TW_SLAB_MOST + 1) > TW_SLAB_MOST + 1);
    assert_true(tw_slabs_cost(SIZE_MAX) < SIZE_MAX); /* too large: it wraps, and is refused */
}

static size_t count(const struct tw_list *list) {
    size_t n = 0;
    for (const struct tw_list *node = list->next; node != list; node = node->next)
        n++;
    return n;
}

static void empty_slabs_go_back(void **state) {
    (void)state;
    enum { MANY = 10000 };
    struct tw_slabs slabs;
    void **many = (void **)tw_alloc(MANY * sizeof *many);
    tw_slabs_init(&slabs);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < MANY; i++)
            many[i] = tw_slabs_resize(&slabs, NULL, 0, 64, true);
        size_t most = count(&slabs.all);
        assert_in_range(most, MANY * 64 / 16384, MANY * 64 / 16000 + 1);
        for (int i = 0; i < MANY; i++)
            tw_slabs_resize(&slabs, many[(i * 7) % MANY], 64, 0, true);
        assert_int_equal(count(&slabs.all), 1);
    }
    tw_slabs_clear(&slabs);
    tw_free(many);
}

static void without_memory_a_block_stays_as_it_was(void **state) {
    (void)state;
    static const size_t sizes[][2] = {{0, 10}, {0, 1000}, {10, 100}, {10, 1000}, {1000, 2000}};
    struct tw_slabs slabs;
    tw_slabs_init(&slabs);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t before = sizes[i][0], after = sizes[i][1];
        char *block = (char *)tw_slabs_resize(&slabs, NULL, 0, before, true);
        if (block) memset(block, 'x', before);
        tw_mem_fail_after(1);
        assert_null(tw_slabs_resize(&slabs, block, before, after, true));
        assert_int_equal(tw_mem_fail_after(-1), 0);
        for (size_t at = 0; at < before; at++)
            assert_int_equal(block[at], 'x');
        tw_slabs_resize(&slabs, block, before, 0, true);
    }
    tw_slabs_clear(&slabs);
}

static void to_shrink_never_fails(void **state) {
    (void)state;
    struct tw_slabs slabs;
    tw_slabs_init(&slabs);
    void *block = tw_slabs_resize(&slabs, NULL, 0, 5000, true);
    tw_mem_fail_after(1);
    block = tw_slabs_resize(&slabs, block, 5000, 1000, true);
    assert_non_null(block);
    block = tw_slabs_resize(&slabs, block, 1000, 200, true);
    assert_non_null(block);
    block = tw_slabs_resize(&slabs, block, 200, 10, true);
    assert_non_null(block);
    assert_int_equal(tw_mem_fail_after(-1), 1);
    tw_slabs_clear(&slabs);
}

static void what_no_allocator_can_serve_is_refused(void **state) {
    (void)state;
    struct tw_slabs slabs;
    tw_slabs_init(&slabs);
    assert_null(tw_slabs_resize(&slabs, NULL, 0, SIZE_MAX, true));
    assert_null(tw_slabs_resize(&slabs, NULL, 0, SIZE_MAX / 2 + 1, true));
    tw_slabs_clear(&slabs);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_keep_what_is_written_to_them),
        cmocka_unit_test(what_a_block_costs_is_what_it_takes),
        cmocka_unit_test(empty_slabs_go_back),
        cmocka_unit_test(without_memory_a_block_stays_as_it_was),
        cmocka_unit_test(to_shrink_never_fails),
        cmocka_unit_test(what_no_allocator_can_serve_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
