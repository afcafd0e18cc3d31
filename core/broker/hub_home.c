/* hub_home.c: channels at their home: made, found, ticked, let go; and the effects of their hooks.
 */
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/status.h"
#include "broker/hub_parts.h"

struct tw_channel *tw_hub_find_channel(struct tw_hub *hub, const struct tw_name *name) {
    return tw_map_get(&hub->channels, name->hash, &name->text);
}

static void lack_state(struct tw_hub *hub, struct tw_channel *channel) {
    channel->script = NULL;
    if (channel->lacks_state) return;
    channel->lacks_state = true;
    tw_list_remove(&channel->place);
    tw_list_append(&hub->stateless, &channel->place);
}

/* Finds it or makes it, without a script side. */
static struct tw_channel *make(struct tw_hub *hub, struct tw_name *name) {
    struct tw_channel *channel = tw_hub_find_channel(hub, name);
    if (channel && tw_hub_take_over(hub, channel)) return channel;
    if (!tw_channel_name_is_valid(name->text)) return NULL;
    if (!tw_generation_match(hub->generation, name->text)) return NULL;
    channel = tw_channel_new(name, hub->hubs->workers, &hub->rand);
    tw_channel_bind(channel, hub->generation);
    channel->swap = hub->swaps;
    tw_map_add(&hub->channels, name->hash, channel);
    lack_state(hub, channel);
    tw_hub_arm_tick(hub, channel);
    tw_hub_touch_channel(hub, channel);
    return channel;
}

static void complete(struct tw_hub *hub, struct tw_channel *channel, unsigned depth) {
    const struct tw_hooks *hooks = hub->hubs->hooks;
    struct tw_failure failure = {0};
    channel->lacks_state = false;
    tw_list_remove(&channel->place);
    tw_list_append(&hub->complete, &channel->place);
    bool is_carried = channel->carried.length > 0;
    int status =
        (is_carried ? hooks->carry : hooks->open)(hub->vm, channel, &hub->effects, &failure);
    if (status != TW_EUNLOADED) tw_buf_deinit(&channel->carried);
    if (status != 0) tw_hub_report(hub, channel, TW_PART_STATE, status, &failure);
    tw_hub_settle(hub, status, depth);
}

struct tw_channel *tw_hub_open_channel(struct tw_hub *hub, struct tw_name *name, unsigned depth) {
    struct tw_channel *channel = make(hub, name);
    if (channel && channel->lacks_state) complete(hub, channel, depth);
    return channel;
}

void tw_hub_complete_channel(struct tw_hub *hub, struct tw_channel *channel) {
    if (channel->lacks_state) complete(hub, channel, 0);
}

void tw_hub_complete_channels(struct tw_hub *hub) {
    tw_hub_check_vm(hub);
    while (!tw_list_is_empty(&hub->stateless)) {
        complete(hub, TW_CONTAINER(hub->stateless.next, struct tw_channel, place), 0);
        tw_hub_check_vm(hub);
        if (tw_hub_is_late(hub)) break;
    }
}

void tw_hub_save_channel(struct tw_hub *hub, struct tw_channel *channel) {
    struct tw_failure failure = {0};
    if (channel->lacks_state) { /* what is carried already, is still */
        tw_list_remove(&channel->place);
        tw_list_append(&hub->stateless, &channel->place);
        return;
    }
    if (channel->carried.length > 0) { /* its VM died before it was migrated */
        lack_state(hub, channel);
        return;
    }
    int status = hub->hubs->hooks->save(hub->past_vm, channel, &failure);
    if (status != 0) {
        tw_hub_report(hub, channel, TW_PART_STATE, status, &failure);
        tw_hub_settle(hub, status, 0);
    }
    channel->carried_from = hub->past->number;
    lack_state(hub, channel);
}

void tw_hub_open_literal(struct tw_hub *hub, const struct tw_definition *definition) {
    if (definition->is_pattern) return;
    struct tw_name *name = tw_name_new(tw_str_of(definition->name));
    if (tw_hub_home(hub, name) == hub->index) make(hub, name);
    tw_name_unref(&name);
}

void tw_hub_close_channel(struct tw_hub *hub, struct tw_channel *channel) {
    if (hub->vm && channel->script) hub->hubs->hooks->close(hub->vm, channel);
    hub->slow_orphans += channel->slow_mails;
    tw_heap_remove(&hub->ticks, &channel->tick);
    tw_map_remove(&hub->channels, channel->name->hash, &channel->name->text);
    tw_channel_free(channel);
}

