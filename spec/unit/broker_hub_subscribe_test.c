/* broker_hub_subscribe_test.c: clients come and go, subscriptions begin and end, and every count is
 * back at 0 (world_end looks). */
#include "broker_hub_support.h"

#include <math.h>

static struct tw_generation *rooms(void) {
    struct tw_generation *generation = generation_new(1);
    struct tw_definition *market = define(generation, "market");
    market->has_on_subscribe = market->has_on_unsubscribe = market->has_authorize = true;
    define(generation, "room:{id}");
    return generation;
}

static int let_even_ids_in(struct tw_channel *channel, struct tw_identity *client,
                           enum tw_action action, struct tw_failure *failure) {
    (void)channel;
    assert_int_equal(action, TW_ACTION_SUBSCRIBE);
    snprintf(failure->message, sizeof failure->message, "odd");
    return client->id % 2 ? TW_EREFUSED : 0;
}

static int always_fail(struct tw_channel *channel, struct tw_identity *client,
                       enum tw_action action, struct tw_failure *failure) {
    (void)channel, (void)client, (void)action, (void)failure;
    return TW_ESCRIPT;
}

static void comes_and_goes(unsigned workers) {
    struct world world;
    world_begin(&world, workers, rooms(), 1000);
    struct fake *a = fake_join(&world, 0, 0), *b = fake_join(&world, 1, 0);
    struct tw_channel *market = channel_of(&world, "market"); /* literal: there from the start */
    settle(&world);
    assert_int_equal(script.opens, 1);
    assert_int_equal(subscribe(&world, a, "market"), 0);
    assert_int_equal(subscribe(&world, b, "market"), 0);
    assert_int_equal(market->subscribers, 2);
    assert_int_equal(script.subscribes, 2);
    fake_leave(a);
    settle(&world);
    assert_int_equal(market->subscribers, 1);
    assert_int_equal(script.unsubscribes, 1);
    tw_client_retire(&b->client); /* closing: it hears no more, though it is still here */
    publish(b, "market", "1");
    settle(&world);
    assert_int_equal(market->subscribers, 0);
    assert_int_equal(b->total, 0);
    assert_null(b->client.subs);
    world_end(&world);
}
WITH_1_AND_4(comes_and_goes)

static void is_refused(unsigned workers) {
    struct world world;
    script.authorize = let_even_ids_in;
    world_begin(&world, workers, rooms(), 1000);
    unsigned in = 0;
    for (unsigned i = 0; i < 20; i++) {
        struct fake *fake = fake_join(&world, i, 0);
        int status = subscribe(&world, fake, "market");
        assert_int_equal(status, fake->client.identity->id % 2 ? TW_EREFUSED : 0);
        assert_int_equal(fake->client.sub_count, status == 0);
        if (status == 0)
            in++;
        else
            assert_string_equal(fake->reason, "odd");
    }
    assert_int_equal(channel_of(&world, "market")->subscribers, in);
    assert_int_equal(script.subscribes, in);
    script.authorize = always_fail;
    struct fake *fake = fake_join(&world, 0, 0);
    assert_int_equal(subscribe(&world, fake, "market"), TW_ESCRIPT);
    assert_int_equal(STAT(&world, hook_failures), 1);
    script.authorize = NULL;
    assert_int_equal(subscribe(&world, fake, "nowhere"), TW_ENOCHANNEL);
    assert_int_equal(subscribe(&world, fake, ""), TW_ENOCHANNEL);
    assert_int_equal(subscribe(&world, fake, "room:a/b"), TW_ENOCHANNEL);
    assert_int_equal(subscribe(&world, fake, "room:1"), 0); /* may try again */
    assert_int_equal(fake->client.sub_count, 1);
    world_end(&world);
}
WITH_1_AND_4(is_refused)

static void has_a_bound_and_no_doubles(unsigned workers) {
    struct world world;
    struct tw_generation *generation = rooms();
    generation->settings.limits.channels_per_client = 2;
    world_begin(&world, workers, generation, 1000);
    struct fake *fake = fake_join(&world, 0, 0);
    struct tw_hub *hub = fake->client.hub;
    assert_int_equal(tw_hub_subscribe(hub, &fake->client, TW_STR("room:1")), 0);
    assert_int_equal(tw_hub_subscribe(hub, &fake->client, TW_STR("room:1")), -EALREADY);
    assert_int_equal(fake->subscribed, 0); /* the answer comes later */
    assert_int_equal(tw_hub_subscribe(hub, &fake->client, TW_STR("room:2")), 0);
    assert_int_equal(tw_hub_subscribe(hub, &fake->client, TW_STR("room:3")), TW_EFULL);
    settle(&world);
    assert_int_equal(fake->subscribed, 2);
    assert_int_equal(tw_hub_subscribe(hub, &fake->client, TW_STR("room:2")), -EALREADY);
    assert_int_equal(channel_of(&world, "room:1")->subscribers, 1);
    world_end(&world);
}
WITH_1_AND_4(has_a_bound_and_no_doubles)

