/* broker_effects_test.c: the effects of a handler: kept in order, undone whole, bounded. */
#include "broker_support.h"

#include "broker/effects.h"

static struct tw_identity *somebody(void) {
    struct tw_ip ip = ip_of("10.0.0.1");
    return tw_identity_try_new(7, 0, &ip, TW_STR("alice"), TW_STR("{}"));
}

static void keeps_them_in_order(void **state) {
    (void)state;
    struct tw_effects effects = {0};
    struct tw_identity *client = somebody();
    assert_int_equal(tw_effects_try_publish(&effects, TW_STR("market"), TW_STR("1"), false), 0);
    assert_int_equal(tw_effects_try_send(&effects, client, TW_STR("22"), true), 0);
    assert_int_equal(tw_effects_try_disconnect(&effects, client, 4403, TW_STR("go")), 0);
    assert_int_equal(effects.count, 3);
    assert_int_equal(effects.items[0].kind, TW_EFFECT_PUBLISH);
    assert_true(tw_str_eq(effects.items[0].channel->text, TW_STR("market")));
    assert_true(tw_str_eq(tw_message_text(effects.items[0].message), TW_STR("1")));
    assert_false(effects.items[0].message->binary);
    assert_int_equal(effects.items[1].kind, TW_EFFECT_SEND);
    assert_true(effects.items[1].message->binary);
    assert_ptr_equal(effects.items[1].client, client);
    assert_int_equal(effects.items[2].kind, TW_EFFECT_DISCONNECT);
    assert_int_equal(effects.items[2].code, 4403);
    assert_string_equal(effects.items[2].reason, "go");
    assert_int_equal(client->refs, 3);
    tw_effects_deinit(&effects);
    assert_int_equal(client->refs, 1);
    tw_identity_unref(&client);
}

static void cuts_a_long_reason(void **state) {
    (void)state;
    struct tw_effects effects = {0};
    struct tw_identity *client = somebody();
    char reason[200];
    memset(reason, 'r', sizeof reason);
    assert_int_equal(
        tw_effects_try_disconnect(&effects, client, 4403, (struct tw_str){reason, sizeof reason}),
        0);
    assert_int_equal(strlen(effects.items[0].reason), 123);
    tw_effects_deinit(&effects);
    tw_identity_unref(&client);
}

static void rewinds(void **state) {
    (void)state;
    struct tw_effects effects = {0};
    for (int i = 0; i < 100; i++)
        assert_int_equal(tw_effects_try_publish(&effects, TW_STR("a"), TW_STR("123"), false), 0);
    assert_int_equal(effects.bytes, 400);
    tw_effects_rewind(&effects, 100);
    assert_int_equal(effects.count, 100);
    tw_effects_rewind(&effects, 40);
    assert_int_equal(effects.count, 40);
    assert_int_equal(effects.bytes, 160);
    tw_effects_rewind(&effects, 0);
    assert_int_equal(effects.bytes, 0);
    assert_int_equal(tw_effects_try_publish(&effects, TW_STR("a"), TW_STR(""), false), 0);
    tw_effects_deinit(&effects);
    tw_effects_deinit(&effects);
}

static void is_bounded_by_count(void **state) {
    (void)state;
    struct tw_effects effects = {0};
    struct tw_identity *client = somebody();
    for (int i = 0; i < TW_MAX_EFFECTS; i++)
        assert_int_equal(tw_effects_try_send(&effects, client, TW_STR("1"), false), 0);
    assert_int_equal(tw_effects_try_publish(&effects, TW_STR("a"), TW_STR("1"), false), TW_EFULL);
    assert_int_equal(tw_effects_try_send(&effects, client, TW_STR("1"), false), TW_EFULL);
    assert_int_equal(tw_effects_try_disconnect(&effects, client, 1, TW_STR("")), TW_EFULL);
    assert_int_equal(effects.count, TW_MAX_EFFECTS);
    tw_effects_rewind(&effects, TW_MAX_EFFECTS - 1);
    assert_int_equal(tw_effects_try_disconnect(&effects, client, 1, TW_STR("")), 0);
    tw_effects_deinit(&effects);
    assert_int_equal(client->refs, 1);
    tw_identity_unref(&client);
}

/* The payloads are copies outside of the VM, whose memory is all that bounds a script otherwise. */
static void is_bounded_by_bytes(void **state) {
    (void)state;
    struct tw_effects effects = {0};
    struct tw_identity *client = somebody();
    size_t half = TW_MAX_EFFECT_BYTES / 2;
    char *bytes = (char *)tw_alloc(half + 1);
    struct tw_str payload = {bytes, half};
    assert_int_equal(tw_effects_try_send(&effects, client, payload, true), 0);
    payload.length = half + 1;
    assert_int_equal(tw_effects_try_send(&effects, client, payload, true), TW_EFULL);
    payload.length = half;
    assert_int_equal(tw_effects_try_publish(&effects, TW_STR("a"), payload, true), TW_EFULL);
    payload.length = half - 1;
    assert_int_equal(tw_effects_try_publish(&effects, TW_STR("a"), payload, true), 0);
    assert_int_equal(tw_effects_try_send(&effects, client, TW_STR("1"), true), TW_EFULL);
    tw_effects_rewind(&effects, 0);
    payload.length = SIZE_MAX;
    assert_int_equal(tw_effects_try_publish(&effects, TW_STR("a"), payload, true), TW_EFULL);
    assert_int_equal(tw_effects_try_send(&effects, client, payload, true), TW_EFULL);
    tw_free(bytes);
    tw_effects_deinit(&effects);
    tw_identity_unref(&client);
}

static void each_failing_allocation_leaves_it_as_it_was(void **state) {
    (void)state;
    struct tw_identity *client = somebody();
    for (long n = 1; n <= 4; n++) {
        struct tw_effects effects = {0};
        tw_mem_fail_after(n);
        size_t count = 0, failures = 0;
        for (int i = 0; i < 10; i++) {
            int status = i % 2 ? tw_effects_try_send(&effects, client, TW_STR("1"), false)
                               : tw_effects_try_publish(&effects, TW_STR("a"), TW_STR("1"), false);
            assert_true(status == 0 || status == -ENOMEM);
            if (status == 0) count++;
            if (status != 0) failures++;
            assert_int_equal(effects.count, count);
        }
        assert_int_equal(failures, 1);
        tw_mem_fail_after(-1);
        tw_effects_deinit(&effects);
        assert_int_equal(client->refs, 1);
    }
    tw_identity_unref(&client);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_them_in_order),
        cmocka_unit_test(cuts_a_long_reason),
        cmocka_unit_test(rewinds),
        cmocka_unit_test(is_bounded_by_count),
        cmocka_unit_test(is_bounded_by_bytes),
        cmocka_unit_test(each_failing_allocation_leaves_it_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, no_failed_checks);
}
