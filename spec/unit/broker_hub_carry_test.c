/* broker_hub_carry_test.c: a swap takes many turns when there are many channels or subscribers;
 * what happens meanwhile finds each channel as if it had been carried at once. */
#include "broker_hub_support.h"

enum { CHANNELS = 5000, CLIENTS = 100, SLICE = 8 };

static struct tw_generation *rooms(unsigned number) {
    struct tw_generation *generation = generation_new(number);
    define(generation, "room:{id}")->has_transform = true;
    return generation;
}

/* Its payload is how often it was asked, which is in the state; and by which generation. */
static int count_up(struct tw_channel *channel, struct tw_identity *client,
                    struct tw_message **message, struct tw_effects *effects) {
    (void)client, (void)effects;
    struct fake_state *state = (struct fake_state *)channel->script;
    char text[16];
    int length = snprintf(text, sizeof text, "%d%02u", ++state->value, state->vm->number);
    tw_message_unref(message);
    *message = tw_message_try_new(text, (size_t)length, false);
    return 0;
}

static const char *room(unsigned i) {
    static char name[32];
    snprintf(name, sizeof name, "room:%u", i);
    return name;
}

static size_t count_behind(const struct tw_hub *hub) {
    size_t count = 0;
    for (const struct tw_list *node = hub->behind.next; node != &hub->behind; node = node->next)
        count++;
    return count;
}

static size_t all_behind(const struct world *world) {
    size_t count = 0;
    for (unsigned i = 0; i < world->hubs.workers; i++)
        count += count_behind(&world->hub[i]);
    return count;
}

/* `count` rooms, each of which was published to once; and somebody who publishes. */
static struct fake *begin(struct world *world, unsigned workers, unsigned count, unsigned slice) {
    script.transform = count_up;
    world_begin(world, workers, rooms(1), 10000);
    world->hubs.slice = slice;
    struct fake *fake = fake_join(world, 0, 0);
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(publish(fake, room(i), "0"), 0);
    settle(world);
    assert_int_equal(world->hub[0].generation->number, 1);
    return fake;
}

static void no_turn_copies_more_than_a_slice(unsigned workers) {
    struct world world;
    begin(&world, workers, CHANNELS, 0);
    swap_all(&world, rooms(2));
    assert_int_equal(script.saves, 0);
    assert_int_equal(all_behind(&world), CHANNELS);
    unsigned turns = 0;
    while (script.swapped < workers) {
        unsigned before = script.saves;
        for (unsigned i = 0; i < workers; i++)
            if (world.hub[i].past) assert_true(tw_hub_is_busy(&world.hub[i]));
        turn(&world, turns++ % workers);
        assert_true(script.saves - before <= TW_HUB_SLICE);
    }
    assert_true(turns > CHANNELS / TW_HUB_SLICE);
    assert_int_equal(script.saves, CHANNELS);
    settle(&world);
    assert_int_equal(script.carries, CHANNELS);
    world_end(&world);
}
WITH_1_AND_4(no_turn_copies_more_than_a_slice)

static uint64_t clock_now_ms;
static uint64_t read_clock(void *driver) {
    (void)driver;
    return clock_now_ms++; /* a copy takes a millisecond */
}

static void nor_more_than_it_has_time_for(unsigned workers) {
    struct world world;
    begin(&world, workers, CLIENTS, 0);
    clock_now_ms = world.now_ms;
    swap_all(&world, rooms(2));
    world.hubs.clock_ms = world.hubs.cpu_ms = read_clock;
    for (unsigned i = 0; script.swapped < workers; i++) {
        unsigned before = script.saves;
        world.now_ms = clock_now_ms;
        turn(&world, i % workers);
        assert_true(script.saves - before <= TW_HUB_TURN_MS);
    }
    world.hubs.clock_ms = NULL;
    world_end(&world);
}
WITH_1_AND_4(nor_more_than_it_has_time_for)

/* Some of it long before the room's turn comes, some of it long after. */
static void publishes_in_between_lose_nothing(unsigned workers) {
    struct world world;
    begin(&world, workers, CLIENTS, SLICE);
    struct fake *fakes[CLIENTS];
    for (unsigned i = 0; i < CLIENTS; i++) {
        fakes[i] = fake_join(&world, i, 0);
        subscribe(&world, fakes[i], room(i));
    }
    swap_all(&world, rooms(2));
    bool was_between = false;
    for (unsigned step = 0; step < 3; step++) {
        for (unsigned i = 0; i < workers; i++)
            turn(&world, i);
        for (unsigned i = step; i < CLIENTS; i += 7)
            assert_int_equal(publish(fakes[i], room(i), "0"), 0);
        was_between |= all_behind(&world) > 0 && script.saves > 0;
    }
    assert_true(was_between);
    settle(&world);
    assert_int_equal(script.saves, CLIENTS);
    for (unsigned i = 0; i < CLIENTS; i++) {
        publish(fakes[i], room(i), "0");
        settle(&world);
        assert_string_equal(fakes[i]->got, i % 7 < 3 ? "|202|302" : "|202");
        assert_int_equal(channel_of(&world, room(i))->offset, i % 7 < 3 ? 3 : 2);
    }
    world_end(&world);
}
WITH_1_AND_4(publishes_in_between_lose_nothing)

