/* ws.c: frames into messages, RFC 6455 section 5.
 *
 *   bytes --look: the header, checked by the byte--> take: unmasked --> message, control --> event
 *
 * `used` is exact: no byte behind the event is looked at. With no frame and no message begun, the
 * reader can go back. Memory grows with what arrives, never with what a header announces. */
#include "proto/ws.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/mem.h"
#include "base/status.h"
#include "base/utf8.h"

enum { KEPT_CAPACITY = 65536, MASK_SIZE = 4, HEAD = 2 + 8 + MASK_SIZE, MAX_CONTROL = 125 };

struct tw_ws_reader {
    struct tw_ws_reader *next;     /* in the pool */
    const unsigned char *at, *end; /* of the caller's bytes, during a call */
    uint64_t left;                 /* of the frame's payload */
    unsigned char head[HEAD];      /* the frame's header */
    unsigned char mask[MASK_SIZE]; /* for the next byte first */
    uint8_t seen;                  /* bytes in `head`; 0: between two frames */
    bool is_head_whole;
    bool is_closed;        /* a close frame was read */
    enum tw_opcode opcode; /* of the message begun; continuation: none is */
    unsigned empty_frames; /* in it */
    uint64_t announced;    /* payload bytes of it, by the headers so far */
    struct tw_utf8 utf8;
    struct tw_buf message; /* empty, or TW_MESSAGE_ROOM bytes and then the payload bytes of it */
    int failed;            /* the status, once and for all */
    uint8_t control_length;
    unsigned char control[MAX_CONTROL]; /* the payload of a control frame */
    struct tw_ws_event failure;         /* if it has failed */
};

struct tw_ws_pool {
    struct tw_ws_reader *idle;
    size_t keep, idle_count, lent;
};

static int borrow(struct tw_ws_pool *pool, struct tw_ws_reader **slot);
static void reader_free(struct tw_ws_reader *reader);
static int read_on(struct tw_ws_reader *reader, size_t max_message, struct tw_ws_event *event);
static int look(struct tw_ws_reader *reader, size_t max_message);
static int look_at_once(struct tw_ws_reader *reader, size_t max_message);
static unsigned head_length(const unsigned char *head);
static void enter_payload(struct tw_ws_reader *reader);
static int check_first(struct tw_ws_reader *reader);
static int check_second(struct tw_ws_reader *reader);
static int check_length(struct tw_ws_reader *reader, size_t max_message);
static int enter_frame(struct tw_ws_reader *reader, uint64_t length, size_t max_message);
static bool unmask(struct tw_ws_reader *reader, void *out, size_t count);
static int take_data(struct tw_ws_reader *reader, size_t count, struct tw_ws_event *event);
static int take_control(struct tw_ws_reader *reader, size_t count, struct tw_ws_event *event);
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

struct tw_message *tw_ws_take(struct tw_ws_reader *reader, const struct tw_ws_event *event) {
    struct tw_buf buf = reader->message;
    size_t length = event->payload.length;
    if (!TW_CHECK(buf.length == TW_MESSAGE_ROOM + length) || length > TW_MESSAGE_MAX) return NULL;
    reader->message = (struct tw_buf){0};
    if (buf.capacity - buf.length > buf.length / 4) { /* it came in pieces, or another was larger */
        char *smaller = (char *)tw_try_realloc(buf.data, buf.length);
        if (smaller) buf.data = smaller;
    }
    return tw_message_adopt(buf.data, length, event->opcode == TW_OP_BINARY);
}

void tw_ws_release(struct tw_ws_pool *pool, struct tw_ws_reader **slot) {
    struct tw_ws_reader *reader = *slot;
    if (!reader) return;
    *slot = NULL;
    pool->lent--;
    if (pool->idle_count == pool->keep) {
        reader_free(reader);
        return;
    }
    forget_message(reader);
    struct tw_buf message = reader->message;
    memset(reader, 0, offsetof(struct tw_ws_reader, control));
    reader->message = message;
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
        /* Not by TW_NEW: peers choose how many readers are half-way in a message at a time. */
        reader = (struct tw_ws_reader *)tw_try_alloc(sizeof *reader);
        if (!reader) return -ENOMEM;
    }
    pool->lent++;
    *slot = reader;
    return 0;
}

static void reader_free(struct tw_ws_reader *reader) {
    tw_buf_deinit(&reader->message);
    tw_free(reader);
}

/* 1: an event; 0: all is used. */
static int read_on(struct tw_ws_reader *reader, size_t max_message, struct tw_ws_event *event) {
    for (;;) {
        int status = look(reader, max_message);
        if (status != 0) return status;
        if (!reader->is_head_whole) return 0;
        size_t count = (size_t)(reader->end - reader->at);
        if (count == 0 && reader->left > 0) return 0;
        if (count > reader->left) count = (size_t)reader->left;
        status = reader->head[0] & 0x08 ? take_control(reader, count, event)
                                        : take_data(reader, count, event);
        if (status != 0) return status;
    }
}

/* RFC 6455 5.2: a header that is here as a whole at once, another by the byte, so that nobody waits
 * for the rest of a frame that is refused anyway. */
