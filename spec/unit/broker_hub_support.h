/* broker_hub_support.h: hubs in one process, stepped by hand: fake scripts, fake clients, time as a
 * number. world_end() checks that nothing is left of anything. */
#ifndef BROKER_HUB_SUPPORT_H
#define BROKER_HUB_SUPPORT_H

#include "broker_support.h"

#include "base/log.h"
#include "broker/hub.h"

enum { MAX_HUBS = 5, MAX_DEFINITIONS = 8, ANYWHERE = -1 };
#define FIRST_MS 100000

struct fake_vm {
    unsigned number;
    unsigned incarnation;
    bool is_free;
};

/* What a script keeps for a channel. */
struct fake_state {
    struct tw_list node; /* of states */
    struct fake_vm *vm;
    int value;
};

/* The app. Hooks that are NULL let everything pass. */
struct script {
    int (*authorize)(struct tw_channel *, struct tw_identity *, enum tw_action,
                     struct tw_failure *);
    int (*transform)(struct tw_channel *, struct tw_identity *, struct tw_message **,
                     struct tw_effects *);
    int (*key)(struct tw_channel *, struct tw_message *, struct tw_buf *);
    int (*on_open)(struct tw_channel *, struct tw_effects *); /* init; also from carry if `fails` */
    int (*on_event)(struct tw_channel *, const char *event, struct tw_identity *,
                    struct tw_effects *); /* subscribe, unsubscribe, tick, carry, after */
    int (*audience)(struct tw_identity *, struct tw_buf *class);
    int (*view)(size_t view, struct tw_message *, struct tw_message **out);
    int (*on_expire)(struct tw_identity *, double *expires);
    uint64_t timer_ms; /* of the one timer there is; 0: none */
    struct tw_channel *timer_channel;
    unsigned audiences, views, expiries, cancels;
    unsigned opens, closes, saves, carries, authorizes, subscribes, unsubscribes, ticks;
    unsigned carried_from; /* the number of the generation */
    unsigned swapped;      /* swaps that are over */
    unsigned gone;         /* expected: states that go with their VM, since their channel is gone */
};

struct world {
    struct tw_hubs hubs;
    struct tw_mailbox boxes[MAX_HUBS];
    struct tw_hub hub[MAX_HUBS]; /* the last one in use is the control hub */
    struct fake_vm vm[MAX_HUBS];
    bool is_woken[MAX_HUBS], is_asleep[MAX_HUBS]; /* asleep: takes no turns, whoever wakes it */
    uint64_t next_ms[MAX_HUBS];
    uint64_t now_ms;
    struct tw_generation *generation;
    struct tw_list fakes;
    unsigned turns;
};

static struct script script;
static struct tw_list states = {&states, &states};
static unsigned log_lines;

static void free_state(struct fake_state *state) {
    tw_list_remove(&state->node);
    tw_free(state);
}

/* --- fake scripts ----------------------------------------------------------------------------- */

static int hook_open(void *vm, struct tw_channel *channel, struct tw_effects *effects,
                     struct tw_failure *failure) {
    (void)failure;
    struct fake_state *state = TW_NEW(struct fake_state);
    state->vm = (struct fake_vm *)vm;
    tw_list_init(&state->node);
    tw_list_append(&states, &state->node);
    channel->script = state;
    script.opens++;
    return script.on_open ? script.on_open(channel, effects) : 0;
}

static void hook_close(void *vm, struct tw_channel *channel) {
    assert_ptr_equal(((struct fake_state *)channel->script)->vm, vm);
    free_state((struct fake_state *)channel->script);
    channel->script = NULL;
    script.closes++;
}

static int hook_save(void *vm, struct tw_channel *channel, struct tw_failure *failure) {
    (void)failure;
    struct fake_state *state = (struct fake_state *)channel->script;
    assert_ptr_equal(state->vm, vm);
    assert_false(state->vm->is_free);
    script.saves++;
    tw_buf_append(&channel->carried, &state->value, sizeof state->value);
    free_state(state);
    channel->script = NULL;
    return 0;
}

