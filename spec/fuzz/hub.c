/* hub.c: sequences of operations on several hubs, against what DESIGN.md section 6 promises: to
 * each subscriber offsets rise, in one order for all; per publisher first in, first out; what is
 * missing was counted as dropped; an effect of a failed handler is never seen; every publish that
 * asks is answered once; no mail is lost; in the end every count is 0 and no memory is left.
 *
 * Input: how many workers, bound of mailboxes, the app (hubs.h), then operations. */
#include "players.h"

/* --- operations --- */

static void join(struct player *player, struct fuzz_input *input) {
    struct tw_ip ip = {{0}};
    uint8_t choice = fuzz_byte(input);
    struct tw_hub *hub = &world.hub[choice % world.hubs.workers];
    double expires = choice & 0x80 ? (double)(world.now_ms + 1000000u + choice) / 1000.0 : 0;
    unsigned publisher = FIRST_CLIENT + joined++;
    if (publisher >= MOST_PUBLISHERS) return;
    *player = (struct player){.is_there = true, .publisher = publisher, .budget = SIZE_MAX};
    hub->now_ms = world.now_ms;
    tw_client_init(&player->client, hub, &client_ops);
    tw_hub_join(
        hub, &player->client,
        tw_identity_try_new(tw_hub_client_id(hub), hub->index, &ip, TW_STR("u"), TW_STR("")),
        expires);
    tw_wait_start(&hub->waits, &player->client.wait, TW_WAIT_IDLE, world.now_ms);
    world.is_woken[hub->index] = true;
}

static void leave(struct player *player) {
    struct tw_hub *hub = player->client.hub;
    hub->now_ms = world.now_ms;
    for (size_t i = 0; i < request_count; i++) /* nobody is there to be answered */
        if (&players[requests[i].player] == player) requests[i].is_answered = true;
    tw_hub_leave(hub, &player->client);
    tw_hub_leave(hub, &player->client); /* idempotent */
    tw_client_deinit(&player->client);
    player->is_there = false;
    has_left = true;
    world.is_woken[hub->index] = true;
}

static void *ask(unsigned player, bool wants) {
    if (!wants || request_count == MOST_REQUESTS) return NULL;
    requests[request_count++] = (struct request){.player = player};
    return (void *)(uintptr_t)request_count;
}

static struct tw_message *message_of(unsigned channel, unsigned publisher) {
    char *text = payload_of(&world, channel, publisher, false);
    struct tw_message *message = tw_message_try_new(text, strlen(text), false);
    tw_free(text);
    return message;
}

static void publish(struct player *player, struct fuzz_input *input) {
    uint8_t choice = fuzz_byte(input);
    unsigned channel = choice % CHANNELS, self = (unsigned)(player - players);
    if (player->is_paused || player->client.is_closing) return;
    struct tw_hub *hub = player->client.hub;
    struct tw_name *name = tw_name_new(tw_str_of(fuzz_channels[channel]));
    size_t before = request_count;
    int status = tw_hub_publish(hub, &player->client, name, message_of(channel, player->publisher),
                                ask(self, choice & 0x80));
    tw_name_unref(&name);
    FUZZ_ASSERT(status == 0 || status == TW_EAGAIN || status == TW_ERATE);
    player->is_paused = status == TW_EAGAIN;
    if (status == TW_ERATE) request_count = before; /* there is no answer */
}

static void note_conflating(void) {
    for (unsigned i = 0; i < CHANNELS; i++) {
        const struct tw_definition *definition =
            tw_generation_match(world.generation, tw_str_of(fuzz_channels[i]));
        if (definition && definition->queue.overflow == TW_CONFLATE) conflates[i] = true;
    }
}

static void publish_from_api(struct fuzz_input *input) {
    uint8_t choice = fuzz_byte(input);
    unsigned channel = choice % CHANNELS;
    struct tw_hub *hub = &world.hub[(choice >> 3) % (world.hubs.workers + 1)];
    size_t before = request_count;
    hub->now_ms = world.now_ms;
    int status =
        tw_hub_publish_from_api(hub, tw_str_of(fuzz_channels[channel]),
                                message_of(channel, 1 + hub->index), ask(API, choice & 0x80));
    FUZZ_ASSERT(status == 0 || status == TW_EDRAINING);
    if (status != 0) request_count = before;
    world.is_woken[hub->index] = true;
}

