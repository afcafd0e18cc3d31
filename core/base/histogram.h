/* histogram.h: how often which values came: four buckets for each power of two, so that a quantile
 * is at most 25 % too high and never too low, whatever the unit. 640 bytes, no allocation; one
 * thread adds. */
#ifndef TW_BASE_HISTOGRAM_H
#define TW_BASE_HISTOGRAM_H

#include <stdint.h>

#define TW_HISTOGRAM_BITS                                                                          \
    40 /* values from 2^40 on count as 2^40 - 1: 18 minutes, in nanoseconds                        \
        */
#define TW_HISTOGRAM_BUCKETS (4 * (TW_HISTOGRAM_BITS - 1))

/* All zero is empty. */
struct tw_histogram {
    uint64_t max;
    /* When one is full, all are halved: the shares stay. */
    uint32_t buckets[TW_HISTOGRAM_BUCKETS];
};

void tw_histogram_add(struct tw_histogram *histogram, uint64_t value);
void tw_histogram_merge(struct tw_histogram *to, const struct tw_histogram *from);
/* The value that a `share` (0.99) of all values do not exceed; 0 when there is none. Never above
 * the greatest. */
uint64_t tw_histogram_quantile(const struct tw_histogram *histogram, double share);

#endif
