/* bench_report.c: the result, for people and for programs. What is not known is left out. */
#include <string.h>

#include "app/bench_parts.h"

/* ---- what follows from the figures ---- */

static double per_million(double seconds, uint64_t count) {
    return count > 0 ? seconds * 1e6 / (double)count : 0;
}

static double server_cores(const struct tw_bench_phase *phase) {
    return (phase->server.user_s + phase->server.system_s) / phase->seconds;
}

static bool has_traffic(const struct tw_bench *bench) {
    return bench->options->workload != TW_BENCH_IDLE &&
           bench->options->workload != TW_BENCH_CONNECT;
}

/* Who had no more to give in this phase. The share of a core is of the wall clock: on a machine
 * that does other things both may be low. */
static const char *bottleneck(const struct tw_bench *bench, const struct tw_bench_phase *phase) {
    double client = phase->client_cores;
    double server = bench->options->pid ? server_cores(phase) : 0;
    if (client > 0.9 && server < 0.9) return "client";
    if (client > 0.9 && server < 1.5) return "both";
    if (server > 0.9) return "server";
    return bench->options->pid || client < 0.5 ? "neither" : "unknown";
}

static const char *bottleneck_text(const char *bottleneck) {
    switch (*bottleneck) {
    case 'c':
        return "THE LOAD TOOL IS THE BOTTLENECK: the server could do more than this";
    case 'b':
        return "the load tool and the server both are at the limit of a core";
    case 's':
        return "the server is the bottleneck, as it should be";
    case 'n':
        return "neither is at its limit: they wait for each other, for the rate, or for a core";
    default:
        return "give --pid to see whether the server or the load tool is the bottleneck";
    }
}

/* ---- JSON ---- */

static void json_histogram(struct tw_buf *out, const char *name,
                           const struct tw_bench_histogram *histogram) {
    if (histogram->count == 0) return;
    tw_buf_print(out, ",\"%s\":{\"count\":%llu,\"mean\":%.1f", name,
                 (unsigned long long)histogram->count, tw_bench_histogram_mean(histogram) / 1e3);
    static const struct {
        const char *name;
        double share;
    } shares[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99_9", 0.999}};
    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++)
        tw_buf_print(out, ",\"%s\":%.1f", shares[i].name,
                     (double)tw_bench_histogram_quantile(histogram, shares[i].share) / 1e3);
    tw_buf_print(out, ",\"max\":%.1f}", (double)histogram->max / 1e3);
}

static void json_phase(struct tw_buf *out, const struct tw_bench *bench,
                       const struct tw_bench_phase *phase) {
    tw_buf_print(out, "{\"name\":\"%s\",\"seconds\":%.3f", phase->name, phase->seconds);
    if (has_traffic(bench) || phase->deliveries > 0) {
        tw_buf_print(out,
                     ",\"messages\":%llu,\"deliveries\":%llu,\"messages_per_second\":%.1f,"
                     "\"deliveries_per_second\":%.1f",
                     (unsigned long long)phase->messages, (unsigned long long)phase->deliveries,
                     (double)phase->messages / phase->seconds,
                     (double)phase->deliveries / phase->seconds);
        json_histogram(out, "latency_us", &phase->latency);
        json_histogram(out, "published_late_us", &phase->lateness);
    }
    tw_buf_print(out, ",\"client_cores\":%.3f", phase->client_cores);
    if (bench->options->pid) {
        const struct tw_bench_usage *usage = &phase->server;
        tw_buf_print(out,
                     ",\"server_cores\":%.3f,\"server_user_seconds\":%.2f,"
                     "\"server_system_seconds\":%.2f",
                     server_cores(phase), usage->user_s, usage->system_s);
        if (phase->deliveries > 0)
            tw_buf_print(out,
                         ",\"cpu_seconds_per_million\":{\"user\":%.5f,\"system\":%.5f,"
                         "\"both\":%.5f}",
                         per_million(usage->user_s, phase->deliveries),
                         per_million(usage->system_s, phase->deliveries),
                         per_million(usage->user_s + usage->system_s, phase->deliveries));
        if (phase->pings > 0)
            tw_buf_print(out, ",\"pings\":%llu,\"server_us_per_ping\":%.2f",
                         (unsigned long long)phase->pings,
                         per_million(usage->user_s + usage->system_s, phase->pings));
        if (phase->rss >= 0) tw_buf_print(out, ",\"server_rss\":%lld", (long long)phase->rss);
    }
    tw_buf_print(out, ",\"bottleneck\":\"%s\"}", bottleneck(bench, phase));
}

static void json_losses(struct tw_buf *out, const struct tw_bench_losses *losses) {
    tw_buf_print(out, ",\"missing\":%llu,\"duplicates\":%llu,\"reordered\":%llu",
                 (unsigned long long)losses->missing, (unsigned long long)losses->duplicates,
                 (unsigned long long)losses->reordered);
}

