/* hub_swap.c: a new generation takes over, between two messages.
 *
 *   tw_hub_swap: settings and VM are the new ones, all channels are behind
 *   behind -> its state copied out of the past VM (stateless) -> init or migrate (complete)
 *          -> or gone, if the generation has no definition for it
 *
 * That moment costs the same however many channels and clients there are. What follows is done in
 * slices, one each turn, and for a channel that is needed before, at once. So every hook runs in
 * the new generation, and a state does not change any more while it waits. States are copied before
 * they are migrated, so that the past VM goes soon, however long the app's `migrate` take. */
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

void tw_hub_swap(struct tw_hub *hub, struct tw_generation *generation, void *vm) {
    tw_hub_end_swap(hub);
    struct tw_generation *old = hub->generation;
    if (vm) tw_hub_check_vm(hub); /* what the old one still holds */
    hub->generation = tw_generation_ref(generation);
    tw_log_set_generation(generation->number);
    tw_hub_apply_settings(hub);
    hub->swaps++;
    if (!vm) {
        tw_generation_unref(&old);
        return;
    }
    hub->past = old;
    hub->past_vm = hub->vm;
    hub->vm = vm;
    hub->incarnation = hub->hubs->hooks->incarnation(vm);
    hub->unopened = 0;
    tw_list_append_all(&hub->behind, &hub->complete);
    tw_list_append_all(&hub->behind, &hub->stateless);
}

/* --- one channel --- */

static void tell_workers(struct tw_hub *hub, const struct tw_channel *channel,
                         enum tw_mail_kind kind) {
    for (unsigned i = 0; i < hub->hubs->workers; i++) {
        if (channel->per_worker[i] == 0) continue;
        struct tw_mail *mail = tw_mail_new(kind);
        mail->channel = tw_name_ref(channel->name);
        tw_hub_post(hub, i, mail);
    }
}

bool tw_hub_take_over(struct tw_hub *hub, struct tw_channel *channel) {
    const struct tw_definition *old = channel->definition; /* of the past generation */
    if (!tw_hub_is_behind(hub, channel)) return true;
    channel->swap = hub->swaps;
    if (!tw_channel_bind(channel, hub->generation)) {
        tell_workers(hub, channel, TW_MAIL_GONE);
        channel->script = NULL; /* goes with its VM */
        tw_hub_close_channel(hub, channel);
        return false;
    }
    const struct tw_definition *new = channel->definition;
    if (hub->generation->print != hub->past->print) tw_hub_end_quarantine(hub, channel);
    tw_hub_save_channel(hub, channel);
    if (new->tick_ms != old->tick_ms) tw_hub_arm_tick(hub, channel);
    tw_hub_touch_channel(hub, channel);
    bool has_policy = new->has_authorize || new->has_audience || old->has_audience;
    if (has_policy && new->policy_print != old->policy_print)
        tell_workers(hub, channel, TW_MAIL_ASK_AGAIN);
    return true;
}

/* --- all of them --- */

static struct tw_slice slice_of_turn(const struct tw_hub *hub) {
    const struct tw_hubs *hubs = hub->hubs;
    struct tw_slice slice = {.left = hubs->slice ? hubs->slice : TW_HUB_SLICE};
    if (hubs->clock_ms) slice.until_ms = hubs->clock_ms(hubs->driver) + TW_HUB_TURN_MS;
    return slice;
}

bool tw_slice_take(const struct tw_hub *hub, struct tw_slice *slice) {
    const struct tw_hubs *hubs = hub->hubs;
    if (slice->left == 0) return false;
    bool is_late = slice->until_ms && hubs->clock_ms(hubs->driver) >= slice->until_ms;
    slice->left = is_late ? 0 : slice->left - 1;
    return !is_late;
}

static void finish(struct tw_hub *hub) {
    void *old_vm = hub->past_vm;
    hub->past_vm = NULL;
    tw_generation_unref(&hub->past);
    if (hub->on_swapped) hub->on_swapped(hub, old_vm);
}

/* False: the slice is used up. */
static bool go_on(struct tw_hub *hub, struct tw_slice *slice) {
    while (!tw_list_is_empty(&hub->behind)) {
        if (!tw_slice_take(hub, slice)) return false;
        tw_hub_take_over(hub, TW_CONTAINER(hub->behind.next, struct tw_channel, place));
    }
    for (; hub->unopened < hub->generation->definition_count; hub->unopened++) {
        if (!tw_slice_take(hub, slice)) return false;
        tw_hub_open_literal(hub, &hub->generation->definitions[hub->unopened]);
    }
    finish(hub);
    return true;
}

void tw_hub_end_swap(struct tw_hub *hub) {
    struct tw_slice all = {.left = UINT32_MAX};
    if (hub->past) go_on(hub, &all);
}

void tw_hub_do_chores(struct tw_hub *hub) {
    if (!hub->past && !hub->chores.head) return;
    struct tw_slice slice = slice_of_turn(hub);
    if (hub->past && !go_on(hub, &slice)) return;
    while (hub->chores.head) {
        struct tw_mail *mail = hub->chores.head;
        bool is_done = mail->kind == TW_MAIL_GONE ? tw_hub_on_gone(hub, mail, &slice)
                                                  : tw_hub_on_ask_again(hub, mail, &slice);
        if (!is_done) return;
        tw_mail_free(tw_mail_queue_shift(&hub->chores));
    }
}
