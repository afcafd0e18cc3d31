/* broker_outbox_test.c: the two lanes, each policy, each bound, and the last word. */
#include "broker_outbox_support.h"

#define NO_BOUND 1000000

static void an_empty_one_holds_nothing(void **state) {
    (void)state;
    struct tw_outbox outbox;
    struct iovec spans[4];
    tw_outbox_init(&outbox);
    assert_true(tw_outbox_is_empty(&outbox));
    assert_int_equal(tw_outbox_gather(&outbox, spans, 4), 0);
    assert_int_equal(tw_outbox_gather(&outbox, spans, 0), 0);
    tw_outbox_shrink(&outbox);
    assert_ptr_equal(outbox.ring, NULL);
    tw_outbox_deinit(&outbox);
    tw_outbox_deinit(&outbox);
}

static void control_goes_before_data_but_not_into_a_frame(void **state) {
    (void)state;
    struct tw_outbox outbox;
    struct feed feed;
    uint64_t dropped = 0;
    char out[64] = "";
    tw_outbox_init(&outbox);
    feed_init(&feed, 10, TW_DROP_OLDEST);
    push_text(&outbox, &feed.sub, "one", NO_BOUND, &dropped);
    push_text(&outbox, &feed.sub, "two", NO_BOUND, &dropped);
    assert_int_equal(take_bytes(&outbox, out, 2, 4), 2);
    assert_int_equal(feed.sub.queued, 1); /* a frame that has begun is nobody's */
    assert_int_equal(tw_outbox_try_control(&outbox, "<ping>", 6), 0);
    assert_int_equal(take_bytes(&outbox, out, 5, 4), 5);
    assert_string_equal(out, "|one<pi");
    assert_int_equal(tw_outbox_try_control(&outbox, "<pong>", 6), 0);
    push_text(&outbox, NULL, "three", NO_BOUND, &dropped);
    assert_string_equal(rest_of(&outbox), "ng><pong>|two|three");
    assert_true(tw_outbox_is_empty(&outbox));
    assert_int_equal(feed.sub.queued, 0);
    assert_int_equal(feed.sub.queued_bytes, 0);
    assert_int_equal(outbox.bytes, 0);
    tw_outbox_deinit(&outbox);
}

static void the_control_lane_is_bounded(void **state) {
    (void)state;
    struct tw_outbox outbox;
    char bytes[TW_OUTBOX_MAX_CONTROL];
    memset(bytes, 'c', sizeof bytes);
    tw_outbox_init(&outbox);
    assert_int_equal(tw_outbox_try_control(&outbox, bytes, sizeof bytes - 1), 0);
    assert_int_equal(tw_outbox_try_control(&outbox, bytes, 2), TW_EFULL);
    assert_int_equal(tw_outbox_try_control(&outbox, bytes, 1), 0);
    assert_int_equal(tw_outbox_try_control(&outbox, bytes, 1), TW_EFULL);
    tw_outbox_consume(&outbox, 1);
    assert_int_equal(tw_outbox_try_control(&outbox, bytes, 1), 0);
    tw_outbox_deinit(&outbox);
    tw_mem_fail_after(1);
    assert_int_equal(tw_outbox_try_control(&outbox, bytes, 1), -ENOMEM);
    assert_true(tw_outbox_is_empty(&outbox));
    tw_outbox_deinit(&outbox);
}

/* Pushes the words to a queue of `size`; what is left stands in the result, losses in *dropped. */
static const char *push_words(enum tw_overflow overflow, uint32_t size, uint32_t max_bytes,
                              const char *words, uint64_t *dropped) {
    struct tw_outbox outbox;
    struct feed feed;
    char text[256], *rest = text, *word;
    tw_outbox_init(&outbox);
    feed_init(&feed, size, overflow);
    snprintf(text, sizeof text, "%s", words);
    *dropped = 0;
    while ((word = strsep(&rest, " "))) {
        push_text(&outbox, &feed.sub, word, max_bytes, dropped);
        assert_true(feed.sub.queued <= size);
        assert_true(outbox.bytes <= max_bytes || feed.sub.queued == 1);
    }
    const char *left = rest_of(&outbox);
    assert_int_equal(feed.sub.queued_bytes, 0);
    tw_outbox_deinit(&outbox);
    return left;
}

