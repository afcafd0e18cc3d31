/* app.h: an app in C, whose handlers do what bytes of the input say. Of hubs.h.
 *
 * A handler that fails asks for effects first: none of them may ever be seen (payloads say "bad").
 */
#ifndef FUZZ_APP_H
#define FUZZ_APP_H

#include "broker/hub.h"
#include "fuzz.h"

enum { MAX_HUBS = 4, LUCK = 8, MOST_EFFECTS = 100, MOST_TIMERS = 8 };

/* Definitions, and channels that clients name: with and without one. */
static const char *const fuzz_definitions[] = {"a", "b", "r:{x}"};
static const char *const fuzz_channels[] = {"a", "b", "r:1", "r:2", "none"};
enum { DEFINITIONS = 3, CHANNELS = 5 };

struct world;

/* A timer of a script: a handler asked for it, and perhaps it was armed. */
struct timer {
    uint64_t number, at_ms; /* 0: free; not armed */
    struct tw_channel *channel;
};

struct vm {
    struct world *world;
    struct tw_list states;
    struct timer timers[MOST_TIMERS];
    uint64_t timer_serial;
    unsigned number; /* of its generation */
};

/* What a script keeps for a channel. */
struct state {
    struct tw_list node; /* of vm->states */
    struct vm *vm;
};

struct world {
    struct tw_hubs hubs;
    struct tw_mailbox boxes[MAX_HUBS];
    struct tw_hub hub[MAX_HUBS]; /* the last one in use is the control hub */
    struct vm *vm[MAX_HUBS];
    bool is_woken[MAX_HUBS], is_asleep[MAX_HUBS]; /* asleep: takes no turns, whoever wakes it */
    uint64_t next_ms[MAX_HUBS], now_ms;
    struct tw_generation *generation; /* the newest */
    uint8_t luck[LUCK];               /* what handlers do, by turns */
    size_t luck_at;
    unsigned effects; /* so far; past the most there are none, or circles would take hours */
    unsigned sends;   /* of them */
    unsigned serial;  /* of the last message */
};

static unsigned roll(struct world *world) {
    return world->luck[world->luck_at++ % LUCK];
}

/* For which channel, by whom (handlers are publisher 0), and which one it is. Owned. */
static inline char *payload_of(struct world *world, unsigned channel, unsigned publisher,
                               bool is_bad) {
    return tw_format("{\"c\":%u,\"p\":%u,\"n\":%u,\"bad\":%d}", channel, publisher, ++world->serial,
                     is_bad);
}

/* Whoever models who hears what: a handler ends the subscription, of which nobody is told. */
static void (*on_script_unsubscribe)(const struct tw_identity *client, unsigned channel);

static void act_on_subscriptions(struct world *world, struct tw_identity *client, bool is_bad,
                                 struct tw_effects *effects) {
    unsigned luck = roll(world), channel = luck % CHANNELS;
    bool ends = luck & 0x40;
    tw_effects_try_subscription(effects, ends ? TW_EFFECT_UNSUBSCRIBE : TW_EFFECT_SUBSCRIBE, client,
                                tw_str_of(fuzz_channels[channel]));
    if (ends && !is_bad && on_script_unsubscribe) on_script_unsubscribe(client, channel);
}

/* The effects of a handler, and its status. */
static int act(void *data, struct tw_identity *client, struct tw_effects *effects) {
    struct world *world = ((struct vm *)data)->world;
    unsigned luck = roll(world);
    bool is_bad = luck & 0x80;
    if (!(luck & 0x70) || world->effects >= MOST_EFFECTS) return 0;
    char *payload = payload_of(world, luck % CHANNELS, 0, is_bad);
    world->effects++;
    if (luck & 0x10)
        tw_effects_try_publish(effects, tw_str_of(fuzz_channels[luck % CHANNELS]),
                               tw_str_of(payload), false);
    if (client && luck & 0x20) {
        tw_effects_try_send(effects, client, tw_str_of(payload), false);
        world->sends++;
    }
    if (client && (luck & 0x60) == 0x60) act_on_subscriptions(world, client, is_bad, effects);
    if (client && (luck & 0x4f) == 0x40)
        tw_effects_try_disconnect(effects, client, 4403, TW_STR("asked"));
    tw_free(payload);
    return is_bad ? TW_ESCRIPT : 0;
}

