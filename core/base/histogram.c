/* histogram.c: values 0 to 3 have a bucket each; from 4 on, the highest bit and the two bits behind
 * it choose one. */
#include "base/histogram.h"

#include <math.h>

static unsigned bucket_of(uint64_t value) {
    if (value >> TW_HISTOGRAM_BITS) return TW_HISTOGRAM_BUCKETS - 1;
    if (value < 4) return (unsigned)value;
    unsigned high = 63 - (unsigned)__builtin_clzll(value);
    return (high - 1) * 4 + (unsigned)(value >> (high - 2) & 3);
}

/* The greatest value of a bucket. */
static uint64_t end_of(unsigned bucket) {
    if (bucket < 4) return bucket;
    unsigned high = bucket / 4 + 1;
    return ((uint64_t)(4 + bucket % 4 + 1) << (high - 2)) - 1;
}

static void halve(struct tw_histogram *histogram) {
    for (unsigned i = 0; i < TW_HISTOGRAM_BUCKETS; i++)
        histogram->buckets[i] /= 2;
}

void tw_histogram_add(struct tw_histogram *histogram, uint64_t value) {
    uint32_t *bucket = &histogram->buckets[bucket_of(value)];
    if (*bucket == UINT32_MAX) halve(histogram);
    (*bucket)++;
    if (value > histogram->max) histogram->max = value;
}

void tw_histogram_merge(struct tw_histogram *to, const struct tw_histogram *from) {
    struct tw_histogram other = *from;
    for (unsigned i = 0; i < TW_HISTOGRAM_BUCKETS; i++) {
        while (to->buckets[i] > UINT32_MAX - other.buckets[i]) {
            halve(to);
            halve(&other);
        }
        to->buckets[i] += other.buckets[i];
    }
    if (from->max > to->max) to->max = from->max;
}

uint64_t tw_histogram_quantile(const struct tw_histogram *histogram, double share) {
    uint64_t total = 0, seen = 0;
    for (unsigned i = 0; i < TW_HISTOGRAM_BUCKETS; i++)
        total += histogram->buckets[i];
    if (total == 0) return 0;
    uint64_t wanted = (uint64_t)ceil((double)total * share);
    for (unsigned i = 0; i < TW_HISTOGRAM_BUCKETS; i++) {
        seen += histogram->buckets[i];
        if (histogram->buckets[i] == 0 || seen < wanted) continue;
        return end_of(i) < histogram->max ? end_of(i) : histogram->max;
    }
    return histogram->max;
}
