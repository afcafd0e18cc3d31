/* broker_hub_publish_test.c: the way of a publish: order, refusals, transforms, effects, answers.
 */
#include "broker_hub_support.h"

static struct tw_generation *one_channel(const char *name) {
    struct tw_generation *generation = generation_new(1);
    define(generation, name);
    return generation;
}

static int append_x(struct tw_channel *channel, struct tw_identity *client,
                    struct tw_message **message, struct tw_effects *effects) {
    (void)channel, (void)client, (void)effects;
    char text[64];
    int length = snprintf(text, sizeof text, "%.*s0", TW_STR_ARG(tw_message_text(*message)));
    struct tw_message *changed = tw_message_try_new(text, (size_t)length, false);
    tw_message_unref(message);
    *message = changed;
    return 0;
}

/* "1" is dropped, "2" fails, "3" is refused; each asks for an effect. */
static int judge(struct tw_channel *channel, struct tw_identity *client,
                 struct tw_message **message, struct tw_effects *effects) {
    (void)channel, (void)client;
    struct tw_str text = tw_message_text(*message);
    assert_int_equal(tw_effects_try_publish(effects, TW_STR("other"), text, false), 0);
    switch (text.data[0]) {
    case '1':
        return TW_EDROPPED;
    case '2':
        return TW_ESCRIPT;
    default:
        return 0;
    }
}

static void every_subscriber_sees_one_order(unsigned workers) {
    struct world world;
    struct fake *fakes[9];
    world_begin(&world, workers, one_channel("market"), 1000);
    for (unsigned i = 0; i < COUNT_OF(fakes); i++) {
        fakes[i] = fake_join(&world, i, 0);
        assert_int_equal(subscribe(&world, fakes[i], "market"), 0);
    }
    assert_int_equal(channel_of(&world, "market")->subscribers, COUNT_OF(fakes));
    for (unsigned n = 0; n < 40; n++) {
        char text[8];
        snprintf(text, sizeof text, "%u", 10 + n);
        assert_int_equal(publish(fakes[n % 2], "market", text), 0);
    }
    settle(&world);
    for (unsigned i = 1; i < COUNT_OF(fakes); i++)
        assert_string_equal(fakes[i]->got, fakes[0]->got);
    assert_int_equal(fakes[0]->total, 40 * 3);
    /* FIFO per publisher, whatever the order between them. */
    unsigned last[2] = {0, 0};
    for (const char *at = fakes[0]->got; *at; at += 3) {
        unsigned n = (unsigned)(at[1] - '0') * 10 + (unsigned)(at[2] - '0');
        assert_true(n > last[n % 2]);
        last[n % 2] = n;
    }
    assert_int_equal(channel_of(&world, "market")->offset, 40);
    assert_int_equal(STAT(&world, messages_in), 40);
    assert_int_equal(STAT(&world, published), 40);
    assert_int_equal(STAT(&world, messages_out), 40 * COUNT_OF(fakes));
    world_end(&world);
}
WITH_1_AND_4(every_subscriber_sees_one_order)

static void channels_hear_only_their_own(unsigned workers) {
    struct world world;
    struct tw_generation *generation = one_channel("market");
    define(generation, "foreign");
    world_begin(&world, workers, generation, 1000);
    struct fake *a = fake_join(&world, 0, 0), *b = fake_join(&world, 1, 0);
    struct fake *both = fake_join(&world, 2, 0);
    subscribe(&world, a, "market");
    subscribe(&world, b, "foreign");
    subscribe(&world, both, "market");
    subscribe(&world, both, "foreign");
    publish(a, "market", "1");
    publish(b, "foreign", "2");
    settle(&world);
    assert_string_equal(a->got, "|1");
    assert_string_equal(b->got, "|2");
    assert_int_equal(both->total, 4);
    world_end(&world);
}
WITH_1_AND_4(channels_hear_only_their_own)

/* The answer says from which offset on; not one message is missing behind it. */
static void a_subscriber_misses_nothing_behind_the_answer(unsigned workers) {
    struct world world;
    world_begin(&world, workers, one_channel("market"), 1000);
    for (unsigned i = 0; i < 4; i++) {
        struct fake *publisher = fake_join(&world, i + 1, 0), *fake = fake_join(&world, i, 0);
        struct tw_channel *channel = channel_of(&world, "market");
        uint64_t before = channel->offset;
        publish(publisher, "market", "1");
        tw_hub_subscribe(fake->client.hub, &fake->client, TW_STR("market"));
        publish(publisher, "market", "2");
        publish(fake, "market", "3");
        settle(&world);
        assert_int_equal(channel->offset, before + 3);
        assert_int_equal(fake->total, 2 * (channel->offset - fake->offset));
    }
    world_end(&world);
}
WITH_1_AND_4(a_subscriber_misses_nothing_behind_the_answer)