static void each_policy_at_its_bound_of_messages(void **state) {
    (void)state;
    uint64_t dropped;
    assert_string_equal(push_words(TW_DROP_OLDEST, 2, NO_BOUND, "1 2 3 4", &dropped), "|3|4");
    assert_int_equal(dropped, 2);
    assert_string_equal(push_words(TW_DROP_NEWEST, 2, NO_BOUND, "1 2 3 4", &dropped), "|1|2");
    assert_int_equal(dropped, 2);
    assert_string_equal(push_words(TW_DISCONNECT, 2, NO_BOUND, "1 2 3", &dropped), "|1|2");
    assert_int_equal(dropped, 0);
    /* The newest of a key takes the older one's place; without a match, the oldest goes. */
    assert_string_equal(
        push_words(TW_CONFLATE, 3, NO_BOUND, "a=1 b=1 c=1 b=2 a=2 d=1 b=3", &dropped),
        "|b=3|c=1|d=1");
    assert_int_equal(dropped, 4);
    assert_string_equal(push_words(TW_CONFLATE, 2, NO_BOUND, "a=1 a=2 a=3", &dropped), "|a=3");
    assert_int_equal(dropped, 2);
    /* What is stale goes before the only one of its key, wherever it stands. */
    assert_string_equal(push_words(TW_CONFLATE, 3, NO_BOUND, "a=1 b=1 b=2 c=1", &dropped),
                        "|a=1|b=2|c=1");
    assert_int_equal(dropped, 1);
    assert_string_equal(push_words(TW_CONFLATE, 4, NO_BOUND, "1 b=1 b=2 b=3 2 3", &dropped),
                        "|1|b=3|2|3");
    assert_int_equal(dropped, 2);
    assert_string_equal(push_words(TW_CONFLATE, 2, NO_BOUND, "1 2 3", &dropped), "|2|3");
}

static void each_policy_at_its_bound_of_bytes(void **state) {
    (void)state;
    uint64_t dropped;
    assert_string_equal(push_words(TW_DROP_OLDEST, 9, 10, "1234 abcd x", &dropped), "|abcd|x");
    assert_int_equal(dropped, 1);
    assert_string_equal(push_words(TW_DROP_OLDEST, 9, 10, "1 2 3 123456789", &dropped),
                        "|123456789");
    assert_int_equal(dropped, 3);
    assert_string_equal(push_words(TW_DROP_NEWEST, 9, 10, "1234 abcd x", &dropped), "|1234|abcd");
    assert_string_equal(push_words(TW_DISCONNECT, 9, 10, "1234 abcd x", &dropped), "|1234|abcd");
    /* One frame goes through, however large: else it could never be sent. */
    assert_string_equal(push_words(TW_DROP_OLDEST, 9, 4, "1 123456789", &dropped), "|123456789");
    /* A newer one that is too long for the older one's place. */
    assert_string_equal(push_words(TW_CONFLATE, 9, 10, "a=1 b=1 a=23456", &dropped), "|a=23456");
    assert_int_equal(dropped, 2);
    assert_string_equal(push_words(TW_CONFLATE, 9, 12, "a=1 b=1 c=1 a=7 b=23", &dropped),
                        "|c=1|b=23");
    assert_string_equal(push_words(TW_CONFLATE, 9, 12, "a=1 b=1 b=2 c=1", &dropped),
                        "|a=1|b=2|c=1");
}

static void says_which_push_was_refused(void **state) {
    (void)state;
    struct tw_outbox outbox;
    struct feed feed;
    uint64_t dropped = 0;
    tw_outbox_init(&outbox);
    feed_init(&feed, 1, TW_DROP_NEWEST);
    assert_int_equal(push_text(&outbox, &feed.sub, "1", NO_BOUND, &dropped), TW_PUSHED);
    assert_true(tw_outbox_is_full(&outbox, &feed.sub, 2, NO_BOUND));
    assert_false(tw_outbox_is_full(&outbox, NULL, 2, 4));
    assert_true(tw_outbox_is_full(&outbox, NULL, 2, 3));
    assert_int_equal(push_text(&outbox, &feed.sub, "2", NO_BOUND, &dropped), TW_PUSH_REFUSED);
    assert_int_equal(dropped, 1);
    feed.topic.queue.overflow = TW_DISCONNECT;
    assert_int_equal(push_text(&outbox, &feed.sub, "2", NO_BOUND, &dropped), TW_PUSH_TOO_SLOW);
    feed.topic.queue.overflow = TW_DROP_OLDEST;
    assert_int_equal(push_text(&outbox, &feed.sub, "2", NO_BOUND, &dropped), TW_PUSHED);
    assert_int_equal(dropped, 2);
    assert_string_equal(rest_of(&outbox), "|2");
    tw_outbox_deinit(&outbox);
}

