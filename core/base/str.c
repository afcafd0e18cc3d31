/* str.c: spans of bytes: comparing, cutting, percent-decoding, hashing, guessing.
 *
 * A span of length 0 may have no data, and memcmp must not see NULL: hence `same_bytes`. */
#include "base/str.h"

#include <string.h>

#include "base/status.h"

enum { NEAREST_MAX = 64 }; /* no name of ours is longer */

static bool same_bytes(const char *a, const char *b, size_t length);
static char lower(char c);
static size_t edit_distance(const char *a, size_t a_length, const char *b, size_t b_length);
static size_t least(size_t a, size_t b);

struct tw_str tw_str_of(const char *text) {
    return (struct tw_str){text, text ? strlen(text) : 0};
}

bool tw_str_eq(struct tw_str a, struct tw_str b) {
    return a.length == b.length && same_bytes(a.data, b.data, a.length);
}

bool tw_str_eq_nocase(struct tw_str a, struct tw_str b) {
    if (a.length != b.length) return false;
    for (size_t i = 0; i < a.length; i++) {
        if (lower(a.data[i]) != lower(b.data[i])) return false;
    }
    return true;
}

int tw_str_compare(struct tw_str a, struct tw_str b) {
    size_t common = a.length < b.length ? a.length : b.length;
    int order = common > 0 ? memcmp(a.data, b.data, common) : 0;
    return order ? order : (a.length > b.length) - (a.length < b.length);
}

int tw_str_sort(const void *a, const void *b) {
    return tw_str_compare(*(const struct tw_str *)a, *(const struct tw_str *)b);
}

bool tw_str_starts(struct tw_str s, struct tw_str prefix) {
    return s.length >= prefix.length && same_bytes(s.data, prefix.data, prefix.length);
}

struct tw_str tw_str_trim(struct tw_str s) {
    while (s.length > 0 && (s.data[0] == ' ' || s.data[0] == '\t')) {
        s.data++;
        s.length--;
    }
    while (s.length > 0 && (s.data[s.length - 1] == ' ' || s.data[s.length - 1] == '\t')) {
        s.length--;
    }
    return s;
}

struct tw_str tw_str_cut(struct tw_str *rest, char separator) {
    struct tw_str front = *rest;
    const char *at = NULL;
    if (front.length > 0) at = (const char *)memchr(front.data, separator, front.length);
    if (!at) {
        *rest = (struct tw_str){NULL, 0};
        return front;
    }
    front.length = (size_t)(at - front.data);
    rest->data += front.length + 1;
    rest->length -= front.length + 1;
    return front;
}

bool tw_str_list_has(struct tw_str list, struct tw_str token) {
    if (token.length == 0) return false; /* empty elements do not count: RFC 9110 5.6.1.2 */
    while (list.data) {
        if (tw_str_eq_nocase(tw_str_trim(tw_str_cut(&list, ',')), token)) return true;
    }
    return false;
}

int64_t tw_str_percent_decode(struct tw_str s, bool plus, char *out) {
    int64_t written = 0;
    for (size_t i = 0; i < s.length; i++) {
        char c = s.data[i];
        if (c == '+' && plus) c = ' ';
        if (c == '%') {
            if (s.length - i < 3) return TW_EPARSE;
            unsigned high = tw_hex_value(s.data[i + 1]), low = tw_hex_value(s.data[i + 2]);
            if (high > 15 || low > 15 || (high | low) == 0) return TW_EPARSE;
            c = (char)(high << 4 | low);
            i += 2;
        }
        out[written++] = c;
    }
    return written;
}

uint64_t tw_str_hash(struct tw_str s) {
    uint64_t hash = 0xCBF29CE484222325u;
    for (size_t i = 0; i < s.length; i++) {
        hash ^= (unsigned char)s.data[i];
        hash *= 0x100000001B3u;
    }
    /* FNV's low bits depend only on the bytes' low bits, and the map takes the low bits. */
    hash ^= hash >> 33;
    hash *= 0xFF51AFD7ED558CCDu;
    hash ^= hash >> 33;
    hash *= 0xC4CEB9FE1A85EC53u;
    return hash ^ hash >> 33;
}

const char *tw_str_nearest(const char *word, const char *const *candidates) {
    size_t length = strlen(word);
    if (length == 0 || length > NEAREST_MAX) return NULL;
    size_t best = 1 + length / 4; /* more mistakes than that, and it is another word */
    const char *nearest = NULL;
    for (; *candidates; candidates++) {
        size_t other = strlen(*candidates);
        if (other > NEAREST_MAX) continue;
        size_t distance = edit_distance(word, length, *candidates, other);
        /* "a" is one step from "b", but nothing of it is left. */
        if (distance > best || distance >= (length > other ? length : other)) continue;
        if (distance == best && nearest) continue;
        best = distance;
        nearest = *candidates;
    }
    return nearest;
}

static bool same_bytes(const char *a, const char *b, size_t length) {
    return length == 0 || memcmp(a, b, length) == 0;
}

static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

/* Insertions, deletions, replacements, and swaps of neighbours (the commonest typing mistake). */
static size_t edit_distance(const char *a, size_t a_length, const char *b, size_t b_length) {
    size_t rows[3][NEAREST_MAX + 1];
    size_t *before = rows[0], *last = rows[1], *row = rows[2];
    for (size_t j = 0; j <= b_length; j++)
        last[j] = j;
    for (size_t i = 1; i <= a_length; i++) {
        row[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            size_t replace = last[j - 1] + (a[i - 1] != b[j - 1]);
            row[j] = least(replace, least(last[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                row[j] = least(row[j], before[j - 2] + 1);
            }
        }
        size_t *spare = before;
        before = last;
        last = row;
        row = spare;
    }
    return last[b_length];
}

static size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}
