/* ws.c: frames into messages, RFC 6455 section 5.
 *
 *   bytes --look: header checked--> wslay: unmasked --take--> message, control --> event
 *
 * wslay would read ahead, and tells of a header only with the first byte of its payload. So each
 * header is looked at on its way (`look`), refused there if it is wrong or announces too much, and
 * wslay gets no byte behind the frame that it is in (`allowed`). Hence `used` is exact, and a
 * reader's wslay is empty whenever `seen` is 0: then, and with no message begun, it can go back.
 *
 * Memory grows with what arrives, never with what a header announces. */
#include "proto/ws.h"

#include <errno.h>
#include <string.h>
#include <wslay/wslay.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/status.h"
#include "base/utf8.h"

enum { KEPT_CAPACITY = 65536, MASK_SIZE = 4, MAX_CONTROL = 125 };

struct tw_ws_reader {
    struct tw_ws_reader *next; /* in the pool */
    wslay_frame_context_ptr frames;
    const unsigned char *at, *end; /* of the caller's bytes, during a call */
    uint64_t allowed;              /* how many of them wslay may have: up to the end of the frame */
    uint64_t payload_left;         /* of the frame, not yet out of wslay */
    unsigned char head[10];        /* the frame's header, without the mask */
    uint8_t seen;                  /* bytes in `head`; 0: between two frames */
    bool is_head_whole;
    bool is_closed; /* a close frame was read */
    uint8_t control_length;
    unsigned char control[MAX_CONTROL]; /* the payload of a control frame that came in parts */
    enum tw_opcode opcode;              /* of the message begun; continuation: none is */
    unsigned empty_frames;              /* in it */
    uint64_t announced;                 /* payload bytes of it, by the headers so far */
    struct tw_utf8 utf8;
    struct tw_buf message; /* payload bytes of it, collected */
    int failed;            /* the status, once and for all */
    struct tw_ws_event failure;
};

struct tw_ws_pool {
    struct tw_ws_reader *idle;
    size_t keep, idle_count, lent;
};

static int borrow(struct tw_ws_pool *pool, struct tw_ws_reader **slot);
static struct tw_ws_reader *reader_new(void);
static void reader_free(struct tw_ws_reader *reader);
static ssize_t on_recv(uint8_t *buf, size_t length, int flags, void *data);
static int read_on(struct tw_ws_reader *reader, size_t max_message, struct tw_ws_event *event);
static int look(struct tw_ws_reader *reader, size_t max_message);
static int check_first(struct tw_ws_reader *reader);
static int check_second(struct tw_ws_reader *reader);
static int enter_frame(struct tw_ws_reader *reader, uint64_t length, size_t max_message);
static int take(struct tw_ws_reader *reader, const struct wslay_frame_iocb *piece,
                struct tw_ws_event *event);
static int take_data(struct tw_ws_reader *reader, struct tw_str bytes, bool is_last,
                     struct tw_ws_event *event);
static int take_control(struct tw_ws_reader *reader, const struct wslay_frame_iocb *piece,
                        struct tw_ws_event *event);
static int take_close(struct tw_ws_reader *reader, struct tw_ws_event *event);
static int fail(struct tw_ws_reader *reader, int status, const char *why);
static void forget_message(struct tw_ws_reader *reader);

struct tw_ws_pool *tw_ws_pool_new(size_t keep) {
    struct tw_ws_pool *pool = TW_NEW(struct tw_ws_pool);
    pool->keep = keep;
    return pool;
}

void tw_ws_pool_free(struct tw_ws_pool *pool) {
    if (!pool) return;
    (void)TW_CHECK(pool->lent == 0);
    while (pool->idle) {
        struct tw_ws_reader *reader = pool->idle;
        pool->idle = reader->next;
        reader_free(reader);
    }
    tw_free(pool);
}

