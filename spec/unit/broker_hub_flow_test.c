/* broker_hub_flow_test.c: pushing back, slow readers, congestion, ticks and the drain. */
#include "broker_hub_support.h"

static struct tw_generation *one_channel(const char *name) {
    struct tw_generation *generation = generation_new(1);
    define(generation, name);
    return generation;
}

/* --- a full mailbox --------------------------------------------------------------------------- */

static void a_full_mailbox_pushes_back_and_loses_nothing(void **state) {
    (void)state;
    struct world world;
    char name[32];
    world_begin(&world, 4, one_channel("room:{id}"), 8);
    name_at(&world, 2, "room:", name);
    struct fake *reader = fake_join(&world, 2, 0), *writer = fake_join(&world, 0, 0);
    struct fake *other = fake_join(&world, 0, 0), *closes = fake_join(&world, 0, 0);
    subscribe(&world, reader, name);
    world.is_asleep[2] = true;
    for (int i = 0; i < 8; i++)
        assert_int_equal(publish(writer, name, "1"), 0);
    assert_int_equal(publish(writer, name, "2"), TW_EAGAIN); /* taken all the same */
    assert_int_equal(publish(other, name, "3"), TW_EAGAIN);
    assert_int_equal(publish(other, name, "3"), TW_EAGAIN); /* it should not, but may */
    assert_int_equal(publish(closes, name, "4"), TW_EAGAIN);
    assert_int_equal(world.hub[0].spill_count, 4);
    op_on_close(&closes->client, 1000, "leaves while it is paused", false);
    settle(&world);
    assert_int_equal(writer->resumes + other->resumes, 0);
    world.is_asleep[2] = false;
    world.is_woken[2] = true;
    settle(&world);
    assert_int_equal(writer->resumes, 1);
    assert_int_equal(other->resumes, 1);
    assert_int_equal(closes->resumes, 0);
    assert_string_equal(reader->got, "|1|1|1|1|1|1|1|1|2|3|3|4");
    assert_int_equal(publish(writer, name, "5"), 0);
    world_end(&world);
}

/* There is room again, but the sender has not tried yet: what is newer still goes behind. */
static void what_waits_is_not_overtaken(void **state) {
    (void)state;
    struct world world;
    char name[32];
    world_begin(&world, 4, one_channel("room:{id}"), 2);
    name_at(&world, 2, "room:", name);
    struct fake *reader = fake_join(&world, 2, 0), *writer = fake_join(&world, 0, 0);
    subscribe(&world, reader, name);
    for (int i = 0; i < 4; i++)
        publish(writer, name, (char[]){(char)('1' + i), 0});
    turn(&world, 2);
    assert_string_equal(reader->got, "|1|2");
    assert_int_equal(publish(writer, name, "5"), TW_EAGAIN);
    settle(&world);
    assert_string_equal(reader->got, "|1|2|3|4|5");
    world_end(&world);
}

static void a_long_backlog_of_its_own_pushes_back(void **state) {
    (void)state;
    struct world world;
    world_begin(&world, 1, one_channel("market"), 8);
    struct fake *writer = fake_join(&world, 0, 0);
    int count = 0;
    while (publish(writer, "market", "1") == 0)
        count++;
    assert_int_equal(count, TW_HUB_BACKLOG - 1);
    turn(&world, 0);
    assert_true(tw_hub_is_busy(&world.hub[0]));
    assert_int_equal(world.next_ms[0], world.now_ms);
    assert_int_equal(channel_of(&world, "market")->offset, TW_HUB_BATCH);
    assert_int_equal(writer->resumes, 1);
    settle(&world);
    assert_int_equal(channel_of(&world, "market")->offset, TW_HUB_BACKLOG);
    world_end(&world);
}

/* A worker that does not take its mail stops the homes, not the other way round; the homes sleep
 * until it has. */
