/* hub_subscribe.c: clients join and leave; subscriptions begin and end.
 *
 *   client's worker            home
 *   subscribe (pending) ---->  authorize; count the worker's subscriber
 *   topic, active       <----  subscribed: what is published from here on comes behind this answer
 *   unsubscribe         ---->  uncount, on_unsubscribe
 */
#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/status.h"
#include "broker/hub_parts.h"

static void look_up_queue(const struct tw_hub *hub, struct tw_topic *topic) {
    const struct tw_definition *definition =
        tw_generation_match(hub->generation, topic->name->text);
    topic->swap = hub->swaps;
    if (definition) topic->queue = definition->queue;
}

struct tw_topic *tw_hub_find_topic(struct tw_hub *hub, const struct tw_name *name) {
    struct tw_topic *topic = tw_map_get(&hub->topics, name->hash, &name->text);
    if (topic && topic->swap != hub->swaps) look_up_queue(hub, topic);
    return topic;
}

static uint64_t mix(uint64_t id) {
    id ^= id >> 33;
    id *= 0xff51afd7ed558ccdu;
    return id ^ id >> 33;
}

struct tw_client *tw_hub_find_client(struct tw_hub *hub, uint64_t id) {
    return tw_map_get(&hub->clients, mix(id), &id);
}

uint64_t tw_hub_client_id(struct tw_hub *hub) {
    /* 12 bits of worker, 52 random ones. */
    uint64_t id = (uint64_t)hub->index << 52 | (tw_rand_next(&hub->rand) & 0xfffffffffffff);
    return tw_hub_find_client(hub, id) ? tw_hub_client_id(hub) : id;
}

void tw_hub_join(struct tw_hub *hub, struct tw_client *client, struct tw_identity *identity,
                 double expires) {
    client->identity = identity;
    tw_hub_arm_expiry(hub, client, expires);
    tw_map_add(&hub->clients, mix(identity->id), client);
}

/* --- at the client's worker --- */

static struct tw_sub *find_sub(const struct tw_client *client, struct tw_str name) {
    struct tw_sub *sub = client->subs;
    while (sub && !tw_str_eq(sub->name->text, name))
        sub = sub->next;
    return sub;
}

static struct tw_mail *sub_mail(enum tw_mail_kind kind, const struct tw_sub *sub, uint8_t depth) {
    struct tw_mail *mail = tw_mail_new(kind);
    mail->depth = depth;
    mail->by_script = sub->by_script;
    mail->class = sub->class;
    mail->channel = tw_name_ref(sub->name);
    mail->client = tw_identity_ref(sub->client->identity);
    return mail;
}

static int begin_sub(struct tw_hub *hub, struct tw_client *client, struct tw_str channel,
                     bool by_script, uint8_t depth) {
    TW_REQUIRE(hub->index < hub->hubs->workers);
    if (find_sub(client, channel)) return -EALREADY;
    if (client->sub_count >= hub->generation->settings.limits.channels_per_client) return TW_EFULL;
    struct tw_topic *topic = tw_map_get(&hub->topics, tw_str_hash(channel), &channel);
    struct tw_name *name = topic ? tw_name_ref(topic->name) : tw_name_try_new(channel);
    if (!name) return -ENOMEM;
    struct tw_sub *sub = TW_NEW(struct tw_sub);
    sub->client = client;
    sub->name = name;
    sub->next = client->subs;
    client->subs = sub;
    sub->by_script = by_script;
    client->sub_count++;
    tw_hub_post(hub, tw_hub_home(hub, sub->name), sub_mail(TW_MAIL_SUBSCRIBE, sub, depth));
    return 0;
}

int tw_hub_subscribe(struct tw_hub *hub, struct tw_client *client, struct tw_str channel) {
    return begin_sub(hub, client, channel, false, 0);
}

static void leave_topic(struct tw_hub *hub, struct tw_sub *sub, uint8_t depth) {
    struct tw_topic *topic = sub->topic;
    struct tw_mail *mail = sub_mail(TW_MAIL_UNSUBSCRIBE, sub, depth);
    memcpy(mail->epoch, topic->epoch, sizeof mail->epoch);
    mail->dropped = topic->dropped;
    mail->withheld = topic->withheld;
    topic->dropped = topic->withheld = 0;
    tw_topic_remove(topic, sub);
    /* One that is unlinked belongs to a chore. */
    if (topic->count == 0 && tw_hub_find_topic(hub, topic->name) == topic) {
        tw_map_remove(&hub->topics, topic->name->hash, &topic->name->text);
        tw_topic_free(topic);
    }
    tw_hub_post(hub, tw_hub_home(hub, sub->name), mail);
}

