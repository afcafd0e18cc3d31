/* broker_hub_slow_lane_test.c: reloads that close a channel, or bring it back, while its mail waits
 * in the slow lane: each mail is handled or refused, and each publisher's in its order. */
#include "broker_hub_support.h"

#include <stdlib.h>

#include "base/status.h"

enum { LONG_MS = 120, PUBLISHERS = 4, CHANNELS = 3, MOST = 400 };

static uint64_t clock_now_ms;
static bool is_long;

/* What the transform has seen, in order: of whom, in which channel, the number. */
static struct seen {
    uint64_t client;
    char channel;
    long number;
} seen[MOST];
static unsigned seen_count;

static uint64_t read_clock(void *driver) {
    (void)driver;
    return clock_now_ms;
}

static int note(struct tw_channel *channel, struct tw_identity *client, struct tw_message **message,
                struct tw_effects *effects) {
    (void)effects;
    struct tw_str name = channel->name->text, text = tw_message_text(*message);
    char number[12];
    snprintf(number, sizeof number, "%.*s", TW_STR_ARG(text));
    assert_true(seen_count < MOST);
    seen[seen_count++] =
        (struct seen){client->id, name.data[name.length - 1], strtol(number, NULL, 10)};
    if (is_long) clock_now_ms += LONG_MS;
    return 0;
}

/* "slow:{id}" is there or not; what else there is, stays. */
static struct tw_generation *generation_of(unsigned number, bool has_slow) {
    struct tw_generation *generation = generation_new(number);
    generation->print = number;
    generation->settings.limits.violations = MOST;
    define(generation, "other")->has_transform = true;
    if (has_slow) define(generation, "slow:{id}")->has_transform = true;
    return generation;
}

static void begin(struct world *world, unsigned workers) {
    world_begin(world, workers, generation_of(1, true), 1000);
    clock_now_ms = world->now_ms;
    world->hubs.clock_ms = world->hubs.cpu_ms = read_clock;
    script.transform = note;
    seen_count = 0;
    is_long = true;
}

static void turn_now(struct world *world, unsigned index) {
    world->now_ms = clock_now_ms;
    turn(world, index);
}

/* Until nothing waits. */
static void turns(struct world *world) {
    for (unsigned quiet = 0; quiet <= world->hubs.workers;) {
        for (unsigned i = 0; i <= world->hubs.workers; i++) {
            bool has_work = world->is_woken[i] || tw_hub_is_busy(&world->hub[i]);
            if (has_work) turn_now(world, i);
            quiet = has_work ? 0 : quiet + 1;
        }
        assert_true(world->turns < 100000);
    }
}

/* Channels that go with a reload leave the states of their scripts behind. */
static void reload(struct world *world, unsigned number, bool has_slow) {
    for (unsigned i = 0; i < world->hubs.workers && !has_slow; i++) {
        size_t at = 0;
        struct tw_channel *channel;
        while ((channel = (struct tw_channel *)tw_map_next(&world->hub[i].channels, &at)))
            script.gone += channel->script && channel->definition->is_pattern;
    }
    world->now_ms = clock_now_ms;
    swap_all(world, generation_of(number, has_slow));
}

static void assert_seen(unsigned from, const long *numbers, unsigned count) {
    assert_int_equal(seen_count, from + count);
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(seen[from + i].number, numbers[i]);
}

static void what_waits_for_a_channel_that_goes_is_refused(void **state) {
    (void)state;
    struct world world;
    begin(&world, 1);
    struct fake *own = fake_join(&world, 0, 0);
    static const char *const numbers[] = {"1", "2", "3", "4", "5"};
    for (unsigned i = 0; i < 5; i++)
        publish(own, "slow:a", numbers[i]);
    turn_now(&world, 0);
    turn_now(&world, 0);
    assert_true(world.hub[0].slow.count > 0);
    unsigned handled = seen_count,
             waiting = (unsigned)(world.hub[0].slow.count + world.hub[0].self.count);
    reload(&world, 2, false);
    tw_hub_end_swap(&world.hub[0]);
    assert_true(world.hub[0].slow_orphans > 0);
    publish(own, "other", "6"); /* another channel's waits behind them, once */
    turns(&world);
    assert_int_equal(own->published, waiting);
    assert_int_equal(own->status, TW_ENOCHANNEL);
    assert_seen(handled, (const long[]){6}, 1);
    assert_int_equal(world.hub[0].slow_orphans, 0);
    world_end(&world);
}