static int hook_carry(void *vm, struct tw_channel *channel, struct tw_effects *effects,
                      struct tw_failure *failure) {
    (void)failure;
    struct fake_state *state = TW_NEW(struct fake_state);
    state->vm = (struct fake_vm *)vm;
    memcpy(&state->value, channel->carried.data, sizeof state->value);
    tw_list_init(&state->node);
    tw_list_append(&states, &state->node);
    channel->script = state;
    script.carries++;
    script.carried_from = channel->carried_from;
    return script.on_event ? script.on_event(channel, "carry", NULL, effects) : 0;
}

static int hook_authorize(void *vm, struct tw_channel *channel, struct tw_identity *client,
                          enum tw_action action, struct tw_failure *failure) {
    assert_ptr_equal(((struct fake_state *)channel->script)->vm, vm);
    script.authorizes++;
    return script.authorize ? script.authorize(channel, client, action, failure) : 0;
}

static int hook_transform(void *vm, struct tw_channel *channel, struct tw_identity *client,
                          struct tw_message **message, struct tw_effects *effects,
                          struct tw_failure *failure) {
    (void)failure;
    assert_ptr_equal(((struct fake_state *)channel->script)->vm, vm);
    return script.transform ? script.transform(channel, client, message, effects) : 0;
}

static int hook_key(void *vm, struct tw_channel *channel, struct tw_message *message,
                    struct tw_buf *key, struct tw_failure *failure) {
    (void)vm, (void)failure;
    return script.key ? script.key(channel, message, key) : 0;
}

static int hook_on_subscribe(void *vm, struct tw_channel *channel, struct tw_identity *client,
                             struct tw_effects *effects, struct tw_failure *failure) {
    (void)vm, (void)failure;
    script.subscribes++;
    return script.on_event ? script.on_event(channel, "subscribe", client, effects) : 0;
}

static int hook_on_unsubscribe(void *vm, struct tw_channel *channel, struct tw_identity *client,
                               struct tw_effects *effects, struct tw_failure *failure) {
    (void)vm, (void)failure;
    script.unsubscribes++;
    return script.on_event ? script.on_event(channel, "unsubscribe", client, effects) : 0;
}

static int hook_tick(void *vm, struct tw_channel *channel, struct tw_effects *effects,
                     struct tw_failure *failure) {
    (void)failure;
    assert_ptr_equal(((struct fake_state *)channel->script)->vm, vm);
    script.ticks++;
    return script.on_event ? script.on_event(channel, "tick", NULL, effects) : 0;
}

static int hook_audience(void *vm, struct tw_channel *channel, struct tw_identity *client,
                         struct tw_buf *class, struct tw_failure *failure) {
    (void)failure;
    assert_ptr_equal(((struct fake_state *)channel->script)->vm, vm);
    script.audiences++;
    return script.audience ? script.audience(client, class) : 0;
}

static int hook_view(void *vm, struct tw_channel *channel, size_t view, struct tw_message *message,
                     struct tw_message **out, struct tw_failure *failure) {
    (void)vm, (void)failure;
    assert_true(view < channel->definition->view_count && message->offset == channel->offset);
    script.views++;
    if (script.view) return script.view(view, message, out);
    *out = tw_message_ref(message);
    return 0;
}

static int hook_on_expire(void *vm, struct tw_identity *client, double *expires,
                          struct tw_failure *failure) {
    (void)vm, (void)failure;
    script.expiries++;
    return script.on_expire ? script.on_expire(client, expires) : TW_EREFUSED;
}

static void hook_arm(void *vm, uint64_t timer, uint64_t at_ms) {
    (void)vm;
    assert_int_equal(timer, 1);
    script.timer_ms = at_ms;
}

static void hook_cancel(void *vm, uint64_t timer) {
    (void)vm, (void)timer;
    script.cancels++;
    script.timer_ms = 0;
}

static uint64_t hook_next_timer_ms(const void *vm, struct tw_channel **channel) {
    /* It lives where its channel does. */
    bool is_here = script.timer_ms && ((struct fake_state *)script.timer_channel->script)->vm == vm;
    if (is_here && channel) *channel = script.timer_channel;
    return is_here ? script.timer_ms : UINT64_MAX;
}

