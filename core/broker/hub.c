/* hub.c: the way of a publish, in order; and the turn. */
#include "broker/hub.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/status.h"
#include "broker/hub_parts.h"
#include "broker/pack.h"

enum { SUBS_AHEAD = 8, CLIENTS_AHEAD = 2 }; /* what is fetched before it is needed */

static bool name_matches(const struct tw_name *name, const void *key) {
    return tw_str_eq(name->text, *(const struct tw_str *)key);
}
static bool channel_matches(const void *value, const void *key) {
    return name_matches(((const struct tw_channel *)value)->name, key);
}
static bool topic_matches(const void *value, const void *key) {
    return name_matches(((const struct tw_topic *)value)->name, key);
}
static bool client_matches(const void *value, const void *key) {
    return ((const struct tw_client *)value)->identity->id == *(const uint64_t *)key;
}

void tw_hub_init(struct tw_hub *hub, struct tw_hubs *hubs, unsigned index,
                 struct tw_generation *generation, void *vm, uint64_t seed, uint64_t now_ms) {
    *hub = (struct tw_hub){.hubs = hubs, .index = index, .vm = vm, .now_ms = now_ms};
    hub->generation = tw_generation_ref(generation);
    tw_map_init(&hub->channels, channel_matches);
    tw_map_init(&hub->topics, topic_matches);
    tw_map_init(&hub->clients, client_matches);
    tw_waits_init(&hub->waits);
    tw_list_init(&hub->dirty);
    tw_list_init(&hub->dirty_topics);
    tw_list_init(&hub->clogged);
    hub->room = tw_alloc(TW_PACK_ROOM);
    tw_list_init(&hub->paused);
    tw_list_init(&hub->retiring);
    tw_list_init(&hub->idle_channels);
    tw_list_init(&hub->complete);
    tw_list_init(&hub->stateless);
    tw_list_init(&hub->behind);
    hub->spills = tw_alloc((hubs->workers + 1) * sizeof *hub->spills);
    hub->wakes = tw_alloc((hubs->workers + 1) * sizeof *hub->wakes);
    tw_rand_seed(&hub->rand, seed);
    tw_hub_apply_settings(hub);
    for (size_t i = 0; vm && i < generation->definition_count; i++)
        tw_hub_open_literal(hub, &generation->definitions[i]);
}

static void close_all(struct tw_hub *hub, struct tw_list *channels) {
    while (!tw_list_is_empty(channels)) {
        struct tw_channel *channel = TW_CONTAINER(channels->next, struct tw_channel, place);
        if (tw_hub_is_behind(hub, channel)) channel->script = NULL; /* goes with its VM */
        tw_hub_close_channel(hub, channel);
    }
}

void tw_hub_deinit(struct tw_hub *hub) {
    struct tw_mail *mail;
    close_all(hub, &hub->complete);
    close_all(hub, &hub->stateless);
    close_all(hub, &hub->behind);
    while ((mail = tw_mail_queue_shift(&hub->chores))) {
        if (mail->request) tw_topic_free(mail->request);
        tw_mail_free(mail);
    }
    while ((mail = tw_mail_queue_shift(&hub->self)))
        tw_mail_free(mail);
    while ((mail = tw_mail_queue_shift(&hub->taken)))
        tw_mail_free(mail);
    while ((mail = tw_mail_queue_shift(&hub->slow)))
        tw_mail_free(mail);
    for (unsigned i = 0; i <= hub->hubs->workers; i++)
        while ((mail = tw_mail_queue_shift(&hub->spills[i])))
            tw_mail_free(mail);
    tw_free(hub->spills);
    tw_free(hub->wakes);
    tw_free(hub->room);
    tw_free(hub->goodbyes);
    tw_map_deinit(&hub->channels);
    tw_map_deinit(&hub->topics);
    tw_map_deinit(&hub->clients);
    tw_heap_deinit(&hub->ticks);
    tw_heap_deinit(&hub->expiries);
    tw_effects_deinit(&hub->effects);
    tw_generation_unref(&hub->past);
    tw_generation_unref(&hub->generation);
}

unsigned tw_hub_home(const struct tw_hub *hub, const struct tw_name *name) {
    return (unsigned)(name->hash % hub->hubs->workers);
}

/* --- a publish, 1: at the client's worker --- */

