/* bench_socket.c: a client of the load tool: its handshake, and its frames, read where they lie.
 *
 * Way of a delivery: bench_loop reads into the shared buffer → feed → take_whole (a frame that lies
 * there whole, with the stamp where we have put it) or take_frame (all others) → deliver. */
#include <string.h>

#include "app/bench_parts.h"
#include "base/status.h"
#include "base/str.h"

/* ---- a delivery ---- */

void tw_bench_flush_run(struct tw_bench *bench) {
    if (bench->run_length > 0 && bench->latency)
        tw_bench_histogram_add_many(bench->latency, bench->run_latency, bench->run_length);
    bench->run_length = 0;
}

static void begin_run(struct tw_bench *bench, const char *sent_digits) {
    uint64_t sent =
        (uint64_t)tw_bench_hex(sent_digits) << 32 | (uint64_t)tw_bench_hex(sent_digits + 8);
    tw_bench_flush_run(bench);
    memcpy(bench->run_stamp, sent_digits, sizeof bench->run_stamp);
    bench->run_latency = bench->now_ns > sent ? bench->now_ns - sent : 0;
    bench->run_length = 1;
}

static inline void deliver(struct tw_bench *bench, struct tw_bench_client *client,
                           const char *digits) {
    struct tw_bench_channel *channel = &bench->channels[client->channel];
    uint32_t sequence = tw_bench_hex(digits + 8);
    if (memcmp(digits, &channel->sender_digits, 8) != 0 || sequence >= channel->published) {
        bench->foreign++;
        return;
    }
    if (client->is_slow) {
        tw_bench_track_take(&client->track, &bench->slow_losses, sequence);
        bench->slow_deliveries++;
        return;
    }
    uint32_t advance = tw_bench_track_take(&client->track, &bench->losses, sequence);
    bench->deliveries++;
    if (bench->run_length > 0 && memcmp(digits + 16, bench->run_stamp, 16) == 0)
        bench->run_length++;
    else
        begin_run(bench, digits + 16);
    bench->awaited -= advance;
    if (!bench->is_closed_loop) return;
    for (; advance > 0; advance--) { /* the skipped ones will not come either */
        if (--channel->left[(sequence - advance + 1) & bench->left_mask] > 0) continue;
        bench->in_flight--;
        if (bench->on_complete) bench->on_complete(bench, client->channel);
    }
}

/* ---- frames ---- */

static void lose(struct tw_bench *bench, struct tw_bench_client *client, const char *why) {
    tw_bench_peer_close(bench, &client->peer, false);
    tw_bench_client_lost(bench, client, why);
}

static void take_close(struct tw_bench *bench, struct tw_bench_client *client, const char *payload,
                       size_t length) {
    char why[160];
    if (length < 2)
        snprintf(why, sizeof why, "closed by the server without a code");
    else
        snprintf(why, sizeof why, "closed by the server: %d %.*s",
                 (uint8_t)payload[0] << 8 | (uint8_t)payload[1], (int)(length - 2), payload + 2);
    lose(bench, client, why);
}

static void take_control(struct tw_bench *bench, struct tw_bench_client *client,
                         const struct tw_bench_head *head, const char *payload) {
    if (head->opcode == TW_OP_CLOSE) {
        take_close(bench, client, payload, head->length);
    } else if (head->opcode == TW_OP_PING) {
        bench->pings++;
        tw_bench_frame_append(&client->peer.out, TW_OP_PONG, payload, head->length,
                              (uint32_t)tw_rand_next(&bench->rand));
        tw_bench_peer_mark(bench, &client->peer);
    }
}

static void end_message(struct tw_bench *bench, struct tw_bench_client *client) {
    if (!client->is_final) return;
    if (client->has_stamp)
        deliver(bench, client, client->stamp);
    else
        bench->foreign++;
    client->has_stamp = false;
}

/* Takes a frame of which the beginning is there; how many bytes, 0 if it takes more to begin, or if
 * the client was closed. */
static size_t take_frame(struct tw_bench *bench, struct tw_bench_client *client, const char *bytes,
                         size_t length) {
    struct tw_bench_head head;
    int status = tw_bench_head_read(&head, bytes, length);
    if (status == TW_EPROTO) lose(bench, client, "it sent what is no WebSocket frame");
    if (status != 0) return 0;
    const char *payload = bytes + head.size;
    uint64_t there = length - head.size;
    if (there < head.length && there < TW_BENCH_LOOK) return 0;
    if (there > head.length) there = head.length;
    if (head.opcode >= TW_OP_CLOSE) {
        take_control(bench, client, &head, payload);
    } else {
        if (head.opcode != TW_OP_CONTINUATION) {
            const char *stamp = tw_bench_stamp_find(payload, there);
            client->has_stamp = stamp != NULL;
            if (stamp) memcpy(client->stamp, stamp, sizeof client->stamp);
        }
        client->is_final = head.is_final;
        client->skip = head.length - there;
        if (client->skip == 0) end_message(bench, client);
    }
    return head.size + there;
}

/* The common case: a whole message, as we have sent it; how many bytes, 0 if it is not that. */
static inline size_t take_whole(struct tw_bench *bench, struct tw_bench_client *client,
                                const char *bytes, size_t length) {
    const uint8_t *p = (const uint8_t *)bytes;
    if (length < 4 || (p[0] != 0x81 && p[0] != 0x82) || p[1] > 126) return 0;
    size_t head = p[1] == 126 ? 4 : 2, size = p[1] == 126 ? (size_t)p[2] << 8 | p[3] : p[1];
    if (length < head + size || size < TW_BENCH_MIN_SIZE) return 0;
    if (memcmp(bytes + head, "{\"bench\":\"", TW_BENCH_STAMP_AT) != 0) return 0;
    deliver(bench, client, bytes + head + TW_BENCH_STAMP_AT);
    return head + size;
}

