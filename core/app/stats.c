/* stats.c: GET /v1/stats: every worker fills its part on its own thread, the control worker adds
 * them up. */
#include <string.h>

#include "app/admin.h"
#include "app/stats_hooks.h"
#include "base/check.h"
#include "base/mem.h"

/* One channel as one worker knows it: as its home, by its local topic, or both. */
struct part {
    struct tw_name *name; /* ref */
    bool is_home;
    uint32_t subscribers;
    uint64_t offset, dropped, withheld;
    char epoch[TW_EPOCH_SIZE];
    double until;            /* unix seconds; of a quarantine */
    struct tw_failure *last; /* owned; its reason; NULL: not quarantined */
};

struct share {
    struct tw_hub_stats counts;
    size_t memory; /* of the VM */
    bool is_dead;  /* it */
    struct part *parts;
    size_t part_count;
    struct tw_hook_table hooks;
    struct tw_pauses pauses;
};

struct gathering {
    struct tw_pending *pending;
    unsigned missing;
    struct share shares[];
};

/* --- on each worker --- */

static void fill_quarantine(const struct tw_hub *hub, const struct tw_channel *channel,
                            struct part *part) {
    if (!tw_quarantine_is_on(&channel->quarantine)) return;
    part->until =
        (double)((int64_t)channel->quarantine.until_ms + hub->hubs->wall_offset_ms) / 1000.0;
    part->last = TW_NEW(struct tw_failure);
    *part->last = *channel->quarantine.last;
}

static void fill(struct tw_hub *hub, struct share *share) {
    size_t at = 0;
    const struct tw_channel *channel;
    const struct tw_topic *topic;
    share->counts = hub->stats;
    share->memory = tw_vm_memory(hub->vm);
    share->is_dead = tw_vm_is_dead(hub->vm);
    tw_hook_table_add(&share->hooks, hub->vm);
    share->pauses = tw_worker_of(hub)->pauses;
    share->parts = tw_alloc((hub->channels.count + hub->topics.count + 1) * sizeof(struct part));
    while ((channel = tw_map_next(&hub->channels, &at))) {
        struct part *part = &share->parts[share->part_count++];
        *part = (struct part){.name = tw_name_ref(channel->name),
                              .is_home = true,
                              .subscribers = channel->subscribers,
                              .offset = channel->offset,
                              .dropped = channel->dropped,
                              .withheld = channel->withheld};
        memcpy(part->epoch, channel->epoch, sizeof part->epoch);
        fill_quarantine(hub, channel, part);
    }
    at = 0;
    while ((topic = tw_map_next(&hub->topics, &at)))
        share->parts[share->part_count++] = (struct part){.name = tw_name_ref(topic->name),
                                                          .dropped = topic->dropped,
                                                          .withheld = topic->withheld};
}

static void on_filled(struct tw_hub *control, struct tw_mail *mail);

static void on_asked(struct tw_hub *hub, struct tw_mail *mail) {
    struct gathering *gathering = mail->request;
    fill(hub, &gathering->shares[hub->index]);
    tw_server_call(hub, hub->hubs->workers, false, on_filled, gathering);
}

/* --- on the control worker --- */

static bool part_matches(const void *value, const void *key) {
    return tw_str_eq(((const struct part *)value)->name->text, *(const struct tw_str *)key);
}

static void print_quarantine(struct tw_buf *json, const struct part *part) {
    tw_buf_print(json, "\"quarantined\":%s", part->last ? "true" : "false");
    if (part->last) {
        tw_buf_print(json, ",\"until\":%.3f,\"reason\":", part->until);
        tw_buf_json_string(json, part->last->message, strlen(part->last->message));
    }
    tw_buf_print(json, "}");
}

/* Adds what topics dropped and withheld to what their channels say. A topic without a channel is
 * one whose channel has just gone; it is left out. */
static void print_channels(struct tw_buf *json, struct gathering *gathering, unsigned workers) {
    struct tw_map homes;
    const char *comma = "";
    tw_map_init(&homes, part_matches);
    for (unsigned w = 0; w < workers; w++)
        for (size_t i = 0; i < gathering->shares[w].part_count; i++) {
            struct part *part = &gathering->shares[w].parts[i];
            if (part->is_home) tw_map_add(&homes, part->name->hash, part);
        }
    for (unsigned w = 0; w < workers; w++)
        for (size_t i = 0; i < gathering->shares[w].part_count; i++) {
            struct part *part = &gathering->shares[w].parts[i];
            struct part *home = tw_map_get(&homes, part->name->hash, &part->name->text);
            if (part->is_home || !home) continue;
            home->dropped += part->dropped;
            home->withheld += part->withheld;
        }
    size_t at = 0;
    const struct part *part;
    while ((part = tw_map_next(&homes, &at))) {
        tw_buf_print(json, "%s", comma);
        tw_buf_json_string(json, part->name->text.data, part->name->text.length);
        tw_buf_print(json,
                     ":{\"subscribers\":%u,\"epoch\":\"%s\",\"offset\":%llu,\"dropped\":%llu,"
                     "\"withheld\":%llu,",
                     part->subscribers, part->epoch, (unsigned long long)part->offset,
                     (unsigned long long)part->dropped, (unsigned long long)part->withheld);
        print_quarantine(json, part);
        comma = ",";
    }
    tw_map_deinit(&homes);
}