static struct tw_mail *publish_mail(struct tw_name *channel, struct tw_message *message,
                                    void *request) {
    struct tw_mail *mail = tw_mail_new(TW_MAIL_PUBLISH);
    mail->channel = channel;
    mail->message = message;
    mail->request = request;
    return mail;
}

static int admit_publish(struct tw_hub *hub, struct tw_client *client,
                         const struct tw_message *message) {
    const struct tw_limits *limits = &hub->generation->settings.limits;
    if (!tw_bucket_try_take(&client->messages, limits->messages, 1, hub->now_ms)) return TW_ERATE;
    if (!tw_bucket_try_take(&client->bytes, limits->bytes, message->length, hub->now_ms))
        return TW_ERATE;
    return message->binary ? 0 : tw_json_check(tw_message_text(message), NULL);
}

int tw_hub_publish(struct tw_hub *hub, struct tw_client *client, struct tw_name *channel,
                   struct tw_message *message, void *request) {
    hub->stats.messages_in++;
    int status = admit_publish(hub, client, message);
    if (status != 0) {
        tw_message_unref(&message);
        tw_client_violate(client, status == TW_ERATE ? "too many messages" : "message is not JSON");
        return status;
    }
    struct tw_mail *mail = publish_mail(tw_name_ref(channel), message, request);
    mail->client = tw_identity_ref(client->identity);
    tw_hub_post(hub, tw_hub_home(hub, channel), mail);
    if (hub->spill_count == 0 && tw_hub_backlog(hub) < TW_HUB_BACKLOG) return 0;
    if (!tw_list_is_linked(&client->other)) tw_list_append(&hub->paused, &client->other);
    return TW_EAGAIN;
}

int tw_hub_publish_from_api(struct tw_hub *hub, struct tw_str channel, struct tw_message *message,
                            void *request) {
    int status = 0;
    if (!message->binary) status = tw_json_check(tw_message_text(message), NULL);
    if (hub->is_draining) status = TW_EDRAINING;
    struct tw_name *name = status == 0 ? tw_name_try_new(channel) : NULL;
    if (status == 0 && !name) status = -ENOMEM;
    if (status != 0) {
        tw_message_unref(&message);
        return status;
    }
    unsigned home = tw_hub_home(hub, name);
    tw_hub_post(hub, home, publish_mail(name, message, request));
    return 0;
}

int tw_hub_take_control(struct tw_hub *hub, struct tw_client *client) {
    struct tw_rate rate = hub->generation->settings.limits.messages;
    if (tw_bucket_try_take(&client->messages, rate, 1, hub->now_ms)) return 0;
    tw_client_violate(client, "too many control frames");
    return TW_ERATE;
}

/* --- a publish, 2: at the channel's home --- */

static void refuse(struct tw_failure *failure, const char *reason) {
    snprintf(failure->message, sizeof failure->message, "%s", reason);
}

static int may_publish(struct tw_hub *hub, struct tw_channel *channel, const struct tw_mail *mail,
                       struct tw_failure *failure) {
    if (!mail->client || channel->definition->publish == TW_PUBLISH_ALWAYS) return 0;
    refuse(failure, "clients may not publish here");
    return hub->hubs->hooks->authorize(hub->vm, channel, mail->client, TW_ACTION_PUBLISH, failure);
}

static int find_key(struct tw_hub *hub, struct tw_channel *channel, struct tw_message *message,
                    struct tw_failure *failure) {
    const struct tw_definition *definition = channel->definition;
    struct tw_str key = {0};
    struct tw_buf buf = {0};
    int status = 0;
    if (definition->key_field) {
        if (!message->binary)
            tw_json_member(tw_message_text(message), tw_str_of(definition->key_field), &key);
    } else if (definition->has_key) {
        status = hub->hubs->hooks->key(hub->vm, channel, message, &buf, failure);
        key = (struct tw_str){buf.data, buf.length};
    }
    if (status == 0 && tw_message_try_set_key(message, key) != 0) {
        refuse(failure, "not enough memory");
        status = -ENOMEM;
    }
    tw_buf_deinit(&buf);
    return status;
}

static int run_hooks(struct tw_hub *hub, struct tw_channel *channel, struct tw_mail *mail,
                     struct tw_failure *failure) {
    int status = may_publish(hub, channel, mail, failure);
    if (status != 0) return status;
    if (channel->definition->has_transform) {
        status = hub->hubs->hooks->transform(hub->vm, channel, mail->client, &mail->message,
                                             &hub->effects, failure);
        if (status != 0) return status;
    }
    return find_key(hub, channel, mail->message, failure);
}

