/* broker_hub_swap_test.c: a new generation takes over: channels are carried or go, settings apply,
 * and subscribers stay counted right. */
#include "broker_hub_support.h"

static struct tw_generation *generation_with(unsigned number, const char *a, const char *b) {
    struct tw_generation *generation = generation_new(number);
    if (a) define(generation, a);
    if (b) define(generation, b);
    return generation;
}

static int effects_on_carry(struct tw_channel *channel, const char *event,
                            struct tw_identity *client, struct tw_effects *effects) {
    (void)client;
    if (strcmp(event, "carry") != 0) return 0;
    ((struct fake_state *)channel->script)->value++;
    assert_int_equal(tw_effects_try_publish(effects, channel->name->text, TW_STR("9"), false), 0);
    return channel->name->text.data[0] == 'f' ? TW_ESCRIPT : 0;
}

static void channels_are_carried(unsigned workers) {
    struct world world;
    script.on_event = effects_on_carry;
    world_begin(&world, workers, generation_with(1, "market", "fails"), 1000);
    struct fake *a = fake_join(&world, 0, 0), *b = fake_join(&world, 3, 0);
    subscribe(&world, a, "market");
    subscribe(&world, b, "fails");
    publish(a, "market", "1");
    settle(&world);
    char epoch[TW_EPOCH_SIZE];
    memcpy(epoch, channel_of(&world, "market")->epoch, sizeof epoch);
    struct tw_generation *next = generation_with(2, "fails", "market"); /* indexes change */
    define(next, "new");
    swap_all(&world, next);
    settle(&world);
    assert_int_equal(script.carries, 2);
    assert_int_equal(script.carried_from, 1);
    assert_int_equal(script.opens, 3); /* "new" is literal */
    assert_int_equal(STAT(&world, hook_failures), 1);
    const struct tw_channel *market = channel_of(&world, "market");
    assert_int_equal(((struct fake_state *)market->script)->value, 1);
    assert_int_equal(market->definition->index, 1);
    assert_string_equal(market->epoch, epoch); /* the same stream goes on */
    assert_int_equal(market->offset, 2);
    assert_int_equal(market->subscribers, 1);
    assert_string_equal(a->got, "|1|9");
    assert_string_equal(b->got, ""); /* its carry failed: no effects */
    assert_int_equal(a->close_code + b->close_code, 0);
    world_end(&world);
}
WITH_1_AND_4(channels_are_carried)

static void a_channel_without_a_definition_goes(unsigned workers) {
    struct world world;
    world_begin(&world, workers, generation_with(1, "market", "room:{id}"), 1000);
    struct fake *a = fake_join(&world, 0, 0), *b = fake_join(&world, 1, 0);
    struct fake *stays = fake_join(&world, 2, 0), *closing = fake_join(&world, 0, 0);
    subscribe(&world, a, "room:1");
    subscribe(&world, b, "room:1");
    subscribe(&world, closing, "room:1");
    subscribe(&world, stays, "market");
    op_on_close(&closing->client, 1000, "leaves of itself", false);
    swap_all(&world, generation_with(2, "market", NULL));
    settle(&world);
    assert_int_equal(a->close_code, 4404);
    assert_int_equal(b->close_code, 4404);
    assert_int_equal(closing->close_code, 1000);
    assert_int_equal(stays->close_code, 0);
    assert_null(channel_of(&world, "room:1"));
    assert_int_equal(subscribe(&world, stays, "room:1"), TW_ENOCHANNEL);
    script.gone = 1;
    world_end(&world);
}
WITH_1_AND_4(a_channel_without_a_definition_goes)

/* Two reloads in a row: the channel is gone and back before the old subscribers' farewells arrive.
 * They must not be taken off the new channel's count. */
