/* map.h: a hash map from a hash and a key that the value itself holds, to that value.
 *
 * Open addressing with linear probing. The map borrows its values; each must stay where it is while
 * it is in the map. A map holds values of one type, and `tw_map_match` says what its key is. */
#ifndef TW_BASE_MAP_H
#define TW_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Is this the value for that key? Called only when the hashes are equal. */
typedef bool tw_map_match(const void *value, const void *key);

struct tw_map_slot {
    uint64_t hash;
    void *value; /* NULL: free */
};

struct tw_map {
    struct tw_map_slot *slots;
    size_t count, capacity; /* capacity: 0 or a power of two */
    tw_map_match *match;
};

void tw_map_init(struct tw_map *map, tw_map_match *match);
void tw_map_deinit(struct tw_map *map); /* the values stay */
void *tw_map_get(const struct tw_map *map, uint64_t hash, const void *key);
/* The key must not be in the map. Aborts when memory is out. */
void tw_map_add(struct tw_map *map, uint64_t hash, void *value);
/* Returns the removed value, or NULL. */
void *tw_map_remove(struct tw_map *map, uint64_t hash, const void *key);
/* Walks all values: start with *at = 0, ends with NULL. The map must not change meanwhile. */
void *tw_map_next(const struct tw_map *map, size_t *at);

#endif
