/* hub_mail.c: mail between hubs, and the pushing back.
 *
 * A mail to another hub goes into its mailbox; the hub is woken for all of a turn's mail together,
 * so that what was published together is written together. Up mail that finds the box full waits in
 * a spill of the sender, in order, and the sender's publishing clients are read no more until it is
 * gone. A home takes no more up mail while some hub's down lane is full. When the handler that a
 * mail runs takes long, the turn ends, and further mail for its channel goes through the slow lane,
 * one a turn and behind a turn of the others, so that other channels wait for one handler and not
 * for a row of them. Down mail is always taken, and down mail to itself is handled where it is
 * posted: that runs no hooks, so no handler meets another. */
#include "base/mem.h"
#include "broker/hub_parts.h"

void tw_mail_queue_append(struct tw_mail_queue *queue, struct tw_mail *mail) {
    if (!queue->head) queue->tail = &queue->head;
    mail->next = NULL;
    *queue->tail = mail;
    queue->tail = &mail->next;
    queue->count++;
}

struct tw_mail *tw_mail_queue_shift(struct tw_mail_queue *queue) {
    struct tw_mail *mail = queue->head;
    if (!mail) return NULL;
    queue->head = mail->next;
    queue->count--;
    return mail;
}

struct tw_failure *tw_hub_failure(const struct tw_failure *failure) {
    return (struct tw_failure *)(void *)tw_memdup(failure, sizeof *failure);
}

void tw_hub_post(struct tw_hub *hub, unsigned to, struct tw_mail *mail) {
    mail->from = (uint16_t)hub->index;
    if (to == hub->index) {
        /* Down mail at once: as between hubs, it must not be overtaken by what is delivered next.
         */
        if (mail->is_up || mail->kind == TW_MAIL_CALL)
            tw_mail_queue_append(&hub->self, mail);
        else
            tw_hub_handle(hub, mail);
        return;
    }
    struct tw_mail_queue *spill = &hub->spills[to];
    if ((mail->is_up && spill->head) || !tw_mailbox_try_put(&hub->hubs->boxes[to], mail)) {
        tw_mail_queue_append(spill, mail);
        hub->spill_count++;
        return;
    }
    hub->wakes[to] = hub->has_wakes = true;
}

void tw_hub_wake_others(struct tw_hub *hub) {
    if (!hub->has_wakes) return;
    hub->has_wakes = false;
    for (unsigned i = 0; i <= hub->hubs->workers; i++) {
        if (!hub->wakes[i]) continue;
        hub->wakes[i] = false;
        hub->hubs->wake(hub->hubs->driver, i);
    }
}

static void retry_spills(struct tw_hub *hub) {
    for (unsigned to = 0; to <= hub->hubs->workers && hub->spill_count > 0; to++) {
        struct tw_mail_queue *spill = &hub->spills[to];
        bool any = false;
        while (spill->head) {
            /* Unlinked before it is offered: once in the box it may be handled, and freed. */
            struct tw_mail *mail = tw_mail_queue_shift(spill);
            if (!tw_mailbox_try_put(&hub->hubs->boxes[to], mail)) {
                mail->next = spill->head;
                if (!spill->head) spill->tail = &mail->next;
                spill->head = mail;
                spill->count++;
                break;
            }
            hub->spill_count--;
            any = true;
        }
        if (any) hub->wakes[to] = hub->has_wakes = true;
    }
}

static void note_all_wakes(struct tw_hub *hub) {
    for (unsigned i = 0; i <= hub->hubs->workers; i++)
        if (i != hub->index) hub->wakes[i] = hub->has_wakes = true;
}

static bool is_any_congested(struct tw_hub *hub) {
    for (unsigned i = 0; i <= hub->hubs->workers; i++)
        if (i != hub->index && tw_mailbox_is_congested(&hub->hubs->boxes[i])) return true;
    return false;
}

static void handle_all(struct tw_hub *hub, struct tw_mail *first) {
    while (first) {
        struct tw_mail *next = first->next;
        tw_hub_handle(hub, first);
        first = next;
    }
}

static bool take_up(struct tw_hub *hub, struct tw_mailbox *box) {
    struct tw_mail *mail;
    hub->is_box_left = hub->taken.head || hub->slow.count >= TW_HUB_BACKLOG;
    if (hub->is_box_left) return false;
    bool wake = tw_mailbox_take_up(box, &mail);
    while (mail) {
        struct tw_mail *next = mail->next;
        tw_mail_queue_append(&hub->taken, mail);
        mail = next;
    }
    return wake;
}

/* Puts the mail into the slow lane if it must wait there: behind others for its channel, since a
 * handler of the channel took long, or, for no channel, behind all. */
static bool put_aside(struct tw_hub *hub, struct tw_mail *mail) {
    if (!hub->slow.head && hub->now_ms >= hub->slow_until_ms) return false;
    struct tw_channel *channel = mail->channel ? tw_hub_find_channel(hub, mail->channel) : NULL;
    bool is_slow = mail->channel ? hub->slow_orphans > 0 : hub->slow.head != NULL;
    if (channel) is_slow |= channel->slow_mails > 0 || hub->now_ms < channel->slow_until_ms;
    if (!is_slow) return false;
    if (channel)
        channel->slow_mails++;
    else if (mail->channel)
        hub->slow_orphans++;
    tw_mail_queue_append(&hub->slow, mail);
    return true;
}

