/* broker_hub_views_test.c: classes of listeners, what each of them hears, and who is asked for
 * anew; subscriptions by handlers; timers. */
#include "broker_hub_support.h"

#include "broker/audience.h"

/* --- the table of classes --- */

static void views_of(struct tw_definition *definition, const char *a, const char *b) {
    definition->has_audience = true;
    definition->views = (char **)tw_alloc(2 * sizeof *definition->views);
    definition->view_count = 0;
    if (a) definition->views[definition->view_count++] = tw_format("%s", a);
    if (b) definition->views[definition->view_count++] = tw_format("%s", b);
}

static uint8_t hold(struct tw_audience *audience, const struct tw_definition *definition,
                    const char *name) {
    uint8_t number = 99;
    int status = tw_audience_hold(audience, definition, tw_str_of(name), false, &number);
    return status == 0 ? number : 255;
}

static void classes_have_numbers_as_long_as_they_are_held(void **state) {
    (void)state;
    struct tw_audience audience = {0};
    struct tw_definition definition = {0};
    views_of(&definition, "free", "pro");
    assert_int_equal(hold(&audience, &definition, ""), 0);
    assert_false(tw_audience_has_views(&audience));
    assert_int_equal(hold(&audience, &definition, "other"), 1);
    assert_false(tw_audience_has_views(&audience));
    assert_int_equal(hold(&audience, &definition, "pro"), 2);
    assert_int_equal(audience.classes[1].view, 1);
    assert_true(tw_audience_has_views(&audience));
    assert_int_equal(hold(&audience, &definition, "pro"), 2);
    tw_audience_release(&audience, 0);
    tw_audience_release(&audience, 2);
    assert_true(tw_audience_has_views(&audience));
    tw_audience_release(&audience, 2);
    assert_false(tw_audience_has_views(&audience));
    assert_int_equal(hold(&audience, &definition, "free"), 2); /* the place of one that is gone */
    assert_int_equal(audience.count, 2);
    tw_audience_deinit(&audience);
    tw_definition_deinit(&definition);
}

static void classes_are_bounded(void **state) {
    (void)state;
    struct tw_audience audience = {0};
    struct tw_definition definition = {.has_audience = true};
    char name[16];
    uint8_t number;
    for (unsigned i = 0; i < TW_MAX_CLASSES; i++) {
        snprintf(name, sizeof name, "class %u", i);
        assert_int_equal(hold(&audience, &definition, name), i + 1);
    }
    assert_int_equal(hold(&audience, &definition, "more"), 255);
    assert_int_equal(hold(&audience, &definition, "class 7"), 8);
    assert_int_equal(hold(&audience, &definition, ""), 0);
    for (unsigned i = 0; i < TW_MAX_CLASSES; i++) { /* all of them change their names */
        snprintf(name, sizeof name, "new %u", i);
        assert_int_equal(tw_audience_hold(&audience, &definition, tw_str_of(name), true, &number),
                         0);
    }
    assert_int_equal(tw_audience_hold(&audience, &definition, TW_STR("x"), true, &number),
                     TW_EFULL);
    tw_audience_deinit(&audience);
}

static void a_class_that_lost_its_view_hears_nothing(void **state) {
    (void)state;
    struct tw_audience audience = {0};
    struct tw_definition with = {0}, without = {.has_audience = true}, plain = {0};
    views_of(&with, "a", NULL);
    assert_int_equal(hold(&audience, &with, "a"), 1);
    assert_int_equal(hold(&audience, &with, "b"), 2);
    tw_audience_bind(&audience, &without);
    assert_int_equal(audience.classes[0].view, TW_VIEW_LOST);
    assert_int_equal(audience.classes[1].view, TW_VIEW_NONE);
    assert_int_equal(hold(&audience, &without, "a"), 3); /* who was asked hears all */
    assert_int_equal(audience.classes[2].view, TW_VIEW_NONE);
    tw_audience_bind(&audience, &without);
    assert_int_equal(audience.classes[0].view, TW_VIEW_LOST);
    tw_audience_bind(&audience, &with);
    assert_int_equal(audience.classes[0].view, 0);
    tw_audience_bind(&audience, &plain); /* no classes at all: everybody hears all */
    assert_int_equal(audience.classes[0].view, TW_VIEW_NONE);
    tw_audience_deinit(&audience);
    tw_definition_deinit(&with);
}

