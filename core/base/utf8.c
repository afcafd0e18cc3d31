/* utf8.c: checks UTF-8 piece by piece.
 *
 * Whole characters go the fast way (8 ASCII bytes at a time, else tw_utf8_char); only a character
 * that a piece's end cuts, or that is wrong, goes byte by byte through the state. RFC 3629's table
 * is in `begin`: the second byte's range is what refuses overlong forms, surrogates and everything
 * above U+10FFFF. */
#include "base/utf8.h"

#include <string.h>

static const uint8_t *skip_ascii(const uint8_t *p, const uint8_t *end);
static bool begin(struct tw_utf8 *state, uint8_t lead);

bool tw_utf8_feed(struct tw_utf8 *state, const void *bytes, size_t length) {
    if (length == 0) return true;
    const uint8_t *p = (const uint8_t *)bytes, *end = p + length;
    while (p < end) {
        if (state->need > 0) {
            if (*p < state->low || *p > state->high) return false;
            *state = (struct tw_utf8){(uint8_t)(state->need - 1), 0x80, 0xBF};
            p++;
            continue;
        }
        size_t whole = tw_utf8_char(p, (size_t)(end - p));
        if (whole == 1) {
            p = skip_ascii(p + 1, end);
        } else if (whole > 1) {
            p += whole;
        } else if (!begin(state, *p++)) {
            return false;
        }
    }
    return true;
}

bool tw_utf8_is_valid(const void *bytes, size_t length) {
    struct tw_utf8 state = {0};
    return tw_utf8_feed(&state, bytes, length) && tw_utf8_is_complete(&state);
}

/* Behind all, or nearly all, the ASCII at the front. */
static const uint8_t *skip_ascii(const uint8_t *p, const uint8_t *end) {
    while (end - p >= 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        if (word & 0x8080808080808080u) break;
        p += 8;
    }
    while (p < end && *p < 0x80)
        p++;
    return p;
}

static bool begin(struct tw_utf8 *state, uint8_t lead) {
    *state = (struct tw_utf8){0, 0x80, 0xBF};
    if (lead >= 0xC2 && lead <= 0xDF) {
        state->need = 1;
    } else if (lead >= 0xE0 && lead <= 0xEF) {
        state->need = 2;
        if (lead == 0xE0) state->low = 0xA0;
        if (lead == 0xED) state->high = 0x9F;
    } else if (lead >= 0xF0 && lead <= 0xF4) {
        state->need = 3;
        if (lead == 0xF0) state->low = 0x90;
        if (lead == 0xF4) state->high = 0x8F;
    }
    return state->need > 0;
}