/* Everything that may refuse or change the message, before it has an offset. */
static int prepare(struct tw_hub *hub, struct tw_channel *channel, struct tw_mail *mail,
                   bool may_run, struct tw_failure *failure) {
    const struct tw_definition *definition = channel->definition;
    if (mail->client && definition->publish == TW_PUBLISH_NEVER) {
        refuse(failure, "clients may not publish here");
        return TW_EREFUSED;
    }
    if (may_run) return run_hooks(hub, channel, mail, failure);
    if (definition->quarantine == TW_QUARANTINE_PASS)
        return may_publish(hub, channel, mail, failure);
    return tw_hub_refuse_quarantined(hub, channel, failure);
}

static void deliver(struct tw_hub *hub, const struct tw_name *name, struct tw_message *message,
                    const struct tw_variants *variants);

/* One mail per worker with subscribers; this worker's own share without one. */
static void spread(struct tw_hub *hub, struct tw_channel *channel, struct tw_message *message,
                   struct tw_variants *variants) {
    for (unsigned i = 0; i < hub->hubs->workers; i++) {
        if (channel->per_worker[i] == 0) continue;
        if (i == hub->index) {
            deliver(hub, channel->name, message, variants);
            continue;
        }
        struct tw_mail *mail = tw_mail_new(TW_MAIL_DELIVER);
        mail->channel = tw_name_ref(channel->name);
        mail->message = tw_message_ref(message);
        if (variants) mail->variants = tw_variants_ref(variants);
        tw_hub_post(hub, i, mail);
    }
}

/* Tells the publisher, if it asked or if it was refused. */
static void answer_publish(struct tw_hub *hub, struct tw_mail *mail,
                           const struct tw_channel *channel, int status,
                           const struct tw_failure *failure) {
    bool is_refusal = status != 0 && status != TW_EDROPPED && mail->client;
    if (!mail->request && !is_refusal) return;
    struct tw_mail *answer = tw_mail_new(TW_MAIL_PUBLISHED);
    answer->channel = tw_name_ref(mail->channel);
    if (mail->client) answer->client = tw_identity_ref(mail->client);
    answer->status = status;
    answer->request = mail->request;
    if (channel) {
        answer->offset = channel->offset;
        memcpy(answer->epoch, channel->epoch, sizeof answer->epoch);
    }
    if (status != 0) answer->failure = tw_hub_failure(failure);
    tw_hub_post(hub, mail->from, answer);
}

/* It has an offset, and goes to whoever may hear it. */
static void publish(struct tw_hub *hub, struct tw_channel *channel, struct tw_message *message,
                    bool may_run, struct tw_failure *failure) {
    int status = 0;
    message->offset = ++channel->offset;
    hub->hubs->dialect->encode(message);
    hub->stats.published++;
    struct tw_variants *variants = tw_hub_view(hub, channel, message, &status, failure);
    spread(hub, channel, message, variants);
    tw_variants_unref(&variants);
    if (may_run) tw_hub_report(hub, channel, TW_PART_PUBLISH, status, failure);
}

static void order(struct tw_hub *hub, struct tw_mail *mail) {
    struct tw_failure failure;
    int status = TW_ENOCHANNEL;
    tw_failure_clear(&failure);
    struct tw_channel *channel = tw_hub_open_channel(hub, mail->channel, mail->depth);
    if (channel) {
        bool may_run = tw_hub_may_run(hub, channel, TW_PART_PUBLISH);
        status = prepare(hub, channel, mail, may_run, &failure);
        if (status == 0)
            publish(hub, channel, mail->message, may_run, &failure);
        else if (may_run)
            tw_hub_report(hub, channel, TW_PART_PUBLISH, status, &failure);
        tw_hub_touch_channel(hub, channel);
    }
    if (status == TW_ENOCHANNEL && !mail->client && !mail->request)
        tw_log(TW_LOG_ERROR, "hub",
               "publish of a handler dropped channel=%.*s reason=no-such-channel",
               TW_STR_ARG(mail->channel->text));
    answer_publish(hub, mail, channel, status, &failure);
    tw_hub_settle(hub, status, mail->depth);
}

/* --- a publish, 3: at each worker with subscribers --- */

