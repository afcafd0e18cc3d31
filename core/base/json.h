/* json.h: a strict RFC 8259 scanner. Looks, never allocates, keeps the exact bytes.
 *
 * Strict: no comments, no trailing commas, no NaN, no leading zeros or plus, no lone surrogate
 * escapes, no control characters in strings, UTF-8 only, only white space behind the value. */
#ifndef TW_BASE_JSON_H
#define TW_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

#define TW_JSON_MAX_DEPTH 128

/* 0, or TW_EJSON with *at = the offset of the first wrong byte (`at` may be NULL); the length if
 * the text ends too early. A wrong character or surrogate is reported at its first byte. */
int tw_json_check(struct tw_str text, size_t *at);
/* The bytes of member `name` of the object `text`, which must have passed tw_json_check; the last
 * one if it stands there twice. False if there is none or `text` is no object. Member names with
 * escapes are compared decoded. */
bool tw_json_member(struct tw_str text, struct tw_str name, struct tw_str *out);
/* The text that the JSON string `value` (with its quotes, checked) stands for, into `out` of at
 * least value.length bytes. Returns its length, or TW_EPARSE if `value` is no string. The text may
 * hold NUL bytes ("\u0000"). */
int64_t tw_json_string_decode(struct tw_str value, char *out);

#endif
