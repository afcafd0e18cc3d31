/* metrics.c: families by name, each with a list of its series; series by name and labels. */
#include "broker/metrics.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/status.h"

struct family {
    struct tw_list node, series;
    enum tw_metric_kind kind;
    size_t name_length;
    char name[];
};

struct series {
    struct tw_list node;
    struct tw_metric metric; /* its name borrows from the family, its labels from below */
    char labels[];
};

/* A key of the map of series. */
struct key {
    struct tw_str name, labels;
};

struct tw_metrics {
    pthread_mutex_t lock;
    struct tw_list order; /* families */
    struct tw_map families, series;
};

const double tw_metrics_bounds[TW_METRICS_BUCKETS] = {
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10};

static bool is_family(const void *value, const void *key);
static bool is_series(const void *value, const void *key);
static int find(struct tw_metrics *metrics, enum tw_metric_kind kind, const struct key *key,
                struct series **out);
static struct family *find_family(const struct tw_metrics *metrics, struct tw_str name);
static bool would_clash(const struct tw_metrics *metrics, enum tw_metric_kind kind,
                        struct tw_str name);
static bool is_word(struct tw_str word, bool colons, size_t most);

struct tw_metrics *tw_metrics_new(void) {
    struct tw_metrics *metrics = TW_NEW(struct tw_metrics);
    pthread_mutex_init(&metrics->lock, NULL);
    tw_list_init(&metrics->order);
    tw_map_init(&metrics->families, is_family);
    tw_map_init(&metrics->series, is_series);
    return metrics;
}

void tw_metrics_free(struct tw_metrics *metrics) {
    for (struct tw_list *node; (node = tw_list_shift(&metrics->order));) {
        struct family *family = TW_CONTAINER(node, struct family, node);
        while ((node = tw_list_shift(&family->series)))
            tw_free(TW_CONTAINER(node, struct series, node));
        tw_free(family);
    }
    tw_map_deinit(&metrics->families);
    tw_map_deinit(&metrics->series);
    pthread_mutex_destroy(&metrics->lock);
    tw_free(metrics);
}

bool tw_metrics_is_name(struct tw_str name) {
    return is_word(name, true, 200) && !tw_str_starts(name, TW_STR("tidewire_"));
}

bool tw_metrics_is_label(struct tw_str label) {
    return is_word(label, false, 100) && !tw_str_starts(label, TW_STR("__")) &&
           !tw_str_eq(label, TW_STR("le"));
}

int tw_metrics_add_label(struct tw_buf *labels, struct tw_str name, struct tw_str value) {
    if (tw_buf_try_reserve(labels, name.length + 2 * value.length + 4) != 0) return -ENOMEM;
    if (labels->length > 0) tw_buf_append(labels, ",", 1);
    tw_buf_append(labels, name.data, name.length);
    tw_buf_append(labels, "=\"", 2);
    for (size_t i = 0; i < value.length; i++) {
        char c = value.data[i];
        if (c == '\\' || c == '"' || c == '\n') tw_buf_append(labels, "\\", 1);
        if (c == '\n') c = 'n';
        tw_buf_append(labels, &c, 1);
    }
    tw_buf_append(labels, "\"", 1);
    return 0;
}

int tw_metrics_add(struct tw_metrics *metrics, enum tw_metric_kind kind, struct tw_str name,
                   struct tw_str labels, double value) {
    struct key key = {name, labels};
    struct series *series;
    pthread_mutex_lock(&metrics->lock);
    int status = find(metrics, kind, &key, &series);
    if (status == 0) {
        struct tw_metric *metric = &series->metric;
        metric->value = kind == TW_METRIC_GAUGE ? value : metric->value + value;
        size_t bucket = 0;
        while (bucket < TW_METRICS_BUCKETS && value > tw_metrics_bounds[bucket])
            bucket++;
        if (kind == TW_METRIC_HISTOGRAM) metric->count++;
        if (kind == TW_METRIC_HISTOGRAM && bucket < TW_METRICS_BUCKETS) metric->buckets[bucket]++;
    }
    pthread_mutex_unlock(&metrics->lock);
    return status;
}

void tw_metrics_walk(struct tw_metrics *metrics,
                     void (*visit)(void *data, const struct tw_metric *metric), void *data) {
    pthread_mutex_lock(&metrics->lock);
    for (struct tw_list *f = metrics->order.next; f != &metrics->order; f = f->next) {
        struct family *family = TW_CONTAINER(f, struct family, node);
        for (struct tw_list *s = family->series.next; s != &family->series; s = s->next)
            visit(data, &TW_CONTAINER(s, struct series, node)->metric);
    }
    pthread_mutex_unlock(&metrics->lock);
}

/* The shortest text that reads back the same. */
static void print_number(struct tw_buf *json, double number) {
    char text[32];
    snprintf(text, sizeof text, "%.15g", number);
    if (strtod(text, NULL) != number) snprintf(text, sizeof text, "%.17g", number);
    tw_buf_print(json, "%s", isfinite(number) ? text : "null"); /* sums may overflow */
}