int tw_ws_read(struct tw_ws_pool *pool, struct tw_ws_reader **slot, const void *bytes,
               size_t length, size_t *used, size_t max_message, struct tw_ws_event *event) {
    *used = 0;
    *event = (struct tw_ws_event){0};
    if (!*slot && length == 0) return 0;
    if (!*slot && borrow(pool, slot) != 0) {
        *event = (struct tw_ws_event){.code = 1011, .why = "out of memory"};
        return -ENOMEM;
    }
    struct tw_ws_reader *reader = *slot;
    if (reader->is_closed) {
        *used = length;
        return 0;
    }
    /* The last event's payload was borrowed until now. */
    if (reader->opcode == TW_OP_CONTINUATION) forget_message(reader);
    int status = reader->failed;
    if (status == 0 && length > 0) {
        reader->at = (const unsigned char *)bytes;
        reader->end = reader->at + length;
        status = read_on(reader, max_message, event);
        *used = (size_t)(reader->at - (const unsigned char *)bytes);
        reader->at = reader->end = NULL;
    }
    if (status < 0) *event = reader->failure;
    bool is_at_boundary = reader->seen == 0 && reader->opcode == TW_OP_CONTINUATION;
    if (status == 0 && is_at_boundary) tw_ws_release(pool, slot);
    return status;
}

void tw_ws_release(struct tw_ws_pool *pool, struct tw_ws_reader **slot) {
    struct tw_ws_reader *reader = *slot;
    if (!reader) return;
    *slot = NULL;
    pool->lent--;
    /* Within a frame wslay cannot be reset. */
    if (reader->seen > 0 || reader->failed != 0 || pool->idle_count == pool->keep) {
        reader_free(reader);
        return;
    }
    forget_message(reader);
    reader->is_closed = false;
    reader->next = pool->idle;
    pool->idle = reader;
    pool->idle_count++;
}

static int borrow(struct tw_ws_pool *pool, struct tw_ws_reader **slot) {
    struct tw_ws_reader *reader = pool->idle;
    if (reader) {
        pool->idle = reader->next;
        pool->idle_count--;
    } else {
        reader = reader_new();
        if (!reader) return -ENOMEM;
    }
    pool->lent++;
    *slot = reader;
    return 0;
}

/* Not by TW_NEW: peers choose how many readers are half-way in a message at a time. */
static struct tw_ws_reader *reader_new(void) {
    static const struct wslay_frame_callbacks callbacks = {.recv_callback = on_recv};
    struct tw_ws_reader *reader = (struct tw_ws_reader *)tw_try_alloc(sizeof *reader);
    if (!reader) return NULL;
    if (wslay_frame_context_init(&reader->frames, &callbacks, reader) == 0) return reader;
    tw_free(reader);
    return NULL;
}

static void reader_free(struct tw_ws_reader *reader) {
    wslay_frame_context_free(reader->frames);
    tw_buf_deinit(&reader->message);
    tw_free(reader);
}

static ssize_t on_recv(uint8_t *buf, size_t length, int flags, void *data) {
    struct tw_ws_reader *reader = (struct tw_ws_reader *)data;
    (void)flags;
    size_t count = (size_t)(reader->end - reader->at);
    if (count > length) count = length;
    if (count > reader->allowed) count = (size_t)reader->allowed;
    if (count == 0) return -1;
    memcpy(buf, reader->at, count);
    reader->at += count;
    reader->allowed -= count;
    return (ssize_t)count;
}

/* 1: an event; 0: all is used. */
static int read_on(struct tw_ws_reader *reader, size_t max_message, struct tw_ws_event *event) {
    for (;;) {
        const unsigned char *before = reader->at;
        struct wslay_frame_iocb piece = {0};
        int status = look(reader, max_message);
        if (status != 0) return status;
        ssize_t got = wslay_frame_recv(reader->frames, &piece);
        if (got == WSLAY_ERR_WANT_READ) {
            if (reader->at == reader->end) return 0;
            if (TW_CHECK(reader->at > before)) continue;
            return fail(reader, TW_EPROTO, "unreadable frame");
        }
        if (!TW_CHECK(got >= 0)) return fail(reader, TW_EPROTO, "unreadable frame");
        status = take(reader, &piece, event);
        if (status != 0) return status;
    }
}

