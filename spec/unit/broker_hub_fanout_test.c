/* broker_hub_fanout_test.c: what a turn brings a channel goes to each subscriber in one write; what
 * the socket does not take, or what cannot be one write, goes by the outbox, in the same order. */
#include "broker_hub_support.h"

#include "app/worker.h"

static struct fake *publisher, *reader;

/* Two subscribers of "a", at the worker that is its home. */
static void begin(struct world *world, unsigned workers) {
    struct tw_generation *generation = generation_new(1);
    define(generation, "a");
    define(generation, "b");
    world_begin(world, workers, generation, 1000);
    publisher = fake_join(world, home_of(world, "a"), 0);
    reader = fake_join(world, home_of(world, "a"), 0);
    subscribe(world, publisher, "a");
    subscribe(world, reader, "a");
    reader->flushes = 0;
}

static void publish_row(unsigned from, unsigned to) {
    for (char text[2] = {0}; from <= to; from++) {
        text[0] = (char)('0' + from);
        assert_int_equal(publish(publisher, "a", text), 0);
    }
}

static void a_turn_is_one_write(unsigned workers) {
    struct world world;
    begin(&world, workers);
    publish_row(1, 5);
    settle(&world);
    assert_int_equal(reader->flushes, 1);
    assert_string_equal(reader->got, "|1|2|3|4|5");
    assert_int_equal(STAT(&world, messages_out), 10);
    world_end(&world);
}
WITH_1_AND_4(a_turn_is_one_write)

static void the_rest_of_a_short_write_follows(unsigned workers) {
    for (size_t takes = 1; takes < 8; takes++) {
        struct world world;
        begin(&world, workers);
        reader->takes = takes;
        publish_row(1, 4);
        settle(&world);
        assert_int_equal(reader->total, takes);
        assert_string_equal(publisher->got, "|1|2|3|4");
        publish_row(5, 6); /* behind what waits */
        settle(&world);
        reader->takes = 0;
        fake_unstick(reader);
        assert_string_equal(reader->got, "|1|2|3|4|5|6");
        world_end(&world);
    }
}
WITH_1_AND_4(the_rest_of_a_short_write_follows)

static void the_policy_judges_what_was_not_taken(unsigned workers) {
    struct world world;
    struct tw_generation *generation = generation_new(2);
    begin(&world, workers);
    define(generation, "a")->queue.size = 2;
    define(generation, "b");
    swap_all(&world, generation);
    settle(&world);
    reader->takes = 3; /* the first, and half of the second */
    publish_row(1, 6);
    settle(&world);
    reader->takes = 0;
    fake_unstick(reader);
    assert_string_equal(reader->got, "|1|2|5|6");
    world_end(&world);
}
WITH_1_AND_4(the_policy_judges_what_was_not_taken)

static void who_comes_within_a_turn_gets_what_follows(unsigned workers) {
    struct world world;
    begin(&world, workers);
    struct fake *late = fake_join(&world, home_of(&world, "a"), 0);
    publish_row(1, 2);
    assert_int_equal(tw_hub_subscribe(late->client.hub, &late->client, TW_STR("a")), 0);
    publish_row(3, 4);
    settle(&world);
    assert_string_equal(late->got, "|3|4");
    assert_string_equal(reader->got, "|1|2|3|4");
    world_end(&world);
}
WITH_1_AND_4(who_comes_within_a_turn_gets_what_follows)

static void a_goodbye_comes_behind_the_batch(unsigned workers) {
    struct world world;
    begin(&world, workers);
    publish_row(1, 2);
    for (unsigned i = 0; i <= workers; i++)
        tw_hub_drain(&world.hub[i], 0);
    settle(&world);
    assert_string_equal(reader->got, "|1|2<bye>");
    world_end(&world);
}
WITH_1_AND_4(a_goodbye_comes_behind_the_batch)

static void who_hears_two_channels_gets_one_write(unsigned workers) {
    struct world world;
    begin(&world, workers);
    subscribe(&world, reader, "b");
    reader->flushes = 0;
    publish_row(1, 3);
    settle(&world);
    assert_int_equal(reader->flushes, 1);
    assert_string_equal(reader->got, "|1|2|3");
    world_end(&world);
}
WITH_1_AND_4(who_hears_two_channels_gets_one_write)

static void a_control_frame_comes_first(unsigned workers) {
    struct world world;
    begin(&world, workers);
    publish_row(1, 2);
    assert_int_equal(tw_client_try_control(&reader->client, "<pong>", 6), 0);
    settle(&world);
    assert_string_equal(reader->got, "<pong>|1|2");
    assert_int_equal(reader->flushes, 1);
    world_end(&world);
}
WITH_1_AND_4(a_control_frame_comes_first)

static void more_than_a_batch_is_several_writes(unsigned workers) {
    static char text[TW_BATCH_BYTES / 4];
    struct world world;
    begin(&world, workers);
    memset(text, '1', sizeof text - 1);
    for (unsigned i = 0; i < 6; i++)
        assert_int_equal(publish(publisher, "a", text), 0);
    settle(&world);
    assert_int_equal(reader->flushes, 2);
    assert_int_equal(reader->total, 6 * sizeof text);
    world_end(&world);
}
WITH_1_AND_4(more_than_a_batch_is_several_writes)

