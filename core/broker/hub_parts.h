/* hub_parts.h: what the files of the hub know of each other. Private to hub*.c. */
#ifndef TW_BROKER_HUB_PARTS_H
#define TW_BROKER_HUB_PARTS_H

#include "broker/hub.h"

struct tw_slice;

/* hub_mail.c */
struct tw_mail *tw_mail_queue_shift(struct tw_mail_queue *queue);
void tw_mail_queue_append(struct tw_mail_queue *queue, struct tw_mail *mail);
/* Takes the mail from the boxes and from itself; hands each to tw_hub_handle. */
void tw_hub_take_mail(struct tw_hub *hub);
/* Those that got mail since the last time: together, so that they take it together. */
void tw_hub_wake_others(struct tw_hub *hub);
/* An up mail for this channel (or NULL) was handled. If the turn's time is used up, it takes no
 * more such mail; and if it was this one that took long, what else comes for the channel goes
 * through the slow lane for the next TW_HUB_SLOW_FOR_MS. */
void tw_hub_note_time(struct tw_hub *hub, const struct tw_name *name);
/* Up mail of my own that waits. */
static inline size_t tw_hub_backlog(const struct tw_hub *hub) {
    return hub->self.count + hub->slow.count;
}
/* A copy of the failure for a mail; owned. */
struct tw_failure *tw_hub_failure(const struct tw_failure *failure);

/* hub.c: does what the mail says; takes it. */
void tw_hub_handle(struct tw_hub *hub, struct tw_mail *mail);
/* Writes what the outbox holds, and lets the policies speak about the rest. May close the client.
 */
void tw_hub_flush(struct tw_hub *hub, struct tw_client *client);

/* hub.c: gives subscribers what the topics have batched, for as long as a turn may write. */
void tw_hub_write_topics(struct tw_hub *hub);
/* Queues for one subscriber what its topic has batched. */
void tw_hub_take_batch(struct tw_hub *hub, struct tw_sub *sub);

/* hub_home.c: channels at their home. */
struct tw_channel *tw_hub_find_channel(struct tw_hub *hub, const struct tw_name *name);
/* Finds it or makes it by its definition; NULL: there is none. `depth`: of the mail that wants it.
 */
struct tw_channel *tw_hub_open_channel(struct tw_hub *hub, struct tw_name *name, unsigned depth);
/* Makes the one of that definition, if it has no captures and this is its home. It gets its state
 * in a turn of its own, if that takes long, or before its first hook: a hundred `init` that last
 * must not hold up the loop. */
void tw_hub_open_literal(struct tw_hub *hub, const struct tw_definition *definition);
/* Copies the state of one that is behind out of the past VM; it is migrated in the same way. */
void tw_hub_save_channel(struct tw_hub *hub, struct tw_channel *channel);
/* Gives it its state, by init or migrate, unless it has one. */
void tw_hub_complete_channel(struct tw_hub *hub, struct tw_channel *channel);
/* All that lack one, or as many as there is time for in this turn. */
void tw_hub_complete_channels(struct tw_hub *hub);
void tw_hub_close_channel(struct tw_hub *hub, struct tw_channel *channel);
void tw_hub_arm_tick(struct tw_hub *hub, struct tw_channel *channel);
/* Ends a hook call: applies its effects if it went well, else forgets them and counts. */
void tw_hub_settle(struct tw_hub *hub, int status, unsigned depth);
/* Before hooks of a channel: all channels lack a state if the VM was built anew. Not while effects
 * wait to be applied. */
void tw_hub_check_vm(struct tw_hub *hub);
void tw_hub_run_ticks(struct tw_hub *hub);
void tw_hub_run_timers(struct tw_hub *hub);
uint64_t tw_hub_next_timer_ms(const struct tw_hub *hub);
void tw_hub_reap_channels(struct tw_hub *hub);
uint64_t tw_hub_next_reap_ms(const struct tw_hub *hub); /* UINT64_MAX: never */
/* Starts (or ends) the idle time of a channel made by a pattern. */
void tw_hub_touch_channel(struct tw_hub *hub, struct tw_channel *channel);

/* hub_quarantine.c. Around whatever calls hooks of a channel: may they run, else skip them or
 * refuse; then tw_hub_report how it went (its status). */
