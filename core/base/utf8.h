/* utf8.h: checks UTF-8 (RFC 3629) as it arrives, so that a bad byte is refused at once. */
#ifndef TW_BASE_UTF8_H
#define TW_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tw_utf8 {
    uint8_t need;      /* continuation bytes still to come */
    uint8_t low, high; /* the range that the next one must lie in */
};

/* All zero is the start. False at the first byte that cannot be part of UTF-8; the state is
 * undefined then. */
bool tw_utf8_feed(struct tw_utf8 *state, const void *bytes, size_t length);
/* Does the text end here, or within a character? */
static inline bool tw_utf8_is_complete(const struct tw_utf8 *state) {
    return state->need == 0;
}
bool tw_utf8_is_valid(const void *bytes, size_t length);

/* The length of the character that stands at the front, 1 to 4; 0 if there is none whole and valid.
 * Inline: the scanners call it for each character that is not ASCII. */
static inline size_t tw_utf8_char(const void *bytes, size_t length) {
    const uint8_t *p = (const uint8_t *)bytes;
    if (length == 0) return 0;
    if (p[0] < 0x80) return 1;
    if (p[0] < 0xC2 || length < 2) return 0;
    if (p[0] < 0xE0) return (p[1] & 0xC0) == 0x80 ? 2 : 0;
    if (length < 3 || (p[2] & 0xC0) != 0x80) return 0;
    if (p[0] < 0xF0) {
        uint8_t low = p[0] == 0xE0 ? 0xA0 : 0x80;  /* below: overlong */
        uint8_t high = p[0] == 0xED ? 0x9F : 0xBF; /* above: surrogates */
        return p[1] >= low && p[1] <= high ? 3 : 0;
    }
    if (length < 4 || p[0] > 0xF4 || (p[3] & 0xC0) != 0x80) return 0;
    uint8_t low = p[0] == 0xF0 ? 0x90 : 0x80;  /* below: overlong */
    uint8_t high = p[0] == 0xF4 ? 0x8F : 0xBF; /* above: behind U+10FFFF */
    return p[1] >= low && p[1] <= high ? 4 : 0;
}

#endif
