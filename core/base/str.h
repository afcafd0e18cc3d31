/* str.h: a borrowed span of bytes, not NUL-terminated. */
#ifndef TW_BASE_STR_H
#define TW_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tw_str {
    const char *data;
    size_t length;
};

#define TW_STR(literal) ((struct tw_str){"" literal, sizeof(literal) - 1})
/* For printf's "%.*s". */
#define TW_STR_ARG(s) (int)(s).length, (s).data

struct tw_str tw_str_of(const char *text); /* borrows; NULL gives an empty span */
bool tw_str_eq(struct tw_str a, struct tw_str b);
bool tw_str_eq_nocase(struct tw_str a, struct tw_str b); /* ASCII */
/* By bytes, as memcmp; a prefix comes first. */
int tw_str_compare(struct tw_str a, struct tw_str b);
/* The same for qsort, of struct tw_str. */
int tw_str_sort(const void *a, const void *b);
bool tw_str_starts(struct tw_str s, struct tw_str prefix);
/* Without spaces and tabs at both ends (RFC 9110's OWS). */
struct tw_str tw_str_trim(struct tw_str s);
/* Cuts `*rest` at the first `separator`: returns what is before it, leaves what is behind it.
 * At the end `rest->data` becomes NULL. */
struct tw_str tw_str_cut(struct tw_str *rest, char separator);
/* True if `token` is one of the comma-separated values of `list`, case aside (RFC 9110 5.6.1). */
bool tw_str_list_has(struct tw_str list, struct tw_str token);
/* Percent-decoding (RFC 3986 2.1) into `out` of at least s.length bytes; `plus` turns '+' into a
 * space, as in query strings. Returns the length, or TW_EPARSE for "%zz" and for "%00". */
int64_t tw_str_percent_decode(struct tw_str s, bool plus, char *out);
/* 64-bit hash (FNV-1a with a final mix). Not keyed: peers must not choose both keys and bucket. */
uint64_t tw_str_hash(struct tw_str s);
/* The value of a hexadecimal digit; 16 if it is none. */
static inline unsigned tw_hex_value(char c) {
    if (c >= '0' && c <= '9') return (unsigned)(c - '0');
    if (c >= 'a' && c <= 'f') return (unsigned)(c - 'a' + 10);
    if (c >= 'A' && c <= 'F') return (unsigned)(c - 'A' + 10);
    return 16;
}
/* The candidate nearest to `word` by edit distance, if it is near enough to be a typing mistake;
 * NULL otherwise. `candidates` ends with NULL. Borrows. */
const char *tw_str_nearest(const char *word, const char *const *candidates);

#endif
