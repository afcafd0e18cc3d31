/* mailbox.c: two linked lanes under one lock, which is held for a few instructions and taken once
 * per batch by the consumer. */
#include "broker/mailbox.h"

void tw_mailbox_init(struct tw_mailbox *box, size_t bound) {
    *box = (struct tw_mailbox){.bound = bound};
    pthread_mutex_init(&box->lock, NULL);
    atomic_init(&box->is_congested, false);
    box->up.tail = &box->up.head;
    box->down.tail = &box->down.head;
}

static void free_lane(struct tw_mailbox_lane *lane) {
    while (lane->head) {
        struct tw_mail *mail = lane->head;
        lane->head = mail->next;
        tw_mail_free(mail);
    }
}

void tw_mailbox_deinit(struct tw_mailbox *box) {
    free_lane(&box->up);
    free_lane(&box->down);
    pthread_mutex_destroy(&box->lock);
}

bool tw_mailbox_try_put(struct tw_mailbox *box, struct tw_mail *mail) {
    bool is_up = mail->is_up, fits = true;
    struct tw_mailbox_lane *lane = is_up ? &box->up : &box->down;
    pthread_mutex_lock(&box->lock);
    if (is_up && lane->count >= box->bound) {
        box->turned_away = true;
        fits = false;
    } else {
        mail->next = NULL;
        *lane->tail = mail;
        lane->tail = &mail->next;
        if (++lane->count >= box->bound && !is_up)
            atomic_store_explicit(&box->is_congested, true, memory_order_relaxed);
    }
    pthread_mutex_unlock(&box->lock);
    return fits;
}

static bool take(struct tw_mailbox *box, struct tw_mailbox_lane *lane, struct tw_mail **first) {
    pthread_mutex_lock(&box->lock);
    bool turned_away = lane->head && box->turned_away;
    if (turned_away) box->turned_away = false;
    *first = lane->head;
    lane->head = NULL;
    lane->tail = &lane->head;
    lane->count = 0;
    if (lane == &box->down) atomic_store_explicit(&box->is_congested, false, memory_order_relaxed);
    pthread_mutex_unlock(&box->lock);
    return turned_away;
}

bool tw_mailbox_take_up(struct tw_mailbox *box, struct tw_mail **first) {
    return take(box, &box->up, first);
}

bool tw_mailbox_take_down(struct tw_mailbox *box, struct tw_mail **first) {
    return take(box, &box->down, first);
}

bool tw_mailbox_is_congested(struct tw_mailbox *box) {
    if (!atomic_load_explicit(&box->is_congested, memory_order_relaxed)) return false;
    pthread_mutex_lock(&box->lock);
    bool congested = box->down.count >= box->bound;
    if (congested) box->turned_away = true;
    pthread_mutex_unlock(&box->lock);
    return congested;
}