static void a_channel_that_comes_back_counts_anew(unsigned workers) {
    struct world world;
    char name[32];
    world_begin(&world, workers, generation_with(1, "market", "room:{id}"), 1000);
    name_at(&world, workers - 1, "room:", name);
    struct fake *leaves = fake_join(&world, 0, 0), *thrown = fake_join(&world, 0, 0);
    struct fake *pending = fake_join(&world, 0, 0), *comes = fake_join(&world, 0, 0);
    subscribe(&world, leaves, name);
    subscribe(&world, thrown, name);
    fake_leave(leaves); /* the farewell is under way */
    if (workers > 1) {  /* asked, answered by the old channel; not heard yet */
        tw_hub_subscribe(pending->client.hub, &pending->client, tw_str_of(name));
        turn(&world, workers - 1);
        assert_int_equal(channel_of(&world, name)->subscribers, 2);
    }
    swap_all(&world, generation_with(2, "market", NULL));
    swap_all(&world, generation_with(3, "market", "room:{id}"));
    tw_hub_subscribe(comes->client.hub, &comes->client, tw_str_of(name));
    settle(&world);
    assert_int_equal(thrown->close_code, 4404);
    assert_int_equal(pending->close_code, workers > 1 ? 4404 : 0);
    assert_int_equal(comes->status, 0);
    assert_int_equal(channel_of(&world, name)->subscribers, 1);
    publish(comes, name, "1");
    settle(&world);
    assert_string_equal(comes->got, "|1");
    script.gone = 1;
    world_end(&world);
}
WITH_1_AND_4(a_channel_that_comes_back_counts_anew)

static int refuse_odd(struct tw_channel *channel, struct tw_identity *client, enum tw_action action,
                      struct tw_failure *failure) {
    (void)channel, (void)action, (void)failure;
    return client->id % 2 ? TW_EREFUSED : 0;
}

static void a_changed_authorize_is_asked_again(unsigned workers) {
    struct world world;
    struct fake *fakes[12];
    world_begin(&world, workers, generation_with(1, "market", "open"), 1000);
    for (unsigned i = 0; i < COUNT_OF(fakes); i++) {
        fakes[i] = fake_join(&world, i, 0);
        subscribe(&world, fakes[i], "market");
        subscribe(&world, fakes[i], "open");
    }
    unsigned asked = script.authorizes, odd = 0;
    struct tw_generation *next = generation_with(2, "market", "open");
    next->definitions[0].has_authorize = next->definitions[1].has_authorize = true;
    next->definitions[0].policy_print = 7;
    script.authorize = refuse_odd;
    swap_all(&world, next);
    settle(&world);
    assert_int_equal(script.authorizes, asked + COUNT_OF(fakes)); /* of `open`, nothing changed */
    for (unsigned i = 0; i < COUNT_OF(fakes); i++) {
        bool is_odd = fakes[i]->client.identity->id % 2;
        assert_int_equal(fakes[i]->close_code, is_odd ? 4403 : 0);
        assert_int_equal(fakes[i]->subscribed, 2); /* not answered once more */
        odd += is_odd;
    }
    assert_int_equal(channel_of(&world, "market")->subscribers, COUNT_OF(fakes) - odd);
    assert_int_equal(channel_of(&world, "open")->subscribers, COUNT_OF(fakes) - odd);
    world_end(&world);
}
WITH_1_AND_4(a_changed_authorize_is_asked_again)

static void queue_settings_apply_to_those_who_wait(unsigned workers) {
    struct world world;
    world_begin(&world, workers, generation_with(1, "market", NULL), 1000);
    struct fake *slow = fake_join(&world, 0, 0), *fast = fake_join(&world, 1, 0);
    subscribe(&world, slow, "market");
    slow->is_stuck = true;
    for (int i = 0; i < 6; i++)
        publish(fast, "market", (char[]){(char)('1' + i), 0});
    settle(&world);
    struct tw_generation *next = generation_with(2, "market", NULL);
    next->definitions[0].queue = (struct tw_queue_settings){2, TW_DROP_OLDEST};
    swap_all(&world, next);
    publish(fast, "market", "7");
    settle(&world);
    next = generation_with(3, "market", NULL);
    next->definitions[0].queue = (struct tw_queue_settings){2, TW_DROP_NEWEST};
    swap_all(&world, next);
    publish(fast, "market", "8");
    settle(&world);
    fake_unstick(slow);
    assert_string_equal(slow->got, "|6|7");
    world_end(&world);
}
WITH_1_AND_4(queue_settings_apply_to_those_who_wait)

