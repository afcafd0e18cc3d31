/* broker_mailbox_test.c: order, bounds, who is to be woken; and two threads. */
#include "broker_support.h"

#include <pthread.h>
#include <sched.h>

#include "broker/mailbox.h"

static struct tw_mail *mail_of(enum tw_mail_kind kind, uint64_t number) {
    struct tw_mail *mail = tw_mail_new(kind);
    mail->offset = number;
    return mail;
}

/* Frees a lane that should hold first, first + 1, ...; returns how many. */
static size_t drain(struct tw_mail *mail, uint64_t first) {
    size_t count = 0;
    while (mail) {
        struct tw_mail *next = mail->next;
        assert_int_equal(mail->offset, first + count);
        tw_mail_free(mail);
        mail = next;
        count++;
    }
    return count;
}

static void keeps_the_order_of_each_lane(void **state) {
    (void)state;
    struct tw_mailbox box;
    struct tw_mail *first;
    tw_mailbox_init(&box, 100);
    for (uint64_t i = 0; i < 10; i++) {
        assert_true(tw_mailbox_try_put(&box, mail_of(TW_MAIL_PUBLISH, i)));
        assert_true(tw_mailbox_try_put(&box, mail_of(TW_MAIL_DELIVER, 50 + i)));
    }
    assert_false(tw_mailbox_take_up(&box, &first));
    assert_int_equal(drain(first, 0), 10);
    assert_false(tw_mailbox_take_up(&box, &first));
    assert_null(first);
    assert_false(tw_mailbox_take_down(&box, &first));
    assert_int_equal(drain(first, 50), 10);
    assert_true(tw_mailbox_try_put(&box, mail_of(TW_MAIL_PUBLISH, 99)));
    tw_mailbox_deinit(&box); /* frees it */
}

static void the_up_lane_is_bounded_and_remembers_the_refused(void **state) {
    (void)state;
    struct tw_mailbox box;
    struct tw_mail *first, *over = mail_of(TW_MAIL_SUBSCRIBE, 2);
    tw_mailbox_init(&box, 2);
    assert_true(tw_mailbox_try_put(&box, mail_of(TW_MAIL_PUBLISH, 0)));
    assert_true(tw_mailbox_try_put(&box, mail_of(TW_MAIL_PUBLISH, 1)));
    assert_false(tw_mailbox_try_put(&box, over));
    assert_true(tw_mailbox_take_up(&box, &first)); /* wake somebody */
    assert_int_equal(drain(first, 0), 2);
    assert_true(tw_mailbox_try_put(&box, over));
    assert_false(tw_mailbox_take_up(&box, &first)); /* once */
    assert_int_equal(drain(first, 2), 1);
    tw_mailbox_deinit(&box);
}

static void the_down_lane_takes_all_and_says_when_it_is_too_much(void **state) {
    (void)state;
    struct tw_mailbox box;
    struct tw_mail *first;
    tw_mailbox_init(&box, 3);
    for (uint64_t i = 0; i < 2; i++)
        assert_true(tw_mailbox_try_put(&box, mail_of(TW_MAIL_DELIVER, i)));
    assert_false(tw_mailbox_is_congested(&box));
    assert_true(tw_mailbox_try_put(&box, mail_of(TW_MAIL_DELIVER, 2)));
    assert_true(tw_mailbox_is_congested(&box));
    assert_true(tw_mailbox_try_put(&box, mail_of(TW_MAIL_DELIVER, 3)));
    assert_true(tw_mailbox_take_down(&box, &first)); /* whoever asked waits to be woken */
    assert_int_equal(drain(first, 0), 4);
    assert_false(tw_mailbox_is_congested(&box));
    for (uint64_t i = 0; i < 3; i++)
        assert_true(tw_mailbox_try_put(&box, mail_of(TW_MAIL_DELIVER, i)));
    assert_false(tw_mailbox_take_down(&box, &first)); /* nobody asked */
    assert_int_equal(drain(first, 0), 3);
    tw_mailbox_deinit(&box);
}

/* --- threads ---------------------------------------------------------------------------------- */

enum { PRODUCERS = 2, MAILS = 20000, BOUND = 64 };

struct producer {
    struct tw_mailbox *box;
    uint16_t index;
};

static void *produce(void *data) {
    const struct producer *producer = (const struct producer *)data;
    for (uint64_t i = 0; i < MAILS; i++) {
        struct tw_mail *mail = mail_of(i % 2 ? TW_MAIL_DELIVER : TW_MAIL_PUBLISH, i);
        mail->from = producer->index;
        while (!tw_mailbox_try_put(producer->box, mail))
            sched_yield();
    }
    return NULL;
}

/* Of one producer, each lane's numbers rise by 2. */
static size_t check_lane(struct tw_mail *mail, uint64_t next[PRODUCERS]) {
    size_t count = 0;
    for (; mail; count++) {
        struct tw_mail *behind = mail->next;
        assert_int_equal(mail->offset, next[mail->from]);
        next[mail->from] += 2;
        tw_mail_free(mail);
        mail = behind;
    }
    return count;
}

static void two_producers_lose_and_reorder_nothing(void **state) {
    (void)state;
    struct tw_mailbox box;
    struct producer producers[PRODUCERS];
    pthread_t threads[PRODUCERS];
    uint64_t next_up[PRODUCERS] = {0, 0}, next_down[PRODUCERS] = {1, 1};
    size_t got = 0;
    tw_mailbox_init(&box, BOUND);
    for (uint16_t i = 0; i < PRODUCERS; i++) {
        producers[i] = (struct producer){&box, i};
        assert_int_equal(pthread_create(&threads[i], NULL, produce, &producers[i]), 0);
    }
    while (got < (size_t)PRODUCERS * MAILS) {
        struct tw_mail *first;
        tw_mailbox_take_up(&box, &first);
        size_t up = check_lane(first, next_up);
        assert_true(up <= BOUND);
        tw_mailbox_take_down(&box, &first);
        size_t down = check_lane(first, next_down);
        if (up + down == 0) sched_yield();
        got += up + down;
    }
    for (int i = 0; i < PRODUCERS; i++)
        pthread_join(threads[i], NULL);
    tw_mailbox_deinit(&box);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_the_order_of_each_lane),
        cmocka_unit_test(the_up_lane_is_bounded_and_remembers_the_refused),
        cmocka_unit_test(the_down_lane_takes_all_and_says_when_it_is_too_much),
        cmocka_unit_test(two_producers_lose_and_reorder_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, no_failed_checks);
}
