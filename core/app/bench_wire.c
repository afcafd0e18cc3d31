/* bench_wire.c: see the header for the form of a payload. */
#include "app/bench_wire.h"

#include "base/check.h"
#include "base/status.h"

static const char before[] = "{\"bench\":\"", between[] = "\",\"pad\":\"", behind[] = "\"}";

static void write_hex(char *out, uint64_t value, int digits) {
    for (int i = digits - 1; i >= 0; i--, value >>= 4)
        out[i] = "0123456789abcdef"[value & 15];
}

void tw_bench_payload_write(char *payload, size_t size) {
    TW_REQUIRE(size >= TW_BENCH_MIN_SIZE);
    memset(payload, 'x', size);
    memcpy(payload, before, sizeof before - 1);
    memset(payload + TW_BENCH_STAMP_AT, '0', TW_BENCH_STAMP_LENGTH);
    memcpy(payload + TW_BENCH_STAMP_AT + TW_BENCH_STAMP_LENGTH, between, sizeof between - 1);
    memcpy(payload + size - (sizeof behind - 1), behind, sizeof behind - 1);
}

void tw_bench_stamp_write(char *payload, const struct tw_bench_stamp *stamp) {
    char *at = payload + TW_BENCH_STAMP_AT;
    write_hex(at, stamp->sender, 8);
    write_hex(at + 8, stamp->sequence, 8);
    write_hex(at + 16, stamp->sent_ns, 16);
}

/* {"bench":"32 digits","pad":""} */
_Static_assert(sizeof before - 1 == TW_BENCH_STAMP_AT, "where the stamp lies");
_Static_assert(sizeof before + TW_BENCH_STAMP_LENGTH + sizeof between + sizeof behind - 3 ==
                   TW_BENCH_MIN_SIZE,
               "the smallest payload");

const char *tw_bench_stamp_find(const char *payload, size_t length) {
    static const char name[] = "\"bench\"";
    if (length > TW_BENCH_LOOK) length = TW_BENCH_LOOK;
    const char *end = payload + length;
    const char *at = memmem(payload, length, name, sizeof name - 1);
    if (!at) return NULL;
    at += sizeof name - 1;
    while (at < end && (*at == ' ' || *at == ':'))
        at++;
    return end - at > TW_BENCH_STAMP_LENGTH && *at == '"' ? at + 1 : NULL;
}

int tw_bench_head_read(struct tw_bench_head *head, const void *bytes, size_t length) {
    const uint8_t *p = bytes;
    if (length < 2) return TW_EAGAIN;
    head->is_final = (p[0] & 0x80) != 0;
    head->opcode = (enum tw_opcode)(p[0] & 0x0F);
    head->length = p[1];
    head->size = 2;
    if (p[0] & 0x70 || p[1] & 0x80) return TW_EPROTO; /* extension; masked */
    if (head->opcode >= TW_OP_CLOSE && (!head->is_final || p[1] > 125)) return TW_EPROTO;
    if (p[1] == 126) {
        uint16_t wide;
        if (length < (head->size = 4)) return TW_EAGAIN;
        memcpy(&wide, p + 2, sizeof wide);
        head->length = be16toh(wide);
    } else if (p[1] == 127) {
        if (length < (head->size = 10)) return TW_EAGAIN;
        memcpy(&head->length, p + 2, sizeof head->length);
        head->length = be64toh(head->length);
        if (head->length >> 63) return TW_EPROTO;
    }
    return 0;
}

void tw_bench_frame_append(struct tw_buf *out, enum tw_opcode opcode, const void *payload,
                           size_t length, uint32_t mask) {
    unsigned char head[14];
    size_t size = tw_frame_header(head, opcode, length);
    head[1] |= 0x80;
    memcpy(head + size, &mask, sizeof mask);
    tw_buf_append(out, head, size + sizeof mask);
    tw_buf_append(out, payload, length);
    char *at = out->data + out->length - length;
    const char *key = (const char *)&mask;
    size_t i = 0;
    const uint64_t twice = (uint64_t)mask << 32 | mask;
    for (; i + 8 <= length; i += 8) {
        uint64_t word;
        memcpy(&word, at + i, 8);
        word ^= twice;
        memcpy(at + i, &word, 8);
    }
    for (; i < length; i++)
        at[i] = (char)(at[i] ^ key[i % 4]);
}
