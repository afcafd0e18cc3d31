/* map.c: open addressing with linear probing.
 *
 * A value stands at its home (the hash's low bits) or behind it with no free slot between: that is
 * the invariant. Removal keeps it by shifting later values back into the hole, so there are no
 * tombstones and a map that lives long stays as fast as a new one. It never shrinks. */
#include "base/map.h"

#include "base/check.h"
#include "base/mem.h"

enum { FIRST_CAPACITY = 8 };

static struct tw_map_slot *find(const struct tw_map *map, uint64_t hash, const void *key);
static void place(struct tw_map *map, uint64_t hash, void *value);
static void grow(struct tw_map *map);
static void close_hole(struct tw_map *map, size_t hole);

void tw_map_init(struct tw_map *map, tw_map_match *match) {
    *map = (struct tw_map){.match = match};
}

void tw_map_deinit(struct tw_map *map) {
    tw_free(map->slots);
    tw_map_init(map, map->match);
}

void *tw_map_get(const struct tw_map *map, uint64_t hash, const void *key) {
    struct tw_map_slot *slot = find(map, hash, key);
    return slot ? slot->value : NULL;
}

void tw_map_add(struct tw_map *map, uint64_t hash, void *value) {
    TW_REQUIRE(value != NULL);
    if (map->count + 1 > map->capacity / 4 * 3) grow(map); /* beyond 3/4, probes get long */
    place(map, hash, value);
    map->count++;
}

void *tw_map_remove(struct tw_map *map, uint64_t hash, const void *key) {
    struct tw_map_slot *slot = find(map, hash, key);
    if (!slot) return NULL;
    void *value = slot->value;
    close_hole(map, (size_t)(slot - map->slots));
    map->count--;
    return value;
}

void *tw_map_next(const struct tw_map *map, size_t *at) {
    while (*at < map->capacity) {
        void *value = map->slots[(*at)++].value;
        if (value) return value;
    }
    return NULL;
}

static struct tw_map_slot *find(const struct tw_map *map, uint64_t hash, const void *key) {
    if (map->count == 0) return NULL;
    size_t mask = map->capacity - 1;
    for (size_t i = hash & mask; map->slots[i].value; i = (i + 1) & mask) {
        struct tw_map_slot *slot = &map->slots[i];
        if (slot->hash == hash && map->match(slot->value, key)) return slot;
    }
    return NULL;
}

/* There is a free slot. */
static void place(struct tw_map *map, uint64_t hash, void *value) {
    size_t mask = map->capacity - 1;
    size_t i = hash & mask;
    while (map->slots[i].value)
        i = (i + 1) & mask;
    map->slots[i] = (struct tw_map_slot){hash, value};
}

static void grow(struct tw_map *map) {
    struct tw_map_slot *old = map->slots;
    size_t old_capacity = map->capacity;
    map->capacity = old_capacity > 0 ? old_capacity * 2 : FIRST_CAPACITY;
    map->slots = (struct tw_map_slot *)tw_alloc(map->capacity * sizeof *map->slots);
    for (size_t i = 0; i < old_capacity; i++) {
        if (old[i].value) place(map, old[i].hash, old[i].value);
    }
    tw_free(old);
}

static void close_hole(struct tw_map *map, size_t hole) {
    size_t mask = map->capacity - 1;
    for (size_t i = (hole + 1) & mask; map->slots[i].value; i = (i + 1) & mask) {
        size_t from_home = (i - map->slots[i].hash) & mask;
        size_t from_hole = (i - hole) & mask;
        if (from_home < from_hole) continue; /* its home lies behind the hole: it must stay */
        map->slots[hole] = map->slots[i];
        hole = i;
    }
    map->slots[hole] = (struct tw_map_slot){0};
}