static int send_snapshot(struct tw_channel *channel, const char *event, struct tw_identity *client,
                         struct tw_effects *effects) {
    char text[16];
    if (strcmp(event, "subscribe") != 0) return 0;
    int length = snprintf(text, sizeof text, "[%u]", (unsigned)channel->offset);
    return tw_effects_try_send(effects, client, (struct tw_str){text, (size_t)length}, false);
}

/* What on_subscribe sends keeps its place among the channel's messages. */
static void a_snapshot_comes_before_what_is_newer(unsigned workers) {
    struct world world;
    struct tw_generation *generation = one_channel("market");
    generation->definitions[0].has_on_subscribe = true;
    script.on_event = send_snapshot;
    world_begin(&world, workers, generation, 1000);
    for (unsigned i = 0; i < 4; i++) {
        struct fake *fake = fake_join(&world, i, 0);
        tw_hub_subscribe(fake->client.hub, &fake->client, TW_STR("market"));
        publish(fake, "market", "1");
        publish(fake, "market", "2");
        settle(&world);
        char expected[32];
        snprintf(expected, sizeof expected, "|[%u]|1|2", i * 2);
        assert_string_equal(fake->got, expected);
    }
    world_end(&world);
}
WITH_1_AND_4(a_snapshot_comes_before_what_is_newer)

static void transforms_change_drop_and_fail(unsigned workers) {
    struct world world;
    struct tw_generation *generation = one_channel("market");
    generation->definitions[0].has_transform = true;
    define(generation, "other");
    world_begin(&world, workers, generation, 1000);
    struct fake *fake = fake_join(&world, 0, 0), *other = fake_join(&world, 1, 0);
    subscribe(&world, fake, "market");
    subscribe(&world, other, "other");
    script.transform = append_x;
    publish(fake, "market", "7");
    settle(&world);
    assert_string_equal(fake->got, "|70");
    script.transform = judge;
    publish(fake, "market", "1");
    publish(fake, "market", "2");
    publish(fake, "market", "4");
    settle(&world);
    assert_string_equal(fake->got, "|70|4");
    assert_string_equal(other->got, "|1|4"); /* effects: if it went well, or dropped on purpose */
    assert_int_equal(channel_of(&world, "market")->offset, 2);
    assert_int_equal(fake->published, 1); /* told of the failure alone */
    assert_int_equal(fake->status, TW_ESCRIPT);
    assert_int_equal(fake->client.violations, 0); /* not its fault */
    assert_int_equal(STAT(&world, hook_failures), 1);
    world_end(&world);
}
WITH_1_AND_4(transforms_change_drop_and_fail)

static int by_action(struct tw_channel *channel, struct tw_identity *client, enum tw_action action,
                     struct tw_failure *failure) {
    (void)channel, (void)client;
    if (action != TW_ACTION_PUBLISH) return 0;
    snprintf(failure->message, sizeof failure->message, "read only");
    return script.transform ? TW_ESCRIPT : TW_EREFUSED; /* any flag would do */
}

static void who_may_publish(unsigned workers) {
    struct world world;
    struct tw_generation *generation = one_channel("closed");
    generation->definitions[0].publish = TW_PUBLISH_NEVER;
    define(generation, "asks")->publish = TW_PUBLISH_ASK;
    generation->settings.limits.violations = 4;
    script.authorize = by_action;
    world_begin(&world, workers, generation, 1000);
    struct fake *fake = fake_join(&world, 0, 0);
    subscribe(&world, fake, "asks");
    publish(fake, "closed", "1");
    settle(&world);
    assert_int_equal(fake->status, TW_EREFUSED);
    assert_string_equal(fake->reason, "clients may not publish here");
    publish(fake, "asks", "1");
    settle(&world);
    assert_string_equal(fake->reason, "read only");
    publish(fake, "nowhere", "1");
    settle(&world);
    assert_int_equal(fake->status, TW_ENOCHANNEL);
    assert_int_equal(fake->client.violations, 3);
    script.transform = append_x;
    publish(fake, "asks", "1"); /* a hook that fails refuses, and is counted once */
    settle(&world);
    assert_int_equal(fake->status, TW_ESCRIPT);
    assert_int_equal(STAT(&world, hook_failures), 1);
    assert_int_equal(fake->close_code, 0);
    assert_int_equal(publish(fake, "asks", "{"), TW_EJSON);
    assert_int_equal(fake->close_code, 4429);
    assert_int_equal(STAT(&world, refused), 4);
    assert_int_equal(STAT(&world, published), 0);
    world_end(&world);
}
WITH_1_AND_4(who_may_publish)

