/* broker_hub_late_test.c: handlers that take long: a turn ends early, and what it leaves is done
 * by the next ones, in order and by turns. */
#include "broker_hub_support.h"

enum { LONG_MS = 120 };

static uint64_t clock_now_ms;
static unsigned handled;

static uint64_t read_clock(void *driver) {
    (void)driver;
    return clock_now_ms;
}

static int take_long(struct tw_channel *channel, struct tw_identity *client,
                     struct tw_message **message, struct tw_effects *effects) {
    (void)channel, (void)client, (void)message, (void)effects;
    handled++;
    clock_now_ms += LONG_MS;
    return 0;
}

static int take_long_if_slow(struct tw_channel *channel, struct tw_identity *client,
                             struct tw_message **message, struct tw_effects *effects) {
    if (!tw_str_eq(channel->name->text, TW_STR("slow:slow"))) return 0;
    return take_long(channel, client, message, effects);
}

static int tick_long(struct tw_channel *channel, const char *event, struct tw_identity *client,
                     struct tw_effects *effects) {
    (void)channel, (void)event, (void)client, (void)effects;
    clock_now_ms += LONG_MS;
    return 0;
}

static void late_world(struct world *world, unsigned workers, uint64_t tick_ms) {
    struct tw_generation *generation = generation_new(1);
    struct tw_definition *definition = define(generation, "slow:{id}");
    definition->has_transform = true;
    definition->tick_ms = tick_ms;
    world_begin(world, workers, generation, 1000);
    clock_now_ms = world->now_ms;
    world->hubs.clock_ms = world->hubs.cpu_ms = read_clock;
    script.transform = take_long;
    handled = 0;
}

static void turn_now(struct world *world, unsigned index) {
    world->now_ms = clock_now_ms;
    turn(world, index);
}

static void a_turn_ends_after_a_long_handler(void **state) {
    (void)state;
    struct world world;
    char home[32];
    late_world(&world, 2, 0);
    name_at(&world, 0, "slow:", home);
    struct fake *own = fake_join(&world, 0, 0), *other = fake_join(&world, 1, 0);
    script.transform = NULL;
    subscribe(&world, own, home);
    script.transform = take_long;
    for (int i = 0; i < 3; i++) {
        static const char *const numbers[] = {"1", "2", "3"}, *const words[] = {"4", "5", "6"};
        publish(own, home, numbers[i]);
        publish(other, home, words[i]);
    }
    for (unsigned i = 1; i <= 6; i++) {
        unsigned before = handled;
        turn_now(&world, 0);
        assert_in_range(handled, before + 1, before + 2); /* a new one, and one of the slow lane */
        if (handled == 6) break;
        assert_true(tw_hub_is_busy(&world.hub[0]));
    }
    assert_int_equal(handled, 6);
    /* In the order of each publisher. */
    const char *got = own->got;
    assert_true(strstr(got, "1") < strstr(got, "2") && strstr(got, "2") < strstr(got, "3"));
    assert_true(strstr(got, "4") < strstr(got, "5") && strstr(got, "5") < strstr(got, "6"));
    assert_false(tw_hub_is_busy(&world.hub[0]));
    world_end(&world);
}

/* A row of long ones for one channel lets the mail for another overtake them. */
static void other_channels_overtake_a_slow_one(void **state) {
    (void)state;
    struct world world;
    late_world(&world, 1, 0);
    struct fake *own = fake_join(&world, 0, 0);
    script.transform = NULL;
    subscribe(&world, own, "slow:quick");
    script.transform = take_long_if_slow;
    for (int i = 0; i < 100; i++)
        publish(own, "slow:slow", "1");
    publish(own, "slow:quick", "1");
    turn_now(&world, 0); /* one that is long; whereupon the channel is slow */
    turn_now(&world, 0);
    assert_string_equal(own->got, "|1");
    assert_in_range(handled, 1, 3);
    for (int i = 0; i < 100; i++)
        turn_now(&world, 0);
    assert_int_equal(handled, 100);
    clock_now_ms += TW_HUB_SLOW_FOR_MS; /* and is forgotten: it is its turn at once */
    publish(own, "slow:slow", "1");
    publish(own, "slow:quick", "2");
    turn_now(&world, 0);
    assert_int_equal(handled, 101);
    assert_string_equal(own->got, "|1");
    world_end(&world);
}