static void end_sub(struct tw_hub *hub, struct tw_sub *sub, uint8_t depth) {
    struct tw_sub **link = &sub->client->subs;
    while (*link != sub)
        link = &(*link)->next;
    *link = sub->next;
    sub->client->sub_count--;
    if (sub->state == TW_SUB_ACTIVE) tw_hub_take_batch(hub, sub);
    tw_outbox_orphan(&sub->client->outbox, sub);
    if (sub->state == TW_SUB_ACTIVE) leave_topic(hub, sub, depth);
    tw_name_unref(&sub->name);
    tw_free(sub);
}

static void join_topic(struct tw_hub *hub, struct tw_sub *sub, const char *epoch) {
    struct tw_topic *topic = tw_hub_find_topic(hub, sub->name);
    if (!topic) {
        topic = tw_topic_new(sub->name, hub->generation->settings.queue);
        look_up_queue(hub, topic);
        tw_map_add(&hub->topics, topic->name->hash, topic);
    }
    memcpy(topic->epoch, epoch, sizeof topic->epoch);
    tw_topic_add(topic, sub);
}

static void release(struct tw_hub *hub, const struct tw_mail *answer, uint8_t class) {
    if (class == 0) return;
    struct tw_mail *mail = tw_mail_new(TW_MAIL_RELEASE);
    mail->channel = tw_name_ref(answer->channel);
    mail->class = class;
    memcpy(mail->epoch, answer->epoch, sizeof mail->epoch);
    tw_hub_post(hub, tw_hub_home(hub, mail->channel), mail);
}

/* The answer holds a class: the sub lets go of its own, or, if there is no sub to take it, of it.
 */
static void on_asked_again(struct tw_hub *hub, struct tw_sub *sub, const struct tw_mail *answer) {
    if (answer->status != 0) {
        if (sub) tw_client_close(sub->client, 4403, "no longer allowed", false);
        return;
    }
    uint8_t unheld = answer->class;
    if (sub && sub->state == TW_SUB_ACTIVE &&
        memcmp(sub->topic->epoch, answer->epoch, sizeof answer->epoch) == 0) {
        unheld = sub->class;
        sub->class = answer->class;
    }
    release(hub, answer, unheld);
}

static void log_unsubscribed(const struct tw_mail *answer) {
    if (answer->status == TW_ENOCHANNEL)
        tw_log(TW_LOG_ERROR, "hub", "client:subscribe failed channel=%.*s reason=no-such-channel",
               TW_STR_ARG(answer->channel->text));
}

void tw_hub_on_subscribed(struct tw_hub *hub, const struct tw_mail *mail) {
    struct tw_client *client = tw_hub_find_client(hub, mail->client->id);
    struct tw_sub *sub =
        client && !client->is_closing ? find_sub(client, mail->channel->text) : NULL;
    if (mail->ask_again) {
        on_asked_again(hub, sub, mail);
        return;
    }
    if (!sub || sub->state == TW_SUB_ACTIVE) {
        /* It left while the home was asked: the home counts it, so it must hear of it. */
        if (mail->status != 0) return;
        struct tw_mail *bye = tw_mail_new(TW_MAIL_UNSUBSCRIBE);
        bye->channel = tw_name_ref(mail->channel);
        bye->client = tw_identity_ref(mail->client);
        bye->class = mail->class;
        bye->depth = mail->depth;
        memcpy(bye->epoch, mail->epoch, sizeof bye->epoch);
        tw_hub_post(hub, tw_hub_home(hub, mail->channel), bye);
        return;
    }
    sub->class = mail->class;
    if (mail->status == 0) join_topic(hub, sub, mail->epoch);
    if (sub->by_script) log_unsubscribed(mail);
    client->ops->on_subscribed(client, sub, mail);
    if (mail->status != 0) end_sub(hub, sub, mail->depth);
}

/* --- what handlers ask for: client:subscribe, client:unsubscribe --- */