/* Perhaps with a timer, whose handler acts as well. */
static int act_and_wait(void *data, struct tw_channel *channel, struct tw_identity *client,
                        struct tw_effects *effects) {
    struct vm *vm = (struct vm *)data;
    int status = act(vm, client, effects);
    unsigned luck = roll(vm->world);
    struct timer *timer = &vm->timers[luck % MOST_TIMERS];
    if (!(luck & 0x40) || timer->number != 0 || status != 0) return status;
    if (vm->world->effects++ >= MOST_EFFECTS) return status;
    *timer = (struct timer){.number = ++vm->timer_serial * MOST_TIMERS + luck % MOST_TIMERS,
                            .channel = channel};
    FUZZ_ASSERT(tw_effects_try_after(effects, timer->number, 1 + (luck & 0x3f)) == 0);
    return status;
}

static struct timer *timer_of(void *vm, uint64_t number) {
    struct timer *timer = &((struct vm *)vm)->timers[number % MOST_TIMERS];
    return timer->number == number ? timer : NULL;
}

static struct timer *first_timer(const void *vm) {
    struct timer *first = NULL;
    for (unsigned i = 0; i < MOST_TIMERS; i++) {
        struct timer *timer = &((struct vm *)(uintptr_t)vm)->timers[i];
        if (timer->at_ms != 0 && (!first || timer->at_ms < first->at_ms)) first = timer;
    }
    return first;
}

static void hook_arm(void *vm, uint64_t number, uint64_t at_ms) {
    struct timer *timer = timer_of(vm, number);
    if (timer) timer->at_ms = at_ms;
}

static void hook_cancel(void *vm, uint64_t number) {
    struct timer *timer = timer_of(vm, number);
    if (timer) *timer = (struct timer){0};
}

static uint64_t hook_next_timer_ms(const void *vm, struct tw_channel **channel) {
    const struct timer *first = first_timer(vm);
    if (first && channel) *channel = first->channel;
    return first ? first->at_ms : UINT64_MAX;
}

static int hook_run_timer(void *vm, struct tw_effects *effects, struct tw_failure *failure) {
    struct timer *timer = first_timer(vm);
    struct tw_channel *channel = timer->channel;
    (void)failure;
    *timer = (struct timer){0};
    FUZZ_ASSERT(channel->script);
    return effects ? act_and_wait(vm, channel, NULL, effects) : 0;
}

static void new_state(void *data, struct tw_channel *channel) {
    struct state *state = TW_NEW(struct state);
    state->vm = (struct vm *)data;
    tw_list_init(&state->node);
    tw_list_append(&state->vm->states, &state->node);
    channel->script = state;
}

static void free_state(struct state *state) {
    tw_list_remove(&state->node);
    tw_free(state);
}

static struct vm *vm_of(const struct tw_channel *channel) {
    return ((struct state *)channel->script)->vm;
}

static int hook_auth(void *vm, const struct tw_auth_request *request, struct tw_auth *out,
                     struct tw_failure *failure) {
    struct world *world = ((struct vm *)vm)->world;
    unsigned luck = roll(world);
    (void)failure;
    FUZZ_ASSERT(request->path.length > 0 && request->dialect);
    if (luck & 0x40) {
        snprintf(out->reason, sizeof out->reason, "%s", luck & 1 ? "no" : "");
        return luck & 0x80 ? TW_ESCRIPT : TW_EREFUSED;
    }
    if ((out->has_user = luck & 1)) tw_buf_print(&out->user, "%u", luck);
    if (luck & 2)
        out->expires = (double)((int64_t)world->now_ms + world->hubs.wall_offset_ms) / 1e3;
    if (luck & 4) out->expires += luck;
    return 0;
}

static int hook_open(void *vm, struct tw_channel *channel, struct tw_effects *effects,
                     struct tw_failure *failure) {
    (void)failure;
    new_state(vm, channel);
    return channel->definition->has_init ? act_and_wait(vm, channel, NULL, effects) : 0;
}

static void hook_close(void *vm, struct tw_channel *channel) {
    FUZZ_ASSERT(vm_of(channel) == vm);
    free_state((struct state *)channel->script);
    channel->script = NULL;
    for (unsigned i = 0; i < MOST_TIMERS; i++) {
        struct timer *timer = &((struct vm *)vm)->timers[i];
        if (timer->channel == channel) *timer = (struct timer){0};
    }
}