/* --- through the hub --- */

/* Odd ones are free. */
static unsigned asked;
static const char *name_of_even = "pro";

static int by_turns(struct tw_identity *client, struct tw_buf *class) {
    (void)client;
    tw_buf_print(class, "%s", ++asked % 2 ? "free" : name_of_even);
    return 0;
}

static int cut(size_t view, struct tw_message *message, struct tw_message **out) {
    struct tw_str text = tw_message_text(message);
    (void)view;
    if (text.data[0] == '4') return TW_EDROPPED;
    if (text.data[0] == '5') return TW_ESCRIPT;
    *out = tw_message_try_new(text.data, 1, false);
    return 0;
}

static struct tw_generation *market_with_views(unsigned number, const char *a, const char *b) {
    struct tw_generation *generation = generation_new(number);
    struct tw_definition *market = define(generation, "market");
    views_of(market, a, b);
    market->policy_print = number;
    define(generation, "other")->has_on_subscribe = true;
    script.audience = by_turns;
    script.view = cut;
    asked = 0;
    name_of_even = "pro";
    return generation;
}

static void each_class_hears_its_own(unsigned workers) {
    struct world world;
    struct fake *fakes[20];
    world_begin(&world, workers, market_with_views(1, "free", NULL), 1000);
    for (unsigned i = 0; i < COUNT_OF(fakes); i++) {
        fakes[i] = fake_join(&world, i, 0);
        subscribe(&world, fakes[i], "market");
    }
    publish(fakes[0], "market", "12");
    publish(fakes[1], "market", "42");
    publish(fakes[2], "market", "52");
    publish(fakes[3], "market", "32");
    settle(&world);
    assert_int_equal(script.views, 4); /* not one per subscriber */
    assert_int_equal(STAT(&world, hook_failures), 1);
    for (unsigned i = 0; i < COUNT_OF(fakes); i++) {
        unsigned marks = 0;
        for (const char *at = fakes[i]->got; (at = strchr(at, '|')); at++)
            marks++;
        assert_int_equal(marks, i % 2 ? 4 : 2);
        assert_true(i % 2 || !strchr(fakes[i]->got, '2'));
    }
    for (unsigned i = 0; i < COUNT_OF(fakes); i++)
        if (i % 2 == 0) fake_leave(fakes[i]);
    settle(&world);
    assert_int_equal(channel_of(&world, "market")->withheld, 20);
    publish(fakes[1], "market", "12");
    settle(&world);
    assert_int_equal(script.views, 4); /* nobody would hear it */
    world_end(&world);
}
WITH_1_AND_4(each_class_hears_its_own)

static void a_reload_asks_again_and_lets_go(unsigned workers) {
    struct world world;
    struct fake *fakes[8];
    world_begin(&world, workers, market_with_views(1, "free", NULL), 1000);
    for (unsigned i = 0; i < COUNT_OF(fakes); i++) {
        fakes[i] = fake_join(&world, i, 0);
        subscribe(&world, fakes[i], "market");
    }
    swap_all(&world, market_with_views(2, "basic", NULL));
    name_of_even = "basic";
    settle(&world);
    assert_int_equal(script.audiences, 2 * COUNT_OF(fakes));
    script.views = 0;
    publish(fakes[0], "market", "32");
    settle(&world);
    assert_int_equal(script.views, 1);
    unsigned cuts = 0;
    for (unsigned i = 0; i < COUNT_OF(fakes); i++)
        cuts += strstr(fakes[i]->got, "|32") == NULL;
    assert_int_equal(cuts, COUNT_OF(fakes) / 2);
    /* Again and again, while some leave and some come. */
    for (unsigned n = 3; n < 8; n++) {
        swap_all(&world, market_with_views(n, n % 2 ? "free" : NULL, "pro"));
        struct fake *comes = fake_join(&world, n, 0);
        tw_hub_subscribe(comes->client.hub, &comes->client, TW_STR("market"));
        if (n % 2) turn(&world, n % workers);
        fake_leave(fakes[n - 3]);
    }
    settle(&world);
    world_end(&world);
}
WITH_1_AND_4(a_reload_asks_again_and_lets_go)