/* Reads the frame's header where it lies, and lets wslay have it as far as it is good: RFC
 * 6455 5.2, by the byte, so that nobody waits for the rest of a frame that is refused anyway. */
static int look(struct tw_ws_reader *reader, size_t max_message) {
    while (!reader->is_head_whole && reader->allowed < (size_t)(reader->end - reader->at)) {
        reader->head[reader->seen++] = reader->at[reader->allowed++];
        int status = 0;
        if (reader->seen == 1) status = check_first(reader);
        if (reader->seen == 2) status = check_second(reader);
        if (status != 0) return status;
        if (reader->seen < 2) continue;
        unsigned length = reader->head[1] & 0x7F;
        unsigned extended = length == 126 ? 2 : length == 127 ? 8 : 0;
        if (reader->seen < 2 + extended) continue;
        uint64_t payload = extended == 0 ? length : 0;
        for (unsigned i = 0; i < extended; i++)
            payload = payload << 8 | reader->head[2 + i];
        if (extended == 2 && payload < 126) return fail(reader, TW_EPROTO, "length not minimal");
        if (extended == 8 && payload <= 0xFFFF)
            return fail(reader, TW_EPROTO, "length not minimal");
        if (payload >> 63) return fail(reader, TW_EPROTO, "length with the top bit");
        return enter_frame(reader, payload, max_message);
    }
    return 0;
}

static int check_first(struct tw_ws_reader *reader) {
    unsigned opcode = reader->head[0] & 0x0F;
    bool is_final = reader->head[0] & 0x80, has_message = reader->opcode != TW_OP_CONTINUATION;
    if (reader->head[0] & 0x70) return fail(reader, TW_EPROTO, "reserved bits set");
    if ((opcode > TW_OP_BINARY && opcode < TW_OP_CLOSE) || opcode > TW_OP_PONG) {
        return fail(reader, TW_EPROTO, "reserved opcode");
    }
    if (opcode >= TW_OP_CLOSE) {
        return is_final ? 0 : fail(reader, TW_EPROTO, "fragmented control frame");
    }
    if (opcode == TW_OP_CONTINUATION && !has_message) {
        return fail(reader, TW_EPROTO, "continuation of nothing");
    }
    if (opcode != TW_OP_CONTINUATION && has_message) {
        return fail(reader, TW_EPROTO, "new message within a message");
    }
    return 0;
}

static int check_second(struct tw_ws_reader *reader) {
    if (!(reader->head[1] & 0x80)) return fail(reader, TW_EPROTO, "frame not masked");
    bool is_control = reader->head[0] & 0x08;
    if (is_control && (reader->head[1] & 0x7F) > MAX_CONTROL) {
        return fail(reader, TW_EPROTO, "control frame too long");
    }
    return 0;
}

static int enter_frame(struct tw_ws_reader *reader, uint64_t length, size_t max_message) {
    reader->is_head_whole = true;
    reader->payload_left = length;
    reader->allowed += MASK_SIZE + length;
    unsigned opcode = reader->head[0] & 0x0F;
    if (opcode >= TW_OP_CLOSE) return 0;
    if (opcode != TW_OP_CONTINUATION) reader->opcode = (enum tw_opcode)opcode;
    if (length > max_message || reader->announced > max_message - length) {
        return fail(reader, TW_ETOOBIG, "message too big");
    }
    reader->announced += length;
    /* They cost no memory, but each one keeps the message, and so this reader, alive. */
    if (length == 0 && ++reader->empty_frames > TW_WS_MAX_EMPTY_FRAMES) {
        return fail(reader, TW_EPROTO, "too many empty frames");
    }
    return 0;
}

