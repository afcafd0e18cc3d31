/* bucket.c: token buckets that store what is missing, so that all zero is full. */
#include "broker/bucket.h"

#include <math.h>

/* Threads that share a bucket read their clocks at different times: a `now` up to this much before
 * the last one is the last one, not one that lies 49 days ahead. */
#define LAG_MS 60000

static uint32_t passed_since(const struct tw_bucket *bucket, uint64_t now_ms) {
    uint32_t passed_ms = (uint32_t)now_ms - bucket->at_ms;
    return passed_ms > UINT32_MAX - LAG_MS ? 0 : passed_ms;
}

static double used_now(const struct tw_bucket *bucket, struct tw_rate rate, uint64_t now_ms) {
    uint32_t passed_ms = passed_since(bucket, now_ms);
    double used = (double)bucket->used - (double)passed_ms * rate.rate / 1000.0;
    return used > 0 ? used : 0;
}

bool tw_bucket_try_take(struct tw_bucket *bucket, struct tw_rate rate, double tokens,
                        uint64_t now_ms) {
    if (rate.rate <= 0) return true;
    double used = used_now(bucket, rate, now_ms);
    if (used + tokens > rate.burst && used > 0) return false;
    bucket->at_ms = used > 0 ? bucket->at_ms + passed_since(bucket, now_ms) : (uint32_t)now_ms;
    bucket->used = (float)(used + tokens);
    return true;
}

uint64_t tw_bucket_wait_ms(const struct tw_bucket *bucket, struct tw_rate rate, uint64_t now_ms) {
    if (rate.rate <= 0) return 0;
    double missing = used_now(bucket, rate, now_ms) + 1 - rate.burst;
    return missing > 0 ? (uint64_t)ceil(missing / rate.rate * 1000.0) : 0;
}