void tw_hub_touch_channel(struct tw_hub *hub, struct tw_channel *channel) {
    tw_list_remove(&channel->idle);
    if (channel->subscribers > 0 || !channel->definition->is_pattern) return;
    channel->idle_since_ms = hub->now_ms;
    tw_list_append(&hub->idle_channels, &channel->idle);
}

void tw_hub_reap_channels(struct tw_hub *hub) {
    for (unsigned i = 0; i < TW_HUB_REAPS && !tw_list_is_empty(&hub->idle_channels); i++) {
        struct tw_channel *channel = TW_CONTAINER(hub->idle_channels.next, struct tw_channel, idle);
        if (hub->now_ms - channel->idle_since_ms < TW_CHANNEL_IDLE_MS) return;
        if (tw_hub_is_behind(hub, channel))
            tw_hub_take_over(hub, channel); /* is it one of a pattern still? */
        else
            tw_hub_close_channel(hub, channel);
    }
}

uint64_t tw_hub_next_reap_ms(const struct tw_hub *hub) {
    if (tw_list_is_empty(&hub->idle_channels)) return UINT64_MAX;
    return TW_CONTAINER(hub->idle_channels.next, struct tw_channel, idle)->idle_since_ms +
           TW_CHANNEL_IDLE_MS;
}

/* A handler that had to be killed took its VM along. The channels begin with an empty state, but
 * for those whose state is not in it yet; their clients notice nothing. An `init` may kill the new
 * VM as well: then the next check begins again. */
void tw_hub_check_vm(struct tw_hub *hub) {
    const struct tw_hooks *hooks = hub->hubs->hooks;
    if (!hub->vm || hooks->incarnation(hub->vm) == hub->incarnation) return;
    hub->incarnation = hooks->incarnation(hub->vm);
    for (struct tw_list *node; (node = tw_list_shift(&hub->complete));) {
        struct tw_channel *channel = TW_CONTAINER(node, struct tw_channel, place);
        channel->lacks_init = tw_quarantine_is_on(&channel->quarantine);
        lack_state(hub, channel);
    }
}

/* --- ticks --- */

void tw_hub_arm_tick(struct tw_hub *hub, struct tw_channel *channel) {
    uint64_t every_ms = channel->definition->tick_ms;
    tw_heap_remove(&hub->ticks, &channel->tick);
    if (every_ms) tw_heap_add(&hub->ticks, &channel->tick, hub->now_ms + every_ms);
}

/* A tick that is late by whole periods does not catch up. One at least; what there is no time for
 * comes first in the next turn. */
void tw_hub_run_ticks(struct tw_hub *hub) {
    struct tw_heap_node *node;
    while ((node = tw_heap_first(&hub->ticks)) && node->at_ms <= hub->now_ms) {
        struct tw_channel *channel = TW_CONTAINER(node, struct tw_channel, tick);
        struct tw_failure failure = {0};
        if (tw_hub_is_behind(hub, channel)) { /* has it a tick still, and now? */
            tw_hub_take_over(hub, channel);
            if (tw_hub_is_late(hub)) break;
            continue;
        }
        uint64_t every_ms = channel->definition->tick_ms, next = node->at_ms + every_ms;
        tw_heap_remove(&hub->ticks, node);
        tw_heap_add(&hub->ticks, node, next > hub->now_ms ? next : hub->now_ms + every_ms);
        tw_hub_check_vm(hub);
        if (!tw_hub_may_run(hub, channel, TW_PART_TICK)) continue;
        int status = hub->hubs->hooks->tick(hub->vm, channel, &hub->effects, &failure);
        tw_hub_report(hub, channel, TW_PART_TICK, status, &failure);
        tw_hub_settle(hub, status, 0);
        if (tw_hub_is_late(hub)) break;
    }
}

/* --- timers --- */

uint64_t tw_hub_next_timer_ms(const struct tw_hub *hub) {
    return hub->vm ? hub->hubs->hooks->next_timer_ms(hub->vm, NULL) : UINT64_MAX;
}

void tw_hub_run_timers(struct tw_hub *hub) {
    const struct tw_hooks *hooks = hub->hubs->hooks;
    for (unsigned i = 0; i < TW_HUB_TIMERS && tw_hub_next_timer_ms(hub) <= hub->now_ms; i++) {
        struct tw_failure failure = {0};
        struct tw_channel *channel;
        tw_hub_check_vm(hub);
        if (hooks->next_timer_ms(hub->vm, &channel) > hub->now_ms) return;
        bool may_run = tw_hub_may_run(hub, channel, TW_PART_TIMER);
        int status = hooks->run_timer(hub->vm, may_run ? &hub->effects : NULL, &failure);
        if (!may_run) continue;
        tw_hub_report(hub, channel, TW_PART_TIMER, status, &failure);
        tw_hub_settle(hub, status, 0);
        if (tw_hub_is_late(hub)) break;
    }
}

