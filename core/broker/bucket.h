/* bucket.h: a token bucket (struct tw_rate says how fast and how large). Reads the rate at each
 * use, so that new settings apply to live clients at once. */
#ifndef TW_BROKER_BUCKET_H
#define TW_BROKER_BUCKET_H

#include "broker/settings.h"

struct tw_bucket {
    float used;     /* tokens missing from a full bucket */
    uint32_t at_ms; /* when `used` was true; wraps, differences do not mind */
};

/* All zero is a full bucket. Takes `tokens` if they are there. More than a whole burst is never
 * there, unless the bucket is full: then it is taken and leaves the bucket in debt. */
bool tw_bucket_try_take(struct tw_bucket *bucket, struct tw_rate rate, double tokens,
                        uint64_t now_ms);
/* Milliseconds until one token is there. */
uint64_t tw_bucket_wait_ms(const struct tw_bucket *bucket, struct tw_rate rate, uint64_t now_ms);

#endif