static void close_slow(struct tw_hub *hub, struct tw_client *client) {
    hub->stats.too_slow++;
    tw_client_close(client, 4431, "too slow", true);
}

/* The policies speak about what the socket did not take, also when the client is closing: what
 * stands before its close frame is bounded, too. */
void tw_hub_flush(struct tw_hub *hub, struct tw_client *client) {
    client->ops->flush(client);
    if (!client->is_blocked) return;
    enum tw_push push = tw_outbox_enforce(&client->outbox, hub->generation->settings.queue_bytes);
    if (push == TW_PUSH_TOO_SLOW && !client->is_closing) close_slow(hub, client);
}

/* May the message wait for the end of the turn whatever the bounds say? A peer that reads must lose
 * nothing only because one turn brought much. */
static bool may_wait(const struct tw_hub *hub, const struct tw_client *client,
                     const struct tw_sub *sub, size_t frame) {
    return !client->is_blocked && sub && sub->queued < TW_HUB_BURST &&
           client->outbox.bytes + frame <= hub->generation->settings.queue_bytes;
}

static void push(struct tw_hub *hub, struct tw_client *client, struct tw_sub *sub,
                 struct tw_parcel *parcel, uint64_t *dropped) {
    uint32_t max_bytes = hub->generation->settings.queue_bytes;
    size_t frame = (size_t)parcel->message->header + parcel->message->length;
    if (client->is_closing) return;
    enum tw_push result = TW_PUSHED;
    bool is_full = tw_outbox_is_full(&client->outbox, sub, frame, max_bytes);
    if (is_full && !client->is_blocked && !may_wait(hub, client, sub, frame)) {
        tw_hub_flush(hub, client);
        if (client->is_closing) return; /* it is broken, or too slow */
        is_full = tw_outbox_is_full(&client->outbox, sub, frame, max_bytes);
    }
    if (!is_full || !may_wait(hub, client, sub, frame) ||
        tw_outbox_try_append(&client->outbox, sub, parcel) != 0)
        result = tw_outbox_push(&client->outbox, sub, parcel, max_bytes, dropped);
    if (result == TW_PUSH_TOO_SLOW) close_slow(hub, client);
    if (result != TW_PUSHED) return;
    hub->stats.messages_out++;
    tw_client_mark_dirty(client);
}

/* The sub's share of its topic's batch into the outbox: it cannot be written as one, or not now. */
void tw_hub_take_batch(struct tw_hub *hub, struct tw_sub *sub) {
    struct tw_topic *topic = sub->topic;
    const struct tw_batch *batch = &topic->batch;
    sub->taken = tw_sub_taken(sub);
    while (sub->taken < batch->first + batch->count) {
        struct tw_parcel *parcel = tw_topic_parcel(topic, sub->taken++ - batch->first);
        push(hub, sub->client, sub, parcel, &topic->dropped);
    }
}

void tw_hub_catch_up(struct tw_hub *hub, struct tw_client *client) {
    for (struct tw_sub *sub = client->subs; sub; sub = sub->next)
        if (sub->topic && sub->topic->batch.count > 0) tw_hub_take_batch(hub, sub);
}

/* Is the batch all that the client is to get in this turn? */
static bool is_plain(const struct tw_sub *sub) {
    const struct tw_client *client = sub->client;
    return !client->is_blocked && !client->is_closing && client->sub_count == 1 &&
           sub->taken <= sub->topic->batch.first && tw_outbox_is_empty(&client->outbox) &&
           !client->outbox.final;
}

static void write_part_to(struct tw_hub *hub, struct tw_sub *sub, const struct iovec *spans,
                          int count) {
    struct tw_client *client = sub->client;
    const struct tw_batch *batch = &sub->topic->batch;
    int64_t written = client->ops->write(client, spans, count, batch->part_bytes);
    if (written < 0) return;
    hub->stats.messages_out += batch->part;
    if (written == batch->part_bytes) return;
    if (tw_outbox_try_keep(&client->outbox, sub, (size_t)written) != 0 ||
        tw_outbox_enforce(&client->outbox, hub->generation->settings.queue_bytes) ==
            TW_PUSH_TOO_SLOW)
        close_slow(hub, client);
}

/* Has the turn written for long enough? Asked after each write. */
static bool is_writing_over(struct tw_hub *hub) {
    const struct tw_hubs *hubs = hub->hubs;
    if (!hubs->clock_ms || ++hub->writes % TW_HUB_CLOCK_EVERY != 0) return false;
    return hubs->clock_ms(hubs->driver) >= hub->writing_ms + TW_HUB_TURN_MS;
}