static int look(struct tw_ws_reader *reader, size_t max_message) {
    size_t count = (size_t)(reader->end - reader->at);
    if (reader->seen == 0 && count >= 2 && count >= head_length(reader->at))
        return look_at_once(reader, max_message);
    while (!reader->is_head_whole && reader->at < reader->end) {
        reader->head[reader->seen++] = *reader->at++;
        int status = 0;
        if (reader->seen == 1) status = check_first(reader);
        if (reader->seen == 2) status = check_second(reader);
        if (status != 0) return status;
        if (reader->seen < 2) continue;
        unsigned length = head_length(reader->head);
        if (reader->seen == length - MASK_SIZE) status = check_length(reader, max_message);
        if (status != 0) return status;
        if (reader->seen == length) enter_payload(reader);
    }
    return 0;
}

static int look_at_once(struct tw_ws_reader *reader, size_t max_message) {
    reader->seen = (uint8_t)head_length(reader->at);
    memcpy(reader->head, reader->at, reader->seen);
    reader->at += reader->seen;
    int status = check_first(reader);
    if (status == 0) status = check_second(reader);
    if (status == 0) status = check_length(reader, max_message);
    if (status == 0) enter_payload(reader);
    return status;
}

/* By its first two bytes, its mask included. */
static unsigned head_length(const unsigned char *head) {
    unsigned length = head[1] & 0x7F;
    return 2 + (length == 126 ? 2 : length == 127 ? 8 : 0) + MASK_SIZE;
}

static void enter_payload(struct tw_ws_reader *reader) {
    memcpy(reader->mask, reader->head + reader->seen - MASK_SIZE, MASK_SIZE);
    reader->is_head_whole = true;
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

static int check_length(struct tw_ws_reader *reader, size_t max_message) {
    unsigned extended = head_length(reader->head) - 2 - MASK_SIZE;
    uint64_t payload = extended == 0 ? reader->head[1] & 0x7F : 0;
    for (unsigned i = 0; i < extended; i++)
        payload = payload << 8 | reader->head[2 + i];
    if (extended == 2 && payload < 126) return fail(reader, TW_EPROTO, "length not minimal");
    if (extended == 8 && payload <= 0xFFFF) return fail(reader, TW_EPROTO, "length not minimal");
    if (payload >> 63) return fail(reader, TW_EPROTO, "length with the top bit");
    return enter_frame(reader, payload, max_message);
}

static int enter_frame(struct tw_ws_reader *reader, uint64_t length, size_t max_message) {
    reader->left = length;
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

/* The next bytes of the payload; behind the last one the frame is over. Are they all ASCII? */
static bool unmask(struct tw_ws_reader *reader, void *out, size_t count) {
    typedef uint64_t pair __attribute__((vector_size(16)));
    unsigned char *to = (unsigned char *)out, turned[MASK_SIZE];
    uint32_t half;
    size_t i = 0;
    memcpy(&half, reader->mask, sizeof half);
    pair words, seen = {0, 0}, mask = {(uint64_t)half << 32 | half, (uint64_t)half << 32 | half};
    for (; i + sizeof words <= count; i += sizeof words) {
        memcpy(&words, reader->at + i, sizeof words);
        words ^= mask;
        seen |= words;
        memcpy(to + i, &words, sizeof words);
    }
    uint64_t all = seen[0] | seen[1];
    for (; i < count; i++) {
        to[i] = reader->at[i] ^ reader->mask[i % MASK_SIZE];
        all |= to[i];
    }
    reader->at += count;
    reader->left -= count;
    if (reader->left == 0) {
        reader->seen = 0;
        reader->is_head_whole = false;
    } else {
        for (i = 0; i < MASK_SIZE; i++)
            turned[i] = reader->mask[(count + i) % MASK_SIZE];
        memcpy(reader->mask, turned, MASK_SIZE);
    }
    return !(all & 0x8080808080808080u);
}

static int take_data(struct tw_ws_reader *reader, size_t count, struct tw_ws_event *event) {
    struct tw_buf *message = &reader->message;
    bool is_text = reader->opcode == TW_OP_TEXT;
    size_t length = message->length > 0 ? message->length : TW_MESSAGE_ROOM;
    if (tw_buf_try_reserve(message, length - message->length + count) != 0)
        return fail(reader, -ENOMEM, "out of memory");
    char *bytes = message->data + length;
    bool is_plain = unmask(reader, bytes, count) && tw_utf8_is_complete(&reader->utf8);
    if (is_text && !is_plain && !tw_utf8_feed(&reader->utf8, bytes, count)) {
        return fail(reader, TW_EUTF8, "text is not UTF-8");
    }
    message->length = length + count;
    if (reader->left > 0 || !(reader->head[0] & 0x80)) return 0;
    if (is_text && !tw_utf8_is_complete(&reader->utf8)) {
        return fail(reader, TW_EUTF8, "text ends within a character");
    }
    event->opcode = reader->opcode;
    event->payload =
        (struct tw_str){message->data + TW_MESSAGE_ROOM, message->length - TW_MESSAGE_ROOM};
    reader->opcode = TW_OP_CONTINUATION;
    return 1;
}

static int take_control(struct tw_ws_reader *reader, size_t count, struct tw_ws_event *event) {
    unmask(reader, reader->control + reader->control_length, count);
    reader->control_length = (uint8_t)(reader->control_length + count);
    if (reader->left > 0) return 0;
    event->opcode = (enum tw_opcode)(reader->head[0] & 0x0F);
    event->payload = (struct tw_str){(const char *)reader->control, reader->control_length};
    reader->control_length = 0;
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
