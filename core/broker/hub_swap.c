/* hub_swap.c: a new generation takes over, between two messages. */
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/status.h"
#include "broker/hub_parts.h"

/* The closing handshake, and the peer's hanging up, get this long. */
#define CLOSE_MS 2000

void tw_hub_apply_settings(struct tw_hub *hub) {
    const struct tw_settings *settings = &hub->generation->settings;
    hub->waits.duration_ms[TW_WAIT_HANDSHAKE] = settings->limits.handshake_timeout_ms;
    hub->waits.duration_ms[TW_WAIT_IDLE] = settings->heartbeat_interval_ms;
    hub->waits.duration_ms[TW_WAIT_PONG] = settings->heartbeat_timeout_ms;
    hub->waits.duration_ms[TW_WAIT_CLOSE] = CLOSE_MS;
    if (hub->hubs->common) tw_shared_set_bound(hub->hubs->common->shared, settings->shared_memory);
}

static void tell_workers(struct tw_hub *hub, const struct tw_channel *channel,
                         enum tw_mail_kind kind) {
    for (unsigned i = 0; i < hub->hubs->workers; i++) {
        if (channel->per_worker[i] == 0) continue;
        struct tw_mail *mail = tw_mail_new(kind);
        mail->channel = tw_name_ref(channel->name);
        tw_hub_post(hub, i, mail);
    }
}

/* `old`: the definition before, still alive in the old generation. */
static void carry_channel(struct tw_hub *hub, struct tw_channel *channel, void *old_vm,
                          const struct tw_generation *old_generation) {
    const struct tw_definition *old = channel->definition;
    if (!tw_channel_bind(channel, hub->generation)) {
        tell_workers(hub, channel, TW_MAIL_GONE);
        channel->script = NULL; /* goes with its VM */
        tw_hub_close_channel(hub, channel);
        return;
    }
    const struct tw_definition *new = channel->definition;
    if (hub->generation->print != old_generation->print) tw_hub_end_quarantine(hub, channel);
    tw_hub_save_channel(hub, channel, old_vm, old_generation->number);
    if (new->tick_ms != old->tick_ms) tw_hub_arm_tick(hub, channel);
    tw_hub_touch_channel(hub, channel);
    bool has_policy = new->has_authorize || new->has_audience || old->has_audience;
    if (has_policy && new->policy_print != old->policy_print)
        tell_workers(hub, channel, TW_MAIL_ASK_AGAIN);
}

static void carry_channels(struct tw_hub *hub, void *old_vm, const struct tw_generation *old) {
    struct tw_channel **all = tw_hub_list_channels(hub);
    for (size_t i = 0; all[i]; i++)
        carry_channel(hub, all[i], old_vm, old);
    tw_free(all);
    tw_hub_open_literal_channels(hub);
}

static void apply_queues(struct tw_hub *hub) {
    size_t at = 0;
    struct tw_topic *topic;
    while ((topic = tw_map_next(&hub->topics, &at))) {
        const struct tw_definition *definition =
            tw_generation_match(hub->generation, topic->name->text);
        if (definition) topic->queue = definition->queue;
    }
}

void tw_hub_swap(struct tw_hub *hub, struct tw_generation *generation, void *vm) {
    struct tw_generation *old = hub->generation;
    void *old_vm = hub->vm;
    hub->generation = tw_generation_ref(generation);
    if (vm) tw_hub_check_vm(hub); /* what the old one still holds */
    hub->vm = vm;
    if (vm) hub->incarnation = hub->hubs->hooks->incarnation(vm);
    tw_log_set_generation(generation->number);
    tw_hub_apply_settings(hub);
    apply_queues(hub);
    if (vm) carry_channels(hub, old_vm, old);
    tw_generation_unref(&old);
}