static void a_frame_that_has_begun_is_neither_dropped_nor_replaced(void **state) {
    (void)state;
    static const enum tw_overflow policies[] = {TW_DROP_OLDEST, TW_CONFLATE};
    for (size_t i = 0; i < COUNT_OF(policies); i++) {
        struct tw_outbox outbox;
        struct feed feed;
        uint64_t dropped = 0;
        char out[64] = "";
        tw_outbox_init(&outbox);
        feed_init(&feed, 1, policies[i]);
        push_text(&outbox, &feed.sub, "k=1", 5, &dropped);
        assert_int_equal(take_bytes(&outbox, out, 1, 4), 1);
        /* The room is taken by what must stay; nothing of the sub could make more. */
        assert_int_equal(push_text(&outbox, &feed.sub, "k=2", 5, &dropped), TW_PUSH_REFUSED);
        assert_int_equal(push_text(&outbox, NULL, "k=3", 5, &dropped), TW_PUSH_REFUSED);
        assert_int_equal(push_text(&outbox, &feed.sub, "k=4", 9, &dropped), TW_PUSHED);
        assert_int_equal(push_text(&outbox, &feed.sub, "k=5", 9, &dropped), TW_PUSHED);
        assert_int_equal(dropped, 3);
        assert_string_equal(rest_of(&outbox), "k=1|k=5");
        tw_outbox_deinit(&outbox);
    }
}

static void drops_nothing_in_vain(void **state) {
    (void)state;
    struct tw_outbox outbox;
    struct feed mine, other;
    uint64_t dropped = 0;
    tw_outbox_init(&outbox);
    feed_init(&mine, 10, TW_DROP_OLDEST);
    feed_init(&other, 10, TW_DROP_OLDEST);
    push_text(&outbox, &other.sub, "12345", 10, &dropped);
    push_text(&outbox, &mine.sub, "12", 10, &dropped);
    assert_int_equal(push_text(&outbox, &mine.sub, "12345", 10, &dropped), TW_PUSH_REFUSED);
    assert_int_equal(dropped, 1); /* the newcomer alone: "12" going would not have helped */
    assert_int_equal(push_text(&outbox, &mine.sub, "abc", 10, &dropped), TW_PUSHED);
    assert_int_equal(dropped, 2);
    assert_string_equal(rest_of(&outbox), "|12345|abc");
    tw_outbox_deinit(&outbox);
}

static void a_smaller_queue_after_a_reload_applies(void **state) {
    (void)state;
    static const enum tw_overflow policies[] = {TW_DROP_OLDEST, TW_CONFLATE};
    for (size_t i = 0; i < COUNT_OF(policies); i++) {
        struct tw_outbox outbox;
        struct feed feed;
        uint64_t dropped = 0;
        tw_outbox_init(&outbox);
        feed_init(&feed, 4, policies[i]);
        for (int n = 0; n < 4; n++)
            push_text(&outbox, &feed.sub, (const char *const[]){"a=1", "b=1", "c=1", "d=1"}[n],
                      NO_BOUND, &dropped);
        feed.topic.queue.size = 2;
        push_text(&outbox, &feed.sub, "a=2", NO_BOUND, &dropped);
        assert_int_equal(feed.sub.queued, 2);
        assert_int_equal(dropped, 3);
        assert_string_equal(rest_of(&outbox), "|d=1|a=2");
        tw_outbox_deinit(&outbox);
    }
}

