/* base64.h: RFC 4648, strictly. Of our own because OpenSSL's decoder takes white space and loose
 * bits at the end, and knows no URL-safe alphabet: one token would have many texts. */
#ifndef TW_BASE_BASE64_H
#define TW_BASE_BASE64_H

#include <stdint.h>

#include "base/str.h"

enum tw_base64 {
    TW_BASE64,     /* '+' and '/', padded with '=' */
    TW_BASE64_URL, /* '-' and '_', not padded */
};

/* The most bytes that either direction writes for `length` bytes. */
#define TW_BASE64_SIZE(length) (((length) + 2) / 3 * 4)

/* Writes the text (no NUL) to `out` of TW_BASE64_SIZE; returns its length. */
size_t tw_base64_encode(enum tw_base64 form, struct tw_str bytes, char *out);
/* Writes the bytes to `out` of at least text.length bytes, which may be the text itself. Returns
 * their number, or TW_EPARSE: a character of another alphabet, a length that cannot be, bits left
 * over that are not 0, padding that is not complete. The URL-safe form may be padded. */
int64_t tw_base64_decode(enum tw_base64 form, struct tw_str text, char *out);

#endif
