/* bucket.c: token buckets that store what is missing, so that all zero is full. */
#include "broker/bucket.h"

static double used_now(const struct tw_bucket *bucket, struct tw_rate rate, uint64_t now_ms) {
    uint32_t passed_ms = (uint32_t)now_ms - bucket->at_ms;
    double used = (double)bucket->used - (double)passed_ms * rate.rate / 1000.0;
    return used > 0 ? used : 0;
}

bool tw_bucket_try_take(struct tw_bucket *bucket, struct tw_rate rate, double tokens,
                        uint64_t now_ms) {
    if (rate.rate <= 0) return true;
    double used = used_now(bucket, rate, now_ms);
    bool fits = used + tokens <= rate.burst || used <= 0;
    bucket->used = (float)(fits ? used + tokens : used);
    bucket->at_ms = (uint32_t)now_ms;
    return fits;
}

uint64_t tw_bucket_wait_ms(const struct tw_bucket *bucket, struct tw_rate rate, uint64_t now_ms) {
    if (rate.rate <= 0) return 0;
    double missing = used_now(bucket, rate, now_ms) + 1 - rate.burst;
    return missing > 0 ? (uint64_t)(missing / rate.rate * 1000.0) + 1 : 0;
}