void tw_hub_on_add_sub(struct tw_hub *hub, const struct tw_mail *mail) {
    struct tw_client *client = tw_hub_find_client(hub, mail->client->id);
    if (!client || client->is_closing) return;
    int status = begin_sub(hub, client, mail->channel->text, true, mail->depth);
    if (status != 0 && status != -EALREADY)
        tw_log(TW_LOG_ERROR, "hub", "client:subscribe failed channel=%.*s reason=%s",
               TW_STR_ARG(mail->channel->text),
               status == TW_EFULL ? "limits.channels_per_client" : tw_strerror(status));
}

void tw_hub_on_end_sub(struct tw_hub *hub, const struct tw_mail *mail) {
    struct tw_client *client = tw_hub_find_client(hub, mail->client->id);
    if (!client || client->is_closing) return;
    struct tw_sub *sub = find_sub(client, mail->channel->text);
    if (sub) end_sub(hub, sub, mail->depth);
}

/* --- what the home asks for --- */

void tw_hub_ask_again(struct tw_hub *hub, struct tw_sub *sub) {
    if (sub->state != TW_SUB_ACTIVE || sub->client->is_closing) return;
    struct tw_mail *mail = sub_mail(TW_MAIL_SUBSCRIBE, sub, 0);
    mail->ask_again = true;
    tw_hub_post(hub, tw_hub_home(hub, sub->name), mail);
}

/* From the last one on; `offset` counts those that are left. Who leaves only moves others to the
 * front, and who comes is asked by now: so nobody is left out. */
bool tw_hub_on_ask_again(struct tw_hub *hub, struct tw_mail *mail, struct tw_slice *slice) {
    const struct tw_topic *topic = tw_hub_find_topic(hub, mail->channel);
    if (!topic) return true;
    if (mail->offset > topic->count) mail->offset = topic->count;
    for (; mail->offset > 0; mail->offset--) {
        if (!tw_slice_take(hub, slice)) return false;
        tw_hub_ask_again(hub, topic->subs[mail->offset - 1]);
    }
    return true;
}

/* A channel that comes back under this name has another epoch, and all subs of a topic are of one:
 * so it gets another topic, even if subs of this one are still to be closed. */
void tw_hub_unlink_topic(struct tw_hub *hub, struct tw_mail *mail) {
    mail->request = tw_map_remove(&hub->topics, mail->channel->hash, &mail->channel->text);
}

bool tw_hub_on_gone(struct tw_hub *hub, struct tw_mail *mail, struct tw_slice *slice) {
    struct tw_topic *topic = mail->request;
    while (topic && topic->count > 0) {
        struct tw_sub *sub = topic->subs[topic->count - 1];
        if (!tw_slice_take(hub, slice)) return false;
        struct tw_client *client = sub->client;
        if (!client->is_closing) {
            tw_hub_catch_up(hub, client);
            tw_hub_flush(hub, client); /* while the bounds of what is queued are known */
            if (client->is_closing) continue;
            tw_client_close(client, 4404, "channel gone", false);
        }
        end_sub(hub, sub, 0);
    }
    if (topic) tw_topic_free(topic);
    return true;
}

void tw_hub_end_retired(struct tw_hub *hub) {
    struct tw_list *node;
    while ((node = tw_list_shift(&hub->retiring))) {
        struct tw_client *client = TW_CONTAINER(node, struct tw_client, other);
        while (client->subs)
            end_sub(hub, client->subs, 0);
    }
}

void tw_hub_leave(struct tw_hub *hub, struct tw_client *client) {
    tw_list_remove(&client->other);
    tw_list_remove(&client->dirty);
    tw_wait_stop(&client->wait);
    tw_heap_remove(&hub->expiries, &client->expiry);
    client->is_closing = true;
    while (client->subs)
        end_sub(hub, client->subs, 0);
    if (!client->identity) return;
    uint64_t id = client->identity->id;
    if (tw_hub_find_client(hub, id) == client) tw_map_remove(&hub->clients, mix(id), &id);
}

/* --- at the home --- */