static void a_second_swap_finds_all_states(unsigned workers) {
    struct world world;
    struct fake *fake = begin(&world, workers, CLIENTS, SLICE);
    subscribe(&world, fake, room(3));
    swap_all(&world, rooms(2));
    turn(&world, 0);
    swap_all(&world, rooms(3)); /* what was not copied is, now */
    assert_int_equal(script.swapped, workers);
    assert_int_equal(script.saves, CLIENTS);
    assert_int_equal(all_behind(&world), CLIENTS);
    publish(fake, room(3), "0");
    settle(&world);
    assert_int_equal(script.swapped, 2 * workers);
    assert_string_equal(fake->got, "|203");
    world_end(&world);
}
WITH_1_AND_4(a_second_swap_finds_all_states)

/* A handler of the new generation takes its VM along: only states that were in it are lost. */
static void a_vm_built_anew_in_between_costs_what_it_held(unsigned workers) {
    struct world world;
    struct fake *fake = begin(&world, workers, CLIENTS, SLICE);
    struct tw_hub *hub = &world.hub[home_of(&world, room(3))];
    subscribe(&world, fake, room(3));
    swap_all(&world, rooms(2));
    publish(fake, room(3), "0");
    while (script.carries < SLICE / 2)
        for (unsigned i = 0; i < workers; i++)
            turn(&world, i);
    unsigned behind = (unsigned)count_behind(hub), opens = script.opens;
    assert_true(behind > 0);
    ((struct fake_vm *)hub->vm)->incarnation++;
    script.gone = (unsigned)hub->channels.count - behind; /* their states went with the VM */
    settle(&world);
    assert_int_equal(script.swapped, workers);
    assert_int_equal(script.saves, CLIENTS);
    assert_int_equal(script.opens - opens, script.gone);
    publish(fake, room(3), "0");
    settle(&world);
    assert_string_equal(fake->got, "|202|102");
    world_end(&world);
}
WITH_1_AND_4(a_vm_built_anew_in_between_costs_what_it_held)

static void a_tick_or_an_end_comes_to_one_that_is_behind(unsigned workers) {
    struct world world;
    struct tw_generation *next = rooms(2);
    begin(&world, workers, CLIENTS, SLICE);
    next->definitions[0].tick_ms = 1000;
    swap_all(&world, next);
    settle(&world);
    next = rooms(3);
    next->definitions[0].tick_ms = 500;
    world.now_ms += 1000;
    swap_all(&world, next);
    turn(&world, 0); /* each tick is due, by the old definition: not any more */
    assert_int_equal(script.ticks, 0);
    assert_int_equal(count_behind(&world.hub[0]), 0);
    settle(&world);
    pass(&world, 500);
    assert_int_equal(script.ticks, CLIENTS);
    next = generation_new(4);
    define(next, room(1));
    world.now_ms += TW_CHANNEL_IDLE_MS; /* all have been idle for long enough to go */
    swap_all(&world, next);
    settle(&world);
    assert_non_null(channel_of(&world, room(1))); /* ... but this one is literal now */
    assert_null(channel_of(&world, room(2)));
    script.gone = CLIENTS - 1;
    world_end(&world);
}
WITH_1_AND_4(a_tick_or_an_end_comes_to_one_that_is_behind)

/* --- subscribers ------------------------------------------------------------------------------ */

static void join_all(struct world *world, struct fake **fakes) {
    for (unsigned i = 0; i < CLIENTS; i++) {
        fakes[i] = fake_join(world, i, 0);
        subscribe(world, fakes[i], room(0));
    }
}

static unsigned count_closed(struct fake *const *fakes, unsigned code) {
    unsigned count = 0;
    for (unsigned i = 0; i < CLIENTS; i++)
        count += fakes[i] && fakes[i]->close_code == code;
    return count;
}