static int hook_save(void *vm, struct tw_channel *channel, struct tw_failure *failure) {
    (void)failure;
    FUZZ_ASSERT(vm_of(channel) == vm);
    unsigned number = ((struct vm *)vm)->number;
    tw_buf_append(&channel->carried, &number, sizeof number);
    free_state((struct state *)channel->script);
    channel->script = NULL;
    return 0;
}

static int hook_carry(void *vm, struct tw_channel *channel, struct tw_effects *effects,
                      struct tw_failure *failure) {
    (void)failure;
    FUZZ_ASSERT(channel->carried.length == sizeof(unsigned) &&
                memcmp(channel->carried.data, &channel->carried_from, sizeof(unsigned)) == 0);
    new_state(vm, channel);
    return act(vm, NULL, effects);
}

static int hook_authorize(void *vm, struct tw_channel *channel, struct tw_identity *client,
                          enum tw_action action, struct tw_failure *failure) {
    (void)action;
    FUZZ_ASSERT(client && vm_of(channel) == vm);
    unsigned luck = roll(((struct vm *)vm)->world);
    if (!channel->definition->has_authorize || !(luck & 0x40)) return 0;
    snprintf(failure->message, sizeof failure->message, "%s", luck & 1 ? "no" : "");
    return luck & 0x80 ? TW_ESCRIPT : TW_EREFUSED;
}

static int hook_transform(void *vm, struct tw_channel *channel, struct tw_identity *client,
                          struct tw_message **message, struct tw_effects *effects,
                          struct tw_failure *failure) {
    (void)failure;
    FUZZ_ASSERT(vm_of(channel) == vm && channel->definition->has_transform);
    unsigned luck = roll(((struct vm *)vm)->world);
    int status = act_and_wait(vm, channel, client, effects);
    if (status != 0 || (luck & 0x40)) return status ? status : TW_EDROPPED;
    if (luck & 0x20) {
        struct tw_str text = tw_message_text(*message);
        struct tw_message *copy = tw_message_try_new(text.data, text.length, (*message)->binary);
        tw_message_unref(message);
        *message = copy;
    }
    return 0;
}

static int hook_key(void *vm, struct tw_channel *channel, struct tw_message *message,
                    struct tw_buf *key, struct tw_failure *failure) {
    (void)message, (void)failure;
    FUZZ_ASSERT(!channel->definition->key_field);
    unsigned luck = roll(((struct vm *)vm)->world);
    if (luck & 0x80) return TW_ESCRIPT;
    tw_buf_append(key, "key", luck % 4);
    return 0;
}

static int hook_event(void *vm, struct tw_channel *channel, struct tw_identity *client,
                      struct tw_effects *effects, struct tw_failure *failure) {
    (void)failure;
    FUZZ_ASSERT(vm_of(channel) == vm);
    return act_and_wait(vm, channel, client, effects);
}

static int hook_tick(void *vm, struct tw_channel *channel, struct tw_effects *effects,
                     struct tw_failure *failure) {
    return hook_event(vm, channel, NULL, effects, failure);
}

static int hook_audience(void *vm, struct tw_channel *channel, struct tw_identity *client,
                         struct tw_buf *class, struct tw_failure *failure) {
    static const char *const names[] = {"", "v0", "v1", "x"};
    (void)failure;
    FUZZ_ASSERT(client && vm_of(channel) == vm && channel->definition->has_audience);
    unsigned luck = roll(((struct vm *)vm)->world);
    if (luck & 0x80) return TW_ESCRIPT;
    tw_buf_print(class, "%s", names[luck % 4]);
    return 0;
}

/* The message, or a copy of it: it must have the same place in the order. */
static int hook_view(void *vm, struct tw_channel *channel, size_t view, struct tw_message *message,
                     struct tw_message **out, struct tw_failure *failure) {
    (void)failure;
    FUZZ_ASSERT(vm_of(channel) == vm && view < channel->definition->view_count);
    unsigned luck = roll(((struct vm *)vm)->world);
    if (luck & 0x40) return luck & 0x80 ? TW_ESCRIPT : TW_EDROPPED;
    *out = tw_message_ref(message);
    if (!(luck & 0x20)) return 0;
    tw_message_unref(out);
    struct tw_str text = tw_message_text(message);
    *out = tw_message_try_new(text.data, text.length, message->binary);
    return 0;
}

