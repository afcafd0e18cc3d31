/* frame.h: server frames, RFC 6455 section 5: unmasked, unfragmented. */
#ifndef TW_PROTO_FRAME_H
#define TW_PROTO_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

enum tw_opcode {
    TW_OP_CONTINUATION = 0,
    TW_OP_TEXT = 1,
    TW_OP_BINARY = 2,
    TW_OP_CLOSE = 8,
    TW_OP_PING = 9,
    TW_OP_PONG = 10
};

#define TW_FRAME_MAX_CONTROL 127 /* bytes of a whole control frame of a server */

/* Writes a header of 2, 4 or 10 bytes; returns how many. */
size_t tw_frame_header(unsigned char out[10], enum tw_opcode opcode, uint64_t length);
/* A whole control frame; `length` at most 125. Returns its bytes. */
size_t tw_frame_control(unsigned char out[TW_FRAME_MAX_CONTROL], enum tw_opcode opcode,
                        const void *payload, size_t length);
/* A close frame; the reason is cut to 123 bytes at a character's edge. code 0: no payload. */
size_t tw_frame_close(unsigned char out[TW_FRAME_MAX_CONTROL], unsigned code, const char *reason);
/* May a peer send this close code (RFC 6455 7.4, and the registry: 1000-1003, 1007-1014,
 * 3000-4999)? */
bool tw_close_code_is_valid(unsigned code);

#endif
