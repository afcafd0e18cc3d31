/* lua_stats.c: adds up what the hubs know. */
#include "sim/lua_stats.h"

#include "base/check.h"

static void set(lua_State *L, const char *name, double value) {
    lua_pushnumber(L, value);
    lua_setfield(L, -2, name);
}

static void push_channel(lua_State *L, struct tw_sim *sim, const struct tw_channel *channel,
                         bool is_brief) {
    uint64_t dropped = channel->dropped, withheld = channel->withheld;
    for (unsigned i = 0; i < tw_sim_workers(sim); i++) {
        const struct tw_topic *topic =
            tw_map_get(&tw_sim_hub(sim, i)->topics, channel->name->hash, &channel->name->text);
        if (topic) dropped += topic->dropped, withheld += topic->withheld;
    }
    lua_pushlstring(L, channel->name->text.data, channel->name->text.length);
    lua_createtable(L, 0, 6);
    set(L, "subscribers", channel->subscribers);
    set(L, "offset", (double)channel->offset);
    set(L, "dropped", (double)dropped);
    lua_pushstring(L, channel->epoch);
    lua_setfield(L, -2, "epoch");
    if (is_brief) {
        lua_rawset(L, -3);
        return;
    }
    set(L, "withheld", (double)withheld);
    lua_pushboolean(L, tw_quarantine_is_on(&channel->quarantine));
    lua_setfield(L, -2, "quarantined");
    if (tw_quarantine_is_on(&channel->quarantine)) {
        int64_t offset_ms = tw_sim_hub(sim, 0)->hubs->wall_offset_ms;
        set(L, "until", (double)((int64_t)channel->quarantine.until_ms + offset_ms) / 1000.0);
        lua_pushstring(L, channel->quarantine.last->message);
        lua_setfield(L, -2, "reason");
    }
    lua_rawset(L, -3);
}

static void push_channels(lua_State *L, struct tw_sim *sim, bool is_brief) {
    lua_newtable(L);
    for (unsigned i = 0; i < tw_sim_workers(sim); i++) {
        const struct tw_channel *channel;
        size_t at = 0;
        while ((channel = tw_map_next(&tw_sim_hub(sim, i)->channels, &at)))
            push_channel(L, sim, channel, is_brief);
    }
    lua_setfield(L, -2, "channels");
}

/* The metrics as JSON, since nothing of Lua's may raise under their lock; sim.lua decodes it. */
static void push_common(lua_State *L, struct tw_common *common) {
    struct tw_buf json = {0};
    size_t keys, bytes;
    tw_metrics_print_json(common->metrics, &json);
    lua_pushlstring(L, json.data, json.length);
    lua_setfield(L, -2, "metrics");
    tw_buf_deinit(&json);
    tw_shared_count(common->shared, &keys, &bytes);
    lua_createtable(L, 0, 3);
    set(L, "keys", (double)keys);
    set(L, "bytes", (double)bytes);
    set(L, "memory", (double)tw_shared_bound(common->shared));
    lua_setfield(L, -2, "shared");
}

struct sums {
    struct tw_hub_stats counts;
    double queued, queued_bytes, mail, memory, dead, clients, subs;
};

static void add(struct sums *sums, struct tw_sim *sim, unsigned index) {
    struct tw_hub *hub = tw_sim_hub(sim, index);
    const struct tw_client *client;
    size_t at = 0;
    sums->counts.messages_in += hub->stats.messages_in;
    sums->counts.messages_out += hub->stats.messages_out;
    sums->counts.published += hub->stats.published;
    sums->counts.refused += hub->stats.refused;
    sums->counts.hook_failures += hub->stats.hook_failures;
    sums->counts.too_slow += hub->stats.too_slow;
    sums->mail += (double)(hub->self.count + hub->taken.count + hub->slow.count + hub->spill_count);
    while ((client = tw_map_next(&hub->clients, &at))) {
        sums->clients++;
        sums->subs += client->sub_count;
        sums->queued += client->outbox.count - client->outbox.dead;
        sums->queued_bytes += client->outbox.bytes;
    }
    if (!tw_sim_vm(sim, index)) return;
    sums->memory += (double)tw_vm_memory(tw_sim_vm(sim, index));
    sums->dead += tw_vm_is_dead(tw_sim_vm(sim, index));
}