static void set_budget(struct player *player, size_t budget) {
    player->client.hub->now_ms = world.now_ms;
    player->budget = budget;
    player->client.is_blocked = false;
    op_flush(&player->client);
    world.is_woken[player->client.hub->index] = true;
}

static void operate_on(struct player *player, unsigned operation, struct fuzz_input *input) {
    struct tw_hub *hub = player->client.hub;
    uint8_t choice = fuzz_byte(input);
    char control[TW_FRAME_ROOM + 100] = {0};
    hub->now_ms = world.now_ms;
    world.is_woken[hub->index] = true;
    switch (operation) {
    case 0:
        if (player->client.is_closing || player->tracks[choice % CHANNELS].is_asked) return;
        if (!player->tracks[choice % CHANNELS].was_ended)
            player->tracks[choice % CHANNELS] = (struct track){0};
        player->tracks[choice % CHANNELS].is_asked = true;
        if (tw_hub_subscribe(hub, &player->client, tw_str_of(fuzz_channels[choice % CHANNELS])) !=
            0)
            player->tracks[choice % CHANNELS].is_asked = false;
        return;
    case 1:
        set_budget(player, choice);
        return;
    case 2:
        set_budget(player, SIZE_MAX);
        return;
    case 3:
        write_header(control, choice % 100, OF_CONTROL);
        tw_client_try_control(&player->client, control, TW_FRAME_ROOM + choice % 100);
        return;
    case 4:
        tw_hub_take_control(hub, &player->client);
        return;
    case 5:
        player->breaks = choice & 1;
        return;
    default:
        leave(player);
    }
}

static void operate(struct fuzz_input *input) {
    uint8_t choice = fuzz_byte(input);
    unsigned hub = (choice >> 5) % (world.hubs.workers + 1);
    struct player *player = &players[fuzz_below(input, MOST_PLAYERS)];
    switch (choice & 31) {
    case 0:
        world_settle(&world);
        break;
    case 1:
        world_turn(&world, hub);
        break;
    case 2:
        world_pass(&world, 40u * fuzz_byte(input));
        break;
    case 3:
        world_pass(&world, 1000u * fuzz_byte(input));
        break;
    case 4:
        world.is_asleep[hub] = !world.is_asleep[hub];
        break;
    case 5:
        world_reload(&world, input);
        note_conflating();
        break;
    case 6:
    case 7:
        world_swap(&world, hub);
        break;
    case 8:
        world.hub[hub].now_ms = world.now_ms;
        tw_hub_drain(&world.hub[hub], 10u * fuzz_byte(input));
        world.is_woken[hub] = true;
        break;
    case 9:
        choose_luck(&world, input);
        break;
    case 10:
    case 11:
    case 12:
        publish_from_api(input);
        break;
    default:
        if (!player->is_there)
            join(player, input);
        else if ((choice & 31) < 20)
            publish(player, input);
        else
            operate_on(player, (choice & 31) < 24 ? 0 : (choice & 31) - 24u, input);
    }
}

/* --- the end --- */

static const struct tw_channel *find_channel(const char *text) {
    struct tw_name *name = tw_name_new(tw_str_of(text));
    struct tw_hub *home = &world.hub[tw_hub_home(&world.hub[0], name)];
    const struct tw_channel *channel =
        (const struct tw_channel *)tw_map_get(&home->channels, name->hash, &name->text);
    tw_name_unref(&name);
    return channel;
}

/* At rest each class is held by the subs that carry it, and by nobody else. */
static void check_classes(const struct tw_channel *channel) {
    uint32_t held[UINT8_MAX + 1] = {0};
    for (unsigned i = 0; i < world.hubs.workers; i++) {
        const struct tw_topic *topic = (const struct tw_topic *)tw_map_get(
            &world.hub[i].topics, channel->name->hash, &channel->name->text);
        for (uint32_t s = 0; topic && s < topic->count; s++)
            held[topic->subs[s]->class]++;
    }
    for (unsigned i = 0; i < UINT8_MAX; i++) {
        bool is_known = i < channel->audience.count;
        FUZZ_ASSERT(held[i + 1] == (is_known ? channel->audience.classes[i].held : 0));
    }
}