static void ticks_are_armed_again(unsigned workers) {
    struct world world;
    struct tw_generation *generation = generation_with(1, "market", NULL);
    generation->definitions[0].tick_ms = 1000;
    world_begin(&world, workers, generation, 1000);
    pass(&world, 1500);
    assert_int_equal(script.ticks, 1);
    generation = generation_with(2, "market", NULL);
    generation->definitions[0].tick_ms = 1000; /* as before: keeps its beat */
    swap_all(&world, generation);
    pass(&world, 500);
    assert_int_equal(script.ticks, 2);
    generation = generation_with(3, "market", NULL);
    generation->definitions[0].tick_ms = 100;
    swap_all(&world, generation);
    pass(&world, 1000);
    assert_int_equal(script.ticks, 12);
    swap_all(&world, generation_with(4, "market", NULL));
    pass(&world, 5000);
    assert_int_equal(script.ticks, 12);
    world_end(&world);
}
WITH_1_AND_4(ticks_are_armed_again)

static void limits_and_heartbeat_apply_to_live_clients(unsigned workers) {
    struct world world;
    world_begin(&world, workers, generation_with(1, "market", NULL), 1000);
    struct fake *fake = fake_join(&world, 0, 0);
    tw_wait_start(&fake->client.hub->waits, &fake->client.wait, TW_WAIT_IDLE, world.now_ms);
    for (int i = 0; i < 50; i++)
        assert_int_equal(publish(fake, "market", "1"), 0);
    struct tw_generation *next = generation_with(2, "market", NULL);
    next->settings.limits.messages = (struct tw_rate){1, 2};
    next->settings.heartbeat_interval_ms = 500;
    swap_all(&world, next);
    assert_int_equal(publish(fake, "market", "1"), 0);
    assert_int_equal(publish(fake, "market", "1"), 0);
    assert_int_equal(publish(fake, "market", "1"), TW_ERATE);
    pass(&world, 500);
    assert_int_equal(fake->deadlines, 1u << TW_WAIT_IDLE);
    world_end(&world);
}
WITH_1_AND_4(limits_and_heartbeat_apply_to_live_clients)

static void a_pattern_channel_can_become_literal_and_back(unsigned workers) {
    struct world world;
    world_begin(&world, workers, generation_with(1, "room:{id}", NULL), 1000);
    struct fake *fake = fake_join(&world, 0, 0);
    publish(fake, "room:1", "1");
    settle(&world);
    swap_all(&world, generation_with(2, "room:1", NULL));
    pass(&world, 2 * TW_CHANNEL_IDLE_MS);
    assert_int_equal(channel_of(&world, "room:1")->offset, 1); /* literal: stays */
    assert_string_equal(channel_of(&world, "room:1")->definition->name, "room:1");
    swap_all(&world, generation_with(3, "{kind}:{id}", NULL));
    settle(&world);
    assert_string_equal(channel_of(&world, "room:1")->definition->name, "{kind}:{id}");
    pass(&world, TW_CHANNEL_IDLE_MS);
    assert_null(channel_of(&world, "room:1"));
    world_end(&world);
}
WITH_1_AND_4(a_pattern_channel_can_become_literal_and_back)

/* --- anything, at random ---------------------------------------------------------------------- */

enum { CLIENTS = 24, ROOMS = 6 };