/* --- effects ---------------------------------------------------------------------------------- */

static int echo_to_other(struct tw_channel *channel, struct tw_identity *client,
                         struct tw_message **message, struct tw_effects *effects) {
    (void)client;
    struct tw_str to = channel->name->text.data[0] == 'a' ? TW_STR("b") : TW_STR("a");
    return tw_effects_try_publish(effects, to, tw_message_text(*message), false);
}

static void a_circle_of_publishes_ends(unsigned workers) {
    struct world world;
    struct tw_generation *generation = one_channel("a");
    define(generation, "b")->has_transform = true;
    generation->definitions[0].has_transform = true;
    script.transform = echo_to_other;
    world_begin(&world, workers, generation, 1000);
    struct fake *fake = fake_join(&world, 0, 0);
    subscribe(&world, fake, "a");
    publish(fake, "a", "1");
    settle(&world);
    assert_int_equal(STAT(&world, published), TW_HUB_MAX_DEPTH + 1);
    assert_int_equal(log_lines, 1);
    world_end(&world);
}
WITH_1_AND_4(a_circle_of_publishes_ends)

static int publish_to_next(struct tw_channel *channel, struct tw_effects *effects) {
    char name[256];
    int length = snprintf(name, sizeof name, "%.*sx", TW_STR_ARG(channel->name->text));
    return tw_effects_try_publish(effects, (struct tw_str){name, (size_t)length}, TW_STR("1"),
                                  false);
}

/* Channels whose init makes the next channel. */
static void a_chain_of_inits_ends(unsigned workers) {
    struct world world;
    script.on_open = publish_to_next;
    world_begin(&world, workers, one_channel("room:{id}"), 1000);
    struct fake *fake = fake_join(&world, 0, 0);
    publish(fake, "room:", "1");
    settle(&world);
    assert_int_equal(script.opens, 0); /* no such channel */
    publish(fake, "room:0", "1");
    settle(&world);
    assert_int_equal(script.opens, TW_HUB_MAX_DEPTH + 1);
    assert_int_equal(log_lines, 1);
    world_end(&world);
}
WITH_1_AND_4(a_chain_of_inits_ends)

static int flood(struct tw_channel *channel, const char *event, struct tw_identity *client,
                 struct tw_effects *effects) {
    (void)event, (void)client;
    for (int i = 0; i < TW_MAX_EFFECTS; i++)
        tw_effects_try_publish(effects, channel->name->text, TW_STR("1"), false);
    return 0;
}

/* A handler that asks for more than can be done is cut off, and says so in one line each time. */
static void a_flood_of_effects_is_bounded(unsigned workers) {
    struct world world;
    struct tw_generation *generation = one_channel("market");
    generation->definitions[0].has_on_subscribe = true;
    generation->settings.limits.channels_per_client = 1000;
    script.on_event = flood;
    world_begin(&world, workers, generation, 1000);
    for (unsigned i = 0; i < 10; i++) {
        struct fake *fake = fake_join(&world, 0, 0);
        tw_hub_subscribe(fake->client.hub, &fake->client, TW_STR("market"));
    }
    for (unsigned i = 0; i <= workers; i++)
        turn(&world, i);
    struct tw_hub *home = &world.hub[home_of(&world, "market")];
    turn(&world, home->index);
    assert_true(home->self.count <= TW_HUB_MAX_BACKLOG);
    assert_true(STAT(&world, published) < 10 * TW_MAX_EFFECTS);
    settle(&world);
    assert_in_range(log_lines, 1, 10);
    world_end(&world);
}
WITH_1_AND_4(a_flood_of_effects_is_bounded)

static int throw_out(struct tw_channel *channel, struct tw_identity *client,
                     struct tw_message **message, struct tw_effects *effects) {
    (void)channel;
    assert_int_equal(tw_effects_try_send(effects, client, TW_STR("\"bye\""), false), 0);
    assert_int_equal(tw_effects_try_disconnect(effects, client, 4403, TW_STR("out")), 0);
    return tw_message_text(*message).data[0] == '2' ? TW_ESCRIPT : 0;
}

