/* shared.c: per shard a map, and a heap of what expires. The bytes of all shards are counted in one
 * atomic number, taken before an entry is made and given back when it goes. */
#include "broker/shared.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/heap.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/status.h"

enum { SHARDS = 16, EXPIRED_PER_WRITE = 4 };

struct entry {
    struct tw_heap_node expiry; /* in no heap: lives for ever */
    uint64_t hash;
    struct tw_shared_value value; /* bytes lie behind the key */
    size_t key_length;
    char data[];
};

struct shard {
    pthread_mutex_t lock;
    struct tw_map entries;
    struct tw_heap expiries;
};

struct tw_shared {
    uint64_t seed[2];
    atomic_size_t bytes, bound;
    struct shard shards[SHARDS];
};

static uint64_t hash_of(const struct tw_shared *shared, struct tw_str key);
static bool is_key(const void *value, const void *key);
static struct shard *lock(struct tw_shared *shared, uint64_t hash);
static struct entry *find(struct tw_shared *shared, struct shard *shard, uint64_t hash,
                          struct tw_str key, double now);
static int put(struct tw_shared *shared, struct shard *shard, uint64_t hash, struct tw_str key,
               const struct tw_shared_value *value, double ttl, struct entry *old, double now);
static void drop(struct tw_shared *shared, struct shard *shard, struct entry *entry);
static size_t drop_expired(struct tw_shared *shared, struct shard *shard, size_t most, double now);
static bool make_room(struct tw_shared *shared, double now);

static struct tw_str key_of(const struct entry *entry) {
    return (struct tw_str){entry->data, entry->key_length};
}

static size_t cost_of(size_t key_length, size_t value_length) {
    return TW_SHARED_OVERHEAD + key_length + value_length;
}
_Static_assert(sizeof(struct entry) + 40 <= TW_SHARED_OVERHEAD, "with its places in map and heap");

/* Expiries are whole milliseconds of the heap's. */
static uint64_t ms_of(double seconds) {
    double ms = seconds * 1000;
    return ms < 1 ? 1 : ms > 1e15 ? (uint64_t)1e15 : (uint64_t)ms;
}

struct tw_shared *tw_shared_new(const uint64_t seed[2], size_t max_bytes) {
    struct tw_shared *shared = TW_NEW(struct tw_shared);
    memcpy(shared->seed, seed, sizeof shared->seed);
    atomic_init(&shared->bytes, 0);
    atomic_init(&shared->bound, max_bytes);
    for (size_t i = 0; i < SHARDS; i++) {
        pthread_mutex_init(&shared->shards[i].lock, NULL);
        tw_map_init(&shared->shards[i].entries, is_key);
    }
    return shared;
}

void tw_shared_free(struct tw_shared *shared) {
    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *shard = &shared->shards[i];
        size_t at = 0;
        struct entry *entry;
        tw_heap_deinit(&shard->expiries);
        while ((entry = (struct entry *)tw_map_next(&shard->entries, &at)))
            tw_free(entry);
        tw_map_deinit(&shard->entries);
        pthread_mutex_destroy(&shard->lock);
    }
    tw_free(shared);
}

void tw_shared_set_bound(struct tw_shared *shared, size_t max_bytes) {
    atomic_store(&shared->bound, max_bytes);
}

size_t tw_shared_bound(const struct tw_shared *shared) {
    return atomic_load(&shared->bound);
}

void tw_shared_count(struct tw_shared *shared, size_t *keys, size_t *bytes) {
    *keys = 0;
    *bytes = atomic_load(&shared->bytes);
    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *shard = lock(shared, i);
        *keys += shard->entries.count;
        pthread_mutex_unlock(&shard->lock);
    }
}

int tw_shared_get(struct tw_shared *shared, struct tw_str key, double now,
                  struct tw_shared_value *out, struct tw_buf *buf) {
    uint64_t hash = hash_of(shared, key);
    struct shard *shard = lock(shared, hash);
    const struct entry *entry = find(shared, shard, hash, key, now);
    int status = entry ? 0 : -ENOENT;
    buf->length = 0;
    if (entry) {
        *out = entry->value;
        if (out->bytes.length > 0)
            status = tw_buf_try_append(buf, out->bytes.data, out->bytes.length);
    }
    pthread_mutex_unlock(&shard->lock);
    if (status == 0) out->bytes.data = buf->data ? buf->data : "";
    return status;
}