static struct tw_mail *shift_slow(struct tw_hub *hub) {
    struct tw_mail *mail = tw_mail_queue_shift(&hub->slow);
    if (!mail) return NULL;
    struct tw_channel *channel = mail->channel ? tw_hub_find_channel(hub, mail->channel) : NULL;
    if (channel && channel->slow_mails > 0)
        channel->slow_mails--;
    else if (mail->channel)
        hub->slow_orphans--;
    return mail;
}

/* Of processor time: the clock goes on while another process has the core. (What shorter mail of
 * the same millisecond took is counted along.) */
static bool was_long(struct tw_hub *hub, uint64_t before_ms) {
    if (hub->handled_ms < before_ms + TW_HUB_SLOW_MS) return false;
    uint64_t before_cpu_ms = hub->cpu_ms;
    hub->cpu_ms = hub->hubs->cpu_ms(hub->hubs->driver);
    return hub->cpu_ms >= before_cpu_ms + TW_HUB_SLOW_MS;
}

void tw_hub_note_time(struct tw_hub *hub, const struct tw_name *name) {
    uint64_t before_ms = hub->handled_ms;
    hub->handled_ms = hub->hubs->clock_ms(hub->hubs->driver);
    hub->is_turn_over = hub->handled_ms >= hub->now_ms + TW_HUB_TURN_MS;
    if (!was_long(hub, before_ms) || !name) return;
    struct tw_channel *channel = tw_hub_find_channel(hub, name);
    if (channel) channel->slow_until_ms = hub->slow_until_ms = hub->handled_ms + TW_HUB_SLOW_FOR_MS;
}

/* False if it used up the turn's time. */
static bool handle_one(struct tw_hub *hub, struct tw_mail *mail) {
    hub->is_turn_over = false;
    tw_hub_handle(hub, mail);
    return !hub->is_turn_over && tw_list_is_empty(&hub->clogged);
}

/* My own and the box's, by turns. False if there was none that is not slow. */
static bool handle_fresh(struct tw_hub *hub) {
    struct tw_mail *mail;
    bool any = false;
    for (size_t i = 0; i < TW_HUB_BATCH && tw_list_is_empty(&hub->clogged); i++) {
        struct tw_mail_queue *queue = hub->is_own_turn ? &hub->self : &hub->taken;
        hub->is_own_turn = !hub->is_own_turn;
        if (!queue->head) queue = queue == &hub->self ? &hub->taken : &hub->self;
        if (!(mail = tw_mail_queue_shift(queue))) break;
        if (put_aside(hub, mail)) continue;
        any = true;
        if (!handle_one(hub, mail)) break;
    }
    return any;
}

static void handle_slow(struct tw_hub *hub) {
    struct tw_mail *mail;
    uint64_t since_ms = hub->handled_ms;
    for (size_t i = 0; i < TW_HUB_BATCH && (mail = shift_slow(hub)); i++)
        if (!handle_one(hub, mail)) break;
    hub->slow_again_ms = hub->handled_ms + (hub->handled_ms - since_ms);
}

/* The slow lane waits until the others have had a turn, and as much time as it had before, if they
 * can use it. What they delivered is written first. */
static void handle_up(struct tw_hub *hub) {
    if (hub->hubs->clock_ms) hub->handled_ms = hub->hubs->clock_ms(hub->hubs->driver);
    if (hub->hubs->clock_ms && hub->cpu_at_ms != hub->now_ms) { /* it is a system call */
        hub->cpu_at_ms = hub->now_ms;
        hub->cpu_ms = hub->hubs->cpu_ms(hub->hubs->driver);
    }
    bool is_slow_turn = hub->is_slow_turn && hub->now_ms >= hub->slow_again_ms;
    if (!is_slow_turn && handle_fresh(hub)) {
        hub->is_slow_turn = hub->slow.head;
        return;
    }
    hub->is_slow_turn = false;
    handle_slow(hub);
}

static void resume_clients(struct tw_hub *hub) {
    struct tw_list paused, *node;
    if (hub->spill_count > 0 || tw_hub_backlog(hub) >= TW_HUB_BACKLOG) return;
    tw_list_move(&paused, &hub->paused);
    while ((node = tw_list_shift(&paused))) {
        struct tw_client *client = TW_CONTAINER(node, struct tw_client, other);
        client->ops->on_resume(client);
    }
}

void tw_hub_take_mail(struct tw_hub *hub) {
    struct tw_mailbox *box = &hub->hubs->boxes[hub->index];
    struct tw_mail *first;
    bool wake = tw_mailbox_take_down(box, &first);
    handle_all(hub, first);
    retry_spills(hub);
    hub->is_stalled = is_any_congested(hub);
    if (!hub->is_stalled && tw_list_is_empty(&hub->clogged)) {
        wake |= take_up(hub, box);
        if (hub->self.head || hub->taken.head || hub->slow.head) handle_up(hub);
    }
    if (wake) note_all_wakes(hub);
    tw_hub_wake_others(hub);
    resume_clients(hub);
}