static void print_counts(struct tw_buf *json, const struct gathering *gathering, unsigned workers) {
    struct tw_hub_stats sum = {0};
    size_t memory = 0;
    unsigned dead = 0;
    for (unsigned w = 0; w < workers; w++) {
        const struct tw_hub_stats *counts = &gathering->shares[w].counts;
        sum.messages_in += counts->messages_in;
        sum.messages_out += counts->messages_out;
        sum.published += counts->published;
        sum.refused += counts->refused;
        sum.hook_failures += counts->hook_failures;
        sum.too_slow += counts->too_slow;
        memory += gathering->shares[w].memory;
        dead += gathering->shares[w].is_dead;
    }
    tw_buf_print(json,
                 "\"messages_in\":%llu,\"messages_out\":%llu,\"published\":%llu,\"refused\":%llu,"
                 "\"hook_failures\":%llu,\"too_slow\":%llu,\"script_memory\":%zu,"
                 "\"dead_vms\":%u,",
                 (unsigned long long)sum.messages_in, (unsigned long long)sum.messages_out,
                 (unsigned long long)sum.published, (unsigned long long)sum.refused,
                 (unsigned long long)sum.hook_failures, (unsigned long long)sum.too_slow, memory,
                 dead);
}

/* One of each worker, the control worker last. */
static void print_pauses(struct tw_buf *json, const struct gathering *gathering,
                         const struct tw_worker *control) {
    uint64_t now_ns = uv_hrtime();
    tw_buf_print(json, "\"pauses\":[");
    for (unsigned w = 0; w < control->index; w++) {
        tw_pauses_print(&gathering->shares[w].pauses, w, now_ns, json);
        tw_buf_print(json, ",");
    }
    tw_pauses_print(&control->pauses, control->index, now_ns, json);
    tw_buf_print(json, "],");
}

static void print_shared(struct tw_buf *json, struct tw_shared *shared) {
    size_t keys, bytes;
    tw_shared_count(shared, &keys, &bytes);
    tw_buf_print(json, "\"shared\":{\"keys\":%zu,\"bytes\":%zu,\"memory\":%zu},", keys, bytes,
                 tw_shared_bound(shared));
}

static void print_hooks(struct tw_buf *json, struct gathering *gathering, unsigned workers) {
    struct tw_hook_table all = {0};
    for (unsigned w = 0; w < workers; w++)
        tw_hook_table_take(&all, &gathering->shares[w].hooks);
    tw_stats_print_hooks(json, &all);
    tw_hook_table_deinit(&all);
}

static void free_gathering(struct gathering *gathering, unsigned workers) {
    for (unsigned w = 0; w < workers; w++) {
        struct share *share = &gathering->shares[w];
        for (size_t i = 0; i < share->part_count; i++) {
            tw_name_unref(&share->parts[i].name);
            tw_free(share->parts[i].last);
        }
        tw_free(share->parts);
    }
    tw_free(gathering);
}

static void on_filled(struct tw_hub *control, struct tw_mail *mail) {
    struct gathering *gathering = mail->request;
    struct tw_server *server = tw_worker_of(control)->server;
    unsigned workers = server->hubs.workers;
    struct tw_buf json = {0};
    if (--gathering->missing > 0) return;
    tw_buf_print(&json,
                 "{\"version\":\"%s\",\"generation\":%u,\"workers\":%u,\"uptime\":%.3f,"
                 "\"draining\":%s,\"checks\":%lu,\"connections\":%u,",
                 tidewire_version(), server->generation->number, workers,
                 (double)(control->now_ms - server->started_ms) / 1000.0,
                 server->state == TW_SERVER_RUNNING ? "false" : "true", tw_check_count(),
                 tw_admission_count(&server->hubs.admission));
    tw_reload_print(server, &json);
    print_counts(&json, gathering, workers);
    tw_buf_print(&json, "\"channels\":{");
    print_channels(&json, gathering, workers);
    tw_buf_print(&json, "},");
    print_hooks(&json, gathering, workers);
    tw_buf_print(&json, ",");
    print_pauses(&json, gathering, tw_worker_of(control));
    print_shared(&json, server->common->shared);
    tw_buf_print(&json, "\"metrics\":");
    tw_metrics_print_json(server->common->metrics, &json);
    tw_buf_print(&json, "}");
    tw_admin_answer(gathering->pending, 200, &json);
    tw_buf_deinit(&json);
    free_gathering(gathering, workers);
}

void tw_admin_gather_stats(struct tw_server *server, struct tw_pending *pending) {
    unsigned workers = server->hubs.workers;
    struct gathering *gathering =
        tw_alloc(sizeof *gathering + workers * sizeof gathering->shares[0]);
    gathering->pending = pending;
    gathering->missing = workers;
    tw_server_call_all(server, false, on_asked, gathering);
}
