/* broker_hub_slices_test.c: a turn writes for some milliseconds and leaves the rest to the next
 * one; what comes, and who comes and goes meanwhile, changes nothing of what each hears. */
#include "broker_hub_support.h"

enum { SUBSCRIBERS = 100 };

static uint64_t clock_now_ms;

/* Time passes whenever somebody looks. */
static uint64_t read_clock(void *driver) {
    (void)driver;
    return clock_now_ms++;
}

static struct fake *fakes[SUBSCRIBERS];

static struct fake *join(struct world *world) {
    struct fake *fake = fake_join(world, home_of(world, "a"), 0);
    assert_int_equal(tw_hub_subscribe(fake->client.hub, &fake->client, TW_STR("a")), 0);
    return fake;
}

static void begin(struct world *world, unsigned workers, unsigned subscribers) {
    struct tw_generation *generation = generation_new(1);
    define(generation, "a");
    define(generation, "b");
    world_begin(world, workers, generation, 1000);
    clock_now_ms = world->now_ms;
    for (unsigned i = 0; i < subscribers; i++)
        fakes[i] = join(world);
    settle(world);
    world->hubs.clock_ms = world->hubs.cpu_ms = read_clock;
}

static void one_turn(struct world *world) {
    world->now_ms = clock_now_ms;
    turn(world, home_of(world, "a"));
}

static unsigned count_of(const char *got) {
    unsigned count = 0;
    for (unsigned i = 0; i < SUBSCRIBERS; i++)
        count += strcmp(fakes[i]->got, got) == 0;
    return count;
}

static void many_subscribers_take_several_turns(unsigned workers) {
    struct world world;
    begin(&world, workers, SUBSCRIBERS);
    publish(fakes[0], "a", "1");
    one_turn(&world);
    assert_in_range(count_of("|1"), 1, SUBSCRIBERS - 1);
    assert_int_equal(count_of("|1") + count_of(""), SUBSCRIBERS);
    assert_true(tw_hub_is_busy(fakes[0]->client.hub));
    publish(fakes[0], "a", "2"); /* behind the first, for everybody */
    unsigned turns = 1;
    for (; tw_hub_is_busy(fakes[0]->client.hub); turns++)
        one_turn(&world);
    assert_int_equal(count_of("|1|2"), SUBSCRIBERS);
    assert_true(turns > 4);
    assert_int_equal(STAT(&world, messages_out), 2 * SUBSCRIBERS);
    world_end(&world);
}
WITH_1_AND_4(many_subscribers_take_several_turns)

static void a_small_channel_does_not_wait_for_a_large_one(void **state) {
    (void)state;
    struct world world;
    begin(&world, 1, SUBSCRIBERS);
    struct fake *other = fake_join(&world, 0, 0);
    subscribe(&world, other, "b");
    publish(fakes[0], "a", "1");
    publish(other, "b", "2");
    one_turn(&world);
    one_turn(&world);
    one_turn(&world);
    assert_string_equal(other->got, "|2");
    assert_in_range(count_of("|1"), 1, SUBSCRIBERS - 1);
    world_end(&world);
}

static void who_is_sent_something_alone_gets_it_behind(unsigned workers) {
    struct world world;
    begin(&world, workers, SUBSCRIBERS);
    publish(fakes[0], "a", "1");
    one_turn(&world);
    publish(fakes[0], "a", "2");
    one_turn(&world);
    for (unsigned i = 0; i < SUBSCRIBERS; i += 7)
        tw_client_close(&fakes[i]->client, 1001, "bye", false);
    settle(&world);
    assert_int_equal(count_of("|1|2<bye>"), (SUBSCRIBERS + 6) / 7);
    assert_int_equal(count_of("|1|2"), SUBSCRIBERS - (SUBSCRIBERS + 6) / 7);
    world_end(&world);
}
WITH_1_AND_4(who_is_sent_something_alone_gets_it_behind)

/* Who came when message number `from` was the next one hears that and all that follow. */
static void assert_hears_from(const struct fake *fake, unsigned from, unsigned next) {
    char wanted[sizeof fake->got] = "";
    for (size_t at = 0; from < next; from++)
        at += (size_t)snprintf(wanted + at, sizeof wanted - at, "|%u", from);
    assert_string_equal(fake->got, wanted);
}

static void who_comes_and_goes_changes_nothing_for_others(unsigned workers) {
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct world world;
        struct tw_rand rand;
        unsigned count = SUBSCRIBERS / 2, next = 1, since[SUBSCRIBERS] = {0};
        tw_rand_seed(&rand, seed);
        begin(&world, workers, count);
        for (unsigned i = 0; i < count; i++)
            since[i] = 1;
        for (unsigned step = 0; step < 150; step++) {
            uint64_t dice = tw_rand_next(&rand) % 10, which = tw_rand_next(&rand) % count;
            char text[12];
            if (dice < 2 && next < 40) {
                snprintf(text, sizeof text, "%u", next++);
                assert_int_equal(publish(fakes[which], "a", text), 0);
            } else if (dice < 4 && count < SUBSCRIBERS) {
                since[count] = next;
                fakes[count++] = join(&world);
            } else if (dice < 6 && count > 2) {
                fake_leave(fakes[which]);
                fakes[which] = fakes[--count];
                since[which] = since[count];
            } else {
                one_turn(&world);
            }
        }
        settle(&world);
        for (unsigned i = 0; i < count; i++)
            assert_hears_from(fakes[i], since[i], next);
        world_end(&world);
    }
}
WITH_1_AND_4(who_comes_and_goes_changes_nothing_for_others)

static void who_publishes_more_than_is_written_is_held_back(unsigned workers) {
    static char text[30000];
    struct world world;
    begin(&world, workers, SUBSCRIBERS);
    struct tw_hub *hub = fakes[0]->client.hub;
    memset(text, '1', sizeof text - 1);
    publish(fakes[0], "a", text);
    one_turn(&world);
    for (unsigned i = 0; i < 200; i++)
        publish(fakes[0], "a", text);
    bool was_clogged = false;
    for (unsigned turns = 0; tw_hub_is_busy(hub); turns++) {
        one_turn(&world);
        struct tw_topic *topic = fakes[0]->client.subs->topic;
        assert_true(topic->batch.bytes < TW_BATCH_WAITING);
        was_clogged = was_clogged || !tw_list_is_empty(&hub->clogged);
    }
    assert_true(was_clogged);
    assert_true(tw_list_is_empty(&hub->clogged));
    for (unsigned i = 0; i < SUBSCRIBERS; i++)
        assert_int_equal(fakes[i]->total, 201 * sizeof text);
    world_end(&world);
}
WITH_1_AND_4(who_publishes_more_than_is_written_is_held_back)

int main(void) {
    const struct CMUnitTest tests[] = {
        TESTS_1_AND_4(many_subscribers_take_several_turns),
        cmocka_unit_test(a_small_channel_does_not_wait_for_a_large_one),
        TESTS_1_AND_4(who_is_sent_something_alone_gets_it_behind),
        TESTS_1_AND_4(who_comes_and_goes_changes_nothing_for_others),
        TESTS_1_AND_4(who_publishes_more_than_is_written_is_held_back),
    };
    return cmocka_run_group_tests(tests, NULL, no_failed_checks);
}
