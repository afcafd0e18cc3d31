/* bench_wire.h: what `tidewire bench` puts on the wire and finds there: stamped payloads, the
 * client's frames, the head of the server's.
 *
 * A payload is one JSON object, {"bench":"SSSSSSSSNNNNNNNNTTTTTTTTTTTTTTTT","pad":"xx..."}: sender,
 * sequence number and send time (ns of the monotonic clock) in hexadecimal digits, so that they lie
 * where they can be read without parsing. A server that writes the object anew may move the member;
 * it is looked for then. */
#ifndef TW_APP_BENCH_WIRE_H
#define TW_APP_BENCH_WIRE_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "proto/frame.h"

#define TW_BENCH_STAMP_AT 10     /* behind {"bench":" */
#define TW_BENCH_STAMP_LENGTH 32 /* digits */
#define TW_BENCH_MIN_SIZE 53     /* bytes of the smallest payload */
#define TW_BENCH_LOOK 256        /* the stamp must lie in the first so many bytes */

struct tw_bench_stamp {
    uint32_t sender, sequence;
    uint64_t sent_ns;
};

/* Writes `size` bytes, at least TW_BENCH_MIN_SIZE, with a stamp of zeros. */
void tw_bench_payload_write(char *payload, size_t size);
/* Writes the stamp into such a payload. */
void tw_bench_stamp_write(char *payload, const struct tw_bench_stamp *stamp);
/* The digits of the stamp in the first bytes of a payload; NULL if there are none. */
const char *tw_bench_stamp_find(const char *payload, size_t length);

/* Eight hexadecimal digits (small letters), all at once. Anything else gives some number. */
static inline uint32_t tw_bench_hex(const char *digits) {
    uint64_t x;
    memcpy(&x, digits, 8);
    x = (x & 0x0F0F0F0F0F0F0F0Fu) + 9 * (x >> 6 & 0x0101010101010101u);
    x = be64toh(x);
    x = (x | x >> 4) & 0x00FF00FF00FF00FFu;
    x = (x | x >> 8) & 0x0000FFFF0000FFFFu;
    return (uint32_t)(x | x >> 16);
}

struct tw_bench_head {
    size_t size;     /* of the head itself */
    uint64_t length; /* of the payload */
    bool is_final;
    enum tw_opcode opcode;
};

/* Reads the head of a server's frame: 0, TW_EAGAIN if more bytes are needed, TW_EPROTO if no
 * server without extensions may send it. */
int tw_bench_head_read(struct tw_bench_head *head, const void *bytes, size_t length);

/* Appends a whole masked frame. */
void tw_bench_frame_append(struct tw_buf *out, enum tw_opcode opcode, const void *payload,
                           size_t length, uint32_t mask);

#endif
