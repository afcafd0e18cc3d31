/* base_heap_test.c: the first is always the earliest, after any order of additions and removals. */
#include "base_support.h"

#include "base/heap.h"
#include "base/rand.h"

static void assert_sound(const struct tw_heap *heap) {
    for (size_t i = 0; i < heap->count; i++) {
        assert_int_equal(heap->nodes[i]->place, i + 1);
        if (i > 0) assert_true(heap->nodes[(i - 1) / 2]->at_ms <= heap->nodes[i]->at_ms);
    }
}

static void test_empty(void **state) {
    (void)state;
    struct tw_heap heap = {0};
    struct tw_heap_node node = {0};
    assert_null(tw_heap_first(&heap));
    tw_heap_remove(&heap, &node);
    tw_heap_add(&heap, &node, UINT64_MAX);
    assert_ptr_equal(tw_heap_first(&heap), &node);
    assert_ptr_equal(tw_heap_first(&heap), &node); /* stays */
    tw_heap_remove(&heap, &node);
    tw_heap_remove(&heap, &node);
    assert_null(tw_heap_first(&heap));
    tw_heap_deinit(&heap);
}

static void test_sorts(void **state) {
    (void)state;
    enum { COUNT = 1000 };
    struct tw_rand rand;
    struct tw_heap heap = {0};
    static struct tw_heap_node nodes[COUNT];
    tw_rand_seed(&rand, 7);
    for (int i = 0; i < COUNT; i++)
        tw_heap_add(&heap, &nodes[i], tw_rand_below(&rand, 300));
    assert_sound(&heap);
    uint64_t last = 0;
    for (int i = 0; i < COUNT; i++) {
        struct tw_heap_node *first = tw_heap_first(&heap);
        assert_true(first->at_ms >= last);
        last = first->at_ms;
        tw_heap_remove(&heap, first);
        assert_int_equal(first->place, 0);
    }
    assert_null(tw_heap_first(&heap));
    tw_heap_deinit(&heap);
}

static void test_random_operations(void **state) {
    (void)state;
    enum { COUNT = 60 };
    struct tw_rand rand;
    struct tw_heap heap = {0};
    struct tw_heap_node nodes[COUNT] = {{0}};
    tw_rand_seed(&rand, 11);
    for (int step = 0; step < 20000; step++) {
        struct tw_heap_node *node = &nodes[tw_rand_below(&rand, COUNT)];
        if (node->place > 0) {
            tw_heap_remove(&heap, node);
        } else {
            tw_heap_add(&heap, node, tw_rand_below(&rand, 100));
        }
        assert_sound(&heap);
        size_t in = 0;
        uint64_t earliest = UINT64_MAX;
        for (int i = 0; i < COUNT; i++) {
            if (nodes[i].place == 0) continue;
            in++;
            if (nodes[i].at_ms < earliest) earliest = nodes[i].at_ms;
        }
        assert_int_equal(heap.count, in);
        if (in > 0) assert_int_equal(tw_heap_first(&heap)->at_ms, earliest);
    }
    tw_heap_deinit(&heap);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(nodes[i].place, 0);
        tw_heap_remove(&heap, &nodes[i]); /* harmless, as from no heap */
    }
}

static void add_twice(void) {
    struct tw_heap heap = {0};
    struct tw_heap_node node = {0};
    tw_heap_add(&heap, &node, 1);
    tw_heap_add(&heap, &node, 2);
}

static void remove_from_another(void) {
    struct tw_heap heap = {0}, other = {0};
    struct tw_heap_node node = {0}, second = {0};
    tw_heap_add(&heap, &node, 1);
    tw_heap_add(&other, &second, 1);
    tw_heap_remove(&other, &node);
}

static void test_misuse_aborts(void **state) {
    (void)state;
    char said[512];
    assert_true(aborts(add_twice, said, sizeof said));
    assert_true(aborts(remove_from_another, said, sizeof said));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_sorts),
        cmocka_unit_test(test_random_operations),
        cmocka_unit_test(test_misuse_aborts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