/* What topics still know, and how many subscribers they have: what is lost, for whatever reason. */
static uint64_t check_topics(const struct tw_channel *channel) {
    uint64_t dropped = 0;
    uint32_t subscribers = 0;
    for (unsigned i = 0; i < world.hubs.workers; i++) {
        const struct tw_topic *topic = (const struct tw_topic *)tw_map_get(
            &world.hub[i].topics, channel->name->hash, &channel->name->text);
        FUZZ_ASSERT(channel->per_worker[i] == (topic ? topic->count : 0));
        subscribers += channel->per_worker[i];
        if (topic) dropped += topic->dropped + topic->withheld;
        FUZZ_ASSERT(!topic || memcmp(topic->epoch, channel->epoch, TW_EPOCH_SIZE) == 0);
    }
    FUZZ_ASSERT(subscribers == channel->subscribers);
    return dropped;
}

/* All is written: what a subscriber has not got was dropped, and was counted. */
static void check_channel(unsigned index, bool is_exact) {
    const struct tw_channel *channel = find_channel(fuzz_channels[index]);
    uint64_t missing = 0;
    if (!channel) return;
    check_classes(channel);
    uint64_t dropped = channel->dropped + channel->withheld + check_topics(channel);
    for (unsigned i = 0; i < MOST_PLAYERS; i++) {
        const struct track *track = &players[i].tracks[index];
        if (!players[i].is_there || players[i].client.is_closing || !track->is_active) continue;
        if (track->was_ended) continue;
        FUZZ_ASSERT(memcmp(track->epoch, channel->epoch, TW_EPOCH_SIZE) == 0);
        FUZZ_ASSERT(track->base + track->received <= channel->offset);
        missing += channel->offset - track->base - track->received;
    }
    FUZZ_ASSERT(missing <= dropped);
    FUZZ_ASSERT(!is_exact || missing == dropped);
}

static void end(void) {
    memset(world.is_asleep, 0, sizeof world.is_asleep);
    world_settle(&world);
    for (unsigned i = 0; i < MOST_PLAYERS; i++) {
        if (players[i].is_there) set_budget(&players[i], SIZE_MAX);
    }
    world_settle(&world);
    check_rest(&world);
    bool is_exact = world.sends == 0 && !has_left; /* what these miss may be counted or not */
    for (unsigned i = 0; i < MOST_PLAYERS; i++) {
        const struct player *player = &players[i];
        FUZZ_ASSERT(!player->is_there || !player->is_paused || player->client.is_closing);
        is_exact = is_exact && (!player->is_there || !player->client.is_closing);
    }
    for (unsigned i = 0; i < CHANNELS; i++)
        check_channel(i, is_exact);
    for (size_t i = 0; i < request_count; i++)
        FUZZ_ASSERT(requests[i].is_answered ||
                    (requests[i].player != API && players[requests[i].player].client.is_closing));
    for (unsigned i = 0; i < MOST_PLAYERS; i++) {
        if (players[i].is_there) leave(&players[i]);
    }
    world_end(&world);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const size_t bounds[] = {1, 2, 5, 16384};
    struct fuzz_input input = {data, data + size};
    fuzz_begin();
    memset(players, 0, sizeof players);
    memset(seen, 0, sizeof seen);
    memset(conflates, 0, sizeof conflates);
    request_count = 0;
    joined = 0;
    has_left = false;
    on_script_unsubscribe = note_unsubscribe;
    uint8_t choice = fuzz_byte(&input);
    world_begin(&world, &input, 1u + (choice & 3u) % 3u, bounds[choice >> 2 & 3], &dialect);
    for (EACH_HUB(&world, i))
        world.hub[i].on_answer = on_api_answer;
    note_conflating();
    while (!fuzz_is_over(&input))
        operate(&input);
    end();
    return fuzz_end();
}
