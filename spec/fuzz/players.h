/* players.h: the clients of hub.c, and what they may get: to each, offsets rise, in one order for
 * all; per publisher first in, first out; nothing twice, nothing of a handler that failed.
 *
 * (Where a channel conflates, a newer message takes the place of an older one, so there the order
 * is another: DESIGN.md section 3 against 6.) */
#ifndef FUZZ_PLAYERS_H
#define FUZZ_PLAYERS_H

#include "hubs.h"

enum { MOST_PLAYERS = 20, MOST_REQUESTS = 200, SEEN = 256, ROOM = 128, API = MOST_PLAYERS };
/* Publishers: 0 handlers, then the API at each hub, then each client that ever joins. */
enum { FIRST_CLIENT = 1 + MAX_HUBS, MOST_PUBLISHERS = 256, MOST_OFFSETS = 256 };
#define OF_CONTROL UINT64_MAX /* "offsets" of frames that are no messages */
#define OF_FINAL (UINT64_MAX - 1)

/* A channel as one client has it. */
struct track {
    bool is_asked, is_active;
    bool was_ended; /* perhaps, by a handler, and perhaps begun again: what waited comes all the
                       same */
    char epoch[TW_EPOCH_SIZE];
    uint64_t base, last, received;
    bool has[MOST_OFFSETS];
    unsigned newest_of[MOST_PUBLISHERS]; /* serials */
};

struct player {
    struct tw_client client;
    bool is_there, is_paused, breaks, has_final;
    unsigned publisher;
    size_t budget; /* bytes that its socket takes */
    struct track tracks[CHANNELS];
    char frame[TW_FRAME_ROOM + ROOM + 1]; /* as far as it has come */
    size_t frame_length;
};

/* A message as the first subscriber got it. */
struct seen {
    char epoch[TW_EPOCH_SIZE];
    uint64_t offset;
    unsigned serial;
};

struct request {
    unsigned player; /* or API */
    bool is_answered;
};

static struct world world;
static struct player players[MOST_PLAYERS];
static struct seen seen[CHANNELS][SEEN];
static struct request requests[MOST_REQUESTS];
static size_t request_count;
static bool conflates[CHANNELS]; /* by the definition of some generation */
static unsigned joined;          /* players in all */
static bool has_left;            /* one of them */

/* --- frames: 2 bytes of length, 8 of offset --- */

static void write_header(char *out, size_t length, uint64_t offset) {
    uint16_t short_length = (uint16_t)length;
    memcpy(out, &short_length, 2);
    memcpy(out + 2, &offset, 8);
}

static void encode(struct tw_message *message) {
    FUZZ_ASSERT(message->length < ROOM);
    write_header(message->bytes, message->length, message->offset);
    message->header = TW_FRAME_ROOM;
}

static const struct tw_dialect dialect = {.name = "fuzz", .encode = encode};

static void on_message(struct player *player, uint64_t offset, const char *text) {
    unsigned channel, publisher, serial;
    int is_bad;
    FUZZ_ASSERT(sscanf(text, "{\"c\":%u,\"p\":%u,\"n\":%u,\"bad\":%d}", &channel, &publisher,
                       &serial, &is_bad) == 4);
    FUZZ_ASSERT(!is_bad && serial <= world.serial);
    if (offset == 0) return; /* for this client alone */
    struct track *track = &player->tracks[channel];
    FUZZ_ASSERT(track->is_active || track->was_ended);
    if (track->was_ended) {
        FUZZ_ASSERT(conflates[channel] || publisher == 0 || serial > track->newest_of[publisher]);
        track->newest_of[publisher] = serial;
        return;
    }
    FUZZ_ASSERT(offset > track->base);
    track->received++;
    FUZZ_ASSERT(offset >= MOST_OFFSETS || !track->has[offset]);
    if (offset < MOST_OFFSETS) track->has[offset] = true;
    /* A newer message in the place of an older one may come before one of another key. */
    if (!conflates[channel]) {
        FUZZ_ASSERT(offset > track->last);
        /* Of handlers, one may run within the publish of another. */
        FUZZ_ASSERT(publisher == 0 || serial > track->newest_of[publisher]);
    }
    track->last = offset;
    track->newest_of[publisher] = serial;
    struct seen *one = &seen[channel][offset % SEEN];
    if (one->offset == offset && memcmp(one->epoch, track->epoch, TW_EPOCH_SIZE) == 0)
        FUZZ_ASSERT(one->serial == serial);
    one->offset = offset;
    one->serial = serial;
    memcpy(one->epoch, track->epoch, TW_EPOCH_SIZE);
}

static void receive(struct player *player, const char *bytes, size_t length) {
    for (size_t i = 0; i < length; i++) {
        uint16_t wanted = 0;
        uint64_t offset;
        FUZZ_ASSERT(!player->has_final && player->frame_length < TW_FRAME_ROOM + ROOM);
        player->frame[player->frame_length++] = bytes[i];
        memcpy(&wanted, player->frame, 2);
        if (player->frame_length < (size_t)TW_FRAME_ROOM + wanted) continue;
        memcpy(&offset, player->frame + 2, 8);
        player->frame[player->frame_length] = 0;
        player->frame_length = 0;
        if (offset == OF_FINAL)
            player->has_final = true;
        else if (offset != OF_CONTROL)
            on_message(player, offset, player->frame + TW_FRAME_ROOM);
    }
}