static int hook_run_timer(void *vm, struct tw_effects *effects, struct tw_failure *failure) {
    (void)vm, (void)failure;
    script.timer_ms = 0;
    return script.on_event && effects
               ? script.on_event(script.timer_channel, "after", NULL, effects)
               : 0;
}

static unsigned hook_incarnation(void *vm) {
    return ((const struct fake_vm *)vm)->incarnation;
}

static const struct tw_hooks fake_hooks = {
    .incarnation = hook_incarnation,
    .open = hook_open,
    .close = hook_close,
    .save = hook_save,
    .carry = hook_carry,
    .authorize = hook_authorize,
    .transform = hook_transform,
    .key = hook_key,
    .on_subscribe = hook_on_subscribe,
    .on_unsubscribe = hook_on_unsubscribe,
    .tick = hook_tick,
    .audience = hook_audience,
    .view = hook_view,
    .on_expire = hook_on_expire,
    .arm = hook_arm,
    .cancel = hook_cancel,
    .next_timer_ms = hook_next_timer_ms,
    .run_timer = hook_run_timer,
};

static const struct tw_dialect fake_dialect = {.name = "test", .encode = mark_frame};

/* --- fake clients ----------------------------------------------------------------------------- */

struct fake {
    struct tw_client client;
    struct tw_list node;
    bool is_stuck; /* its socket takes nothing */
    size_t takes;  /* bytes; so many of the next batch, and then nothing; 0: all */
    bool breaks;   /* the next flush finds the connection broken */
    char got[4096];
    size_t total; /* bytes it got in all */
    unsigned flushes, resumes, deadlines, subscribed, published, close_code, closes;
    int status; /* of the last answer */
    uint64_t offset;
    char reason[128];
};

static struct fake *fake_of(struct tw_client *client) {
    return TW_CONTAINER(client, struct fake, client);
}

/* Its socket takes all of it. */
static size_t take(struct fake *fake, const struct iovec *spans, int count) {
    size_t taken = 0;
    for (int i = 0; i < count; i++) {
        size_t at = strlen(fake->got);
        if (at + spans[i].iov_len < sizeof fake->got) {
            memcpy(fake->got + at, spans[i].iov_base, spans[i].iov_len);
            fake->got[at + spans[i].iov_len] = 0;
        }
        taken += spans[i].iov_len;
    }
    fake->total += taken;
    return taken;
}

static int64_t op_write(struct tw_client *client, const struct iovec *spans, int count,
                        size_t offered) {
    struct fake *fake = fake_of(client);
    assert_true(tw_outbox_is_empty(&client->outbox) && !client->is_blocked && !client->is_closing);
    fake->flushes++;
    if (fake->breaks) {
        tw_client_retire(client);
        return TW_ECLOSED;
    }
    client->is_blocked = fake->is_stuck;
    if (fake->is_stuck) return 0;
    if (fake->takes > 0) { /* not all of it, and then nothing */
        struct iovec first = {spans[0].iov_base, fake->takes};
        assert_true(fake->takes < spans[0].iov_len);
        client->is_blocked = fake->is_stuck = true;
        return (int64_t)take(fake, &first, 1);
    }
    assert_int_equal(take(fake, spans, count), offered);
    return (int64_t)offered;
}

static void op_flush(struct tw_client *client) {
    struct fake *fake = fake_of(client);
    struct iovec spans[16];
    int count;
    fake->flushes++;
    if (fake->breaks) {
        tw_client_retire(client);
        return;
    }
    client->is_blocked = fake->is_stuck;
    while (!fake->is_stuck && (count = tw_outbox_gather(&client->outbox, spans, 16)) > 0)
        tw_outbox_consume(&client->outbox, take(fake, spans, count));
}

static void op_on_subscribed(struct tw_client *client, struct tw_sub *sub,
                             const struct tw_mail *answer) {
    struct fake *fake = fake_of(client);
    fake->subscribed++;
    fake->status = answer->status;
    fake->offset = answer->offset;
    if (answer->failure)
        snprintf(fake->reason, sizeof fake->reason, "%.99s", answer->failure->message);
    assert_true(tw_str_eq(sub->name->text, answer->channel->text));
    assert_int_equal(sub->state, answer->status == 0 ? TW_SUB_ACTIVE : TW_SUB_PENDING);
}