/* Goes on with a frame whose beginning is in `carry`; how many of the new bytes were used. */
static size_t take_carried(struct tw_bench *bench, struct tw_bench_client *client,
                           const char *bytes, size_t length) {
    size_t old = client->carried, room = sizeof client->carry - old;
    size_t more = length < room ? length : room;
    memcpy(client->carry + old, bytes, more);
    client->carried = (uint16_t)(old + more);
    size_t used = take_frame(bench, client, client->carry, client->carried);
    if (used == 0) return length; /* all of it is carried, or it was closed */
    client->carried = 0;
    return used - old;
}

void tw_bench_client_feed(struct tw_bench *bench, struct tw_bench_client *client, const char *bytes,
                          size_t length) {
    const char *end = bytes + length;
    if (client->carried > 0) bytes += take_carried(bench, client, bytes, length);
    while (bytes < end && client->peer.state == TW_BENCH_OPEN) {
        size_t rest = (size_t)(end - bytes);
        if (client->skip > 0) {
            size_t used = client->skip < rest ? (size_t)client->skip : rest;
            client->skip -= used;
            bytes += used;
            if (client->skip == 0) end_message(bench, client);
            continue;
        }
        size_t used = take_whole(bench, client, bytes, rest);
        if (used == 0) used = take_frame(bench, client, bytes, rest);
        if (used == 0 && client->peer.state == TW_BENCH_OPEN) {
            memcpy(client->carry, bytes, rest);
            client->carried = (uint16_t)rest;
        }
        if (used == 0) break;
        bytes += used;
    }
    tw_bench_flush_run(bench);
}

/* ---- the handshake ---- */

void tw_bench_client_connected(struct tw_bench *bench, struct tw_bench_client *client) {
    const struct tw_bench_options *options = bench->options;
    struct tw_buf *out = &client->peer.out;
    tw_buf_print(out, "GET ");
    tw_bench_url_target(&options->url,
                        options->workload == TW_BENCH_ECHO ? (size_t)(client - bench->clients)
                                                           : client->channel,
                        out);
    tw_buf_print(out, " HTTP/1.1\r\nHost: ");
    tw_bench_url_host(&options->url, out);
    tw_buf_print(out,
                 "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: %s\r\n"
                 "Sec-WebSocket-Version: 13\r\n",
                 bench->key);
    for (size_t i = 0; i < options->header_count; i++)
        tw_buf_print(out, "%s\r\n", options->headers[i]);
    tw_buf_append(out, "\r\n", 2);
    client->peer.state = TW_BENCH_SHAKING;
    tw_bench_peer_mark(bench, &client->peer);
}

/* The value of a header in an answer's head; empty if there is none. */
static struct tw_str header(struct tw_str head, const char *name) {
    while (head.data) {
        struct tw_str line = tw_str_cut(&head, '\n');
        struct tw_str value = line, key = tw_str_cut(&value, ':');
        if (value.length > 0 && value.data[value.length - 1] == '\r') value.length--;
        if (value.data && tw_str_eq_nocase(key, tw_str_of(name))) return tw_str_trim(value);
    }
    return (struct tw_str){"", 0};
}

/* "refused with 429: {...}": the status line's code, and the first line of the body. */
static void refused(struct tw_bench *bench, struct tw_bench_client *client, struct tw_str answer,
                    size_t head_length) {
    char why[200];
    struct tw_str status = tw_str_cut(&answer, '\r');
    const char *body = status.data + head_length;
    size_t length = (size_t)(answer.data + answer.length - body);
    tw_str_cut(&status, ' ');
    snprintf(why, sizeof why, "the handshake is refused: %.*s%s%.*s", TW_STR_ARG(status),
             length ? " " : "", (int)(length > 120 ? 120 : length), body);
    lose(bench, client, why);
}

static void take_answer(struct tw_bench *bench, struct tw_bench_client *client) {
    struct tw_buf *in = &client->peer.in;
    char *end = in->length > 0 ? memmem(in->data, in->length, "\r\n\r\n", 4) : NULL;
    if (!end) {
        if (in->length > 65536) lose(bench, client, "the answer to the handshake does not end");
        return;
    }
    struct tw_str head = {in->data, (size_t)(end - in->data)};
    size_t head_length = head.length + 4;
    if (head.length < 12 || memcmp(head.data, "HTTP/1.1 ", 9) != 0) {
        lose(bench, client, "the answer to the handshake is not HTTP/1.1");
    } else if (memcmp(head.data + 9, "101", 3) != 0) {
        refused(bench, client, (struct tw_str){in->data, in->length}, head_length);
    } else if (!tw_str_eq(header(head, "sec-websocket-accept"), tw_str_of(bench->accept))) {
        lose(bench, client, "the answer has a wrong Sec-WebSocket-Accept");
    } else {
        struct tw_buf rest = *in;
        client->peer.in = (struct tw_buf){0};
        client->peer.state = TW_BENCH_OPEN;
        bench->opening--;
        bench->open++;
        bench->connects++;
        tw_bench_histogram_add(&bench->connect_latency, bench->now_ns - client->peer.began_ns);
        tw_bench_client_feed(bench, client, rest.data + head_length, rest.length - head_length);
        tw_buf_deinit(&rest);
    }
}

void tw_bench_client_read(struct tw_bench *bench, struct tw_bench_client *client, const char *bytes,
                          size_t length) {
    if (client->peer.state == TW_BENCH_OPEN) {
        tw_bench_client_feed(bench, client, bytes, length);
    } else {
        tw_buf_append(&client->peer.in, bytes, length);
        take_answer(bench, client);
    }
}
