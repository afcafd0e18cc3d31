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
    world->hubs.clock_ms = read_clock;
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
    for (int i = 0; i < 3; i++) {
        publish(own, home, "\"own\"");
        publish(other, home, "\"other\"");
    }
    subscribe(&world, own, home); /* settles; turns of other hubs take no time */
    assert_int_equal(handled, 6);
    handled = 0;
    own->got[0] = 0;
    for (int i = 1; i <= 3; i++) {
        char text[2] = {(char)('0' + i), 0};
        publish(own, home, text);
        text[0] = (char)('a' + i - 1);
        char quoted[4] = {'"', text[0], '"', 0};
        publish(other, home, quoted);
    }
    for (unsigned i = 1; i <= 6; i++) {
        turn_now(&world, 0);
        assert_int_equal(handled, i); /* one a turn */
        assert_int_equal(tw_hub_is_busy(&world.hub[0]), i < 6);
    }
    /* In order of each publisher, by turns. */
    bool own_first = strcmp(own->got, "|1|\"a\"|2|\"b\"|3|\"c\"") == 0;
    bool other_first = strcmp(own->got, "|\"a\"|1|\"b\"|2|\"c\"|3") == 0;
    assert_true(own_first || other_first);
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
    assert_int_equal(world.hub[0].taken.count, 2);
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
        cmocka_unit_test(a_turn_of_short_handlers_does_not),
        cmocka_unit_test(long_ticks_wait_for_the_next_turn),
        cmocka_unit_test(mail_that_was_taken_is_freed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