static void op_on_published(struct tw_client *client, const struct tw_mail *answer) {
    struct fake *fake = fake_of(client);
    fake->published++;
    fake->status = answer->status;
    fake->offset = answer->offset;
    if (answer->failure)
        snprintf(fake->reason, sizeof fake->reason, "%.99s", answer->failure->message);
}

static void op_on_close(struct tw_client *client, unsigned code, const char *reason, bool discard) {
    struct fake *fake = fake_of(client);
    assert_false(client->is_closing);
    fake->closes++;
    fake->close_code = code;
    snprintf(fake->reason, sizeof fake->reason, "%s", reason);
    tw_outbox_finish(&client->outbox, "<bye>", 5, discard);
    tw_client_mark_dirty(client);
    tw_client_retire(client);
}

static void op_on_deadline(struct tw_client *client, enum tw_wait_kind kind) {
    fake_of(client)->deadlines |= 1u << kind;
}

static void op_on_resume(struct tw_client *client) {
    fake_of(client)->resumes++;
}

static const struct tw_client_ops fake_ops = {
    .flush = op_flush,
    .write = op_write,
    .on_subscribed = op_on_subscribed,
    .on_published = op_on_published,
    .on_close = op_on_close,
    .on_deadline = op_on_deadline,
    .on_resume = op_on_resume,
};

static inline struct fake *fake_join(struct world *world, unsigned worker, double expires) {
    struct tw_ip ip = ip_of("10.0.0.1");
    struct fake *fake = TW_NEW(struct fake);
    struct tw_hub *hub = &world->hub[worker % world->hubs.workers];
    tw_client_init(&fake->client, hub, &fake_ops);
    tw_list_init(&fake->node);
    tw_list_append(&world->fakes, &fake->node);
    tw_hub_join(
        hub, &fake->client,
        tw_identity_try_new(tw_hub_client_id(hub), hub->index, &ip, TW_STR("u"), TW_STR("")),
        expires);
    return fake;
}

static inline void fake_leave(struct fake *fake) {
    tw_hub_leave(fake->client.hub, &fake->client);
    tw_hub_leave(fake->client.hub, &fake->client); /* idempotent */
    tw_client_deinit(&fake->client);
    tw_list_remove(&fake->node);
    tw_free(fake);
}

/* Its socket takes bytes again. */
static inline void fake_unstick(struct fake *fake) {
    fake->is_stuck = fake->client.is_blocked = false;
    op_flush(&fake->client);
}

static inline int publish(struct fake *from, const char *channel, const char *text) {
    struct tw_name *name = tw_name_new(tw_str_of(channel));
    int status = tw_hub_publish(from->client.hub, &from->client, name, message_of(text), NULL);
    tw_name_unref(&name);
    return status;
}

/* --- the world -------------------------------------------------------------------------------- */

static inline void wake(void *driver, unsigned index) {
    ((struct world *)driver)->is_woken[index] = true;
}

static inline void on_swapped(struct tw_hub *hub, void *old_vm) {
    assert_ptr_not_equal(hub->vm, old_vm);
    ((struct fake_vm *)old_vm)->is_free = true;
    script.swapped++;
}

static inline void count_log(void *data, enum tw_log_level level, const char *line, size_t length) {
    (void)data, (void)level, (void)line, (void)length;
    log_lines++;
}

static inline struct tw_generation *generation_new(unsigned number) {
    struct tw_generation *generation = tw_generation_new(number);
    generation->definitions =
        (struct tw_definition *)tw_alloc(MAX_DEFINITIONS * sizeof *generation->definitions);
    generation->settings.limits.messages.rate = generation->settings.limits.bytes.rate = 0;
    return generation;
}

static inline struct tw_definition *define(struct tw_generation *generation, const char *name) {
    const char *why;
    struct tw_definition *definition = &generation->definitions[generation->definition_count];
    definition->name = tw_format("%s", name);
    definition->index = generation->definition_count++;
    assert_int_equal(tw_pattern_check(tw_str_of(name), &definition->is_pattern, &why), 0);
    definition->queue = generation->settings.queue;
    definition->publish = TW_PUBLISH_ALWAYS;
    return definition;
}