static void handlers_send_and_disconnect(unsigned workers) {
    struct world world;
    struct tw_generation *generation = one_channel("market");
    generation->definitions[0].has_transform = true;
    script.transform = throw_out;
    world_begin(&world, workers, generation, 1000);
    struct fake *fake = fake_join(&world, 3, 0);
    subscribe(&world, fake, "market");
    publish(fake, "market", "2");
    settle(&world);
    assert_int_equal(fake->close_code, 0);
    publish(fake, "market", "1");
    publish(fake, "market", "1"); /* the client is gone when its effects come */
    settle(&world);
    assert_int_equal(fake->close_code, 4403);
    assert_int_equal(fake->closes, 1);
    assert_string_equal(fake->reason, "out");
    /* Between hubs the second message may be under way before the goodbye is, but not behind it. */
    assert_non_null(strstr(fake->got, "|1|\"bye\""));
    assert_string_equal(fake->got + strlen(fake->got) - 5, "<bye>");
    world_end(&world);
}
WITH_1_AND_4(handlers_send_and_disconnect)

/* --- answers ---------------------------------------------------------------------------------- */

static struct {
    unsigned count;
    int status;
    uint64_t offset;
    void *request;
    char epoch[TW_EPOCH_SIZE];
} answer;

static void on_answer(struct tw_hub *hub, const struct tw_mail *mail) {
    (void)hub;
    answer.count++;
    answer.status = mail->status;
    answer.offset = mail->offset;
    answer.request = mail->request;
    memcpy(answer.epoch, mail->epoch, sizeof answer.epoch);
    assert_int_equal(mail->failure != NULL, mail->status != 0);
}

static int publish_from_api(struct world *world, const char *channel, const char *text,
                            void *request) {
    struct tw_hub *control = &world->hub[world->hubs.workers];
    int status = tw_hub_publish_from_api(control, tw_str_of(channel), message_of(text), request);
    settle(world);
    return status;
}

static void the_api_is_answered(unsigned workers) {
    struct world world;
    struct tw_generation *generation = one_channel("market");
    generation->definitions[0].has_transform = true;
    generation->definitions[0].publish = TW_PUBLISH_NEVER; /* of clients, that is */
    define(generation, "other");
    script.transform = judge;
    world_begin(&world, workers, generation, 1000);
    world.hub[workers].on_answer = on_answer;
    memset(&answer, 0, sizeof answer);
    assert_int_equal(publish_from_api(&world, "market", "4", &world), 0);
    assert_int_equal(answer.status, 0);
    assert_int_equal(answer.offset, 1);
    assert_ptr_equal(answer.request, &world);
    assert_string_equal(answer.epoch, channel_of(&world, "market")->epoch);
    publish_from_api(&world, "market", "1", &world);
    assert_int_equal(answer.status, TW_EDROPPED);
    publish_from_api(&world, "market", "2", &world);
    assert_int_equal(answer.status, TW_ESCRIPT);
    publish_from_api(&world, "nowhere", "1", &world);
    assert_int_equal(answer.status, TW_ENOCHANNEL);
    publish_from_api(&world, "", "1", &world);
    assert_int_equal(answer.status, TW_ENOCHANNEL);
    assert_int_equal(answer.count, 5);
    publish_from_api(&world, "market", "4", NULL); /* wants no answer */
    assert_int_equal(publish_from_api(&world, "market", "{", &world), TW_EJSON);
    tw_hub_drain(&world.hub[workers], 0);
    assert_int_equal(publish_from_api(&world, "market", "4", &world), TW_EDRAINING);
    assert_int_equal(answer.count, 5);
    assert_int_equal(channel_of(&world, "market")->offset, 2);
    world_end(&world);
}
WITH_1_AND_4(the_api_is_answered)

int main(void) {
    const struct CMUnitTest tests[] = {
        TESTS_1_AND_4(every_subscriber_sees_one_order),
        TESTS_1_AND_4(channels_hear_only_their_own),
        TESTS_1_AND_4(a_subscriber_misses_nothing_behind_the_answer),
        TESTS_1_AND_4(a_snapshot_comes_before_what_is_newer),
        TESTS_1_AND_4(transforms_change_drop_and_fail),
        TESTS_1_AND_4(who_may_publish),
        TESTS_1_AND_4(a_circle_of_publishes_ends),
        TESTS_1_AND_4(a_chain_of_inits_ends),
        TESTS_1_AND_4(a_flood_of_effects_is_bounded),
        TESTS_1_AND_4(handlers_send_and_disconnect),
        TESTS_1_AND_4(the_api_is_answered),
    };
    return cmocka_run_group_tests(tests, NULL, no_failed_checks);
}