/* --- effects --- */

/* False if it was dropped. */
static bool apply_publish(struct tw_hub *hub, struct tw_effect *effect, unsigned depth) {
    if (depth >= TW_HUB_MAX_DEPTH || tw_hub_backlog(hub) + hub->spill_count >= TW_HUB_MAX_BACKLOG)
        return false;
    struct tw_mail *mail = tw_mail_new(TW_MAIL_PUBLISH);
    mail->channel = tw_name_ref(effect->channel);
    mail->message = tw_message_ref(effect->message);
    mail->depth = (uint8_t)(depth + 1);
    tw_hub_post(hub, tw_hub_home(hub, effect->channel), mail);
    return true;
}

static bool apply_subscription(struct tw_hub *hub, struct tw_effect *effect, unsigned depth) {
    if (depth >= TW_HUB_MAX_DEPTH) return false;
    bool is_end = effect->kind == TW_EFFECT_UNSUBSCRIBE;
    struct tw_mail *mail = tw_mail_new(is_end ? TW_MAIL_END_SUB : TW_MAIL_ADD_SUB);
    mail->channel = tw_name_ref(effect->channel);
    mail->client = tw_identity_ref(effect->client);
    mail->depth = (uint8_t)(depth + 1);
    tw_hub_post(hub, effect->client->worker, mail);
    return true;
}

static void apply_to_client(struct tw_hub *hub, struct tw_effect *effect) {
    bool is_send = effect->kind == TW_EFFECT_SEND;
    struct tw_mail *mail = tw_mail_new(is_send ? TW_MAIL_SEND : TW_MAIL_DISCONNECT);
    mail->client = tw_identity_ref(effect->client);
    if (is_send) {
        hub->hubs->dialect->encode(effect->message);
        mail->message = tw_message_ref(effect->message);
    } else {
        mail->code = effect->code;
        mail->failure = TW_NEW(struct tw_failure);
        memcpy(mail->failure->message, effect->reason, sizeof effect->reason);
    }
    tw_hub_post(hub, effect->client->worker, mail);
}

/* One line for all of a handler's: it may have asked for thousands. */
static void log_dropped(const struct tw_effect *first, size_t count, unsigned depth) {
    tw_log(TW_LOG_ERROR, "hub", "effects of a handler dropped count=%zu first=%.*s reason=%s",
           count, TW_STR_ARG(first->channel->text),
           depth >= TW_HUB_MAX_DEPTH ? "handlers-call-each-other-in-a-circle" : "backlog");
}

/* False if it was dropped. */
static bool apply(struct tw_hub *hub, struct tw_effect *effect, unsigned depth) {
    const struct tw_hooks *hooks = hub->hubs->hooks;
    switch (effect->kind) {
    case TW_EFFECT_PUBLISH:
        return apply_publish(hub, effect, depth);
    case TW_EFFECT_SUBSCRIBE:
    case TW_EFFECT_UNSUBSCRIBE:
        return apply_subscription(hub, effect, depth);
    case TW_EFFECT_SEND:
    case TW_EFFECT_DISCONNECT:
        apply_to_client(hub, effect);
        return true;
    case TW_EFFECT_AFTER:
        hooks->arm(hub->vm, effect->timer, hub->now_ms + effect->delay_ms);
        return true;
    case TW_EFFECT_CANCEL:
        hooks->cancel(hub->vm, effect->timer);
        return true;
    }
    return true;
}

void tw_hub_settle(struct tw_hub *hub, int status, unsigned depth) {
    const struct tw_effect *first = NULL;
    size_t dropped = 0;
    if (status == TW_ESCRIPT) hub->stats.hook_failures++;
    for (size_t i = 0; i < hub->effects.count; i++) {
        struct tw_effect *effect = &hub->effects.items[i];
        if (status != 0 && status != TW_EDROPPED) {
            if (effect->kind == TW_EFFECT_AFTER) hub->hubs->hooks->cancel(hub->vm, effect->timer);
        } else if (!apply(hub, effect, depth)) {
            if (dropped++ == 0) first = effect;
        }
    }
    if (first) log_dropped(first, dropped, depth);
    tw_effects_rewind(&hub->effects, 0);
}