/* "free" may be "basic" now: until they were asked, those who were of it hear nothing. */
static void a_renamed_class_never_hears_all(void **state) {
    (void)state;
    struct world world;
    struct fake *fakes[8];
    world_begin(&world, 4, market_with_views(1, "free", NULL), 1000);
    struct tw_name *name = tw_name_new(TW_STR("market"));
    unsigned home = tw_hub_home(&world.hub[0], name);
    tw_name_unref(&name);
    for (unsigned i = 0; i < COUNT_OF(fakes); i++) { /* none of them at home */
        fakes[i] = fake_join(&world, home + 1 + i % 3, 0);
        subscribe(&world, fakes[i], "market");
    }
    swap_all(&world, market_with_views(2, "basic", NULL));
    for (unsigned i = 0; i < 4; i++)
        world.is_asleep[i] = i != home;
    world.hub[home].now_ms = world.now_ms;
    assert_int_equal(
        tw_hub_publish_from_api(&world.hub[home], TW_STR("market"), message_of("12"), NULL), 0);
    settle(&world);
    memset(world.is_asleep, 0, sizeof world.is_asleep);
    for (unsigned i = 0; i < 4; i++)
        world.is_woken[i] = true;
    settle(&world);
    for (unsigned i = 0; i < COUNT_OF(fakes); i++)
        assert_string_equal(fakes[i]->got, i % 2 ? "|12" : "");
    assert_int_equal(script.views, 0);
    world_end(&world);
}

static int renew_even(struct tw_identity *client, double *expires) {
    if (client->id % 2) return client->id % 3 ? TW_EREFUSED : TW_ESCRIPT;
    *expires = 1e9;
    return 0;
}

static void tokens_end_some_in_each_turn(unsigned workers) {
    struct world world;
    struct fake *fakes[200];
    struct tw_generation *generation = market_with_views(1, "free", NULL);
    generation->has_on_expire = true;
    script.on_expire = renew_even;
    world_begin(&world, workers, generation, 1000);
    double now = (FIRST_MS + 1000000) / 1000.0; /* wall_offset_ms */
    for (unsigned i = 0; i < COUNT_OF(fakes); i++) {
        fakes[i] = fake_join(&world, 0, now + 5);
        subscribe(&world, fakes[i], "market");
    }
    world.now_ms += 5000;
    turn(&world, 0);
    assert_int_equal(script.expiries, TW_HUB_EXPIRIES);
    assert_true(world.next_ms[0] <= world.now_ms); /* and goes on at once */
    settle(&world);
    assert_int_equal(script.expiries, COUNT_OF(fakes));
    unsigned stay = 0;
    for (unsigned i = 0; i < COUNT_OF(fakes); i++) {
        bool is_even = fakes[i]->client.identity->id % 2 == 0;
        assert_int_equal(fakes[i]->close_code, is_even ? 0 : 4401);
        stay += is_even;
    }
    assert_int_equal(script.audiences, COUNT_OF(fakes) + stay);
    assert_int_equal(channel_of(&world, "market")->subscribers, stay);
    world_end(&world);
}
WITH_1_AND_4(tokens_end_some_in_each_turn)

/* --- subscriptions by handlers --- */

static enum tw_effect_kind asks_for;

static int subscribe_other(struct tw_channel *channel, const char *event,
                           struct tw_identity *client, struct tw_effects *effects) {
    (void)channel;
    if (strcmp(event, "subscribe") != 0) return 0;
    return tw_effects_try_subscription(effects, asks_for, client, TW_STR("market"));
}

static int refuse_all(struct tw_channel *channel, struct tw_identity *client, enum tw_action action,
                      struct tw_failure *failure) {
    (void)client, (void)action, (void)failure;
    return channel->name->text.data[0] == 'm' ? TW_EREFUSED : 0;
}

