/* ws.c: a client's frames, whole and in pieces: proto/ws.
 *
 * Input: bound of messages, cuts, then the bytes of a connection behind its handshake. The events
 * are written down as a text, which must be the same however the bytes are cut, and the same as
 * that of a reader which follows RFC 6455 section 5 in the simplest way, with all bytes at hand. */
#include <errno.h>

#include "base/utf8.h"
#include "fuzz.h"
#include "proto/ws.h"

enum { POOL_KEEPS = 2, READER_BYTES = 16384 };

/* Of the sanitizers' runtimes; not there without one. */
__attribute__((weak)) size_t __sanitizer_get_current_allocated_bytes(void);

static void print_event(struct tw_buf *out, const char *what, unsigned code, struct tw_str text) {
    tw_buf_print(out, "%s %u %zu ", what, code, text.length);
    tw_buf_append(out, text.data, text.length);
    tw_buf_print(out, "\n");
}

static const char *name_of(unsigned opcode) {
    static const char *const names[] = {"?", "text", "binary", "?",    "?",   "?",
                                        "?", "?",    "close",  "ping", "pong"};
    FUZZ_ASSERT(opcode <= TW_OP_PONG && *names[opcode] != '?');
    return names[opcode];
}

/* --- the simplest reader --- */

struct model {
    const uint8_t *bytes;
    size_t length, at, max_message;
    struct tw_buf events;
    struct tw_buf message;
    unsigned opcode; /* of the message begun, or 0 */
    unsigned empty_frames;
    uint64_t announced;
    struct tw_utf8 utf8;
    bool *is_idle; /* by position: between two messages there */
    bool is_over;  /* closed, or failed */
};

static void fail(struct model *m, unsigned code) {
    print_event(&m->events, "failed", code, (struct tw_str){NULL, 0});
    m->is_over = true;
}

/* 5.2: the header as far as it is there; false if it is not whole, or wrong. */
static bool read_header(struct model *m, uint64_t *payload, size_t *mask) {
    const uint8_t *p = m->bytes + m->at;
    size_t left = m->length - m->at;
    if (left < 1) return false;
    unsigned opcode = p[0] & 15;
    bool is_final = p[0] & 0x80, is_control = opcode >= 8;
    bool is_known = opcode <= 2 || (opcode >= 8 && opcode <= 10);
    bool is_in_order = is_control || (opcode == 0) == (m->opcode != 0);
    if ((p[0] & 0x70) || !is_known || (is_control && !is_final) || !is_in_order)
        return fail(m, 1002), false;
    if (left < 2) return false;
    unsigned length = p[1] & 0x7f, extended = length == 126 ? 2 : length == 127 ? 8 : 0;
    if (!(p[1] & 0x80) || (is_control && length > 125)) return fail(m, 1002), false;
    if (left < 2 + extended) return false;
    *payload = extended ? 0 : length;
    for (unsigned i = 0; i < extended; i++)
        *payload = *payload << 8 | p[2 + i];
    *mask = m->at + 2 + extended;
    if ((extended == 2 && *payload < 126) || (extended == 8 && *payload < 65536) || *payload >> 63)
        return fail(m, 1002), false;
    if (is_control) return true;
    if (opcode != 0) m->opcode = opcode;
    m->announced += *payload;
    if (*payload > m->max_message || m->announced > m->max_message) return fail(m, 1009), false;
    if (*payload == 0 && ++m->empty_frames > TW_WS_MAX_EMPTY_FRAMES) return fail(m, 1002), false;
    return true;
}

static void end_message(struct model *m) {
    if (m->opcode == TW_OP_TEXT && !tw_utf8_is_complete(&m->utf8)) {
        fail(m, 1007);
        return;
    }
    print_event(&m->events, name_of(m->opcode), 0,
                (struct tw_str){m->message.data, m->message.length});
    m->opcode = m->empty_frames = 0;
    m->announced = m->message.length = 0;
    m->utf8 = (struct tw_utf8){0};
}

static void end_control(struct model *m, unsigned opcode, struct tw_str text) {
    const uint8_t *p = (const uint8_t *)text.data;
    unsigned code = opcode == TW_OP_CLOSE ? 1005 : 0;
    if (opcode == TW_OP_CLOSE && text.length > 0) {
        if (text.length == 1 || !tw_close_code_is_valid((unsigned)p[0] << 8 | p[1])) {
            fail(m, 1002);
            return;
        }
        code = (unsigned)p[0] << 8 | p[1];
        text = (struct tw_str){text.data + 2, text.length - 2};
        if (!tw_utf8_is_valid(text.data, text.length)) {
            fail(m, 1007);
            return;
        }
    }
    print_event(&m->events, name_of(opcode), code, text);
    m->is_over = opcode == TW_OP_CLOSE;
}

/* False: the bytes end within it. */
static bool read_frame(struct model *m) {
    char control[125];
    uint64_t payload = 0;
    size_t mask = 0;
    if (!read_header(m, &payload, &mask) || m->length - mask < 4) return false;
    unsigned opcode = m->bytes[m->at] & 15;
    size_t there = m->length - mask - 4;
    if (there > payload) there = (size_t)payload;
    for (size_t i = 0; i < there; i++) {
        char c = (char)(m->bytes[mask + 4 + i] ^ m->bytes[mask + i % 4]);
        if (opcode >= TW_OP_CLOSE) {
            control[i] = c;
            continue;
        }
        tw_buf_append(&m->message, &c, 1);
        if (m->opcode == TW_OP_TEXT && !tw_utf8_feed(&m->utf8, &c, 1)) return fail(m, 1007), false;
    }
    if (there < payload) return false;
    bool is_final = m->bytes[m->at] & 0x80;
    m->at = mask + 4 + there;
    if (opcode >= TW_OP_CLOSE)
        end_control(m, opcode, (struct tw_str){control, there});
    else if (is_final)
        end_message(m);
    return true;
}

