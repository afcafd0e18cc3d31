/* metrics.h: counters, gauges and histograms that scripts make, for all workers together. They
 * outlive VMs and generations (struct tw_common). Any thread; one lock, held for one operation.
 *
 * A series is a name and its labels in Prometheus' notation, labels sorted by name, values escaped:
 * orders{market="us",side="buy"}. All series of a name are of one kind. */
#ifndef TW_BROKER_METRICS_H
#define TW_BROKER_METRICS_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/str.h"

#define TW_METRICS_MAX_SERIES 1000
#define TW_METRICS_BUCKETS 15

enum tw_metric_kind { TW_METRIC_COUNTER, TW_METRIC_GAUGE, TW_METRIC_HISTOGRAM };

struct tw_metric {
    enum tw_metric_kind kind;
    struct tw_str name;                   /* orders */
    struct tw_str labels;                 /* market="us",side="buy"; empty: none */
    double value;                         /* of a histogram: the sum */
    uint64_t count;                       /* of a histogram: observations, */
    uint64_t buckets[TW_METRICS_BUCKETS]; /* and how many were <= its bound (not added up) */
};

struct tw_metrics;

/* Upper bounds of a histogram's buckets, in seconds; beyond the last: `count` less all of them. */
extern const double tw_metrics_bounds[TW_METRICS_BUCKETS];

struct tw_metrics *tw_metrics_new(void);
void tw_metrics_free(struct tw_metrics *metrics);
/* [a-zA-Z_:][a-zA-Z0-9_:]*, at most 200 bytes; not tidewire_..., which is the broker's own. */
bool tw_metrics_is_name(struct tw_str name);
/* [a-zA-Z_][a-zA-Z0-9_]*, at most 100 bytes; not __..., and not le, which histograms use. */
bool tw_metrics_is_label(struct tw_str label);
/* Appends name="value", escaped, behind a comma unless it is the first. 0 or -ENOMEM. */
int tw_metrics_add_label(struct tw_buf *labels, struct tw_str name, struct tw_str value);
/* Adds to a counter, sets a gauge, or observes. 0; -EEXIST: the name is of another kind, or one
 * that a histogram's series have; TW_EFULL: TW_METRICS_MAX_SERIES; -ENOMEM. */
int tw_metrics_add(struct tw_metrics *metrics, enum tw_metric_kind kind, struct tw_str name,
                   struct tw_str labels, double value);
/* All series, those of one name together, names in the order in which they were made. Under the
 * lock: `visit` may not block, nor call back. */
void tw_metrics_walk(struct tw_metrics *metrics,
                     void (*visit)(void *data, const struct tw_metric *metric), void *data);
/* Appends all as a JSON object: {"orders{side=\"buy\"}":7,"wait":{"count":2,"sum":0.3,
 * "buckets":[[0.25,2]]}}; buckets without an observation are left out. */
void tw_metrics_print_json(struct tw_metrics *metrics, struct tw_buf *json);

#endif