/* --- the clients' side --- */

static struct player *player_of(struct tw_client *client) {
    return TW_CONTAINER(client, struct player, client);
}

/* As much as its socket takes. */
static size_t take(struct player *player, const struct iovec *spans, int count) {
    size_t taken = 0;
    for (int i = 0; i < count && player->budget > 0; i++) {
        size_t length = spans[i].iov_len < player->budget ? spans[i].iov_len : player->budget;
        FUZZ_ASSERT(length > 0);
        receive(player, spans[i].iov_base, length);
        player->budget -= length;
        taken += length;
    }
    return taken;
}

static int64_t op_write(struct tw_client *client, const struct iovec *spans, int count,
                        size_t offered) {
    struct player *player = player_of(client);
    FUZZ_ASSERT(player->is_there && tw_outbox_is_empty(&client->outbox) && !client->is_blocked);
    if (player->breaks) {
        tw_client_retire(client);
        return TW_ECLOSED;
    }
    size_t taken = take(player, spans, count);
    FUZZ_ASSERT(taken == offered || player->budget == 0);
    client->is_blocked = taken < offered;
    return (int64_t)taken;
}

static void op_flush(struct tw_client *client) {
    struct player *player = player_of(client);
    struct tw_outbox *outbox = &client->outbox;
    struct iovec spans[3];
    int count;
    FUZZ_ASSERT(player->is_there);
    if (client->is_blocked) return;
    if (player->breaks) {
        tw_client_retire(client);
        return;
    }
    while ((count = tw_outbox_gather(outbox, spans, 3)) > 0) {
        tw_outbox_consume(outbox, take(player, spans, count));
        if (player->budget == 0) {
            client->is_blocked = !tw_outbox_is_empty(outbox);
            return;
        }
    }
    FUZZ_ASSERT(tw_outbox_is_empty(outbox));
}

static void op_on_subscribed(struct tw_client *client, struct tw_sub *sub,
                             const struct tw_mail *answer) {
    unsigned c = 0;
    while (c < CHANNELS && !tw_str_eq(sub->name->text, tw_str_of(fuzz_channels[c])))
        c++;
    FUZZ_ASSERT(c < CHANNELS && !client->is_closing);
    struct track *track = &player_of(client)->tracks[c];
    FUZZ_ASSERT(track->is_asked || sub->by_script || track->was_ended);
    FUZZ_ASSERT(!track->is_active || track->was_ended);
    track->is_asked = track->is_active = answer->status == 0;
    track->base = track->last = answer->offset;
    memcpy(track->epoch, answer->epoch, sizeof track->epoch);
}

static void answered(const struct tw_mail *answer, unsigned player) {
    size_t index = (uintptr_t)answer->request;
    if (index == 0) return; /* refused without having asked */
    FUZZ_ASSERT(index <= request_count && requests[index - 1].player == player);
    FUZZ_ASSERT(!requests[index - 1].is_answered);
    requests[index - 1].is_answered = true;
}

static void op_on_published(struct tw_client *client, const struct tw_mail *answer) {
    answered(answer, (unsigned)(player_of(client) - players));
}

static void on_api_answer(struct tw_hub *hub, const struct tw_mail *answer) {
    (void)hub;
    answered(answer, API);
}

static void op_on_close(struct tw_client *client, unsigned code, const char *reason, bool discard) {
    char final[TW_FRAME_ROOM];
    FUZZ_ASSERT(!client->is_closing && code >= 1000 && reason);
    write_header(final, 0, OF_FINAL);
    tw_outbox_finish(&client->outbox, final, sizeof final, discard);
    tw_client_mark_dirty(client);
    tw_client_retire(client);
}

static void op_on_deadline(struct tw_client *client, enum tw_wait_kind kind) {
    tw_wait_start(&client->hub->waits, &client->wait, kind, client->hub->now_ms);
}

static void op_on_resume(struct tw_client *client) {
    player_of(client)->is_paused = false;
}

static void note_unsubscribe(const struct tw_identity *client, unsigned channel) {
    for (unsigned i = 0; i < MOST_PLAYERS; i++)
        if (players[i].is_there && players[i].client.identity->id == client->id)
            players[i].tracks[channel].was_ended = true;
    has_left = true; /* it counts as one who left: what it misses may be counted or not */
}

static const struct tw_client_ops client_ops = {.flush = op_flush,
                                                .write = op_write,
                                                .on_subscribed = op_on_subscribed,
                                                .on_published = op_on_published,
                                                .on_close = op_on_close,
                                                .on_deadline = op_on_deadline,
                                                .on_resume = op_on_resume};

#endif