/* Also one that comes when the lane is empty: what ticks publish stands between two long ones. */
static void a_slow_one_is_remembered(void **state) {
    (void)state;
    struct world world;
    late_world(&world, 1, 0);
    struct fake *own = fake_join(&world, 0, 0);
    script.transform = NULL;
    subscribe(&world, own, "slow:quick");
    script.transform = take_long_if_slow;
    publish(own, "slow:slow", "1");
    turn_now(&world, 0);
    assert_int_equal(handled, 1);
    publish(own, "slow:slow", "1");
    publish(own, "slow:quick", "1");
    turn_now(&world, 0);
    assert_int_equal(handled, 1);
    assert_string_equal(own->got, "|1");
    publish(own, "slow:quick", "2");
    turn_now(&world, 0); /* one turn it has waited */
    assert_int_equal(handled, 2);
    assert_string_equal(own->got, "|1");
    turn_now(&world, 0);
    assert_string_equal(own->got, "|1|2");
    world_end(&world);
}

/* ... and the others have as much time as it had. */
static void the_slow_lane_has_half_of_the_time(void **state) {
    (void)state;
    struct world world;
    late_world(&world, 1, 0);
    struct fake *own = fake_join(&world, 0, 0);
    script.transform = take_long_if_slow;
    for (int i = 0; i < 10; i++)
        publish(own, "slow:slow", "1");
    uint64_t since_ms = clock_now_ms;
    while (handled < 9) {
        publish(own, "slow:quick", "1");
        clock_now_ms++;
        turn_now(&world, 0);
    }
    assert_in_range(clock_now_ms - since_ms, (9 + 7) * LONG_MS, (9 + 8) * LONG_MS);
    world_end(&world);
}

static uint64_t no_cpu(void *driver) {
    (void)driver;
    return 0;
}

/* A handler whose thread did not run is not slow. */
static void another_process_makes_nobody_slow(void **state) {
    (void)state;
    struct world world;
    late_world(&world, 1, 0);
    world.hubs.cpu_ms = no_cpu;
    struct fake *own = fake_join(&world, 0, 0);
    publish(own, "slow:slow", "1");
    turn_now(&world, 0);
    publish(own, "slow:slow", "1");
    turn_now(&world, 0);
    assert_int_equal(handled, 2);
    assert_int_equal(world.hub[0].slow_until_ms, 0);
    world_end(&world);
}

/* One that was slow once is none of those that are. */
static void only_the_slow_wait(void **state) {
    (void)state;
    struct world world;
    late_world(&world, 1, 0);
    struct fake *own = fake_join(&world, 0, 0);
    script.transform = NULL;
    subscribe(&world, own, "slow:quick");
    script.transform = take_long;
    publish(own, "slow:quick", "0");
    turn_now(&world, 0);
    script.transform = take_long_if_slow;
    clock_now_ms += TW_HUB_SLOW_FOR_MS / 2;
    publish(own, "slow:slow", "1");
    turn_now(&world, 0);
    clock_now_ms += TW_HUB_SLOW_FOR_MS / 2;
    publish(own, "slow:slow", "1");
    publish(own, "slow:slow", "1");
    publish(own, "slow:quick", "1");
    turn_now(&world, 0);
    assert_string_equal(own->got, "|0|1");
    assert_int_equal(handled, 2);
    for (int i = 0; i < 4; i++)
        turn_now(&world, 0);
    assert_int_equal(handled, 4);
    world_end(&world);
}

static int take_long_twice(struct tw_channel *channel, struct tw_identity *client,
                           struct tw_message **message, struct tw_effects *effects) {
    return handled < 2 ? take_long_if_slow(channel, client, message, effects) : 0;
}

/* More than one turn's worth of short ones in the slow lane, when the long ones are over. */
static void a_slow_lane_of_many_is_emptied(void **state) {
    (void)state;
    struct world world;
    late_world(&world, 1, 0);
    script.transform = take_long_twice;
    struct fake *own = fake_join(&world, 0, 0);
    publish(own, "slow:slow", "1");
    turn_now(&world, 0);
    for (int i = 0; i < 2 * TW_HUB_BATCH; i++)
        publish(own, i % TW_HUB_BATCH == 0 ? "slow:quick" : "slow:slow", "1");
    do {
        turn_now(&world, 0);
    } while (tw_hub_is_busy(&world.hub[0]) && world.turns < 100);
    assert_int_equal(handled, 2);
    assert_int_equal(world.hub[0].stats.published, 1 + 2 * TW_HUB_BATCH);
    world_end(&world);
}