static void a_channel_that_comes_back_gets_what_waited_before_what_came_since(void **state) {
    (void)state;
    struct world world;
    begin(&world, 1);
    struct fake *own = fake_join(&world, 0, 0);
    static const char *const numbers[] = {"1", "2", "3", "4", "5", "6", "7"};
    for (unsigned i = 0; i < 4; i++)
        publish(own, "slow:a", numbers[i]);
    turn_now(&world, 0);
    turn_now(&world, 0);
    assert_in_range(world.hub[0].slow.count, 1, 3);
    reload(&world, 2, false);
    reload(&world, 3, true);
    for (unsigned i = 4; i < 7; i++) {
        publish(own, "slow:a", numbers[i]);
        if (i == 5) is_long = false; /* the lane is left, now in one and now in several turns */
        turn_now(&world, 0);
    }
    turns(&world);
    assert_seen(0, (const long[]){1, 2, 3, 4, 5, 6, 7}, 7);
    assert_int_equal(own->published, 0);
    assert_int_equal(world.hub[0].slow_orphans, 0);
    assert_int_equal(channel_of(&world, "slow:a")->slow_mails, 0);
    world_end(&world);
}

static void at_random_none_is_lost_nor_overtaken(unsigned workers) {
    static const char *const names[CHANNELS] = {"slow:a", "slow:b", "other"};
    unsigned orphans = 0, refused = 0;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct world world;
        struct tw_rand rand;
        struct fake *fakes[PUBLISHERS];
        unsigned published = 0, number = 1, answered = 0;
        bool has_slow = true;
        tw_rand_seed(&rand, seed);
        begin(&world, workers);
        for (unsigned i = 0; i < PUBLISHERS; i++)
            fakes[i] = fake_join(&world, i % workers, 0);
        for (unsigned step = 0; step < 300; step++) {
            uint64_t dice = tw_rand_next(&rand) % 32;
            char text[12];
            is_long = tw_rand_next(&rand) % 3 == 0;
            if (dice == 0) {
                has_slow = !has_slow;
                reload(&world, ++number, has_slow);
            } else if (dice < 20) {
                snprintf(text, sizeof text, "%u", ++published);
                publish(fakes[tw_rand_next(&rand) % PUBLISHERS],
                        names[tw_rand_next(&rand) % CHANNELS], text);
            } else {
                turn_now(&world, (unsigned)(tw_rand_next(&rand) % workers));
            }
            for (unsigned i = 0; i < workers; i++)
                orphans += world.hub[i].slow_orphans > 0;
        }
        turns(&world);
        for (unsigned i = 0; i < PUBLISHERS; i++)
            answered += fakes[i]->published;
        assert_int_equal(seen_count + answered, published);
        for (unsigned i = 0; i < seen_count; i++)
            for (unsigned j = i + 1; j < seen_count; j++)
                if (seen[i].client == seen[j].client && seen[i].channel == seen[j].channel)
                    assert_true(seen[i].number < seen[j].number);
        refused += answered;
        world_end(&world);
    }
    assert_true(orphans > 0 && refused > 0); /* else this tries nothing */
}
WITH_1_AND_4(at_random_none_is_lost_nor_overtaken)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_waits_for_a_channel_that_goes_is_refused),
        cmocka_unit_test(a_channel_that_comes_back_gets_what_waited_before_what_came_since),
        TESTS_1_AND_4(at_random_none_is_lost_nor_overtaken),
    };
    return cmocka_run_group_tests(tests, NULL, no_failed_checks);
}
