/* stats_hooks.c: the part of /v1/stats that says where the time of the scripts goes. */
#include "app/stats_hooks.h"

#include <string.h>

#define MOST_ROWS 20

static double seconds(uint64_t ns) {
    return (double)ns / 1e9;
}

static void print_row(struct tw_buf *json, const struct tw_hook_row *row) {
    const struct tw_hook_stats *stats = &row->stats;
    const struct tw_histogram *times = &stats->times;
    tw_buf_print(json, "{");
    if (row->channel) {
        tw_buf_print(json, "\"channel\":");
        tw_buf_json_string(json, row->channel, strlen(row->channel));
        tw_buf_print(json, ",");
    }
    tw_buf_print(json, "\"hook\":\"%s\",\"calls\":%llu,\"failures\":%llu,\"interrupted\":%llu,",
                 row->hook, (unsigned long long)stats->calls, (unsigned long long)stats->failures,
                 (unsigned long long)stats->interrupted);
    tw_buf_print(json, "\"killed\":%llu,\"seconds\":%.9f,\"p50\":%.9f,\"p99\":%.9f,\"max\":%.9f,",
                 (unsigned long long)stats->killed, seconds(stats->ns),
                 seconds(tw_histogram_quantile(times, 0.5)),
                 seconds(tw_histogram_quantile(times, 0.99)), seconds(times->max));
    tw_buf_print(json, "\"bytes\":%llu,\"max_bytes\":%llu}", (unsigned long long)stats->bytes,
                 (unsigned long long)stats->max_bytes);
}

void tw_stats_print_hooks(struct tw_buf *json, struct tw_hook_table *table) {
    tw_hook_table_merge(table);
    tw_buf_print(json, "\"hooks\":[");
    for (size_t i = 0; i < table->count && i < MOST_ROWS; i++) {
        if (i > 0) tw_buf_print(json, ",");
        print_row(json, &table->rows[i]);
    }
    tw_buf_print(json, "]");
}