int tw_shared_set(struct tw_shared *shared, struct tw_str key, const struct tw_shared_value *value,
                  double ttl, bool only_new, double now) {
    uint64_t hash = hash_of(shared, key);
    int status;
    do {
        struct shard *shard = lock(shared, hash);
        struct entry *old = find(shared, shard, hash, key, now);
        status = only_new && old ? -EEXIST : put(shared, shard, hash, key, value, ttl, old, now);
        pthread_mutex_unlock(&shard->lock);
    } while (status == TW_EFULL && make_room(shared, now));
    return status;
}

int tw_shared_incr(struct tw_shared *shared, struct tw_str key, double by, double init, double ttl,
                   double now, double *sum) {
    uint64_t hash = hash_of(shared, key);
    struct tw_shared_value first = {.kind = TW_SHARED_NUMBER, .number = init + by};
    int status;
    do {
        struct shard *shard = lock(shared, hash);
        struct entry *old = find(shared, shard, hash, key, now);
        if (!old) {
            *sum = first.number;
            status = put(shared, shard, hash, key, &first, ttl, NULL, now);
        } else if (old->value.kind == TW_SHARED_NUMBER) {
            *sum = old->value.number += by;
            status = 0;
        } else {
            status = TW_EPARSE;
        }
        pthread_mutex_unlock(&shard->lock);
    } while (status == TW_EFULL && make_room(shared, now));
    return status;
}

bool tw_shared_expire(struct tw_shared *shared, struct tw_str key, double ttl, double now) {
    uint64_t hash = hash_of(shared, key);
    struct shard *shard = lock(shared, hash);
    struct entry *entry = find(shared, shard, hash, key, now);
    if (entry) {
        tw_heap_remove(&shard->expiries, &entry->expiry);
        if (ttl > 0) tw_heap_add(&shard->expiries, &entry->expiry, ms_of(now + ttl));
    }
    pthread_mutex_unlock(&shard->lock);
    return entry != NULL;
}

bool tw_shared_delete(struct tw_shared *shared, struct tw_str key, double now) {
    uint64_t hash = hash_of(shared, key);
    struct shard *shard = lock(shared, hash);
    struct entry *entry = find(shared, shard, hash, key, now);
    if (entry) drop(shared, shard, entry);
    pthread_mutex_unlock(&shard->lock);
    return entry != NULL;
}

int tw_shared_keys(struct tw_shared *shared, struct tw_str prefix, size_t limit, double now,
                   struct tw_buf *out) {
    int status = 0;
    for (size_t i = 0; i < SHARDS && status == 0 && limit > 0; i++) {
        struct shard *shard = lock(shared, i);
        size_t at = 0;
        const struct entry *entry;
        drop_expired(shared, shard, SIZE_MAX, now);
        while (status == 0 && limit > 0 &&
               (entry = (const struct entry *)tw_map_next(&shard->entries, &at))) {
            if (!tw_str_starts(key_of(entry), prefix)) continue;
            status = tw_buf_try_append(out, &entry->key_length, sizeof entry->key_length);
            if (status == 0) status = tw_buf_try_append(out, entry->data, entry->key_length);
            limit--;
        }
        pthread_mutex_unlock(&shard->lock);
    }
    return status;
}

/* The lowest bits choose the shard, so maps get the others first. */
static struct shard *lock(struct tw_shared *shared, uint64_t hash) {
    struct shard *shard = &shared->shards[hash % SHARDS];
    pthread_mutex_lock(&shard->lock);
    return shard;
}

static bool is_key(const void *value, const void *key) {
    return tw_str_eq(key_of((const struct entry *)value), *(const struct tw_str *)key);
}

/* Alive; one that has expired goes. */
static struct entry *find(struct tw_shared *shared, struct shard *shard, uint64_t hash,
                          struct tw_str key, double now) {
    struct entry *entry = (struct entry *)tw_map_get(&shard->entries, hash / SHARDS, &key);
    if (!entry || entry->expiry.place == 0 || entry->expiry.at_ms > ms_of(now)) return entry;
    drop(shared, shard, entry);
    return NULL;
}