/* Takes the generation. `bound`: of each lane of a mailbox. */
static inline void world_begin(struct world *world, unsigned workers,
                               struct tw_generation *generation, size_t bound) {
    memset(world, 0, sizeof *world);
    world->now_ms = FIRST_MS;
    world->generation = generation;
    world->hubs = (struct tw_hubs){.workers = workers,
                                   .boxes = world->boxes,
                                   .wake = wake,
                                   .driver = world,
                                   .hooks = &fake_hooks,
                                   .dialect = &fake_dialect,
                                   .wall_offset_ms = 1000000};
    tw_list_init(&world->fakes);
    log_lines = 0;
    tw_log_set_sink(count_log, NULL);
    for (unsigned i = 0; i <= workers; i++)
        tw_mailbox_init(&world->boxes[i], bound);
    for (unsigned i = 0; i <= workers; i++) {
        world->vm[i].number = generation->number;
        tw_hub_init(&world->hub[i], &world->hubs, i, generation, i < workers ? &world->vm[i] : NULL,
                    77 + i, FIRST_MS);
        world->hub[i].on_swapped = on_swapped;
    }
}

static inline void turn(struct world *world, unsigned index) {
    world->is_woken[index] = false;
    world->turns++;
    world->next_ms[index] = tw_hub_turn(&world->hub[index], world->now_ms);
}

/* Turns until nobody has anything to do. */
static inline void settle(struct world *world) {
    for (bool any = true; any;) {
        any = false;
        for (unsigned i = 0; i <= world->hubs.workers; i++) {
            struct tw_hub *hub = &world->hub[i];
            bool has_work = world->is_woken[i] || tw_hub_is_busy(hub) ||
                            !tw_list_is_empty(&hub->retiring) || world->next_ms[i] <= world->now_ms;
            if (!has_work || world->is_asleep[i]) continue;
            turn(world, i);
            any = true;
        }
        if (world->turns > 1000000) fail_msg("%s", "the hubs find no rest");
    }
}

/* Time passes; each hub takes its turns when it said it would. */
static inline void pass(struct world *world, uint64_t ms) {
    uint64_t end_ms = world->now_ms + ms;
    settle(world);
    for (;;) {
        uint64_t next_ms = UINT64_MAX;
        for (unsigned i = 0; i <= world->hubs.workers; i++)
            if (world->next_ms[i] < next_ms && !world->is_asleep[i]) next_ms = world->next_ms[i];
        if (next_ms > end_ms) break;
        world->now_ms = next_ms > world->now_ms ? next_ms : world->now_ms;
        settle(world);
    }
    world->now_ms = end_ms;
    for (unsigned i = 0; i <= world->hubs.workers; i++)
        if (!world->is_asleep[i]) turn(world, i);
    settle(world);
}

/* Has the fake subscribed and answered. */
static inline int subscribe(struct world *world, struct fake *fake, const char *channel) {
    assert_int_equal(tw_hub_subscribe(fake->client.hub, &fake->client, tw_str_of(channel)), 0);
    settle(world);
    return fake->status;
}

static inline struct tw_channel *channel_of(struct world *world, const char *text) {
    struct tw_name *name = tw_name_new(tw_str_of(text));
    struct tw_hub *hub = &world->hub[tw_hub_home(&world->hub[0], name)];
    struct tw_channel *channel =
        (struct tw_channel *)tw_map_get(&hub->channels, name->hash, &name->text);
    tw_name_unref(&name);
    return channel;
}

/* A name "PREFIXn" whose home is that worker. */
static inline void name_at(struct world *world, unsigned worker, const char *prefix, char out[32]) {
    for (unsigned i = 0;; i++) {
        snprintf(out, 32, "%s%u", prefix, i);
        struct tw_name *name = tw_name_new(tw_str_of(out));
        unsigned home = tw_hub_home(&world->hub[0], name);
        tw_name_unref(&name);
        if (home == worker) return;
    }
}

static inline unsigned home_of(struct world *world, const char *text) {
    struct tw_name *name = tw_name_new(tw_str_of(text));
    unsigned home = tw_hub_home(&world->hub[0], name);
    tw_name_unref(&name);
    return home;
}