static void start_writing(struct tw_hub *hub) {
    if (hub->hubs->clock_ms) hub->writing_ms = hub->hubs->clock_ms(hub->hubs->driver);
}

/* What later writes will look at comes into the cache while this one is done: the sub, and of one
 * that is nearer its client, with what its driver keeps in front of it. (GCC takes a function that
 * only fetches for one without effect, and leaves calls of it out.) */
#define FETCHES static inline __attribute__((always_inline)) void
FETCHES fetch_sub(const struct tw_topic *topic, uint32_t at) {
    if (at < topic->count) __builtin_prefetch(topic->subs[at]);
}

FETCHES fetch_client(const struct tw_topic *topic, uint32_t at) {
    if (at >= topic->count) return;
    const char *client = (const char *)topic->subs[at]->client;
    for (int line = -1; line <= 1; line++)
        __builtin_prefetch(client + line * TW_CACHE_LINE);
}

FETCHES fetch_first(const struct tw_topic *topic) {
    for (uint32_t i = 0; i < SUBS_AHEAD; i++)
        fetch_sub(topic, i);
    for (uint32_t i = 0; i < CLIENTS_AHEAD; i++)
        fetch_client(topic, i);
}

FETCHES fetch_topic(const struct tw_list *dirty) {
    const char *topic = (const char *)TW_CONTAINER(dirty, struct tw_topic, dirty);
    for (size_t line = 0; line < sizeof(struct tw_topic); line += TW_CACHE_LINE)
        __builtin_prefetch(topic + line);
}

/* What is on its way, to all who have not got it, or for as long as a turn may write. False: there
 * are more. */
static bool write_part(struct tw_hub *hub, struct tw_topic *topic, bool wholly) {
    /* A long span and a run of small ones alternate at worst. */
    struct iovec spans[2 * TW_BATCH_BYTES / TW_PACK_MAX + 2];
    struct tw_pack pack = {.spans = spans, .room = hub->room};
    struct tw_batch *batch = &topic->batch;
    tw_topic_start_part(topic);
    if (batch->served == 0) fetch_first(topic);
    for (uint32_t i = 0; i < batch->part; i++) {
        struct tw_str frame = tw_message_frame(batch->items[i].message);
        tw_pack_add(&pack, (struct iovec){(void *)(uintptr_t)frame.data, frame.length});
    }
    for (bool is_over = false; batch->served < topic->count; batch->served++) {
        struct tw_sub *sub = topic->subs[batch->served];
        if (is_over) return false;
        fetch_sub(topic, batch->served + SUBS_AHEAD);
        fetch_client(topic, batch->served + CLIENTS_AHEAD);
        if (is_plain(sub))
            write_part_to(hub, sub, spans, pack.count);
        else
            tw_hub_take_batch(hub, sub);
        is_over = !wholly && is_writing_over(hub);
    }
    tw_topic_end_part(topic);
    return true;
}

static void write_topic(struct tw_hub *hub, struct tw_topic *topic) {
    while (topic->batch.count > 0)
        write_part(hub, topic, true);
    tw_list_remove(&topic->dirty);
    tw_list_remove(&topic->clogged);
}

/* Each class hears its own, behind what is batched for all. */
static void deliver_variants(struct tw_hub *hub, struct tw_topic *topic,
                             const struct tw_variants *variants) {
    struct tw_parcel *parcels[UINT8_MAX + 1] = {NULL};
    if (topic->batch.count > 0) write_topic(hub, topic);
    for (uint32_t i = 0; i < topic->count; i++) {
        struct tw_sub *sub = topic->subs[i];
        bool is_known = TW_CHECK(sub->class < variants->count);
        struct tw_message *message = is_known ? variants->messages[sub->class] : NULL;
        if (!message) {
            topic->withheld++;
            continue;
        }
        struct tw_parcel **parcel = &parcels[sub->class];
        if (!*parcel) *parcel = tw_parcel_new(message);
        push(hub, sub->client, sub, *parcel, &topic->dropped);
    }
    for (unsigned i = 0; i < variants->count; i++)
        if (parcels[i]) tw_parcel_unref(parcels[i]);
}

