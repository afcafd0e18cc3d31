/* mailbox.h: the queue in front of a hub; many producers, one consumer, any threads.
 *
 * The bound holds for the up lane alone. The down lane takes everything, but says when it is above
 * the bound: homes then take no more publishes until it is not (hub_mail.c). Whoever was turned
 * away is woken by the consumer (the take functions say so). */
#ifndef TW_BROKER_MAILBOX_H
#define TW_BROKER_MAILBOX_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/mem.h"
#include "broker/mail.h"

struct tw_mailbox_lane {
    struct tw_mail *head, **tail;
    size_t count;
};

/* One for each hub, in a row, written by all of them: on cache lines of its own. */
struct tw_mailbox {
    _Alignas(TW_CACHE_LINE) pthread_mutex_t lock;
    struct tw_mailbox_lane up, down;
    size_t bound;
    atomic_bool is_congested; /* the down lane is at its bound */
    bool turned_away;         /* somebody waits for room */
};

void tw_mailbox_init(struct tw_mailbox *box, size_t bound);
/* Frees mails that were not taken. */
void tw_mailbox_deinit(struct tw_mailbox *box);
/* Takes the mail, or returns false (up lane full) and leaves it with the caller. */
bool tw_mailbox_try_put(struct tw_mailbox *box, struct tw_mail *mail);
/* Puts a whole lane into *first (linked by next, in order; NULL: nothing there). Returns true if
 * somebody was turned away and should be woken. */
bool tw_mailbox_take_up(struct tw_mailbox *box, struct tw_mail **first);
bool tw_mailbox_take_down(struct tw_mailbox *box, struct tw_mail **first);
/* True if the down lane is at its bound; then the asker counts as turned away. */
bool tw_mailbox_is_congested(struct tw_mailbox *box);

#endif