/* In place of `old`, which stays if this fails. */
static int put(struct tw_shared *shared, struct shard *shard, uint64_t hash, struct tw_str key,
               const struct tw_shared_value *value, double ttl, struct entry *old, double now) {
    size_t value_length = value->kind >= TW_SHARED_TEXT ? value->bytes.length : 0;
    size_t cost = cost_of(key.length, value_length);
    size_t before = old ? cost_of(old->key_length, old->value.bytes.length) : 0;
    drop_expired(shared, shard, EXPIRED_PER_WRITE, now);
    size_t total = atomic_fetch_add(&shared->bytes, cost) + cost;
    if (total - before > atomic_load(&shared->bound) && cost > before) {
        atomic_fetch_sub(&shared->bytes, cost);
        return TW_EFULL;
    }
    struct entry *entry = (struct entry *)tw_try_alloc(sizeof *entry + key.length + value_length);
    if (!entry) {
        atomic_fetch_sub(&shared->bytes, cost);
        return -ENOMEM;
    }
    entry->hash = hash;
    entry->key_length = key.length;
    memcpy(entry->data, key.data, key.length);
    entry->value = *value;
    entry->value.bytes = (struct tw_str){entry->data + key.length, value_length};
    if (value_length > 0) memcpy(entry->data + key.length, value->bytes.data, value_length);
    if (old) drop(shared, shard, old);
    tw_map_add(&shard->entries, hash / SHARDS, entry);
    if (ttl > 0) tw_heap_add(&shard->expiries, &entry->expiry, ms_of(now + ttl));
    return 0;
}

static void drop(struct tw_shared *shared, struct shard *shard, struct entry *entry) {
    struct tw_str key = key_of(entry);
    tw_heap_remove(&shard->expiries, &entry->expiry);
    tw_map_remove(&shard->entries, entry->hash / SHARDS, &key);
    atomic_fetch_sub(&shared->bytes, cost_of(key.length, entry->value.bytes.length));
    tw_free(entry);
}

static size_t drop_expired(struct tw_shared *shared, struct shard *shard, size_t most, double now) {
    size_t count = 0;
    const struct tw_heap_node *node;
    while (count < most && (node = tw_heap_first(&shard->expiries)) && node->at_ms <= ms_of(now)) {
        drop(shared, shard, TW_CONTAINER(node, struct entry, expiry));
        count++;
    }
    return count;
}

/* What has expired anywhere goes. False: there was nothing. */
static bool make_room(struct tw_shared *shared, double now) {
    size_t count = 0;
    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *shard = lock(shared, i);
        count += drop_expired(shared, shard, SIZE_MAX, now);
        pthread_mutex_unlock(&shard->lock);
    }
    return count > 0;
}

/* SipHash-1-3 (Aumasson and Bernstein): keyed, since scripts make keys of what clients send. */
static void sip_round(uint64_t v[4]) {
    v[0] += v[1], v[1] = (v[1] << 13 | v[1] >> 51) ^ v[0], v[0] = v[0] << 32 | v[0] >> 32;
    v[2] += v[3], v[3] = (v[3] << 16 | v[3] >> 48) ^ v[2];
    v[0] += v[3], v[3] = (v[3] << 21 | v[3] >> 43) ^ v[0];
    v[2] += v[1], v[1] = (v[1] << 17 | v[1] >> 47) ^ v[2], v[2] = v[2] << 32 | v[2] >> 32;
}

static uint64_t hash_of(const struct tw_shared *shared, struct tw_str key) {
    const uint64_t *k = shared->seed;
    uint64_t v[4] = {k[0] ^ 0x736f6d6570736575u, k[1] ^ 0x646f72616e646f6du,
                     k[0] ^ 0x6c7967656e657261u, k[1] ^ 0x7465646279746573u};
    uint64_t last = (uint64_t)key.length << 56;
    size_t at = 0;
    for (uint64_t word; key.length - at >= 8; at += 8) {
        memcpy(&word, key.data + at, 8);
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    for (size_t i = 0; at + i < key.length; i++)
        last |= (uint64_t)(unsigned char)key.data[at + i] << 8 * i;
    v[3] ^= last;
    sip_round(v);
    v[0] ^= last;
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}
