/* peer.c: what a client makes of the bytes. */
#include "sim/peer.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"

void tw_peer_init(struct tw_peer *peer, uint64_t seed) {
    memset(peer, 0, sizeof *peer);
    tw_rand_seed(&peer->rand, seed);
    peer->last = &peer->first;
    peer->close_code = 1006; /* RFC 6455 7.1.5: until a close frame says otherwise */
}

void tw_peer_deinit(struct tw_peer *peer) {
    struct tw_peer_message *message;
    while ((message = tw_peer_take(peer)))
        tw_free(message);
    tw_buf_deinit(&peer->head);
    tw_buf_deinit(&peer->in);
    tw_buf_deinit(&peer->out);
}

struct tw_peer_message *tw_peer_take(struct tw_peer *peer) {
    struct tw_peer_message *message = peer->first;
    if (!message) return NULL;
    peer->first = message->next;
    if (!peer->first) peer->last = &peer->first;
    peer->count--;
    return message;
}

static void keep(struct tw_peer *peer, enum tw_opcode opcode, struct tw_str payload) {
    struct tw_peer_message *message = tw_alloc(sizeof *message + payload.length);
    message->opcode = opcode;
    message->length = payload.length;
    if (payload.length > 0) memcpy(message->bytes, payload.data, payload.length);
    *peer->last = message;
    peer->last = &message->next;
    peer->count++;
}

void tw_peer_send(struct tw_peer *peer, unsigned first_byte, struct tw_str payload) {
    unsigned char head[14];
    size_t length = tw_frame_header(head, TW_OP_TEXT, payload.length);
    uint32_t mask = (uint32_t)tw_rand_next(&peer->rand);
    head[0] = (unsigned char)first_byte;
    head[1] |= 0x80;
    memcpy(head + length, &mask, sizeof mask);
    tw_buf_append(&peer->out, (const char *)head, length + sizeof mask);
    tw_buf_append(&peer->out, payload.length ? payload.data : "", payload.length);
    unsigned char *bytes = (unsigned char *)peer->out.data + peer->out.length - payload.length;
    for (size_t i = 0; i < payload.length; i++)
        bytes[i] ^= ((const unsigned char *)&mask)[i % 4];
}

static void on_close(struct tw_peer *peer, struct tw_str payload) {
    peer->has_close = true;
    peer->close_code = 1005;
    if (payload.length == 1) peer->fault = "close payload of one byte";
    if (payload.length >= 2) {
        peer->close_code =
            (unsigned)(unsigned char)payload.data[0] << 8 | (unsigned char)payload.data[1];
        memcpy(peer->close_reason, payload.data + 2, payload.length - 2);
        if (!tw_close_code_is_valid(peer->close_code)) peer->fault = "bad close code";
        if (!tw_utf8_is_valid(payload.data + 2, payload.length - 2))
            peer->fault = "close reason is not UTF-8";
    }
    if (peer->no_close_reply || peer->has_sent_close) return;
    payload.length = payload.length >= 2 ? 2 : 0;
    tw_peer_send(peer, 0x80 | TW_OP_CLOSE, payload);
    peer->has_sent_close = true;
}

static void on_frame(struct tw_peer *peer, unsigned first, struct tw_str payload) {
    unsigned opcode = first & 0x0f;
    if (peer->has_close) peer->fault = "a frame behind the close frame";
    if ((first & 0xf0) != 0x80) peer->fault = "fragmented, or reserved bits set";
    if (opcode >= TW_OP_CLOSE && payload.length > 125) peer->fault = "control frame too long";
    switch (opcode) {
    case TW_OP_TEXT:
        if (!tw_utf8_is_valid(payload.data, payload.length)) peer->fault = "text is not UTF-8";
        keep(peer, TW_OP_TEXT, payload);
        break;
    case TW_OP_BINARY:
        keep(peer, TW_OP_BINARY, payload);
        break;
    case TW_OP_PING:
        peer->pings++;
        if (!peer->no_pong) tw_peer_send(peer, 0x80 | TW_OP_PONG, payload);
        if (peer->keeps_pings) keep(peer, TW_OP_PING, payload);
        break;
    case TW_OP_PONG:
        if (peer->keeps_pings) keep(peer, TW_OP_PONG, payload);
        break;
    case TW_OP_CLOSE:
        on_close(peer, payload);
        break;
    default:
        peer->fault = "unknown opcode";
    }
}

/* The frame at `bytes`: its length in all, 0 if it is not all there. */
static size_t frame_at(struct tw_peer *peer, const unsigned char *bytes, size_t length,
                       struct tw_str *payload) {
    size_t head = 2;
    if (length < 2) return 0;
    uint64_t size = bytes[1] & 0x7f;
    if (bytes[1] & 0x80) peer->fault = "a masked frame";
    if (size >= 126) {
        size_t extended = size == 126 ? 2 : 8;
        if (length < 2 + extended) return 0;
        size = 0;
        for (size_t i = 0; i < extended; i++)
            size = size << 8 | bytes[2 + i];
        if (size < (extended == 2 ? 126 : 65536)) peer->fault = "length not minimal";
        head += extended;
    }
    if (size > length - head) return 0;
    *payload = (struct tw_str){(const char *)bytes + head, (size_t)size};
    return head + (size_t)size;
}

static void read_frames(struct tw_peer *peer) {
    size_t at = 0, length;
    struct tw_str payload;
    while ((length = frame_at(peer, (const unsigned char *)peer->in.data + at, peer->in.length - at,
                              &payload)) > 0) {
        on_frame(peer, (unsigned char)peer->in.data[at], payload);
        at += length;
    }
    if (at > 0) tw_buf_consume(&peer->in, at);
}

static void read_head(struct tw_peer *peer) {
    const char *end = memmem(peer->in.data, peer->in.length, "\r\n\r\n", 4);
    if (!end) return;
    size_t length = (size_t)(end - peer->in.data) + 4;
    tw_buf_append(&peer->head, peer->in.data, length);
    tw_buf_consume(&peer->in, length);
    if (length < 15 || memcmp(peer->head.data, "HTTP/1.1 ", 9) != 0) {
        peer->fault = "not an HTTP answer";
        return;
    }
    peer->status = atoi(peer->head.data + 9);
    if (peer->status == 101) peer->state = TW_PEER_OPEN;
}

void tw_peer_read(struct tw_peer *peer, const char *bytes, size_t length) {
    if (peer->state == TW_PEER_ENDED) return;
    tw_buf_append(&peer->in, bytes, length);
    if (peer->state == TW_PEER_HTTP && peer->status == 0) read_head(peer);
    if (peer->state == TW_PEER_OPEN && peer->in.length > 0) read_frames(peer);
}

void tw_peer_end(struct tw_peer *peer) {
    if (peer->state == TW_PEER_OPEN && peer->in.length > 0) peer->fault = "ends within a frame";
    peer->state = TW_PEER_ENDED;
    peer->wants_end = true;
}