static void model_read(struct model *m) {
    m->is_idle = (bool *)tw_alloc(m->length + 1);
    do {
        m->is_idle[m->at] = m->opcode == 0;
    } while (!m->is_over && read_frame(m) && !m->is_over);
}

/* --- the real one --- */

static size_t allocated(void) {
    return __sanitizer_get_current_allocated_bytes ? __sanitizer_get_current_allocated_bytes() : 0;
}

static void check_event(const struct tw_ws_event *event, size_t max_message) {
    bool is_control = event->opcode >= TW_OP_CLOSE;
    FUZZ_ASSERT(event->payload.length <= (is_control ? 125 : max_message));
    FUZZ_ASSERT(event->opcode == TW_OP_BINARY || event->opcode == TW_OP_PING ||
                event->opcode == TW_OP_PONG ||
                tw_utf8_is_valid(event->payload.data, event->payload.length));
}

/* Some messages are taken as they are, the others are left to the reader. */
static void take(struct tw_ws_reader *reader, const struct tw_ws_event *event) {
    size_t length = event->payload.length;
    if (event->opcode != TW_OP_TEXT && event->opcode != TW_OP_BINARY) return;
    struct tw_message *message = tw_ws_take(reader, event);
    FUZZ_ASSERT(message && message->length == length && message->offset == 0);
    FUZZ_ASSERT(message->binary || tw_utf8_is_valid(tw_message_payload(message), length));
    tw_message_unref(&message);
}

/* Feeds one piece; 0, or the failure. */
static int read_piece(struct tw_ws_pool *pool, struct tw_ws_reader **slot, struct tw_str piece,
                      size_t max_message, struct tw_buf *out, bool *is_closed) {
    struct tw_ws_event event;
    int status = 1;
    while (status == 1) {
        size_t used;
        status = tw_ws_read(pool, slot, piece.data, piece.length, &used, max_message, &event);
        FUZZ_ASSERT(used <= piece.length && (status != 0 || used == piece.length));
        piece = (struct tw_str){piece.data + used, piece.length - used};
        if (status == 1) {
            check_event(&event, max_message);
            print_event(out, name_of(event.opcode), event.code, event.payload);
            FUZZ_ASSERT(!*is_closed);
            *is_closed = event.opcode == TW_OP_CLOSE;
            if (event.payload.length % 2 == 1) take(*slot, &event);
        }
    }
    if (status < 0) {
        FUZZ_ASSERT(*slot || status == -ENOMEM); /* it stays until the release */
        FUZZ_ASSERT(event.why && *event.why);
        print_event(out, "failed", event.code, (struct tw_str){NULL, 0});
    }
    return status;
}

static struct tw_buf read_all(struct tw_str bytes, size_t max_message, struct fuzz_cuts cuts,
                              const bool *is_idle) {
    struct tw_ws_pool *pool = tw_ws_pool_new(POOL_KEEPS);
    struct tw_ws_reader *slot = NULL;
    struct tw_buf out = {0};
    size_t position = 0, base = allocated();
    bool is_closed = false;
    int status = 0;
    while (bytes.length > 0 && status == 0) {
        size_t length;
        char *piece = fuzz_cut(&cuts, &bytes, &length);
        status =
            read_piece(pool, &slot, (struct tw_str){piece, length}, max_message, &out, &is_closed);
        tw_free(piece);
        position += length;
        /* Memory grows by what has come, not by what was announced. */
        FUZZ_ASSERT(!base || allocated() - base <= out.capacity + READER_BYTES + 2 * position);
        if (status == 0 && !is_closed && is_idle) FUZZ_ASSERT(is_idle[position] == (slot == NULL));
    }
    tw_ws_release(pool, &slot);
    tw_ws_release(pool, &slot);
    FUZZ_ASSERT(!slot);
    tw_ws_pool_free(pool); /* checks that all came back */
    return out;
}

static void must_be_same(const struct tw_buf *a, struct tw_buf b) {
    FUZZ_ASSERT(a->length == b.length);
    FUZZ_ASSERT(a->length == 0 || memcmp(a->data, b.data, a->length) == 0);
    tw_buf_deinit(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const size_t bounds[] = {1, 125, 126, 1000, 65536, 200000};
    struct fuzz_input input = {data, data + size};
    fuzz_begin();
    uint8_t choice = fuzz_byte(&input);
    size_t bound = bounds[(choice & 15) % (sizeof bounds / sizeof *bounds)];
    struct fuzz_cuts cuts = fuzz_cuts_from(&input);
    struct tw_str bytes = fuzz_bytes(&input, SIZE_MAX);
    struct model model = {
        .bytes = (const uint8_t *)bytes.data, .length = bytes.length, .max_message = bound};
    model_read(&model);
    must_be_same(&model.events, read_all(bytes, bound, fuzz_whole, model.is_idle));
    must_be_same(&model.events, read_all(bytes, bound, cuts, model.is_idle));
    must_be_same(&model.events, read_all(bytes, bound, fuzz_single_bytes, model.is_idle));
    if (choice & 0x80) { /* an allocation fails */
        tw_mem_fail_after(1 + (choice >> 4 & 7));
        struct tw_buf out = read_all(bytes, bound, cuts, NULL);
        tw_mem_fail_after(-1);
        tw_buf_deinit(&out);
    }
    tw_buf_deinit(&model.events);
    tw_buf_deinit(&model.message);
    tw_free(model.is_idle);
    return fuzz_end();
}