static void leaves_while_the_home_is_asked(unsigned workers) {
    struct world world;
    world_begin(&world, workers, rooms(), 1000);
    for (unsigned i = 0; i < 4; i++) {
        struct fake *leaves = fake_join(&world, i, 0), *retires = fake_join(&world, i, 0);
        tw_hub_subscribe(leaves->client.hub, &leaves->client, TW_STR("market"));
        tw_hub_subscribe(retires->client.hub, &retires->client, TW_STR("market"));
        if (i % 2) turn(&world, home_of(&world, "market")); /* the answer is on its way already */
        fake_leave(leaves);
        tw_client_retire(&retires->client);
        settle(&world);
        assert_int_equal(retires->subscribed,
                         i % 2 && retires->client.hub->index == home_of(&world, "market"));
        assert_int_equal(channel_of(&world, "market")->subscribers, 0);
    }
    assert_int_equal(script.subscribes, 8);
    assert_int_equal(script.unsubscribes, 8);
    world_end(&world);
}
WITH_1_AND_4(leaves_while_the_home_is_asked)

static void a_channel_of_a_pattern_is_reaped_when_idle(unsigned workers) {
    struct world world;
    world_begin(&world, workers, rooms(), 1000);
    struct fake *fake = fake_join(&world, 0, 0), *other = fake_join(&world, 1, 0);
    subscribe(&world, fake, "room:1");
    publish(fake, "room:1", "1");
    publish(fake, "room:2", "1"); /* nobody listens */
    settle(&world);
    pass(&world, TW_CHANNEL_IDLE_MS - 1);
    assert_non_null(channel_of(&world, "room:2"));
    publish(other, "room:2", "1"); /* in use again */
    settle(&world);
    pass(&world, TW_CHANNEL_IDLE_MS - 1);
    assert_int_equal(channel_of(&world, "room:2")->offset, 2);
    pass(&world, 1);
    assert_null(channel_of(&world, "room:2"));
    assert_int_equal(script.closes, 1);
    assert_non_null(channel_of(&world, "room:1")); /* has a subscriber */
    assert_non_null(channel_of(&world, "market")); /* is literal */
    fake_leave(fake);
    pass(&world, TW_CHANNEL_IDLE_MS);
    assert_null(channel_of(&world, "room:1"));
    assert_int_equal(subscribe(&world, other, "room:1"), 0); /* made anew */
    assert_int_equal(other->offset, 0);
    world_end(&world);
}
WITH_1_AND_4(a_channel_of_a_pattern_is_reaped_when_idle)

static void captures_become_params(unsigned workers) {
    struct world world;
    world_begin(&world, workers, rooms(), 1000);
    struct fake *fake = fake_join(&world, 0, 0);
    subscribe(&world, fake, "room:blue");
    const struct tw_channel *channel = channel_of(&world, "room:blue");
    struct tw_param params[TW_MAX_PARAMS];
    assert_int_equal(tw_definition_params(channel->definition, channel->name->text, params), 1);
    assert_true(tw_str_eq(params[0].name, TW_STR("id")));
    assert_true(tw_str_eq(params[0].value, TW_STR("blue")));
    world_end(&world);
}
WITH_1_AND_4(captures_become_params)

static void a_token_expires(unsigned workers) {
    struct world world;
    world_begin(&world, workers, rooms(), 1000);
    double now = (FIRST_MS + 1000000) / 1000.0; /* wall_offset_ms */
    struct fake *soon = fake_join(&world, 0, now + 5), *never = fake_join(&world, 0, 0);
    struct fake *later = fake_join(&world, 1, now + 7), *past = fake_join(&world, 1, 1);
    struct fake *huge = fake_join(&world, 0, HUGE_VAL), *leaves = fake_join(&world, 0, now + 1);
    fake_leave(leaves);
    subscribe(&world, soon, "market");
    pass(&world, 0);
    assert_int_equal(past->close_code, 4401);
    pass(&world, 4999);
    assert_int_equal(soon->close_code, 0);
    pass(&world, 1);
    assert_int_equal(soon->close_code, 4401);
    assert_int_equal(later->close_code, 0);
    assert_int_equal(channel_of(&world, "market")->subscribers, 0);
    pass(&world, 100000000);
    assert_int_equal(later->close_code, 4401);
    assert_int_equal(never->close_code, 0);
    assert_int_equal(huge->close_code, 0);
    world_end(&world);
}
WITH_1_AND_4(a_token_expires)

