/* bench_histogram.c: the bucket of a value is its highest bit and the five bits behind it. */
#include "app/bench_histogram.h"

#include <math.h>
#include <string.h>

static unsigned bucket_of(uint64_t value);
static uint64_t upper_end(unsigned bucket);

void tw_bench_histogram_init(struct tw_bench_histogram *histogram) {
    memset(histogram, 0, sizeof *histogram);
}

void tw_bench_histogram_add(struct tw_bench_histogram *histogram, uint64_t value) {
    tw_bench_histogram_add_many(histogram, value, 1);
}

void tw_bench_histogram_add_many(struct tw_bench_histogram *histogram, uint64_t value,
                                 uint64_t times) {
    if (times == 0) return;
    histogram->buckets[bucket_of(value)] += times;
    histogram->count += times;
    histogram->sum += value * times;
    if (value > histogram->max) histogram->max = value;
}

void tw_bench_histogram_merge(struct tw_bench_histogram *to,
                              const struct tw_bench_histogram *from) {
    for (unsigned i = 0; i < TW_BENCH_HISTOGRAM_BUCKETS; i++)
        to->buckets[i] += from->buckets[i];
    to->count += from->count;
    to->sum += from->sum;
    if (from->max > to->max) to->max = from->max;
}

uint64_t tw_bench_histogram_quantile(const struct tw_bench_histogram *histogram, double q) {
    if (histogram->count == 0) return 0;
    double wanted = ceil(q * (double)histogram->count);
    uint64_t below = 0;
    for (unsigned i = 0; i < TW_BENCH_HISTOGRAM_BUCKETS; i++) {
        below += histogram->buckets[i];
        if (below == 0 || (double)below < wanted) continue;
        uint64_t end = upper_end(i);
        return end < histogram->max ? end : histogram->max;
    }
    return histogram->max;
}

double tw_bench_histogram_mean(const struct tw_bench_histogram *histogram) {
    return histogram->count == 0 ? 0 : (double)histogram->sum / (double)histogram->count;
}

static unsigned bucket_of(uint64_t value) {
    const uint64_t exact = (uint64_t)1 << TW_BENCH_HISTOGRAM_BITS;
    if (value < exact) return (unsigned)value;
    unsigned shift = 63 - TW_BENCH_HISTOGRAM_BITS - (unsigned)__builtin_clzll(value);
    return (shift << TW_BENCH_HISTOGRAM_BITS) + (unsigned)(value >> shift);
}

/* The greatest value of the bucket. */
static uint64_t upper_end(unsigned bucket) {
    const unsigned exact = 1u << TW_BENCH_HISTOGRAM_BITS;
    if (bucket < exact) return bucket;
    unsigned shift = (bucket >> TW_BENCH_HISTOGRAM_BITS) - 1;
    uint64_t first = (uint64_t)(bucket - (shift << TW_BENCH_HISTOGRAM_BITS)) << shift;
    return first + (((uint64_t)1 << shift) - 1);
}