static int hook_on_expire(void *vm, struct tw_identity *client, double *expires,
                          struct tw_failure *failure) {
    struct world *world = ((struct vm *)vm)->world;
    unsigned luck = roll(world);
    (void)failure;
    FUZZ_ASSERT(client);
    *expires = (double)((int64_t)world->now_ms + world->hubs.wall_offset_ms) / 1e3 + luck % 64 - 8;
    return !(luck & 0x40) ? 0 : luck & 0x80 ? TW_ESCRIPT : TW_EREFUSED;
}

static unsigned hook_incarnation(void *vm) {
    (void)vm;
    return 0;
}

static const struct tw_hooks fuzz_hooks = {.auth = hook_auth,
                                           .incarnation = hook_incarnation,
                                           .open = hook_open,
                                           .close = hook_close,
                                           .save = hook_save,
                                           .carry = hook_carry,
                                           .authorize = hook_authorize,
                                           .transform = hook_transform,
                                           .key = hook_key,
                                           .on_subscribe = hook_event,
                                           .on_unsubscribe = hook_event,
                                           .tick = hook_tick,
                                           .audience = hook_audience,
                                           .view = hook_view,
                                           .on_expire = hook_on_expire,
                                           .arm = hook_arm,
                                           .cancel = hook_cancel,
                                           .next_timer_ms = hook_next_timer_ms,
                                           .run_timer = hook_run_timer};

static inline void choose_luck(struct world *world, struct fuzz_input *input) {
    for (size_t i = 0; i < LUCK; i++)
        world->luck[i] = fuzz_byte(input);
}

static void define(struct tw_generation *generation, const char *name, struct fuzz_input *input) {
    const char *why;
    uint8_t queue = fuzz_byte(input), hooks = fuzz_byte(input);
    struct tw_definition *out = &generation->definitions[generation->definition_count];
    out->name = tw_format("%s", name);
    out->index = generation->definition_count++;
    FUZZ_ASSERT(tw_pattern_check(tw_str_of(name), &out->is_pattern, &why) == 0);
    out->queue.size = 1 + (queue & 7);
    out->queue.overflow = (enum tw_overflow)(queue >> 3 & 3);
    out->publish = (enum tw_publish_mode)((TW_PUBLISH_ALWAYS + (queue >> 5)) % 3);
    out->has_key = hooks & 1;
    if (out->has_key && queue & 4) out->key_field = tw_format("%s", "p");
    out->has_authorize = hooks & 2;
    out->has_transform = hooks & 4;
    out->has_on_subscribe = hooks & 8;
    out->has_on_unsubscribe = hooks & 16;
    out->has_init = hooks & 32;
    out->tick_ms = hooks & 64 ? 1000 : 0;
    out->policy_print = hooks >> 7;
    if (!(hooks & 2) || !(hooks & 4)) return;
    out->has_audience = true;
    out->views = (char **)tw_alloc(2 * sizeof *out->views);
    for (unsigned view = 0; view < 1 + (queue & 1u); view++)
        out->views[out->view_count++] = tw_format("v%u", view);
}

/* Owned. Zeros: every definition, hardly any limit. */
static inline struct tw_generation *choose_generation(struct world *world,
                                                      struct fuzz_input *input) {
    unsigned number = world->generation ? world->generation->number + 1 : 1;
    struct tw_generation *generation = tw_generation_new(number);
    struct tw_settings *settings = &generation->settings;
    uint8_t missing = fuzz_byte(input), limits = fuzz_byte(input);
    if (!(limits & 1)) settings->limits.messages.rate = 0;
    if (!(limits & 2)) settings->limits.bytes.rate = 0;
    if (limits & 4) settings->limits.violations = 2;
    if (limits & 8) settings->queue_bytes = 100;
    if (limits & 16) settings->limits.channels_per_client = 2;
    if (limits & 32) settings->limits.message_size = 200;
    if (limits & 64) settings->reject_with_close = true;
    if (limits & 128) settings->limits.connections_per_ip = 2;
    generation->has_on_expire = missing & 0x80;
    generation->definitions =
        (struct tw_definition *)tw_alloc(DEFINITIONS * sizeof *generation->definitions);
    for (unsigned i = 0; i < DEFINITIONS; i++)
        if (!(missing >> i & 1)) define(generation, fuzz_definitions[i], input);
    return generation;
}

#endif