static void violations_end_with_4429(unsigned workers) {
    struct world world;
    struct tw_generation *generation = rooms();
    generation->settings.limits.violations = 3;
    generation->settings.limits.messages = (struct tw_rate){10, 5};
    world_begin(&world, workers, generation, 1000);
    struct fake *fake = fake_join(&world, 0, 0), *fair = fake_join(&world, 0, 0);
    fake->client.hub->now_ms = world.now_ms;
    for (int i = 0; i < 4; i++)
        assert_int_equal(publish(fake, "market", "1"), 0);
    assert_int_equal(tw_hub_take_control(fake->client.hub, &fake->client), 0);
    assert_int_equal(publish(fake, "market", "1"), TW_ERATE);
    assert_int_equal(tw_hub_take_control(fake->client.hub, &fake->client), TW_ERATE);
    assert_int_equal(fake->close_code, 0);
    assert_int_equal(publish(fair, "market", "1"), 0); /* each has a bucket of its own */
    assert_int_equal(publish(fake, "market", "1"), TW_ERATE);
    assert_int_equal(fake->close_code, 4429);
    assert_string_equal(fake->reason, "too many messages");
    assert_int_equal(tw_hub_take_control(fake->client.hub, &fake->client), TW_ERATE);
    settle(&world);
    assert_int_equal(fake->closes, 1);
    assert_int_equal(STAT(&world, refused), 4);
    assert_int_equal(STAT(&world, messages_in), 7);
    assert_int_equal(channel_of(&world, "market")->offset, 5); /* what was accepted is ordered */
    world_end(&world);
}
WITH_1_AND_4(violations_end_with_4429)

static void bytes_have_a_rate_too(unsigned workers) {
    struct world world;
    struct tw_generation *generation = rooms();
    generation->settings.limits.bytes = (struct tw_rate){10, 8};
    world_begin(&world, workers, generation, 1000);
    struct fake *fake = fake_join(&world, 0, 0);
    assert_int_equal(publish(fake, "market", "1234567"), 0);
    assert_int_equal(publish(fake, "market", "12"), TW_ERATE);
    assert_int_equal(publish(fake, "market", "1"), 0);
    pass(&world, 1000);
    assert_int_equal(publish(fake, "market", "12345678901234567890"), 0); /* larger than a burst */
    pass(&world, 1000);
    assert_int_equal(publish(fake, "market", "1"), TW_ERATE); /* in debt */
    world_end(&world);
}
WITH_1_AND_4(bytes_have_a_rate_too)

static void deadlines_reach_the_client(unsigned workers) {
    struct world world;
    struct tw_generation *generation = rooms();
    generation->settings.heartbeat_interval_ms = 3000;
    world_begin(&world, workers, generation, 1000);
    struct fake *fake = fake_join(&world, 0, 0), *leaves = fake_join(&world, 0, 0);
    tw_wait_start(&fake->client.hub->waits, &fake->client.wait, TW_WAIT_IDLE, world.now_ms);
    tw_wait_start(&leaves->client.hub->waits, &leaves->client.wait, TW_WAIT_IDLE, world.now_ms);
    fake_leave(leaves);
    turn(&world, fake->client.hub->index);
    assert_int_equal(world.next_ms[fake->client.hub->index], FIRST_MS + 3000);
    pass(&world, 2999);
    assert_int_equal(fake->deadlines, 0);
    pass(&world, 1);
    assert_int_equal(fake->deadlines, 1u << TW_WAIT_IDLE);
    world_end(&world);
}
WITH_1_AND_4(deadlines_reach_the_client)

static void ids_are_unique(void **state) {
    (void)state;
    struct world world;
    world_begin(&world, 4, rooms(), 1000);
    for (unsigned i = 0; i < 200; i++) {
        uint64_t back = 0;
        char text[TW_CLIENT_ID_SIZE];
        struct fake *fake = fake_join(&world, i, 0);
        uint64_t id = fake->client.identity->id;
        assert_int_equal(id >> 52, i % 4);
        tw_client_id_format(id, text);
        assert_int_equal(tw_client_id_parse(tw_str_of(text), &back), 0);
        assert_int_equal(back, id);
    }
    uint64_t id;
    assert_int_equal(tw_client_id_parse(TW_STR("123"), &id), TW_EPARSE);
    assert_int_equal(tw_client_id_parse(TW_STR("000000000000000G"), &id), TW_EPARSE);
    assert_int_equal(world.hub[0].clients.count, 50);
    world_end(&world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TESTS_1_AND_4(comes_and_goes),
        TESTS_1_AND_4(is_refused),
        TESTS_1_AND_4(has_a_bound_and_no_doubles),
        TESTS_1_AND_4(leaves_while_the_home_is_asked),
        TESTS_1_AND_4(a_channel_of_a_pattern_is_reaped_when_idle),
        TESTS_1_AND_4(captures_become_params),
        TESTS_1_AND_4(a_token_expires),
        TESTS_1_AND_4(violations_end_with_4429),
        TESTS_1_AND_4(bytes_have_a_rate_too),
        TESTS_1_AND_4(deadlines_reach_the_client),
        cmocka_unit_test(ids_are_unique),
    };
    return cmocka_run_group_tests(tests, NULL, no_failed_checks);
}
