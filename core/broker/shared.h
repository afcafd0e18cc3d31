/* shared.h: tidewire.shared: a dictionary that all workers' scripts share, bounded in bytes. It
 * outlives VMs and generations; whoever makes the hubs owns it (struct tw_common).
 *
 * Nothing that is alive is ever thrown out: when there is no room, what has expired goes, and if
 * that is not enough the write is refused. (To lose a session or a counter in silence is worse than
 * an error that the script sees.)
 *
 * Any thread. Keys are spread over shards with a lock each; a lock is held for one operation in C,
 * never while Lua runs. `now` and `ttl` are in seconds; ttl 0: for ever. */
#ifndef TW_BROKER_SHARED_H
#define TW_BROKER_SHARED_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/str.h"

#define TW_SHARED_MAX_KEY 1024
/* What a key and its value cost beyond their own bytes. */
#define TW_SHARED_OVERHEAD 128

struct tw_shared;

enum tw_shared_kind { TW_SHARED_BOOLEAN, TW_SHARED_NUMBER, TW_SHARED_TEXT, TW_SHARED_JSON };

struct tw_shared_value {
    enum tw_shared_kind kind;
    bool boolean;
    double number;
    struct tw_str bytes; /* TEXT, JSON */
};

/* Owned. `seed`: of the hash, so that peers who choose keys cannot make them collide. */
struct tw_shared *tw_shared_new(const uint64_t seed[2], size_t max_bytes);
void tw_shared_free(struct tw_shared *shared);
/* A smaller bound throws nothing away; writes are refused until there is room. */
void tw_shared_set_bound(struct tw_shared *shared, size_t max_bytes);
size_t tw_shared_bound(const struct tw_shared *shared);
/* Keys and bytes, those that expired and were not yet met included. */
void tw_shared_count(struct tw_shared *shared, size_t *keys, size_t *bytes);

/* 0 and *out, whose bytes are in `buf` (its content is replaced); -ENOENT or -ENOMEM. */
int tw_shared_get(struct tw_shared *shared, struct tw_str key, double now,
                  struct tw_shared_value *out, struct tw_buf *buf);
/* 0, TW_EFULL or -ENOMEM. `only_new`: -EEXIST when the key is there. */
int tw_shared_set(struct tw_shared *shared, struct tw_str key, const struct tw_shared_value *value,
                  double ttl, bool only_new, double now);
/* Adds to a number; a key that is not there begins with `init` and lives for `ttl`. 0 and *sum,
 * TW_EFULL, -ENOMEM, or TW_EPARSE: the value is no number. */
int tw_shared_incr(struct tw_shared *shared, struct tw_str key, double by, double init, double ttl,
                   double now, double *sum);
/* False: it is not there. */
bool tw_shared_expire(struct tw_shared *shared, struct tw_str key, double ttl, double now);
bool tw_shared_delete(struct tw_shared *shared, struct tw_str key, double now);
/* Appends to `out`, for each of at most `limit` keys that begin with `prefix`, its length (size_t)
 * and its bytes, in no order. 0 or -ENOMEM. */
int tw_shared_keys(struct tw_shared *shared, struct tw_str prefix, size_t limit, double now,
                   struct tw_buf *out);

#endif