bool tw_hub_may_run(struct tw_hub *hub, struct tw_channel *channel, enum tw_quarantine_part part);
/* TW_EQUARANTINED with the failure that was the last. */
int tw_hub_refuse_quarantined(const struct tw_hub *hub, const struct tw_channel *channel,
                              struct tw_failure *failure);
void tw_hub_report(struct tw_hub *hub, struct tw_channel *channel, enum tw_quarantine_part part,
                   int status, const struct tw_failure *failure);
/* Other scripts: all is forgotten. */
void tw_hub_end_quarantine(struct tw_hub *hub, struct tw_channel *channel);

/* hub_subscribe.c */
void tw_hub_on_subscribe(struct tw_hub *hub, struct tw_mail *mail);
void tw_hub_on_unsubscribe(struct tw_hub *hub, const struct tw_mail *mail);
void tw_hub_on_subscribed(struct tw_hub *hub, const struct tw_mail *mail);
void tw_hub_on_release(struct tw_hub *hub, const struct tw_mail *mail);
void tw_hub_on_add_sub(struct tw_hub *hub, const struct tw_mail *mail);
void tw_hub_on_end_sub(struct tw_hub *hub, const struct tw_mail *mail);
/* Have each sub asked again; end each sub. Chores: false if subs are left for the next slice, else
 * the mail is done with. */
bool tw_hub_on_ask_again(struct tw_hub *hub, struct tw_mail *mail, struct tw_slice *slice);
bool tw_hub_on_gone(struct tw_hub *hub, struct tw_mail *mail, struct tw_slice *slice);
/* Nothing is delivered to the topic of a mail TW_MAIL_GONE any more. */
void tw_hub_unlink_topic(struct tw_hub *hub, struct tw_mail *mail);
/* Has the home asked whether the sub may still be, and of which class it is. */
void tw_hub_ask_again(struct tw_hub *hub, struct tw_sub *sub);
struct tw_topic *tw_hub_find_topic(struct tw_hub *hub, const struct tw_name *name);
struct tw_client *tw_hub_find_client(struct tw_hub *hub, uint64_t id);
/* Ends the subscriptions of clients that retired. */
void tw_hub_end_retired(struct tw_hub *hub);

/* hub_views.c: asks of which class the subscriber of the mail is, and holds it: 0, TW_ESCRIPT or
 * TW_EFULL. */
int tw_hub_classify(struct tw_hub *hub, struct tw_channel *channel, const struct tw_mail *mail,
                    uint8_t *number, struct tw_failure *failure);
/* What each class hears of an ordered message; owned. NULL: all hear it as it is. */
struct tw_variants *tw_hub_view(struct tw_hub *hub, struct tw_channel *channel,
                                struct tw_message *message, int *status,
                                struct tw_failure *failure);

/* hub_expiry.c */
/* `expires`: unix seconds; 0: never. */
void tw_hub_arm_expiry(struct tw_hub *hub, struct tw_client *client, double expires);
void tw_hub_end_tokens(struct tw_hub *hub);

/* hub_swap.c: what the hub reads once from its settings. */
void tw_hub_apply_settings(struct tw_hub *hub);
static inline bool tw_hub_is_behind(const struct tw_hub *hub, const struct tw_channel *channel) {
    return channel->swap != hub->swaps;
}
/* The channel belongs to the hub's generation from now on, if it is behind; before anything that
 * needs its definition or runs a hook. False: the generation has none for it, it is gone. Not while
 * effects wait to be applied. */
bool tw_hub_take_over(struct tw_hub *hub, struct tw_channel *channel);
/* A slice of what a swap left to do: channels that are behind, then down mail that takes long. */
void tw_hub_do_chores(struct tw_hub *hub);
/* The turn's share of that. */
struct tw_slice {
    unsigned left;
    uint64_t until_ms;
};
/* Counts one more channel or subscriber; false: not in this turn. */
bool tw_slice_take(const struct tw_hub *hub, struct tw_slice *slice);

/* hub_drain.c */
void tw_hub_say_goodbyes(struct tw_hub *hub);
uint64_t tw_hub_next_goodbye_ms(const struct tw_hub *hub);

#endif