static void json_connect(struct tw_buf *out, const struct tw_bench *bench) {
    double cpu = bench->connect_usage.user_s + bench->connect_usage.system_s;
    tw_buf_print(out,
                 ",\"connect\":{\"connections\":%llu,\"failures\":%llu,\"seconds\":%.3f,"
                 "\"per_second\":%.1f",
                 (unsigned long long)bench->connects, (unsigned long long)bench->connect_failures,
                 bench->connect_s, (double)bench->connects / bench->connect_s);
    json_histogram(out, "latency_us", &bench->connect_latency);
    if (bench->options->pid)
        tw_buf_print(out, ",\"server_cpu_us\":%.2f", per_million(cpu, bench->connects));
    tw_buf_print(out, "}");
}

static void json_memory(struct tw_buf *out, const struct tw_bench *bench) {
    double clients = (double)bench->client_count;
    if (bench->memory_before < 0 || bench->memory_connected < 0) return;
    tw_buf_print(out,
                 ",\"memory\":{\"before\":%lld,\"connected\":%lld,"
                 "\"bytes_per_client\":%.0f",
                 (long long)bench->memory_before, (long long)bench->memory_connected,
                 (double)(bench->memory_connected - bench->memory_before) / clients);
    if (bench->memory_touched >= 0)
        tw_buf_print(out, ",\"touched\":%lld,\"bytes_per_touched_client\":%.0f",
                     (long long)bench->memory_touched,
                     (double)(bench->memory_touched - bench->memory_before) / clients);
    tw_buf_print(out, "}");
}

static void report_json(const struct tw_bench *bench, struct tw_buf *out) {
    const struct tw_bench_options *options = bench->options;
    tw_buf_print(out, "{\"workload\":\"%s\",\"url\":", tw_bench_workload_names[options->workload]);
    tw_buf_json_string(out, options->url_text, strlen(options->url_text));
    tw_buf_print(out, ",\"clients\":%u,\"channels\":%u,\"window\":%u,\"rate\":%.10g,\"size\":%u",
                 bench->client_count, bench->channel_count, options->window, options->rate,
                 options->size);
    tw_buf_print(out, ",\"messages\":%llu,\"deliveries\":%llu", (unsigned long long)bench->messages,
                 (unsigned long long)bench->deliveries);
    json_losses(out, &bench->losses);
    tw_buf_print(out, ",\"foreign\":%llu,\"closed\":%llu,\"stalled\":%s",
                 (unsigned long long)bench->foreign, (unsigned long long)bench->closed,
                 bench->is_stalled ? "true" : "false");
    if (bench->closing[0]) {
        tw_buf_print(out, ",\"first_closing\":");
        tw_buf_json_string(out, bench->closing, strlen(bench->closing));
    }
    if (options->workload == TW_BENCH_SLOW) {
        tw_buf_print(out, ",\"slow\":{\"clients\":%u,\"deliveries\":%llu", bench->slow_count,
                     (unsigned long long)bench->slow_deliveries);
        json_losses(out, &bench->slow_losses);
        tw_buf_print(out, "}");
    }
    json_connect(out, bench);
    json_memory(out, bench);
    tw_buf_print(out, ",\"phases\":[");
    for (unsigned i = 0; i < bench->phase_count; i++) {
        if (i > 0) tw_buf_print(out, ",");
        json_phase(out, bench, &bench->phases[i]);
    }
    tw_buf_print(out, "]}\n");
}

/* ---- the table ---- */

#define LINE "  %-22s "

static void table_histogram(struct tw_buf *out, const char *name,
                            const struct tw_bench_histogram *histogram) {
    if (histogram->count == 0) return;
    tw_buf_print(out, LINE "p50 %.0f  p90 %.0f  p99 %.0f  p99.9 %.0f  max %.0f us\n", name,
                 (double)tw_bench_histogram_quantile(histogram, 0.5) / 1e3,
                 (double)tw_bench_histogram_quantile(histogram, 0.9) / 1e3,
                 (double)tw_bench_histogram_quantile(histogram, 0.99) / 1e3,
                 (double)tw_bench_histogram_quantile(histogram, 0.999) / 1e3,
                 (double)histogram->max / 1e3);
}

