/* base_map_test.c: against a plain array as the model. */
#include "base_support.h"

#include "base/map.h"
#include "base/mem.h"
#include "base/rand.h"

struct item {
    uint64_t hash;
    int key;
    bool is_in;
    int seen;
};

static bool match(const void *value, const void *key) {
    return ((const struct item *)value)->key == *(const int *)key;
}

static bool match_never(const void *value, const void *key) {
    (void)value, (void)key;
    fail_msg("asked about a value with another hash");
    return false;
}

static void assert_agrees(const struct tw_map *map, struct item *items, int count) {
    size_t in = 0, walked = 0, at = 0;
    for (int i = 0; i < count; i++) {
        struct item *got = tw_map_get(map, items[i].hash, &items[i].key);
        assert_ptr_equal(got, items[i].is_in ? &items[i] : NULL);
        in += items[i].is_in;
        items[i].seen = 0;
    }
    for (struct item *item; (item = tw_map_next(map, &at)); walked++) {
        assert_true(item->is_in);
        assert_int_equal(item->seen++, 0);
    }
    assert_null(tw_map_next(map, &at)); /* stays at the end */
    assert_int_equal(walked, in);
    assert_int_equal(map->count, in);
    assert_true(map->count <= map->capacity / 4 * 3);
    assert_int_equal(map->capacity & (map->capacity - 1), 0);
}

static void test_empty(void **state) {
    (void)state;
    struct tw_map map;
    int key = 1;
    size_t at = 0;
    tw_map_init(&map, match);
    assert_null(tw_map_get(&map, 1, &key));
    assert_null(tw_map_remove(&map, 1, &key));
    assert_null(tw_map_next(&map, &at));
    tw_map_deinit(&map);
    struct item item = {.key = 1};
    tw_map_add(&map, 1, &item); /* after deinit it is an empty map */
    assert_ptr_equal(tw_map_get(&map, 1, &key), &item);
    assert_ptr_equal(tw_map_remove(&map, 1, &key), &item);
    assert_null(tw_map_remove(&map, 1, &key));
    assert_int_equal(map.count, 0);
    tw_map_deinit(&map);
    tw_map_deinit(&map);
}

static void test_match_is_asked_for_equal_hashes_only(void **state) {
    (void)state;
    struct tw_map map;
    int key = 0;
    struct item items[6] = {0};
    tw_map_init(&map, match_never);
    for (size_t i = 0; i < 6; i++)
        tw_map_add(&map, i << 32, &items[i]); /* one home for all */
    assert_null(tw_map_get(&map, (uint64_t)99 << 32, &key));
    tw_map_deinit(&map);
}

static void test_growth(void **state) {
    (void)state;
    enum { COUNT = 5000 };
    struct tw_map map;
    struct item *items = tw_alloc(COUNT * sizeof *items);
    tw_map_init(&map, match);
    for (int i = 0; i < COUNT; i++) {
        items[i] = (struct item){.hash = (uint64_t)i * 0x9E3779B97F4A7C15u, .key = i};
    }
    for (int i = 0; i < COUNT; i++) {
        tw_map_add(&map, items[i].hash, &items[i]);
        items[i].is_in = true;
        if (i < 100) assert_agrees(&map, items, 200);
    }
    assert_agrees(&map, items, COUNT);
    tw_map_deinit(&map);
    tw_free(items);
}

/* `spread` homes only, near the table's end: clusters that collide, wrap, and get holes. */
static void churn(uint64_t seed, uint64_t spread) {
    enum { COUNT = 40 };
    struct tw_rand rand;
    struct tw_map map;
    struct item items[COUNT] = {0};
    tw_rand_seed(&rand, seed);
    tw_map_init(&map, match);
    for (int i = 0; i < COUNT; i++) {
        items[i] = (struct item){.hash = (uint64_t)-2 + tw_rand_below(&rand, spread), .key = i};
    }
    for (int step = 0; step < 400; step++) {
        struct item *item = &items[tw_rand_below(&rand, COUNT)];
        if (item->is_in) {
            assert_ptr_equal(tw_map_remove(&map, item->hash, &item->key), item);
        } else {
            assert_null(tw_map_remove(&map, item->hash, &item->key));
            tw_map_add(&map, item->hash, item);
        }
        item->is_in = !item->is_in;
        assert_agrees(&map, items, COUNT);
    }
    for (int i = 0; i < COUNT; i++)
        tw_map_remove(&map, items[i].hash, &items[i].key);
    for (size_t i = 0; i < map.capacity; i++)
        assert_null(map.slots[i].value); /* no tombstones */
    tw_map_deinit(&map);
}

static void test_removal_under_collisions(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        churn(seed, 1); /* all equal hashes: match decides */
        churn(seed, 4);
        churn(seed, 64);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_match_is_asked_for_equal_hashes_only),
        cmocka_unit_test(test_growth),
        cmocka_unit_test(test_removal_under_collisions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