static void a_congested_worker_stops_the_homes(void **state) {
    (void)state;
    struct world world;
    char own[32], far[32];
    world_begin(&world, 4, one_channel("room:{id}"), 16);
    name_at(&world, 1, "room:", far);
    name_at(&world, 0, "room:", own);
    struct fake *slow = fake_join(&world, 3, 0), *writer = fake_join(&world, 0, 0);
    subscribe(&world, slow, far);
    subscribe(&world, slow, own);
    world.is_asleep[3] = true;
    unsigned sent = 0;
    for (int i = 0; i < 16; i++, sent++)
        publish(writer, own, "1");
    settle(&world);
    assert_int_equal(world.boxes[3].down.count, 16);
    for (int i = 0; i < 8; i++, sent += 2) {
        assert_int_equal(publish(writer, own, "1"), 0);
        publish(writer, far, "1");
    }
    settle(&world); /* ends: nobody spins */
    assert_false(tw_hub_is_busy(&world.hub[0]));
    assert_int_equal(world.hub[0].self.count, 8);
    assert_int_equal(world.boxes[1].up.count, 8);
    assert_int_equal(world.boxes[3].down.count, 16); /* the bound holds */
    world.is_asleep[3] = false;
    world.is_woken[3] = true;
    settle(&world);
    assert_int_equal(slow->total, 2 * sent);
    world_end(&world);
}

/* --- slow readers ----------------------------------------------------------------------------- */

static struct tw_generation *small_queue(enum tw_overflow overflow) {
    struct tw_generation *generation = one_channel("market");
    generation->definitions[0].queue = (struct tw_queue_settings){2, overflow};
    return generation;
}

static void who_does_not_read_keeps_the_newest(unsigned workers) {
    struct world world;
    world_begin(&world, workers, small_queue(TW_DROP_OLDEST), 1000);
    struct fake *slow = fake_join(&world, 0, 0), *fast = fake_join(&world, 0, 0);
    subscribe(&world, slow, "market");
    subscribe(&world, fast, "market");
    slow->is_stuck = true;
    for (int i = 0; i < 5; i++) {
        char text[2] = {(char)('1' + i), 0};
        publish(fast, "market", text);
        settle(&world);
    }
    assert_string_equal(fast->got, "|1|2|3|4|5");
    assert_string_equal(slow->got, "");
    fake_unstick(slow);
    assert_string_equal(slow->got, "|4|5");
    fake_leave(slow);
    settle(&world);
    assert_int_equal(channel_of(&world, "market")->dropped, 3);
    assert_int_equal(STAT(&world, messages_out), 10);
    world_end(&world);
}
WITH_1_AND_4(who_does_not_read_keeps_the_newest)

/* More in one turn than the queue holds, for a peer that reads. */
static void a_reader_loses_nothing_to_a_burst(unsigned workers) {
    static const enum tw_overflow policies[] = {TW_DROP_OLDEST, TW_DROP_NEWEST, TW_CONFLATE,
                                                TW_DISCONNECT};
    for (size_t p = 0; p < COUNT_OF(policies); p++) {
        struct world world;
        world_begin(&world, workers, small_queue(policies[p]), 1000);
        struct fake *fake = fake_join(&world, 0, 0);
        subscribe(&world, fake, "market");
        for (int i = 0; i < 9; i++)
            publish(fake, "market", (char[]){(char)('1' + i), 0});
        settle(&world);
        assert_string_equal(fake->got, "|1|2|3|4|5|6|7|8|9");
        assert_in_range(fake->flushes, 1, 6); /* not one for each */
        world_end(&world);
    }
}
WITH_1_AND_4(a_reader_loses_nothing_to_a_burst)

static void too_slow_is_4431(unsigned workers) {
    struct world world;
    world_begin(&world, workers, small_queue(TW_DISCONNECT), 1000);
    struct fake *slow = fake_join(&world, 1, 0), *fast = fake_join(&world, 1, 0);
    subscribe(&world, slow, "market");
    subscribe(&world, fast, "market");
    slow->is_stuck = true;
    for (int i = 0; i < 6; i++) {
        publish(fast, "market", "1");
        settle(&world);
    }
    assert_int_equal(slow->close_code, 4431);
    assert_int_equal(slow->closes, 1);
    assert_int_equal(fast->total, 12);
    assert_int_equal(STAT(&world, too_slow), 1);
    assert_int_equal(channel_of(&world, "market")->subscribers, 1);
    fake_unstick(slow);
    assert_string_equal(slow->got, "<bye>"); /* what waited is not worth waiting for */
    world_end(&world);
}
WITH_1_AND_4(too_slow_is_4431)