static void a_handler_subscribes(unsigned workers) {
    struct world world;
    world_begin(&world, workers, market_with_views(1, "free", NULL), 1000);
    script.on_event = subscribe_other;
    script.authorize = refuse_all;
    asks_for = TW_EFFECT_SUBSCRIBE;
    struct fake *a = fake_join(&world, 0, 0), *b = fake_join(&world, 1, 0);
    subscribe(&world, a, "other");
    subscribe(&world, b, "other");
    assert_int_equal(a->client.sub_count + b->client.sub_count, 4);
    assert_int_equal(channel_of(&world, "market")->subscribers, 2);
    publish(a, "market", "12");
    settle(&world);
    assert_string_equal(a->got, "|1");
    assert_string_equal(b->got, "|12");
    /* A client that goes before it is asked, and one that was never there. */
    struct fake *gone = fake_join(&world, 2, 0);
    tw_hub_subscribe(gone->client.hub, &gone->client, TW_STR("other"));
    op_on_close(&gone->client, 1000, "", false);
    settle(&world);
    asks_for = TW_EFFECT_UNSUBSCRIBE;
    struct fake *c = fake_join(&world, 3, 0);
    subscribe(&world, c, "other"); /* ends what there is not */
    assert_int_equal(c->client.sub_count, 1);
    assert_int_equal(channel_of(&world, "market")->subscribers, 2);
    world_end(&world);
}
WITH_1_AND_4(a_handler_subscribes)

/* --- timers --- */

static int wait_or_publish(struct tw_channel *channel, const char *event,
                           struct tw_identity *client, struct tw_effects *effects) {
    (void)client;
    script.timer_channel = channel;
    if (strcmp(event, "subscribe") == 0) return tw_effects_try_after(effects, 1, 500);
    if (strcmp(event, "after") != 0) return 0;
    return tw_effects_try_publish(effects, channel->name->text, TW_STR("7"), false);
}

static int key_fails(struct tw_channel *channel, struct tw_message *message, struct tw_buf *key) {
    (void)channel, (void)message, (void)key;
    return TW_ESCRIPT;
}

static int wait_in_transform(struct tw_channel *channel, struct tw_identity *client,
                             struct tw_message **message, struct tw_effects *effects) {
    (void)client, (void)message;
    script.timer_channel = channel;
    return tw_effects_try_after(effects, 1, 500);
}

static void a_timer_is_armed_runs_or_is_dropped(unsigned workers) {
    struct world world;
    struct tw_generation *generation = market_with_views(1, NULL, NULL);
    generation->definitions[0].has_transform = generation->definitions[0].has_key = true;
    script.on_event = wait_or_publish;
    world_begin(&world, workers, generation, 1000);
    struct fake *a = fake_join(&world, 0, 0);
    subscribe(&world, a, "other");
    assert_int_equal(script.timer_ms, FIRST_MS + 500);
    pass(&world, 499);
    assert_string_equal(a->got, "");
    pass(&world, 1);
    assert_string_equal(a->got, "|7");
    assert_int_equal(script.timer_ms, 0);
    /* The transform went well, but what comes behind it did not. */
    script.transform = wait_in_transform;
    script.key = key_fails;
    publish(a, "market", "1");
    settle(&world);
    assert_int_equal(script.cancels, 1);
    assert_int_equal(script.timer_ms, 0);
    world_end(&world);
}
WITH_1_AND_4(a_timer_is_armed_runs_or_is_dropped)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classes_have_numbers_as_long_as_they_are_held),
        cmocka_unit_test(classes_are_bounded),
        cmocka_unit_test(a_class_that_lost_its_view_hears_nothing),
        TESTS_1_AND_4(each_class_hears_its_own),
        TESTS_1_AND_4(a_reload_asks_again_and_lets_go),
        cmocka_unit_test(a_renamed_class_never_hears_all),
        TESTS_1_AND_4(tokens_end_some_in_each_turn),
        TESTS_1_AND_4(a_handler_subscribes),
        TESTS_1_AND_4(a_timer_is_armed_runs_or_is_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, no_failed_checks);
}
