/* hub_mail.c: mail between hubs, and the pushing back.
 *
 * A mail to another hub goes into its mailbox. Up mail that finds the box full waits in a spill of
 * the sender, in order, and the sender's publishing clients are read no more until it is gone. A
 * home takes no more up mail while some hub's down lane is full. Down mail is always taken, and
 * down mail to itself is handled where it is posted: that runs no hooks, so no handler meets
 * another. */
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
    hub->hubs->wake(hub->hubs->driver, to);
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
        if (any) hub->hubs->wake(hub->hubs->driver, to);
    }
}

static void wake_others(struct tw_hub *hub) {
    for (unsigned i = 0; i <= hub->hubs->workers; i++)
        if (i != hub->index) hub->hubs->wake(hub->hubs->driver, i);
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

/* One mail at least, of each of the two in turn, so that neither waits for the other's handlers.
 * Returns true if somebody should be woken. */
static bool handle_up(struct tw_hub *hub, struct tw_mailbox *box) {
    struct tw_mail *mail;
    bool wake = false;
    if (!hub->taken.head) {
        wake = tw_mailbox_take_up(box, &mail);
        while (mail) {
            struct tw_mail *next = mail->next;
            tw_mail_queue_append(&hub->taken, mail);
            mail = next;
        }
    }
    for (size_t i = 0; i < TW_HUB_BATCH; i++) {
        struct tw_mail_queue *queue = hub->is_own_turn ? &hub->self : &hub->taken;
        hub->is_own_turn = !hub->is_own_turn;
        if (!queue->head) queue = queue == &hub->self ? &hub->taken : &hub->self;
        if (!(mail = tw_mail_queue_shift(queue))) break;
        tw_hub_handle(hub, mail);
        if (tw_hub_is_late(hub)) break;
    }
    return wake;
}

static void resume_clients(struct tw_hub *hub) {
    struct tw_list paused, *node;
    if (hub->spill_count > 0 || hub->self.count >= TW_HUB_BACKLOG) return;
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
    if (!hub->is_stalled) wake |= handle_up(hub, box);
    if (wake) wake_others(hub);
    resume_clients(hub);
}