static void print_one(void *data, const struct tw_metric *metric) {
    struct tw_buf *json = (struct tw_buf *)data, title = {0};
    const char *comma = "";
    tw_buf_append(&title, metric->name.data, metric->name.length);
    if (metric->labels.length > 0) tw_buf_print(&title, "{%.*s}", TW_STR_ARG(metric->labels));
    if (json->data[json->length - 1] != '{') tw_buf_append(json, ",", 1);
    tw_buf_json_string(json, title.data, title.length);
    tw_buf_deinit(&title);
    if (metric->kind != TW_METRIC_HISTOGRAM) {
        tw_buf_append(json, ":", 1);
        print_number(json, metric->value);
        return;
    }
    tw_buf_print(json, ":{\"count\":%llu,\"sum\":", (unsigned long long)metric->count);
    print_number(json, metric->value);
    tw_buf_print(json, ",\"buckets\":[");
    for (size_t i = 0; i < TW_METRICS_BUCKETS; i++) {
        if (metric->buckets[i] == 0) continue;
        tw_buf_print(json, "%s[%g,%llu]", comma, tw_metrics_bounds[i],
                     (unsigned long long)metric->buckets[i]);
        comma = ",";
    }
    tw_buf_print(json, "]}");
}

void tw_metrics_print_json(struct tw_metrics *metrics, struct tw_buf *json) {
    tw_buf_append(json, "{", 1);
    tw_metrics_walk(metrics, print_one, json);
    tw_buf_append(json, "}", 1);
}

static uint64_t hash_of(const struct key *key) {
    return tw_str_hash(key->name) * 31 ^ tw_str_hash(key->labels);
}

static bool is_family(const void *value, const void *key) {
    const struct family *family = (const struct family *)value;
    return tw_str_eq((struct tw_str){family->name, family->name_length},
                     *(const struct tw_str *)key);
}

static bool is_series(const void *value, const void *key) {
    const struct tw_metric *metric = &((const struct series *)value)->metric;
    const struct key *wanted = (const struct key *)key;
    return tw_str_eq(metric->labels, wanted->labels) && tw_str_eq(metric->name, wanted->name);
}

/* Finds the series or makes it, and its family. The bound is of series; so a family without one is
 * never left behind. */
static int find(struct tw_metrics *metrics, enum tw_metric_kind kind, const struct key *key,
                struct series **out) {
    uint64_t hash = hash_of(key);
    *out = (struct series *)tw_map_get(&metrics->series, hash, key);
    if (*out) return (*out)->metric.kind == kind ? 0 : -EEXIST;
    struct family *family = find_family(metrics, key->name);
    if (family ? family->kind != kind : would_clash(metrics, kind, key->name)) return -EEXIST;
    if (metrics->series.count >= TW_METRICS_MAX_SERIES) return TW_EFULL;
    struct series *series = (struct series *)tw_try_alloc(sizeof *series + key->labels.length);
    if (!series) return -ENOMEM;
    if (!family) {
        family = (struct family *)tw_try_alloc(sizeof *family + key->name.length);
        if (!family) {
            tw_free(series);
            return -ENOMEM;
        }
        family->kind = kind;
        family->name_length = key->name.length;
        memcpy(family->name, key->name.data, key->name.length);
        tw_list_init(&family->series);
        tw_list_append(&metrics->order, &family->node);
        tw_map_add(&metrics->families, tw_str_hash(key->name), family);
    }
    if (key->labels.length > 0) memcpy(series->labels, key->labels.data, key->labels.length);
    series->metric = (struct tw_metric){.kind = kind,
                                        .name = {family->name, family->name_length},
                                        .labels = {series->labels, key->labels.length}};
    tw_list_append(&family->series, &series->node);
    tw_map_add(&metrics->series, hash, series);
    *out = series;
    return 0;
}

static struct family *find_family(const struct tw_metrics *metrics, struct tw_str name) {
    return (struct family *)tw_map_get(&metrics->families, tw_str_hash(name), &name);
}

/* A histogram "wait" is shown as wait_bucket, wait_sum and wait_count, so those must be free. */
static bool would_clash(const struct tw_metrics *metrics, enum tw_metric_kind kind,
                        struct tw_str name) {
    static const char *const tails[] = {"_bucket", "_sum", "_count"};
    for (size_t i = 0; i < sizeof tails / sizeof *tails; i++) {
        struct tw_str tail = tw_str_of(tails[i]);
        char longer[216];
        if (kind == TW_METRIC_HISTOGRAM && name.length + tail.length <= sizeof longer) {
            memcpy(longer, name.data, name.length);
            memcpy(longer + name.length, tail.data, tail.length);
            if (find_family(metrics, (struct tw_str){longer, name.length + tail.length}))
                return true;
        }
        if (name.length <= tail.length) continue;
        struct tw_str base = {name.data, name.length - tail.length};
        if (memcmp(name.data + base.length, tail.data, tail.length) != 0) continue;
        const struct family *family = find_family(metrics, base);
        if (family && family->kind == TW_METRIC_HISTOGRAM) return true;
    }
    return false;
}

static bool is_word(struct tw_str word, bool colons, size_t most) {
    if (word.length == 0 || word.length > most) return false;
    for (size_t i = 0; i < word.length; i++) {
        char c = word.data[i];
        bool is_letter =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (colons && c == ':');
        if (!is_letter && !(c >= '0' && c <= '9' && i > 0)) return false;
    }
    return true;
}