static void the_last_word(void **state) {
    (void)state;
    for (int discard = 0; discard < 2; discard++) {
        struct tw_outbox outbox;
        struct feed feed;
        uint64_t dropped = 0;
        char out[64] = "";
        tw_outbox_init(&outbox);
        feed_init(&feed, 9, TW_DROP_OLDEST);
        push_text(&outbox, &feed.sub, "begun", NO_BOUND, &dropped);
        push_text(&outbox, &feed.sub, "waits", NO_BOUND, &dropped);
        take_bytes(&outbox, out, 3, 4);
        assert_int_equal(tw_outbox_try_control(&outbox, "<pong>", 6), 0);
        tw_outbox_finish(&outbox, "<bye>", 5, discard == 1);
        tw_outbox_finish(&outbox, "<again>", 7, true); /* the first word counts */
        assert_int_equal(tw_outbox_try_control(&outbox, "<ping>", 6), TW_ECLOSED);
        assert_int_equal(push_text(&outbox, &feed.sub, "x", NO_BOUND, &dropped), TW_PUSH_REFUSED);
        assert_int_equal(dropped, 0);
        assert_false(tw_outbox_is_empty(&outbox));
        assert_string_equal(rest_of(&outbox), discard ? "gun<pong><bye>" : "gun<pong>|waits<bye>");
        assert_true(tw_outbox_is_empty(&outbox));
        assert_int_equal(feed.sub.queued, 0);
        tw_outbox_deinit(&outbox);
    }
}

static void a_subscription_that_ends_is_forgotten_or_orphaned(void **state) {
    (void)state;
    for (int orphan = 0; orphan < 2; orphan++) {
        struct tw_outbox outbox;
        struct feed ends, stays;
        uint64_t dropped = 0;
        char out[64] = "";
        tw_outbox_init(&outbox);
        feed_init(&ends, 9, TW_DROP_OLDEST);
        feed_init(&stays, 9, TW_DROP_OLDEST);
        push_text(&outbox, &ends.sub, "a", NO_BOUND, &dropped);
        push_text(&outbox, &ends.sub, "b", NO_BOUND, &dropped);
        push_text(&outbox, &stays.sub, "c", NO_BOUND, &dropped);
        push_text(&outbox, &ends.sub, "d", NO_BOUND, &dropped);
        take_bytes(&outbox, out, 1, 4);
        if (orphan)
            tw_outbox_orphan(&outbox, &ends.sub);
        else
            tw_outbox_forget(&outbox, &ends.sub);
        assert_int_equal(ends.sub.queued, 0);
        assert_int_equal(ends.sub.queued_bytes, 0);
        assert_int_equal(stays.sub.queued, 1);
        memset(&ends, 0xee, sizeof ends); /* it may be freed now */
        assert_string_equal(rest_of(&outbox), orphan ? "a|b|c|d" : "a|c");
        tw_outbox_deinit(&outbox);
    }
}

static void parcels_are_shared_and_let_go(void **state) {
    (void)state;
    struct tw_outbox boxes[3];
    struct feed feed;
    uint64_t dropped = 0;
    struct tw_parcel *parcel = parcel_of("shared");
    struct tw_message *message = tw_message_ref(parcel->message);
    feed_init(&feed, 9, TW_DROP_OLDEST);
    for (size_t i = 0; i < COUNT_OF(boxes); i++) {
        tw_outbox_init(&boxes[i]);
        tw_outbox_push(&boxes[i], &feed.sub, parcel, NO_BOUND, &dropped);
    }
    assert_int_equal(parcel->refs, 4);
    tw_parcel_unref(parcel);
    assert_string_equal(rest_of(&boxes[0]), "|shared");
    for (size_t i = 0; i < COUNT_OF(boxes); i++)
        tw_outbox_deinit(&boxes[i]);
    assert_int_equal(message->refs, 1);
    tw_message_unref(&message);
}