static void push_hook(lua_State *L, const struct tw_hook_row *row) {
    const struct tw_hook_stats *stats = &row->stats;
    lua_createtable(L, 0, 12);
    lua_pushstring(L, row->channel);
    lua_setfield(L, -2, "channel");
    lua_pushstring(L, row->hook);
    lua_setfield(L, -2, "hook");
    set(L, "calls", (double)stats->calls);
    set(L, "failures", (double)stats->failures);
    set(L, "interrupted", (double)stats->interrupted);
    set(L, "killed", (double)stats->killed);
    set(L, "seconds", (double)stats->ns / 1e9);
    set(L, "p50", (double)tw_histogram_quantile(&stats->times, 0.5) / 1e9);
    set(L, "p99", (double)tw_histogram_quantile(&stats->times, 0.99) / 1e9);
    set(L, "max", (double)stats->times.max / 1e9);
    set(L, "bytes", (double)stats->bytes);
    set(L, "max_bytes", (double)stats->max_bytes);
}

static void push_hooks(lua_State *L, struct tw_sim *sim) {
    struct tw_hook_table table = {0};
    for (unsigned i = 0; i < tw_sim_workers(sim); i++)
        tw_hook_table_add(&table, tw_sim_vm(sim, i));
    tw_hook_table_merge(&table);
    lua_createtable(L, (int)table.count, 0);
    for (size_t i = 0; i < table.count; i++) {
        push_hook(L, &table.rows[i]);
        lua_rawseti(L, -2, (int)i + 1);
    }
    lua_setfield(L, -2, "hooks");
    tw_hook_table_deinit(&table);
}

/* Leaves the table on the stack. */
static struct sums push_sums(lua_State *L, struct tw_sim *sim, int fields) {
    struct sums sums = {0};
    const struct tw_hub *control = tw_sim_hub(sim, tw_sim_workers(sim));
    for (unsigned i = 0; i < tw_sim_workers(sim); i++)
        add(&sums, sim, i);
    lua_createtable(L, 0, fields);
    set(L, "generation", control->generation->number);
    set(L, "connections", tw_admission_count(&control->hubs->admission));
    set(L, "refused", (double)sums.counts.refused);
    set(L, "script_memory", sums.memory);
    set(L, "queued", sums.queued);
    set(L, "queued_bytes", sums.queued_bytes);
    set(L, "mail", sums.mail);
    set(L, "clients", sums.clients);
    set(L, "subscriptions", sums.subs);
    return sums;
}

void tw_lua_push_counts(lua_State *L, struct tw_sim *sim) {
    push_sums(L, sim, 10);
    push_channels(L, sim, true);
}

static void push_rollbacks(lua_State *L, struct tw_sim *sim) {
    const struct tw_sim_rollback *last = tw_sim_last_rollback(sim);
    set(L, "rollbacks", last->count);
    if (last->count == 0) return;
    lua_createtable(L, 0, 5);
    set(L, "from", last->from);
    set(L, "to", last->to);
    set(L, "generation", last->generation);
    set(L, "at", last->at);
    lua_pushstring(L, last->why);
    lua_setfield(L, -2, "reason");
    lua_setfield(L, -2, "last_rollback");
}

void tw_lua_push_stats(lua_State *L, struct tw_sim *sim) {
    struct sums sums = push_sums(L, sim, 23);
    set(L, "workers", tw_sim_workers(sim));
    set(L, "messages_in", (double)sums.counts.messages_in);
    set(L, "messages_out", (double)sums.counts.messages_out);
    set(L, "published", (double)sums.counts.published);
    set(L, "hook_failures", (double)sums.counts.hook_failures);
    set(L, "too_slow", (double)sums.counts.too_slow);
    set(L, "dead_vms", sums.dead);
    set(L, "checks", (double)tw_check_count());
    push_channels(L, sim, false);
    push_common(L, tw_sim_hub(sim, 0)->hubs->common);
    push_hooks(L, sim);
    push_rollbacks(L, sim);
}