/* A new generation takes over at every worker and at the control hub; takes it. */
static inline void swap_all(struct world *world, struct tw_generation *generation) {
    static struct fake_vm vms[64][MAX_HUBS];
    struct fake_vm *fresh = vms[generation->number % COUNT_OF(vms)];
    for (unsigned i = 0; i <= world->hubs.workers; i++) {
        fresh[i] = (struct fake_vm){.number = generation->number};
        world->hub[i].now_ms = world->now_ms;
        tw_hub_swap(&world->hub[i], generation, i < world->hubs.workers ? &fresh[i] : NULL);
        world->is_woken[i] = true;
    }
    tw_generation_unref(&world->generation);
    world->generation = generation;
}

static inline uint64_t stat_sum(struct world *world, size_t field) {
    uint64_t sum = 0;
    for (unsigned i = 0; i <= world->hubs.workers; i++)
        sum += *(uint64_t *)(void *)((char *)&world->hub[i].stats + field);
    return sum;
}
#define STAT(world, field) stat_sum(world, offsetof(struct tw_hub_stats, field))

static inline void check_hub_is_empty(struct tw_hub *hub) {
    size_t at = 0;
    struct tw_channel *channel;
    assert_int_equal(hub->topics.count, 0);
    assert_int_equal(hub->clients.count, 0);
    assert_int_equal(hub->spill_count, 0);
    assert_int_equal(hub->self.count, 0);
    assert_int_equal(hub->taken.count, 0);
    assert_int_equal(hub->slow.count, 0);
    assert_int_equal(hub->slow_orphans, 0);
    assert_int_equal(hub->expiries.count, 0);
    assert_int_equal(hub->effects.count, 0);
    assert_int_equal(hub->chores.count, 0);
    assert_null(hub->past);
    assert_true(tw_list_is_empty(&hub->paused));
    assert_true(tw_list_is_empty(&hub->dirty));
    assert_true(tw_list_is_empty(&hub->retiring));
    while ((channel = (struct tw_channel *)tw_map_next(&hub->channels, &at))) {
        assert_int_equal(channel->subscribers, 0);
        assert_int_equal(channel->slow_mails, 0);
        for (unsigned i = 0; i < hub->hubs->workers; i++)
            assert_int_equal(channel->per_worker[i], 0);
        for (unsigned i = 0; i < channel->audience.count; i++)
            assert_int_equal(channel->audience.classes[i].held, 0);
    }
}

/* Everybody leaves; every count is back at 0. */
static inline void world_end(struct world *world) {
    memset(world->is_asleep, 0, sizeof world->is_asleep);
    settle(world);
    while (!tw_list_is_empty(&world->fakes))
        fake_leave(TW_CONTAINER(world->fakes.next, struct fake, node));
    settle(world);
    for (unsigned i = 0; i <= world->hubs.workers; i++)
        turn(world, i);
    settle(world);
    for (unsigned i = 0; i <= world->hubs.workers; i++) {
        check_hub_is_empty(&world->hub[i]);
        assert_null(world->boxes[i].up.head);
        assert_null(world->boxes[i].down.head);
    }
    for (unsigned i = 0; i <= world->hubs.workers; i++)
        tw_hub_deinit(&world->hub[i]);
    for (unsigned i = 0; i <= world->hubs.workers; i++)
        tw_mailbox_deinit(&world->boxes[i]);
    tw_generation_unref(&world->generation);
    assert_int_equal(script.opens, script.closes + script.gone);
    while (!tw_list_is_empty(&states))
        free_state(TW_CONTAINER(states.next, struct fake_state, node));
    memset(&script, 0, sizeof script);
    tw_log_set_sink(NULL, NULL);
}

/* Each test runs with one worker and with four. */
#define WITH_1_AND_4(name)                                                                         \
    static void name##_1(void **state) {                                                           \
        (void)state;                                                                               \
        name(1);                                                                                   \
    }                                                                                              \
    static void name##_4(void **state) {                                                           \
        (void)state;                                                                               \
        name(4);                                                                                   \
    }
#define TESTS_1_AND_4(name) cmocka_unit_test(name##_1), cmocka_unit_test(name##_4)

#endif