static void no_memory_for_the_ring_is_a_counted_loss(void **state) {
    (void)state;
    struct tw_outbox outbox;
    struct feed feed;
    uint64_t dropped = 0;
    tw_outbox_init(&outbox);
    feed_init(&feed, 100, TW_DROP_OLDEST);
    for (int i = 0; i < TW_OUTBOX_LEAST; i++)
        push_text(&outbox, &feed.sub, "x", NO_BOUND, &dropped);
    struct tw_parcel *parcel = parcel_of("y");
    tw_mem_fail_after(1);
    assert_int_equal(tw_outbox_push(&outbox, &feed.sub, parcel, NO_BOUND, &dropped),
                     TW_PUSH_REFUSED);
    assert_int_equal(dropped, 1);
    assert_int_equal(tw_outbox_push(&outbox, &feed.sub, parcel, NO_BOUND, &dropped), TW_PUSHED);
    tw_parcel_unref(parcel);
    assert_string_equal(rest_of(&outbox), "|x|x|x|x|y");
    tw_outbox_shrink(&outbox);
    assert_ptr_equal(outbox.ring, NULL);
    push_text(&outbox, &feed.sub, "z", NO_BOUND, &dropped);
    assert_string_equal(rest_of(&outbox), "|z");
    tw_outbox_deinit(&outbox);
}

static void no_memory_to_conflate_drops_the_oldest(void **state) {
    (void)state;
    struct tw_outbox outbox;
    struct feed feed;
    uint64_t dropped = 0;
    tw_outbox_init(&outbox);
    feed_init(&feed, 3, TW_CONFLATE);
    for (int i = 0; i < 3; i++)
        push_text(&outbox, &feed.sub, (const char *const[]){"a=1", "b=1", "b=2"}[i], NO_BOUND,
                  &dropped);
    struct tw_parcel *parcel = parcel_of("c=1");
    tw_mem_fail_after(1);
    assert_int_equal(tw_outbox_push(&outbox, &feed.sub, parcel, NO_BOUND, &dropped), TW_PUSHED);
    assert_int_equal(tw_mem_fail_after(-1), 0);
    tw_parcel_unref(parcel);
    assert_int_equal(dropped, 1);
    push_text(&outbox, &feed.sub, "d=1", NO_BOUND, &dropped); /* it was not forgotten */
    assert_int_equal(dropped, 2);
    assert_string_equal(rest_of(&outbox), "|b=2|c=1|d=1");
    tw_outbox_deinit(&outbox);
}

/* Keys are the publishers' to choose, and so is what their hashes have in common. */
static void keys_that_collide_are_kept_apart(void **state) {
    (void)state;
    enum { KEYS = 100, SIZE = 150 };
    struct tw_outbox outbox;
    struct feed feed;
    uint64_t dropped = 0;
    char text[16];
    tw_outbox_init(&outbox);
    feed_init(&feed, SIZE, TW_CONFLATE);
    for (int i = 0; i < 1000; i++) {
        snprintf(text, sizeof text, "%d=%d", i % KEYS, i);
        struct tw_parcel *parcel = parcel_of(text);
        parcel->message->key_hash = 1;
        assert_int_equal(tw_outbox_push(&outbox, &feed.sub, parcel, NO_BOUND, &dropped), TW_PUSHED);
        tw_parcel_unref(parcel);
        assert_int_equal(dropped + feed.sub.queued, i + 1);
        assert_true(feed.sub.queued <= SIZE);
    }
    snprintf(text, sizeof text, "|%d=%d", 999 % KEYS, 999);
    assert_non_null(strstr(rest_of(&outbox), text));
    tw_outbox_deinit(&outbox);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_one_holds_nothing),
        cmocka_unit_test(control_goes_before_data_but_not_into_a_frame),
        cmocka_unit_test(the_control_lane_is_bounded),
        cmocka_unit_test(each_policy_at_its_bound_of_messages),
        cmocka_unit_test(each_policy_at_its_bound_of_bytes),
        cmocka_unit_test(says_which_push_was_refused),
        cmocka_unit_test(a_frame_that_has_begun_is_neither_dropped_nor_replaced),
        cmocka_unit_test(drops_nothing_in_vain),
        cmocka_unit_test(a_smaller_queue_after_a_reload_applies),
        cmocka_unit_test(the_last_word),
        cmocka_unit_test(a_subscription_that_ends_is_forgotten_or_orphaned),
        cmocka_unit_test(parcels_are_shared_and_let_go),
        cmocka_unit_test(no_memory_for_the_ring_is_a_counted_loss),
        cmocka_unit_test(no_memory_to_conflate_drops_the_oldest),
        cmocka_unit_test(keys_that_collide_are_kept_apart),
    };
    return cmocka_run_group_tests(tests, NULL, no_failed_checks);
}