static void a_flush_that_finds_it_broken_ends_that_client_only(unsigned workers) {
    struct world world;
    world_begin(&world, workers, small_queue(TW_DISCONNECT), 1000);
    struct fake *broken = fake_join(&world, 0, 0), *fine = fake_join(&world, 0, 0);
    subscribe(&world, broken, "market");
    subscribe(&world, fine, "market");
    broken->breaks = true;
    for (int i = 0; i < 5; i++)
        publish(fine, "market", "1"); /* the queue is full within the turn */
    settle(&world);
    assert_int_equal(broken->close_code, 0); /* nobody speaks to it again */
    assert_int_equal(STAT(&world, too_slow), 0);
    assert_int_equal(fine->total, 10);
    assert_int_equal(channel_of(&world, "market")->subscribers, 1);
    world_end(&world);
}
WITH_1_AND_4(a_flush_that_finds_it_broken_ends_that_client_only)

static int first_two_bytes(struct tw_channel *channel, struct tw_message *message,
                           struct tw_buf *key) {
    (void)channel;
    if (tw_message_text(message).length < 2) return TW_ESCRIPT;
    tw_buf_append(key, tw_message_text(message).data, 2);
    return 0;
}

static void keys_conflate(unsigned workers) {
    static const char *const quotes[] = {"{\"s\":\"A\",\"p\":1}", "{\"s\":\"B\",\"p\":1}",
                                         "{\"s\":\"A\",\"p\":2}", "{\"s\":\"A\",\"p\":3}"};
    struct world world;
    struct tw_generation *generation = small_queue(TW_CONFLATE);
    generation->definitions[0].has_key = true; /* as core/script has it for both kinds of key */
    generation->definitions[0].key_field = tw_format("s");
    struct tw_definition *second = define(generation, "second");
    second->has_key = true;
    second->queue = generation->definitions[0].queue;
    script.key = first_two_bytes;
    world_begin(&world, workers, generation, 1000);
    struct fake *slow = fake_join(&world, 0, 0), *fast = fake_join(&world, 1, 0);
    subscribe(&world, slow, "market");
    subscribe(&world, slow, "second");
    slow->is_stuck = true;
    publish(fast, "market", "0"); /* no key; blocks the socket */
    settle(&world);
    for (size_t i = 0; i < COUNT_OF(quotes); i++)
        publish(fast, "market", quotes[i]);
    publish(fast, "second", "101");
    publish(fast, "second", "202");
    publish(fast, "second", "103");
    publish(fast, "second", "9"); /* its key fails: not published */
    settle(&world);
    assert_int_equal(channel_of(&world, "second")->offset, 3);
    assert_int_equal(fast->status, TW_ESCRIPT);
    fake_unstick(slow);
    assert_non_null(strstr(slow->got, "|{\"s\":\"A\",\"p\":3}"));
    assert_non_null(strstr(slow->got, "|{\"s\":\"B\",\"p\":1}"));
    assert_non_null(strstr(slow->got, "|103|202"));
    assert_int_equal(slow->total, 2 * 16 + 2 * 4);
    world_end(&world);
}
WITH_1_AND_4(keys_conflate)

/* --- ticks ------------------------------------------------------------------------------------ */

static int publish_on_tick(struct tw_channel *channel, const char *event,
                           struct tw_identity *client, struct tw_effects *effects) {
    (void)client;
    assert_string_equal(event, "tick");
    assert_int_equal(tw_effects_try_publish(effects, channel->name->text, TW_STR("1"), false), 0);
    return script.ticks % 3 == 0 ? TW_ESCRIPT : 0;
}

static void ticks_tick(unsigned workers) {
    struct world world;
    struct tw_generation *generation = one_channel("market");
    generation->definitions[0].tick_ms = 250;
    script.on_event = publish_on_tick;
    world_begin(&world, workers, generation, 1000);
    struct fake *fake = fake_join(&world, 0, 0);
    subscribe(&world, fake, "market");
    pass(&world, 249);
    assert_int_equal(script.ticks, 0);
    pass(&world, 1);
    assert_int_equal(script.ticks, 1);
    pass(&world, 2750);
    assert_int_equal(script.ticks, 12);
    assert_int_equal(channel_of(&world, "market")->offset, 8); /* each third one failed */
    assert_int_equal(fake->total, 16);
    assert_int_equal(STAT(&world, hook_failures), 4);
    world.now_ms += 10000; /* the machine slept: no catching up */
    settle(&world);
    assert_int_equal(script.ticks, 13);
    world_end(&world);
}
WITH_1_AND_4(ticks_tick)

