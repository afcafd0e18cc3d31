/* conn.h: connections for fuzzers: a socket that takes and gives bytes as it is told, and a look at
 * all that was sent. Of session.c and admin.c. */
#ifndef FUZZ_CONN_H
#define FUZZ_CONN_H

#include <errno.h>

#include "base/json.h"
#include "base/utf8.h"
#include "fuzz.h"
#include "proto/session.h"

enum { MOST_WIRE = 1 << 20 };

struct conn {
    struct tw_session *session; /* NULL: not in use */
    const struct tw_session_config *config;
    struct tw_buf wire, out; /* what the peer has said; what we sent */
    size_t read;             /* of wire, by us */
    size_t budget;           /* bytes that the socket takes */
    uint8_t piece;           /* bytes that a read brings; 0: all */
    bool is_reading, is_shut, is_closed, is_broken, is_eof, wants_write;
    bool is_asked; /* a request waits for the service's answer */
    bool has_head; /* a HEAD may have been among the requests */
};

/* --- the transport --- */

static int64_t transport_write(void *data, const struct iovec *spans, int count) {
    struct conn *conn = (struct conn *)data;
    size_t offered = 0, taken = 0;
    FUZZ_ASSERT(!conn->is_shut && !conn->is_closed && count > 0);
    if (conn->is_broken) return -EPIPE;
    for (int i = 0; i < count; i++) {
        size_t length = spans[i].iov_len < conn->budget ? spans[i].iov_len : conn->budget;
        tw_buf_append(&conn->out, spans[i].iov_base, length);
        conn->budget -= length;
        taken += length;
        offered += spans[i].iov_len;
    }
    FUZZ_ASSERT(offered > 0);
    if (taken < offered) conn->wants_write = true;
    return taken > 0 ? (int64_t)taken : TW_EAGAIN;
}

static void transport_set_reading(void *data, bool on) {
    ((struct conn *)data)->is_reading = on;
}

static void transport_shutdown(void *data) {
    FUZZ_ASSERT(!((struct conn *)data)->is_closed);
    ((struct conn *)data)->is_shut = true;
}

static void transport_close(void *data) {
    ((struct conn *)data)->is_closed = true;
}

static const struct tw_transport_ops transport = {.write = transport_write,
                                                  .set_reading = transport_set_reading,
                                                  .shutdown = transport_shutdown,
                                                  .close = transport_close};

/* --- what was sent --- */

/* False: it is not whole, as may be when the connection broke. */
static bool take_response(const struct conn *conn, struct tw_str *rest, bool *is_open) {
    const char *end = (const char *)memmem(rest->data, rest->length, "\r\n\r\n", 4);
    FUZZ_ASSERT(end || !conn->is_shut);
    if (!end) return false;
    size_t head = (size_t)(end - rest->data) + 4, length = 0;
    FUZZ_ASSERT(tw_str_starts(*rest, TW_STR("HTTP/1.1 ")));
    const char *told = (const char *)memmem(rest->data, head, "\r\nContent-Length: ", 18);
    if (told) length = strtoul(told + 18, NULL, 10);
    bool is_json = memmem(rest->data, head, "Content-Type: application/json", 30);
    *is_open = memcmp(rest->data + 9, "101", 3) == 0;
    *rest = (struct tw_str){rest->data + head, rest->length - head};
    FUZZ_ASSERT(rest->length >= length || conn->has_head || !conn->is_shut);
    bool is_bare =
        conn->has_head && (rest->length < length || tw_str_starts(*rest, TW_STR("HTTP/")));
    if (is_bare) return true;
    if (rest->length < length) return false;
    if (is_json && length > 0)
        FUZZ_ASSERT(tw_json_check((struct tw_str){rest->data, length}, NULL) == 0);
    *rest = (struct tw_str){rest->data + length, rest->length - length};
    return true;
}

static void check_close(struct tw_str payload) {
    const uint8_t *p = (const uint8_t *)payload.data;
    FUZZ_ASSERT(payload.length != 1);
    if (payload.length == 0) return;
    FUZZ_ASSERT(tw_close_code_is_valid((unsigned)p[0] << 8 | p[1]));
    FUZZ_ASSERT(tw_utf8_is_valid(payload.data + 2, payload.length - 2));
}

static bool take_frame(struct tw_str *rest, bool *is_closed) {
    const uint8_t *p = (const uint8_t *)rest->data;
    if (rest->length < 2) return false;
    unsigned opcode = p[0] & 15, extended = p[1] == 126 ? 2 : p[1] == 127 ? 8 : 0;
    FUZZ_ASSERT((p[0] & 0xf0) == 0x80 && !(p[1] & 0x80) && !*is_closed);
    if (rest->length < 2 + extended) return false;
    uint64_t length = extended ? 0 : p[1];
    for (unsigned i = 0; i < extended; i++)
        length = length << 8 | p[2 + i];
    FUZZ_ASSERT(length >= (extended == 8 ? 65536 : extended == 2 ? 126 : 0) && length < MOST_WIRE);
    FUZZ_ASSERT(opcode == TW_OP_TEXT || opcode == TW_OP_BINARY ||
                (opcode >= TW_OP_CLOSE && opcode <= TW_OP_PONG && length <= 125));
    if (rest->length < 2 + extended + length) return false;
    struct tw_str payload = {rest->data + 2 + extended, (size_t)length};
    if (opcode == TW_OP_TEXT) FUZZ_ASSERT(tw_json_check(payload, NULL) == 0);
    if (opcode == TW_OP_CLOSE) check_close(payload);
    *is_closed = opcode == TW_OP_CLOSE;
    *rest = (struct tw_str){payload.data + length, rest->length - 2 - extended - (size_t)length};
    return true;
}