/* Offsets as payloads: what a transform could do. */
static int number_it(struct tw_channel *channel, struct tw_identity *client,
                     struct tw_message **message, struct tw_effects *effects) {
    (void)client, (void)effects;
    char text[16];
    int length = snprintf(text, sizeof text, "%u", 1000 + (unsigned)channel->offset);
    tw_message_unref(message);
    *message = tw_message_try_new(text, (size_t)length, false);
    return 0;
}

/* Numbers rise by one, from right behind the answer's offset. */
static void check_stream(const struct fake *fake) {
    unsigned next = 1000 + (unsigned)fake->offset;
    for (const char *at = fake->got; *at; at += 5) {
        unsigned number = 0;
        assert_int_equal(sscanf(at, "|%4u", &number), 1);
        assert_int_equal(number, next++);
    }
}

static void random_step(struct world *world, struct tw_rand *rand, struct fake **fakes) {
    char name[16];
    size_t i = tw_rand_below(rand, CLIENTS);
    snprintf(name, sizeof name, "room:%u", (unsigned)tw_rand_below(rand, ROOMS));
    switch (tw_rand_below(rand, 8)) {
    case 0:
        if (!fakes[i]) {
            fakes[i] = fake_join(world, (unsigned)i, 0);
            tw_hub_subscribe(fakes[i]->client.hub, &fakes[i]->client, tw_str_of(name));
        } else if (tw_rand_below(rand, 4) == 0) {
            check_stream(fakes[i]);
            fake_leave(fakes[i]);
            fakes[i] = NULL;
        }
        break;
    case 1:
        world->now_ms += tw_rand_below(rand, 3) * TW_CHANNEL_IDLE_MS / 2;
        break;
    case 2:
        if (tw_rand_below(rand, 10) == 0)
            swap_all(world, generation_with(world->generation->number + 1, "room:{id}", NULL));
        world->generation->definitions[0].has_transform = true;
        break;
    case 3:
    case 4:
        turn(world, (unsigned)tw_rand_below(rand, world->hubs.workers + 1));
        break;
    default:
        if (fakes[i] && !fakes[i]->client.is_closing) publish(fakes[i], name, "1");
    }
}

static void nothing_is_lost_whatever_the_order(unsigned workers) {
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct world world;
        struct tw_rand rand;
        struct fake *fakes[CLIENTS] = {0};
        struct tw_generation *generation = generation_with(1, "room:{id}", NULL);
        generation->definitions[0].has_transform = true;
        script.transform = number_it;
        tw_rand_seed(&rand, seed);
        world_begin(&world, workers, generation, 1 + tw_rand_below(&rand, 20));
        world.hubs.slice = (unsigned)(seed % 3); /* 0: as a rule */
        for (int step = 0; step < 1500; step++)
            random_step(&world, &rand, fakes);
        settle(&world);
        for (size_t i = 0; i < CLIENTS; i++) {
            if (!fakes[i]) continue;
            check_stream(fakes[i]);
            const struct tw_sub *sub = fakes[i]->client.subs;
            struct tw_channel *channel = channel_of(&world, sub->name->text.data);
            assert_int_equal(fakes[i]->total, 5 * (channel->offset - fakes[i]->offset));
        }
        world_end(&world);
    }
}
WITH_1_AND_4(nothing_is_lost_whatever_the_order)

int main(void) {
    const struct CMUnitTest tests[] = {
        TESTS_1_AND_4(channels_are_carried),
        TESTS_1_AND_4(a_channel_without_a_definition_goes),
        TESTS_1_AND_4(a_channel_that_comes_back_counts_anew),
        TESTS_1_AND_4(a_changed_authorize_is_asked_again),
        TESTS_1_AND_4(queue_settings_apply_to_those_who_wait),
        TESTS_1_AND_4(ticks_are_armed_again),
        TESTS_1_AND_4(limits_and_heartbeat_apply_to_live_clients),
        TESTS_1_AND_4(a_pattern_channel_can_become_literal_and_back),
        TESTS_1_AND_4(nothing_is_lost_whatever_the_order),
    };
    return cmocka_run_group_tests(tests, NULL, no_failed_checks);
}