static void table_phase(struct tw_buf *out, const struct tw_bench *bench,
                        const struct tw_bench_phase *phase) {
    tw_buf_print(out, "%s, %.2f s\n", phase->name, phase->seconds);
    if (has_traffic(bench) || phase->deliveries > 0) {
        tw_buf_print(out, LINE "%.0f/s (%llu)\n", "deliveries",
                     (double)phase->deliveries / phase->seconds,
                     (unsigned long long)phase->deliveries);
        tw_buf_print(out, LINE "%.0f/s (%llu)\n", "messages",
                     (double)phase->messages / phase->seconds, (unsigned long long)phase->messages);
        table_histogram(out, "latency", &phase->latency);
        table_histogram(out, "published late by", &phase->lateness);
    }
    tw_buf_print(out, LINE "%.2f of a core\n", "load tool", phase->client_cores);
    if (bench->options->pid) {
        const struct tw_bench_usage *usage = &phase->server;
        tw_buf_print(out, LINE "%.2f of a core: user %.2f s, system %.2f s\n", "server",
                     server_cores(phase), usage->user_s, usage->system_s);
        if (phase->deliveries > 0)
            tw_buf_print(out, LINE "user %.4f, system %.4f, both %.4f CPU seconds\n",
                         "per million deliveries", per_million(usage->user_s, phase->deliveries),
                         per_million(usage->system_s, phase->deliveries),
                         per_million(usage->user_s + usage->system_s, phase->deliveries));
        if (phase->rss >= 0)
            tw_buf_print(out, LINE "%.1f MiB\n", "server's memory", (double)phase->rss / 1048576);
    }
    if (bench->options->workload != TW_BENCH_IDLE)
        tw_buf_print(out, "  %s\n", bottleneck_text(bottleneck(bench, phase)));
}

static void table_losses(struct tw_buf *out, const char *name,
                         const struct tw_bench_losses *losses) {
    tw_buf_print(out, LINE "missing %llu, duplicate %llu, reordered %llu\n", name,
                 (unsigned long long)losses->missing, (unsigned long long)losses->duplicates,
                 (unsigned long long)losses->reordered);
}

static void table_connect(struct tw_buf *out, const struct tw_bench *bench) {
    double cpu = bench->connect_usage.user_s + bench->connect_usage.system_s;
    tw_buf_print(out, LINE "%llu in %.2f s (%.0f/s)", "connections",
                 (unsigned long long)bench->connects, bench->connect_s,
                 (double)bench->connects / bench->connect_s);
    if (bench->connect_failures > 0)
        tw_buf_print(out, ", %llu failed: %s", (unsigned long long)bench->connect_failures,
                     bench->closing);
    if (bench->options->pid)
        tw_buf_print(out, ", server CPU %.1f us each", per_million(cpu, bench->connects));
    tw_buf_print(out, "\n");
    table_histogram(out, "handshake", &bench->connect_latency);
    if (bench->memory_before >= 0 && bench->memory_connected >= 0) {
        double clients = (double)bench->client_count;
        tw_buf_print(out, LINE "%.0f bytes", "memory per client",
                     (double)(bench->memory_connected - bench->memory_before) / clients);
        if (bench->memory_touched >= 0)
            tw_buf_print(out, ", %.0f after each has published",
                         (double)(bench->memory_touched - bench->memory_before) / clients);
        tw_buf_print(out, "\n");
    } else if (bench->options->pid) {
        tw_buf_print(out, LINE "unknown: /proc/%ld/smaps_rollup may not be read\n",
                     "memory per client", (long)bench->options->pid);
    }
}

static void report_table(const struct tw_bench *bench, struct tw_buf *out) {
    const struct tw_bench_options *options = bench->options;
    tw_buf_print(out, "%s %s, %u clients", tw_bench_workload_names[options->workload],
                 options->url_text, bench->client_count);
    if (has_traffic(bench)) {
        tw_buf_print(out, ", %u channels, %u bytes, ", bench->channel_count, options->size);
        if (options->rate > 0)
            tw_buf_print(out, "%.10g messages/s", options->rate);
        else
            tw_buf_print(out, "window %u", options->window);
    }
    tw_buf_print(out, "\n");
    table_connect(out, bench);
    for (unsigned i = 0; i < bench->phase_count; i++)
        table_phase(out, bench, &bench->phases[i]);
    if (bench->messages > 0) {
        tw_buf_print(out, "in all\n" LINE "%llu of %llu messages\n", "deliveries",
                     (unsigned long long)bench->deliveries, (unsigned long long)bench->messages);
        table_losses(out, "", &bench->losses);
    }
    if (bench->slow_count > 0) {
        tw_buf_print(out, LINE "%llu, by %u clients\n", "deliveries to the slow",
                     (unsigned long long)bench->slow_deliveries, bench->slow_count);
        table_losses(out, "", &bench->slow_losses);
    }
    if (bench->foreign > 0)
        tw_buf_print(out, LINE "%llu (not ours: does somebody else publish?)\n", "other messages",
                     (unsigned long long)bench->foreign);
    if (bench->closed > 0)
        tw_buf_print(out, LINE "%llu, the first: %s\n", "clients lost",
                     (unsigned long long)bench->closed, bench->closing);
}

void tw_bench_report(const struct tw_bench *bench, FILE *out) {
    struct tw_buf text = {0};
    if (bench->options->json)
        report_json(bench, &text);
    else
        report_table(bench, &text);
    fwrite(text.data, 1, text.length, out);
    fflush(out);
    tw_buf_deinit(&text);
}