/* --- the drain -------------------------------------------------------------------------------- */

static unsigned closed_of(struct fake *const *fakes, size_t count) {
    unsigned closed = 0;
    for (size_t i = 0; i < count; i++) {
        if (fakes[i]->close_code == 0) continue;
        assert_int_equal(fakes[i]->close_code, 1001);
        closed++;
    }
    return closed;
}

static void goodbyes_are_spread_over_the_window(unsigned workers) {
    enum { COUNT = 40, WINDOW_MS = 1000 };
    struct world world;
    struct fake *fakes[COUNT];
    world_begin(&world, workers, one_channel("market"), 1000);
    for (unsigned i = 0; i < COUNT; i++) {
        fakes[i] = fake_join(&world, i, 0);
        subscribe(&world, fakes[i], "market");
    }
    fakes[7]->is_stuck = true;
    publish(fakes[0], "market", "1");
    settle(&world);
    for (unsigned i = 0; i <= workers; i++) {
        world.hub[i].now_ms = world.now_ms;
        tw_hub_drain(&world.hub[i], WINDOW_MS);
        tw_hub_drain(&world.hub[i], 0); /* once is enough */
        world.is_woken[i] = true;
    }
    struct fake *late = fake_join(&world, 0, 0); /* is_draining: the driver refuses it */
    assert_true(late->client.hub->is_draining);
    settle(&world);
    assert_int_equal(closed_of(fakes, COUNT), 0);
    for (unsigned ms = 100; ms < WINDOW_MS; ms += 100) {
        pass(&world, 100);
        unsigned expected = COUNT * ms / WINDOW_MS;
        assert_in_range(closed_of(fakes, COUNT), expected - 1, expected + 1);
    }
    pass(&world, 100);
    assert_int_equal(closed_of(fakes, COUNT), COUNT);
    assert_int_equal(late->close_code, 0);
    assert_int_equal(channel_of(&world, "market")->subscribers, 0);
    assert_string_equal(fakes[7]->got, "");
    fake_unstick(fakes[7]);
    assert_string_equal(fakes[7]->got, "|1<bye>"); /* what was accepted is delivered */
    for (unsigned i = 0; i <= workers; i++)
        assert_int_equal(tw_hub_turn(&world.hub[i], world.now_ms), UINT64_MAX);
    world_end(&world);
}
WITH_1_AND_4(goodbyes_are_spread_over_the_window)

static void a_drain_without_a_window_is_at_once(unsigned workers) {
    struct world world;
    struct fake *fakes[10];
    world_begin(&world, workers, one_channel("market"), 1000);
    for (unsigned i = 0; i < COUNT_OF(fakes); i++)
        fakes[i] = fake_join(&world, i, 0);
    for (unsigned i = 0; i <= workers; i++)
        tw_hub_drain(&world.hub[i], 0);
    fake_leave(fakes[0]); /* gone before its goodbye */
    pass(&world, 0);
    assert_int_equal(closed_of(fakes + 1, COUNT_OF(fakes) - 1), COUNT_OF(fakes) - 1);
    world_end(&world);
}
WITH_1_AND_4(a_drain_without_a_window_is_at_once)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_mailbox_pushes_back_and_loses_nothing),
        cmocka_unit_test(what_waits_is_not_overtaken),
        cmocka_unit_test(a_long_backlog_of_its_own_pushes_back),
        cmocka_unit_test(a_congested_worker_stops_the_homes),
        TESTS_1_AND_4(who_does_not_read_keeps_the_newest),
        TESTS_1_AND_4(a_reader_loses_nothing_to_a_burst),
        TESTS_1_AND_4(too_slow_is_4431),
        TESTS_1_AND_4(a_flush_that_finds_it_broken_ends_that_client_only),
        TESTS_1_AND_4(keys_conflate),
        TESTS_1_AND_4(ticks_tick),
        TESTS_1_AND_4(goodbyes_are_spread_over_the_window),
        TESTS_1_AND_4(a_drain_without_a_window_is_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, no_failed_checks);
}