static void note_clog(struct tw_hub *hub, struct tw_topic *topic) {
    bool is_clogged = topic->batch.part > 0 && topic->batch.bytes > TW_BATCH_WAITING / 2;
    if (is_clogged == tw_list_is_linked(&topic->clogged)) return;
    if (is_clogged)
        tw_list_append(&hub->clogged, &topic->clogged);
    else
        tw_list_remove(&topic->clogged);
}

static void deliver(struct tw_hub *hub, const struct tw_name *name, struct tw_message *message,
                    const struct tw_variants *variants) {
    struct tw_topic *topic = tw_hub_find_topic(hub, name);
    if (!topic) return;
    if (variants) {
        deliver_variants(hub, topic, variants);
        return;
    }
    size_t frame = tw_message_frame(message).length;
    /* What is on its way may take several turns; the message waits behind it. */
    if (hub->hubs->clock_ms && !tw_topic_has_room(topic, frame)) tw_topic_start_part(topic);
    if (!tw_topic_has_room(topic, frame)) write_topic(hub, topic);
    if (!tw_list_is_linked(&topic->dirty)) tw_list_append(&hub->dirty_topics, &topic->dirty);
    tw_topic_add_message(topic, message);
    note_clog(hub, topic);
}

/* A message for one client alone: by the rules of its newest subscription. */
static void send_to(struct tw_hub *hub, const struct tw_mail *mail) {
    struct tw_client *client = tw_hub_find_client(hub, mail->client->id);
    uint64_t dropped = 0;
    if (!client || client->is_closing) return;
    tw_hub_catch_up(hub, client);
    if (client->is_closing) return;
    struct tw_sub *sub = client->subs && client->subs->topic ? client->subs : NULL;
    struct tw_parcel *parcel = tw_parcel_new(mail->message);
    push(hub, client, sub, parcel, sub ? &sub->topic->dropped : &dropped);
    tw_parcel_unref(parcel);
}

/* --- a publish, 4: the end of the turn --- */

/* A part of each by turns, so that a topic with many subscribers is not in the way of others. */
void tw_hub_write_topics(struct tw_hub *hub) {
    if (tw_list_is_empty(&hub->dirty_topics)) return;
    start_writing(hub);
    for (bool has_time = true; has_time && !tw_list_is_empty(&hub->dirty_topics);) {
        struct tw_topic *topic = TW_CONTAINER(hub->dirty_topics.next, struct tw_topic, dirty);
        if (topic->dirty.next != &hub->dirty_topics) fetch_topic(topic->dirty.next);
        has_time = write_part(hub, topic, false);
        tw_list_remove(&topic->dirty);
        if (topic->batch.count > 0) tw_list_append(&hub->dirty_topics, &topic->dirty);
        note_clog(hub, topic);
    }
}

static void flush_dirty(struct tw_hub *hub) {
    struct tw_list *node;
    if (tw_list_is_empty(&hub->dirty)) return;
    start_writing(hub);
    while ((node = tw_list_shift(&hub->dirty))) {
        struct tw_client *client = TW_CONTAINER(node, struct tw_client, dirty);
        tw_hub_flush(hub, client);
        if (is_writing_over(hub)) return;
    }
}

/* --- what else mails ask for --- */

static void on_published(struct tw_hub *hub, const struct tw_mail *mail) {
    if (!mail->client) {
        if (hub->on_answer) hub->on_answer(hub, mail);
        return;
    }
    struct tw_client *client = tw_hub_find_client(hub, mail->client->id);
    if (!client || client->is_closing) return;
    /* A script that fails is not the client's fault. */
    if (mail->status == TW_EREFUSED || mail->status == TW_ENOCHANNEL)
        tw_client_violate(client, "publishing is not allowed");
    if (!client->is_closing) client->ops->on_published(client, mail);
}

static void on_disconnect(struct tw_hub *hub, const struct tw_mail *mail) {
    struct tw_client *client = tw_hub_find_client(hub, mail->client->id);
    if (client && !client->is_closing)
        tw_client_close(client, mail->code, mail->failure->message, false);
}