/* ... while the name comes back, with subscribers of its own. */
static void subscribers_of_one_that_is_gone_end_in_slices(unsigned workers) {
    struct world world;
    struct fake *fakes[CLIENTS];
    struct fake *comes = begin(&world, workers, 1, SLICE);
    join_all(&world, fakes);
    publish(comes, room(0), "0");
    settle(&world);
    publish(comes, room(0), "0");
    if (workers == 1) turn(&world, 0);
    struct tw_generation *next = generation_new(2);
    swap_all(&world, next);
    turn(&world, home_of(&world, room(0)));
    for (unsigned i = 0; i < workers; i++) {
        unsigned before = count_closed(fakes, 4404);
        turn(&world, i);
        assert_in_range(count_closed(fakes, 4404) - before, 1, SLICE);
    }
    fake_leave(fakes[CLIENTS - 1]);
    fake_leave(fakes[0]); /* closed by now, or about to be */
    fakes[0] = fakes[CLIENTS - 1] = NULL;
    swap_all(&world, rooms(3));
    assert_int_equal(subscribe(&world, comes, room(0)), 0);
    publish(comes, room(0), "0");
    settle(&world);
    assert_int_equal(count_closed(fakes, 4404), CLIENTS - 2);
    assert_string_equal(comes->got, "|103");
    assert_string_equal(fakes[1]->got, workers == 1 ? "|201|301<bye>" : "|201<bye>");
    assert_int_equal(channel_of(&world, room(0))->subscribers, 1);
    script.gone = 1;
    world_end(&world);
}
WITH_1_AND_4(subscribers_of_one_that_is_gone_end_in_slices)

static int refuse_all(struct tw_channel *channel, struct tw_identity *client, enum tw_action action,
                      struct tw_failure *failure) {
    (void)channel, (void)client, (void)action, (void)failure;
    return TW_EREFUSED;
}

/* ... whoever comes and goes meanwhile. */
static void subscribers_are_asked_again_in_slices(unsigned workers) {
    struct world world;
    struct fake *fakes[CLIENTS];
    begin(&world, workers, 1, SLICE);
    join_all(&world, fakes);
    struct tw_generation *next = rooms(2);
    next->definitions[0].has_authorize = true;
    next->definitions[0].policy_print = 7;
    unsigned asked = script.authorizes;
    swap_all(&world, next);
    script.authorize = refuse_all;
    for (unsigned step = 0; step < CLIENTS; step += 3) {
        unsigned before = script.authorizes;
        turn(&world, step % workers);
        turn(&world, home_of(&world, room(0)));
        assert_true(script.authorizes - before <= 3 * SLICE);
        fake_leave(fakes[step]);
        fakes[step] = NULL;
    }
    settle(&world);
    assert_true(script.authorizes > asked);
    for (unsigned i = 0; i < CLIENTS; i++)
        if (fakes[i]) assert_int_equal(fakes[i]->close_code, 4403);
    world_end(&world);
}
WITH_1_AND_4(subscribers_are_asked_again_in_slices)

static void the_end_comes_in_between(unsigned workers) {
    struct world world;
    struct fake *fake = begin(&world, workers, CLIENTS, SLICE);
    swap_all(&world, rooms(2));
    turn(&world, 0);
    unsigned swapped = script.swapped;
    for (unsigned i = 0; i < workers; i++)
        tw_hub_end_swap(&world.hub[i]); /* there would be no more turns */
    assert_int_equal(script.swapped, workers);
    assert_true(swapped < workers);
    assert_int_equal(script.saves, CLIENTS);
    swap_all(&world, rooms(3));
    fake_leave(fake);
    for (unsigned i = 0; i <= workers; i++)
        world.is_asleep[i] = true; /* nor does anybody end this one */
    script.gone = CLIENTS;
    for (unsigned i = 0; i <= workers; i++)
        tw_hub_deinit(&world.hub[i]);
    for (unsigned i = 0; i <= workers; i++)
        tw_mailbox_deinit(&world.boxes[i]);
    tw_generation_unref(&world.generation);
    while (!tw_list_is_empty(&states))
        free_state(TW_CONTAINER(states.next, struct fake_state, node));
    memset(&script, 0, sizeof script);
    tw_log_set_sink(NULL, NULL);
}
WITH_1_AND_4(the_end_comes_in_between)

int main(void) {
    const struct CMUnitTest tests[] = {
        TESTS_1_AND_4(no_turn_copies_more_than_a_slice),
        TESTS_1_AND_4(nor_more_than_it_has_time_for),
        TESTS_1_AND_4(publishes_in_between_lose_nothing),
        TESTS_1_AND_4(a_second_swap_finds_all_states),
        TESTS_1_AND_4(a_vm_built_anew_in_between_costs_what_it_held),
        TESTS_1_AND_4(a_tick_or_an_end_comes_to_one_that_is_behind),
        TESTS_1_AND_4(subscribers_of_one_that_is_gone_end_in_slices),
        TESTS_1_AND_4(subscribers_are_asked_again_in_slices),
        TESTS_1_AND_4(the_end_comes_in_between),
    };
    return cmocka_run_group_tests(tests, NULL, no_failed_checks);
}
