/* bench_histogram.h: how often which value came, log-linear: 32 buckets per power of two, so that a
 * quantile is at most 3.2 % too high, whatever the range, and counts are exact. Values below 64 are
 * exact, too. 15 KiB, no allocation. Unit: the caller's. (base/histogram.h is coarser, and small
 * enough for one per hook.) */
#ifndef TW_APP_BENCH_HISTOGRAM_H
#define TW_APP_BENCH_HISTOGRAM_H

#include <stdint.h>

#define TW_BENCH_HISTOGRAM_BITS 5
#define TW_BENCH_HISTOGRAM_BUCKETS ((64 - TW_BENCH_HISTOGRAM_BITS + 1) << TW_BENCH_HISTOGRAM_BITS)

/* All zero is an empty histogram. */
struct tw_bench_histogram {
    uint64_t count, sum, max; /* exact; the sum wraps after 584 years of nanoseconds */
    uint64_t buckets[TW_BENCH_HISTOGRAM_BUCKETS];
};

void tw_bench_histogram_init(struct tw_bench_histogram *histogram);
void tw_bench_histogram_add(struct tw_bench_histogram *histogram, uint64_t value);
/* The same value `times` times. */
void tw_bench_histogram_add_many(struct tw_bench_histogram *histogram, uint64_t value,
                                 uint64_t times);
/* Adds all of `from`. */
void tw_bench_histogram_merge(struct tw_bench_histogram *to, const struct tw_bench_histogram *from);
/* The value that a share `q` of all does not exceed (0 < q <= 1); the upper end of its bucket, but
 * never above max. 0 if empty. */
uint64_t tw_bench_histogram_quantile(const struct tw_bench_histogram *histogram, double q);
double tw_bench_histogram_mean(const struct tw_bench_histogram *histogram); /* 0 if empty */

#endif