void tw_hub_handle(struct tw_hub *hub, struct tw_mail *mail) {
    if (mail->is_up) tw_hub_check_vm(hub); /* down mail runs no hooks */
    switch (mail->kind) {
    case TW_MAIL_SUBSCRIBE:
        tw_hub_on_subscribe(hub, mail);
        break;
    case TW_MAIL_UNSUBSCRIBE:
        tw_hub_on_unsubscribe(hub, mail);
        break;
    case TW_MAIL_RELEASE:
        tw_hub_on_release(hub, mail);
        break;
    case TW_MAIL_PUBLISH:
        order(hub, mail);
        break;
    case TW_MAIL_SUBSCRIBED:
        tw_hub_on_subscribed(hub, mail);
        break;
    case TW_MAIL_PUBLISHED:
        on_published(hub, mail);
        break;
    case TW_MAIL_DELIVER:
        deliver(hub, mail->channel, mail->message, mail->variants);
        break;
    case TW_MAIL_GONE:
        tw_hub_unlink_topic(hub, mail);
        tw_mail_queue_append(&hub->chores, mail);
        return;
    case TW_MAIL_ASK_AGAIN:
        mail->offset = UINT64_MAX;
        tw_mail_queue_append(&hub->chores, mail);
        return;
    case TW_MAIL_SEND:
        send_to(hub, mail);
        break;
    case TW_MAIL_DISCONNECT:
        on_disconnect(hub, mail);
        break;
    case TW_MAIL_ADD_SUB:
        tw_hub_on_add_sub(hub, mail);
        break;
    case TW_MAIL_END_SUB:
        tw_hub_on_end_sub(hub, mail);
        break;
    case TW_MAIL_CALL:
        mail->call(hub, mail);
        break;
    }
    if (mail->is_up && hub->hubs->clock_ms) tw_hub_note_time(hub, mail->channel);
    tw_mail_free(mail);
}

static void run_deadlines(struct tw_hub *hub) {
    struct tw_wait *wait;
    if (hub->now_ms < tw_waits_next_ms(&hub->waits, !hub->hubs->clock_ms)) return;
    for (unsigned i = 1; (wait = tw_waits_expired(&hub->waits, hub->now_ms)); i++) {
        struct tw_client *client = TW_CONTAINER(wait, struct tw_client, wait);
        client->ops->on_deadline(client, wait->kind);
        if (i % TW_HUB_CLOCK_EVERY == 0 && tw_hub_is_late(hub)) return;
    }
}

static uint64_t earliest(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

uint64_t tw_hub_turn(struct tw_hub *hub, uint64_t now_ms) {
    hub->now_ms = now_ms;
    tw_log_set_generation(hub->generation->number);
    /* Right behind the reading: what handlers take of the time is nobody's silence. */
    run_deadlines(hub);
    tw_hub_end_tokens(hub);
    /* Before the mail, so that what ticks publish need not wait for a second long handler. */
    tw_hub_run_ticks(hub);
    tw_hub_run_timers(hub);
    tw_hub_take_mail(hub);
    tw_hub_do_chores(hub);
    tw_hub_complete_channels(hub);
    tw_hub_say_goodbyes(hub);
    tw_hub_reap_channels(hub);
    tw_hub_write_topics(hub);
    flush_dirty(hub);
    tw_hub_end_retired(hub);
    tw_hub_wake_others(hub);
    const struct tw_heap_node *tick = tw_heap_first(&hub->ticks);
    uint64_t next =
        earliest(tw_waits_next_ms(&hub->waits, !hub->hubs->clock_ms), tw_hub_next_goodbye_ms(hub));
    const struct tw_heap_node *expiry = tw_heap_first(&hub->expiries);
    if (tick) next = earliest(next, tick->at_ms);
    if (expiry) next = earliest(next, expiry->at_ms);
    next = earliest(next, tw_hub_next_timer_ms(hub));
    next = earliest(next, tw_hub_next_reap_ms(hub));
    return tw_hub_is_busy(hub) ? now_ms : next;
}

bool tw_hub_is_busy(const struct tw_hub *hub) {
    bool has_mail = hub->self.head || hub->taken.head || hub->slow.head || hub->is_box_left;
    return (has_mail && !hub->is_stalled) || !tw_list_is_empty(&hub->dirty) ||
           !tw_list_is_empty(&hub->dirty_topics) || !tw_list_is_empty(&hub->stateless) ||
           hub->past || hub->chores.head || hub->has_wakes;
}

bool tw_hub_is_late(const struct tw_hub *hub) {
    const struct tw_hubs *hubs = hub->hubs;
    return hubs->clock_ms && hubs->clock_ms(hubs->driver) >= hub->now_ms + TW_HUB_TURN_MS;
}