static struct tw_mail *subscribed(const struct tw_mail *mail, const struct tw_channel *channel,
                                  int status, const struct tw_failure *failure) {
    struct tw_mail *answer = tw_mail_new(TW_MAIL_SUBSCRIBED);
    answer->channel = tw_name_ref(mail->channel);
    answer->client = tw_identity_ref(mail->client);
    answer->ask_again = mail->ask_again;
    answer->depth = mail->depth;
    answer->status = status;
    if (status != 0) answer->failure = tw_hub_failure(failure);
    if (channel) {
        answer->offset = channel->offset;
        memcpy(answer->epoch, channel->epoch, sizeof answer->epoch);
    }
    return answer;
}

/* Whoever cannot be asked refuses. Subscriptions by a handler were decided by it; of which class
 * the client is, it does not say. */
static int admit(struct tw_hub *hub, struct tw_channel *channel, const struct tw_mail *mail,
                 bool may_run, uint8_t *class, struct tw_failure *failure) {
    const struct tw_definition *definition = channel->definition;
    bool asks = (definition->has_authorize && !mail->by_script) || definition->has_audience;
    int status = 0;
    if (!may_run && asks && definition->quarantine == TW_QUARANTINE_REFUSE)
        return tw_hub_refuse_quarantined(hub, channel, failure);
    if (!mail->by_script)
        status = hub->hubs->hooks->authorize(hub->vm, channel, mail->client, TW_ACTION_SUBSCRIBE,
                                             failure);
    if (status == 0) status = tw_hub_classify(hub, channel, mail, class, failure);
    if (status == TW_ESCRIPT) hub->stats.hook_failures++;
    return status;
}

void tw_hub_on_subscribe(struct tw_hub *hub, struct tw_mail *mail) {
    struct tw_failure failure = {0};
    int status = TW_ENOCHANNEL;
    bool may_run = false;
    struct tw_channel *channel = tw_hub_open_channel(hub, mail->channel, mail->depth);
    uint8_t class = 0;
    if (channel) {
        may_run = tw_hub_may_run(hub, channel, TW_PART_SUBSCRIBE);
        status = admit(hub, channel, mail, may_run, &class, &failure);
    }
    bool is_new = status == 0 && !mail->ask_again;
    if (is_new) {
        channel->per_worker[mail->from]++;
        channel->subscribers++;
        tw_hub_touch_channel(hub, channel);
    }
    struct tw_mail *answer = subscribed(mail, channel, status, &failure);
    answer->class = class;
    tw_hub_post(hub, mail->from, answer);
    if (!channel || !may_run) return;
    if (is_new && channel->definition->has_on_subscribe) {
        status =
            hub->hubs->hooks->on_subscribe(hub->vm, channel, mail->client, &hub->effects, &failure);
        tw_hub_settle(hub, status, mail->depth);
    }
    tw_hub_report(hub, channel, TW_PART_SUBSCRIBE, status, &failure);
}

/* NULL: gone by a reload, which forgot its subscribers; or gone and come back. */
static struct tw_channel *find_same(struct tw_hub *hub, const struct tw_mail *mail) {
    struct tw_channel *channel = tw_hub_find_channel(hub, mail->channel);
    bool is_same = channel && memcmp(channel->epoch, mail->epoch, sizeof mail->epoch) == 0;
    return is_same ? channel : NULL;
}

void tw_hub_on_release(struct tw_hub *hub, const struct tw_mail *mail) {
    struct tw_channel *channel = find_same(hub, mail);
    if (channel) tw_audience_release(&channel->audience, mail->class);
}

void tw_hub_on_unsubscribe(struct tw_hub *hub, const struct tw_mail *mail) {
    struct tw_failure failure = {0};
    struct tw_channel *channel = find_same(hub, mail);
    if (!channel || !tw_hub_take_over(hub, channel)) return;
    if (!TW_CHECK(channel->per_worker[mail->from] > 0)) return;
    channel->per_worker[mail->from]--;
    channel->subscribers--;
    channel->dropped += mail->dropped;
    channel->withheld += mail->withheld;
    tw_audience_release(&channel->audience, mail->class);
    tw_hub_touch_channel(hub, channel);
    if (!channel->definition->has_on_unsubscribe) return;
    if (!tw_hub_may_run(hub, channel, TW_PART_UNSUBSCRIBE)) return;
    int status =
        hub->hubs->hooks->on_unsubscribe(hub->vm, channel, mail->client, &hub->effects, &failure);
    tw_hub_report(hub, channel, TW_PART_UNSUBSCRIBE, status, &failure);
    tw_hub_settle(hub, status, mail->depth);
}