static void check_sent(const struct conn *conn) {
    struct tw_str rest = {conn->out.data, conn->out.length};
    bool is_open = false, is_closed = false;
    while (rest.length > 0 && !is_open)
        if (!take_response(conn, &rest, &is_open)) return;
    while (rest.length > 0 && take_frame(&rest, &is_closed)) {
    }
    /* Whoever shuts down has said all of it, and goodbye. */
    FUZZ_ASSERT(!conn->is_shut || rest.length == 0);
    FUZZ_ASSERT(!conn->is_shut || !is_open || is_closed);
}

/* --- the loop --- */

/* Before each call from outside: sets the hub's clock, has it take a turn. Of the fuzzer. */
static void enter(struct tw_hub *hub);

static void conn_open(struct conn *conn, const struct tw_session_config *config,
                      const struct tw_ip *ip) {
    *conn = (struct conn){.config = config, .is_reading = true, .budget = SIZE_MAX};
    enter(config->hub);
    conn->session = tw_session_new(config, conn, ip);
}

/* What uv would say now. */
static void pump(struct conn *conn) {
    while (conn->session && !conn->is_closed) {
        enter(conn->config->hub);
        if (conn->wants_write && conn->budget > 0) {
            conn->wants_write = false;
            tw_session_on_writable(conn->session);
        } else if (conn->is_reading && conn->read < conn->wire.length) {
            size_t length = conn->wire.length - conn->read;
            if (conn->piece > 0 && conn->piece < length) length = conn->piece;
            char *piece = (char *)tw_alloc(length); /* ends where it ends, and is gone afterwards */
            memcpy(piece, conn->wire.data + conn->read, length);
            conn->read += length;
            tw_session_on_read(conn->session, piece, length);
            tw_free(piece);
        } else if (conn->is_reading && conn->is_eof) {
            conn->is_reading = false;
            tw_session_on_eof(conn->session);
        } else {
            return;
        }
    }
}

/* Frees it if it was closed. */
static void reap(struct conn *conn) {
    if (!conn->session || !conn->is_closed) return;
    enter(conn->config->hub);
    check_sent(conn);
    tw_session_free(conn->session);
    tw_buf_deinit(&conn->wire);
    tw_buf_deinit(&conn->out);
    *conn = (struct conn){0};
}

/* --- what peers say --- */

/* Has the peer, or have we, said it anywhere? */
static inline bool has_text(const struct tw_buf *buf, const char *text) {
    return buf->length > 0 && memmem(buf->data, buf->length, text, strlen(text));
}

static inline void say(struct conn *conn, const void *bytes, size_t length) {
    if (conn->wire.length < MOST_WIRE && !conn->is_eof) tw_buf_append(&conn->wire, bytes, length);
}

static inline void say_raw(struct conn *conn, struct fuzz_input *input) {
    struct tw_str bytes = fuzz_bytes(input, fuzz_byte(input));
    say(conn, bytes.data, bytes.length);
    conn->has_head = true; /* who knows */
}

static inline void say_request(struct conn *conn, struct fuzz_input *input) {
    static const char *const paths[] = {"/ws/a",    "/ws/b", "/ws/r:1", "/ws/r%3A2",
                                        "/ws/none", "/ws",   "/ws/",    "/page?a=1"};
    uint8_t choice = fuzz_byte(input), more = fuzz_byte(input);
    char *text = tw_format("%s %s HTTP/1.1\r\nHost: a\r\n%s%s%s%s\r\n",
                           choice & 0x40   ? "HEAD"
                           : choice & 0x80 ? "POST"
                                           : "GET",
                           paths[choice & 7], more & 1 ? "Connection: close\r\n" : "",
                           more & 2 ? "Content-Length: 3\r\n" : "",
                           choice & 8 ? "" : "Upgrade: websocket\r\nConnection: upgrade\r\n",
                           choice & 16 ? ""
                                       : "Sec-WebSocket-Version: 13\r\n"
                                         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n");
    say(conn, text, strlen(text));
    if (more & 2) say(conn, "abc", 3);
    if (choice & 0x40) conn->has_head = true;
    tw_free(text);
}

/* A frame as clients send it; opcode, bits and length are the input's. */
static inline void say_frame(struct conn *conn, struct fuzz_input *input) {
    uint8_t first = fuzz_byte(input), length = fuzz_byte(input);
    struct tw_str payload = fuzz_bytes(input, length & 0x7f);
    uint8_t head[8] = {first ^ 0x81, (uint8_t)(0x80 | payload.length), 0, 0, 0, 0};
    size_t header = 6;
    if (payload.length > 125) {
        memcpy(head + 1, "\xfe\0\0", 3);
        head[3] = (uint8_t)payload.length;
        header = 8;
    }
    say(conn, head, header);
    say(conn, payload.data, payload.length);
}

/* What can happen to any socket; false: something else is meant. */
static inline bool operate_socket(struct conn *conn, unsigned operation, struct fuzz_input *input) {
    switch (operation) {
    case 0:
        say_raw(conn, input);
        return true;
    case 1:
        conn->budget = fuzz_byte(input);
        return true;
    case 2:
        conn->budget = SIZE_MAX;
        return true;
    case 3:
        conn->is_eof = true;
        return true;
    case 4:
        conn->is_broken = true;
        return true;
    case 5:
        tw_session_abort(conn->session);
        return true;
    case 6:
        conn->piece = fuzz_byte(input);
        return true;
    default:
        return false;
    }
}

#endif