/* The wake of what came while there was a rest of the box must not be lost. */
static void what_comes_meanwhile_is_not_forgotten(void **state) {
    (void)state;
    struct world world;
    char home[32];
    late_world(&world, 2, 0);
    name_at(&world, 0, "slow:", home);
    struct fake *other = fake_join(&world, 1, 0);
    for (int i = 0; i < 3; i++)
        publish(other, home, "1");
    turn_now(&world, 0);
    script.transform = NULL;
    publish(other, home, "1");
    do {
        turn_now(&world, 0);
    } while (tw_hub_is_busy(&world.hub[0]));
    assert_int_equal(world.hub[0].stats.published, 4);
    world_end(&world);
}

/* What is for no channel comes behind what was there before it. */
static void seen(struct tw_hub *hub, struct tw_mail *mail) {
    (void)hub, (void)mail;
    assert_int_equal(handled, 3);
    handled = 1000;
}

static void a_call_waits_for_the_slow_lane(void **state) {
    (void)state;
    struct world world;
    late_world(&world, 1, 0);
    struct fake *own = fake_join(&world, 0, 0);
    for (int i = 0; i < 3; i++)
        publish(own, "slow:slow", "1");
    struct tw_mail *call = tw_mail_new(TW_MAIL_CALL);
    call->is_up = true;
    call->call = seen;
    tw_hub_post(&world.hub[0], 0, call);
    for (int i = 0; i < 5; i++)
        turn_now(&world, 0);
    assert_int_equal(handled, 1000);
    world_end(&world);
}

static void a_turn_of_short_handlers_does_not(void **state) {
    (void)state;
    struct world world;
    char home[32];
    late_world(&world, 1, 0);
    name_at(&world, 0, "slow:", home);
    script.transform = NULL;
    struct fake *own = fake_join(&world, 0, 0);
    subscribe(&world, own, home);
    for (int i = 0; i < 1000; i++)
        publish(own, home, "1");
    turn_now(&world, 0);
    assert_int_equal(own->total, 2000);
    world_end(&world);
}

static void long_ticks_wait_for_the_next_turn(void **state) {
    (void)state;
    struct world world;
    late_world(&world, 1, 1000);
    struct fake *own = fake_join(&world, 0, 0);
    subscribe(&world, own, "slow:1");
    subscribe(&world, own, "slow:2");
    subscribe(&world, own, "slow:3");
    script.on_event = tick_long;
    clock_now_ms += 1000;
    for (unsigned i = 1; i <= 3; i++) {
        turn_now(&world, 0);
        assert_int_equal(script.ticks, i);
        assert_true((world.next_ms[0] <= clock_now_ms) == (i < 3)); /* at once */
    }
    world_end(&world);
}

/* What waits in a hub when everything ends. */
static void mail_that_was_taken_is_freed(void **state) {
    (void)state;
    struct world world;
    char home[32];
    late_world(&world, 2, 0);
    name_at(&world, 0, "slow:", home);
    struct fake *other = fake_join(&world, 1, 0);
    for (int i = 0; i < 3; i++)
        publish(other, home, "1");
    turn_now(&world, 0);
    assert_int_equal(world.hub[0].taken.count + world.hub[0].slow.count, 2);
    fake_leave(other);
    for (unsigned i = 0; i <= 2; i++)
        tw_hub_deinit(&world.hub[i]);
    for (unsigned i = 0; i <= 2; i++)
        tw_mailbox_deinit(&world.boxes[i]);
    tw_generation_unref(&world.generation);
    memset(&script, 0, sizeof script);
    tw_log_set_sink(NULL, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_turn_ends_after_a_long_handler),
        cmocka_unit_test(other_channels_overtake_a_slow_one),
        cmocka_unit_test(a_slow_one_is_remembered),
        cmocka_unit_test(the_slow_lane_has_half_of_the_time),
        cmocka_unit_test(another_process_makes_nobody_slow),
        cmocka_unit_test(only_the_slow_wait),
        cmocka_unit_test(a_slow_lane_of_many_is_emptied),
        cmocka_unit_test(what_comes_meanwhile_is_not_forgotten),
        cmocka_unit_test(a_call_waits_for_the_slow_lane),
        cmocka_unit_test(a_turn_of_short_handlers_does_not),
        cmocka_unit_test(long_ticks_wait_for_the_next_turn),
        cmocka_unit_test(mail_that_was_taken_is_freed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
