/* admission.c: a table of address groups. A group that holds no connection and whose bucket is full
 * again says nothing, and is swept away. */
#include "broker/admission.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/status.h"

#define SWEEP_MS 10000

struct group {
    struct tw_ip ip; /* of the group */
    uint32_t connections;
    struct tw_bucket handshakes;
};

static bool matches(const void *value, const void *key) {
    return tw_ip_eq(&((const struct group *)value)->ip, key);
}

void tw_admission_init(struct tw_admission *admission) {
    *admission = (struct tw_admission){0};
    pthread_mutex_init(&admission->lock, NULL);
    tw_map_init(&admission->groups, matches);
}

void tw_admission_deinit(struct tw_admission *admission) {
    size_t at = 0;
    struct group *group;
    while ((group = tw_map_next(&admission->groups, &at)))
        tw_free(group);
    tw_map_deinit(&admission->groups);
    pthread_mutex_destroy(&admission->lock);
}

static struct group *find(struct tw_admission *admission, const struct tw_ip *ip, bool make) {
    struct tw_ip key = tw_ip_group(ip);
    uint64_t hash = tw_ip_hash(&key);
    struct group *group = tw_map_get(&admission->groups, hash, &key);
    if (group || !make) return group;
    group = TW_NEW(struct group);
    group->ip = key;
    tw_map_add(&admission->groups, hash, group);
    return group;
}

static void forget(struct tw_admission *admission, struct group *group) {
    tw_map_remove(&admission->groups, tw_ip_hash(&group->ip), &group->ip);
    tw_free(group);
}

/* A group with a bucket in use is left for the sweep. */
static void forget_if_idle(struct tw_admission *admission, struct group *group) {
    if (group->connections == 0 && group->handshakes.used <= 0) forget(admission, group);
}

/* Removal moves slots, so it comes after the walk. */
static void sweep(struct tw_admission *admission, struct tw_rate rate, uint64_t now_ms) {
    size_t count = 0, at = 0;
    struct group *group, **idle;
    idle = (struct group **)tw_alloc(admission->groups.count * sizeof(struct group *));
    while ((group = tw_map_next(&admission->groups, &at))) {
        struct tw_bucket bucket = group->handshakes;
        bool is_full = tw_bucket_try_take(&bucket, rate, rate.burst, now_ms);
        if (group->connections == 0 && is_full) idle[count++] = group;
    }
    while (count > 0)
        forget(admission, idle[--count]);
    tw_free(idle);
    admission->swept_ms = now_ms;
}

int tw_admission_handshake(struct tw_admission *admission, const struct tw_limits *limits,
                           const struct tw_ip *ip, uint64_t now_ms, uint64_t *retry_ms) {
    int status = 0;
    struct tw_rate rate = limits->handshakes_per_ip;
    pthread_mutex_lock(&admission->lock);
    if (now_ms >= admission->swept_ms + SWEEP_MS) sweep(admission, rate, now_ms);
    struct group *group = rate.rate > 0 ? find(admission, ip, true) : NULL;
    if (group && !tw_bucket_try_take(&group->handshakes, rate, 1, now_ms)) {
        *retry_ms = tw_bucket_wait_ms(&group->handshakes, rate, now_ms);
        status = TW_ERATE;
    }
    pthread_mutex_unlock(&admission->lock);
    return status;
}

int tw_admission_enter(struct tw_admission *admission, const struct tw_limits *limits,
                       const struct tw_ip *ip) {
    int status = 0;
    pthread_mutex_lock(&admission->lock);
    struct group *group = find(admission, ip, true);
    if (admission->connections >= limits->connections) {
        status = TW_EFULL;
    } else if (limits->connections_per_ip && group->connections >= limits->connections_per_ip) {
        status = TW_ERATE;
    } else {
        admission->connections++;
        group->connections++;
    }
    forget_if_idle(admission, group);
    pthread_mutex_unlock(&admission->lock);
    return status;
}

void tw_admission_leave(struct tw_admission *admission, const struct tw_ip *ip) {
    pthread_mutex_lock(&admission->lock);
    struct group *group = find(admission, ip, false);
    if (TW_CHECK(group && group->connections > 0 && admission->connections > 0)) {
        admission->connections--;
        group->connections--;
        forget_if_idle(admission, group);
    }
    pthread_mutex_unlock(&admission->lock);
}

uint32_t tw_admission_count(struct tw_admission *admission) {
    pthread_mutex_lock(&admission->lock);
    uint32_t count = admission->connections;
    pthread_mutex_unlock(&admission->lock);
    return count;
}