static int take(struct tw_ws_reader *reader, const struct wslay_frame_iocb *piece,
                struct tw_ws_event *event) {
    TW_REQUIRE(piece->data_length <= reader->payload_left);
    reader->payload_left -= piece->data_length;
    bool is_end = reader->payload_left == 0;
    if (is_end) {
        reader->seen = 0;
        reader->is_head_whole = false;
    }
    if (wslay_is_ctrl_frame(piece->opcode)) return take_control(reader, piece, event);
    struct tw_str bytes = {(const char *)piece->data, piece->data_length};
    return take_data(reader, bytes, is_end && piece->fin, event);
}

static int take_data(struct tw_ws_reader *reader, struct tw_str bytes, bool is_last,
                     struct tw_ws_event *event) {
    bool is_text = reader->opcode == TW_OP_TEXT;
    if (is_text && !tw_utf8_feed(&reader->utf8, bytes.data, bytes.length)) {
        return fail(reader, TW_EUTF8, "text is not UTF-8");
    }
    /* The whole message in one piece, as most are: handed out from where wslay has it. */
    bool is_whole = is_last && bytes.length == reader->announced;
    if (!is_whole) {
        if (tw_buf_try_append(&reader->message, bytes.data, bytes.length) != 0) {
            return fail(reader, -ENOMEM, "out of memory");
        }
        bytes = (struct tw_str){reader->message.data, reader->message.length};
    }
    if (!is_last) return 0;
    if (is_text && !tw_utf8_is_complete(&reader->utf8)) {
        return fail(reader, TW_EUTF8, "text ends within a character");
    }
    event->opcode = reader->opcode;
    event->payload = bytes;
    reader->opcode = TW_OP_CONTINUATION;
    return 1;
}

static int take_control(struct tw_ws_reader *reader, const struct wslay_frame_iocb *piece,
                        struct tw_ws_event *event) {
    struct tw_str payload = {(const char *)piece->data, piece->data_length};
    if (piece->data_length < piece->payload_length) {
        memcpy(reader->control + reader->control_length, piece->data, piece->data_length);
        reader->control_length = (uint8_t)(reader->control_length + piece->data_length);
        if (reader->payload_left > 0) return 0;
        payload = (struct tw_str){(const char *)reader->control, reader->control_length};
        reader->control_length = 0;
    }
    event->opcode = (enum tw_opcode)piece->opcode;
    event->payload = payload;
    return event->opcode == TW_OP_CLOSE ? take_close(reader, event) : 1;
}

/* RFC 6455 5.5.1 and 7.4. */
static int take_close(struct tw_ws_reader *reader, struct tw_ws_event *event) {
    struct tw_str *payload = &event->payload;
    event->code = 1005;
    if (payload->length == 1) return fail(reader, TW_EPROTO, "close payload of one byte");
    if (payload->length >= 2) {
        const unsigned char *code = (const unsigned char *)payload->data;
        event->code = (unsigned)code[0] << 8 | code[1];
        if (!tw_close_code_is_valid(event->code)) return fail(reader, TW_EPROTO, "bad close code");
        *payload = (struct tw_str){payload->data + 2, payload->length - 2};
        if (!tw_utf8_is_valid(payload->data, payload->length)) {
            return fail(reader, TW_EUTF8, "close reason is not UTF-8");
        }
    }
    reader->is_closed = true;
    return 1;
}

static int fail(struct tw_ws_reader *reader, int status, const char *why) {
    unsigned code = 1002;
    if (status == TW_EUTF8) code = 1007;
    if (status == TW_ETOOBIG) code = 1009;
    if (status == -ENOMEM) code = 1011;
    reader->failed = status;
    reader->failure = (struct tw_ws_event){.code = code, .why = why};
    return status;
}

static void forget_message(struct tw_ws_reader *reader) {
    reader->opcode = TW_OP_CONTINUATION;
    reader->empty_frames = 0;
    reader->announced = 0;
    reader->utf8 = (struct tw_utf8){0};
    reader->message.length = 0;
    if (reader->message.capacity > KEPT_CAPACITY) tw_buf_deinit(&reader->message);
}
