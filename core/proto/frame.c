/* frame.c: the bytes of a server's frames.
 *
 * A broadcast's frame is encoded once and shared by all of its receivers, so what is needed here is
 * a header, and control frames whole. */
#include "proto/frame.h"

#include <string.h>

#include "base/check.h"
#include "base/utf8.h"

enum { FIN = 0x80, MAX_CONTROL_PAYLOAD = 125, MAX_REASON = 123 };

static size_t reason_length(const char *reason);

size_t tw_frame_header(unsigned char out[10], enum tw_opcode opcode, uint64_t length) {
    out[0] = (unsigned char)(FIN | (unsigned)opcode);
    if (length < 126) {
        out[1] = (unsigned char)length;
        return 2;
    }
    size_t extended = length <= 0xFFFF ? 2 : 8;
    out[1] = extended == 2 ? 126 : 127;
    for (size_t i = 0; i < extended; i++)
        out[2 + i] = (unsigned char)(length >> (8 * (extended - 1 - i)));
    return 2 + extended;
}

size_t tw_frame_control(unsigned char out[TW_FRAME_MAX_CONTROL], enum tw_opcode opcode,
                        const void *payload, size_t length) {
    TW_REQUIRE(length <= MAX_CONTROL_PAYLOAD);
    size_t header = tw_frame_header(out, opcode, length);
    if (length > 0) memcpy(out + header, payload, length);
    return header + length;
}

size_t tw_frame_close(unsigned char out[TW_FRAME_MAX_CONTROL], unsigned code, const char *reason) {
    if (code == 0) return tw_frame_control(out, TW_OP_CLOSE, NULL, 0);
    unsigned char payload[MAX_CONTROL_PAYLOAD];
    payload[0] = (unsigned char)(code >> 8);
    payload[1] = (unsigned char)code;
    size_t length = reason_length(reason);
    if (length > 0) memcpy(payload + 2, reason, length);
    return tw_frame_control(out, TW_OP_CLOSE, payload, 2 + length);
}

/* 1004-1006 and 1015 never travel; 1016-2999 are nobody's yet. */
bool tw_close_code_is_valid(unsigned code) {
    if (code >= 1000 && code <= 1003) return true;
    if (code >= 1007 && code <= 1014) return true;
    return code >= 3000 && code <= 4999;
}

/* How much of it to send. A reason may come from a script; a close frame that is not UTF-8 would
 * have the client fail with 1007 instead of reading our code, so it also ends before a bad byte. */
static size_t reason_length(const char *reason) {
    if (!reason) return 0;
    struct tw_utf8 state = {0};
    size_t whole = 0;
    for (size_t i = 0; i < MAX_REASON && reason[i] != '\0'; i++) {
        if (!tw_utf8_feed(&state, reason + i, 1)) break;
        if (tw_utf8_is_complete(&state)) whole = i + 1;
    }
    return whole;
}