static void a_broken_reader_hurts_nobody(unsigned workers) {
    struct world world;
    begin(&world, workers);
    reader->breaks = true;
    publish_row(1, 2);
    settle(&world);
    assert_string_equal(publisher->got, "|1|2");
    assert_int_equal(channel_of(&world, "a")->subscribers, 1);
    world_end(&world);
}
WITH_1_AND_4(a_broken_reader_hurts_nobody)

static void a_goodbye_may_find_it_broken(unsigned workers) {
    struct world world;
    struct tw_generation *generation = generation_new(2);
    begin(&world, workers);
    define(generation, "a");
    define(generation, "b");
    generation->settings.queue_bytes = 3;
    swap_all(&world, generation);
    settle(&world);
    reader->breaks = true;
    publish_row(1, 4);
    for (unsigned i = 0; i <= workers; i++)
        tw_hub_drain(&world.hub[i], 0);
    settle(&world);
    assert_int_equal(reader->closes, 0);
    assert_string_equal(publisher->got, "|1|2|3|4<bye>");
    world_end(&world);
}
WITH_1_AND_4(a_goodbye_may_find_it_broken)

/* What hubs write to is theirs alone, but for mailboxes: and of those, no two share a cache line. A
 * message is counted once for each worker, however many hear it there. */
static void a_message_is_counted_per_worker_not_per_subscriber(unsigned workers) {
    struct world world;
    unsigned per_worker[2] = {1, 20}, refs[2];
    for (int i = 0; i < 2; i++) {
        begin(&world, workers);
        unsigned home = home_of(&world, "a");
        for (unsigned j = 0; j < workers * per_worker[i]; j++)
            subscribe(&world, fake_join(&world, j, 0), "a");
        for (unsigned j = 0; j < workers; j++)
            world.is_asleep[j] = j != home;
        struct tw_message *message = message_of("7");
        struct tw_mail *mail = tw_mail_new(TW_MAIL_PUBLISH);
        mail->channel = tw_name_ref(channel_of(&world, "a")->name);
        mail->message = tw_message_ref(message);
        tw_hub_post(&world.hub[home], home, mail);
        settle(&world); /* delivered at home, in the others' mailboxes */
        refs[i] = atomic_load(&message->refs);
        assert_true(STAT(&world, messages_out) >= per_worker[i] + 2);
        tw_message_unref(&message);
        world_end(&world);
    }
    assert_int_equal(refs[0], refs[1]);
    assert_int_equal(refs[0], 1 + (workers - 1));
}
WITH_1_AND_4(a_message_is_counted_per_worker_not_per_subscriber)

/* Woken by the first one, a hub that sleeps would take that alone. */
static void a_hub_is_woken_when_all_its_mail_is_there(void **state) {
    (void)state;
    struct world world;
    begin(&world, 4);
    unsigned home = home_of(&world, "a"), away = (home + 1) % 4;
    publisher = fake_join(&world, away, 0);
    reader = fake_join(&world, away, 0);
    subscribe(&world, reader, "a");
    reader->flushes = 0;
    publish_row(1, 5);
    assert_false(world.is_woken[home]);
    turn(&world, away);
    assert_true(world.is_woken[home]);
    turn(&world, home);
    assert_true(world.is_woken[away]);
    turn(&world, away);
    assert_int_equal(reader->flushes, 1);
    assert_string_equal(reader->got, "|1|2|3|4|5");
    settle(&world);
    world_end(&world);
}

static void mailboxes_share_no_cache_line(void **state) {
    (void)state;
    struct tw_mailbox *boxes = (struct tw_mailbox *)tw_alloc_lines(3 * sizeof *boxes);
    for (int i = 0; i < 3; i++)
        assert_int_equal((uintptr_t)&boxes[i] % TW_CACHE_LINE, 0);
    assert_int_equal(boxes[2].bound, 0);
    tw_free(boxes);
    _Static_assert(sizeof *boxes % TW_CACHE_LINE == 0, "the next one begins a line");
    _Static_assert(sizeof(struct tw_worker) % TW_CACHE_LINE == 0, "the next one begins a line");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TESTS_1_AND_4(a_turn_is_one_write),
        TESTS_1_AND_4(the_rest_of_a_short_write_follows),
        TESTS_1_AND_4(the_policy_judges_what_was_not_taken),
        TESTS_1_AND_4(who_comes_within_a_turn_gets_what_follows),
        TESTS_1_AND_4(a_goodbye_comes_behind_the_batch),
        TESTS_1_AND_4(who_hears_two_channels_gets_one_write),
        TESTS_1_AND_4(a_control_frame_comes_first),
        TESTS_1_AND_4(more_than_a_batch_is_several_writes),
        TESTS_1_AND_4(a_broken_reader_hurts_nobody),
        TESTS_1_AND_4(a_goodbye_may_find_it_broken),
        TESTS_1_AND_4(a_message_is_counted_per_worker_not_per_subscriber),
        cmocka_unit_test(a_hub_is_woken_when_all_its_mail_is_there),
        cmocka_unit_test(mailboxes_share_no_cache_line),
    };
    return cmocka_run_group_tests(tests, NULL, no_failed_checks);
}
