/* json.c: a strict scanner in two speeds.
 *
 * The checker (`value` and below) believes nothing and stops at the first wrong byte. It recurses
 * once per nesting level, TW_JSON_MAX_DEPTH at most. Strings, where most bytes are, go 8 at a time.
 *
 * The finder (`tw_json_member`) walks text that was checked, so it only has to see where values
 * end; it still never reads outside of the text. Neither allocates. */
#include "base/json.h"

#include <endian.h>
#include <string.h>

#include "base/status.h"
#include "base/utf8.h"

struct scan {
    const char *p, *end;
};

static const char escapes[] = "\"\\/bfnrt"; /* what may stand behind a backslash, but for u */

static bool value(struct scan *s, int depth);
static bool object(struct scan *s, int depth);
static bool array(struct scan *s, int depth);
static bool string(struct scan *s);
static void skip_plain_blocks(struct scan *s);
static void skip_plain(struct scan *s);
static bool escape(struct scan *s);
static bool hex4(struct scan *s, unsigned *unit);
static bool number(struct scan *s);
static bool digits(struct scan *s);
static bool literal(struct scan *s, const char *word);
static void skip_space(struct scan *s);
static bool take(struct scan *s, char c);

static bool skip_value(struct scan *s);
static bool skip_container(struct scan *s);
static bool skip_string(struct scan *s);
static bool is_name(struct tw_str quoted, struct tw_str name);
static size_t decode_one(struct scan *s, char out[4]);
static size_t put_utf8(unsigned code, char out[4]);

int tw_json_check(struct tw_str text, size_t *at) {
    if (text.length == 0) {
        if (at) *at = 0;
        return TW_EJSON;
    }
    struct scan s = {text.data, text.data + text.length};
    if (value(&s, 0)) {
        skip_space(&s);
        if (s.p == s.end) return 0;
    }
    if (at) *at = (size_t)(s.p - text.data);
    return TW_EJSON;
}

bool tw_json_member(struct tw_str text, struct tw_str name, struct tw_str *out) {
    if (text.length == 0) return false;
    struct scan s = {text.data, text.data + text.length};
    bool is_found = false;
    skip_space(&s);
    if (!take(&s, '{')) return false;
    do {
        skip_space(&s);
        const char *key = s.p;
        if (!skip_string(&s)) break; /* "}" of an empty object */
        bool is_it = is_name((struct tw_str){key, (size_t)(s.p - key)}, name);
        skip_space(&s);
        if (!take(&s, ':')) break;
        skip_space(&s);
        const char *begin = s.p;
        if (!skip_value(&s)) break;
        if (is_it) *out = (struct tw_str){begin, (size_t)(s.p - begin)};
        is_found = is_found || is_it;
        skip_space(&s);
    } while (take(&s, ','));
    return is_found;
}

int64_t tw_json_string_decode(struct tw_str value_text, char *out) {
    size_t length = value_text.length;
    if (length < 2 || value_text.data[0] != '"' || value_text.data[length - 1] != '"') {
        return TW_EPARSE;
    }
    struct scan s = {value_text.data + 1, value_text.data + length - 1};
    int64_t written = 0;
    while (s.p < s.end) {
        const char *special = (const char *)memchr(s.p, '\\', (size_t)(s.end - s.p));
        size_t run = (size_t)((special ? special : s.end) - s.p);
        memcpy(out + written, s.p, run);
        written += (int64_t)run;
        s.p += run;
        if (!special) break;
        char decoded[4];
        size_t count = decode_one(&s, decoded);
        if (count == 0) return TW_EPARSE;
        memcpy(out + written, decoded, count);
        written += (int64_t)count;
    }
    return written;
}

/* The checker. Each function returns whether all is well; if not, s->p is where it is not. */

static bool value(struct scan *s, int depth) {
    skip_space(s);
    if (s->p == s->end) return false;
    switch (*s->p) {
    case '{':
        return depth < TW_JSON_MAX_DEPTH && object(s, depth + 1);
    case '[':
        return depth < TW_JSON_MAX_DEPTH && array(s, depth + 1);
    case '"':
        return string(s);
    case 't':
        return literal(s, "true");
    case 'f':
        return literal(s, "false");
    case 'n':
        return literal(s, "null");
    default:
        return number(s);
    }
}

static bool object(struct scan *s, int depth) {
    s->p++;
    skip_space(s);
    if (take(s, '}')) return true;
    do {
        skip_space(s);
        if (s->p == s->end || *s->p != '"' || !string(s)) return false;
        skip_space(s);
        if (!take(s, ':') || !value(s, depth)) return false;
        skip_space(s);
    } while (take(s, ','));
    return take(s, '}');
}

static bool array(struct scan *s, int depth) {
    s->p++;
    skip_space(s);
    if (take(s, ']')) return true;
    do {
        if (!value(s, depth)) return false;
        skip_space(s);
    } while (take(s, ','));
    return take(s, ']');
}

static bool string(struct scan *s) {
    s->p++;
    for (;;) {
        skip_plain(s);
        if (s->p == s->end) return false;
        unsigned char c = (unsigned char)*s->p;
        if (c == '"') {
            s->p++;
            return true;
        }
        if (c < 0x20) return false;
        if (c == '\\') {
            if (!escape(s)) return false;
            continue;
        }
        do { /* such characters come in runs: it pays to stay here */
            size_t length = tw_utf8_char(s->p, (size_t)(s->end - s->p));
            if (length == 0) return false;
            s->p += length;
        } while (s->p < s->end && (unsigned char)*s->p >= 0x80);
    }
}

/* Blocks in which there is none of what ends skip_plain: below a space, as signed numbers, are the
 * control characters and all that is not ASCII. */
static void skip_plain_blocks(struct scan *s) {
    typedef int8_t block __attribute__((vector_size(16)));
    block a, b;
    while (s->end - s->p >= 32) {
        uint64_t found[2];
        memcpy(&a, s->p, 16);
        memcpy(&b, s->p + 16, 16);
        block stop = (a < ' ') | (a == '"') | (a == '\\') | (b < ' ') | (b == '"') | (b == '\\');
        memcpy(found, &stop, 16);
        if (found[0] | found[1]) return;
        s->p += 32;
    }
}

/* To the first byte that is a quote, a backslash, a control character or not ASCII. */
static void skip_plain(struct scan *s) {
    skip_plain_blocks(s);
    const uint64_t ones = 0x0101010101010101u, tops = ones * 0x80;
    while (s->end - s->p >= 8) {
        uint64_t word;
        memcpy(&word, s->p, 8);
        word = le64toh(word);
        uint64_t quote = word ^ ones * '"', backslash = word ^ ones * '\\';
        /* (x - n) & ~x has the top bit of each byte that is below n. A borrow may add a wrong one,
         * but only above (behind) a right one: the lowest is always right. */
        uint64_t stop = ((word - ones * 0x20) & ~word) | ((quote - ones) & ~quote) |
                        ((backslash - ones) & ~backslash) | word;
        stop &= tops;
        if (stop) {
            s->p += __builtin_ctzll(stop) / 8;
            return;
        }
        s->p += 8;
    }
    while (s->p < s->end) {
        unsigned char c = (unsigned char)*s->p;
        if (c < 0x20 || c >= 0x80 || c == '"' || c == '\\') return;
        s->p++;
    }
}

static bool escape(struct scan *s) {
    const char *begin = s->p++;
    if (s->p == s->end) return false;
    if (memchr(escapes, *s->p, sizeof escapes - 1)) {
        s->p++;
        return true;
    }
    if (!take(s, 'u')) return false;
    unsigned unit;
    if (!hex4(s, &unit)) return false;
    if (unit < 0xD800 || unit > 0xDFFF) return true;
    if (unit < 0xDC00) { /* the first half of a pair: the second must follow */
        begin = s->p;
        if (!take(s, '\\') || !take(s, 'u') || !hex4(s, &unit)) return false;
        if (unit >= 0xDC00 && unit <= 0xDFFF) return true;
    }
    s->p = begin;
    return false;
}

static bool hex4(struct scan *s, unsigned *unit) {
    *unit = 0;
    for (int i = 0; i < 4; i++, s->p++) {
        unsigned digit = s->p < s->end ? tw_hex_value(*s->p) : 16;
        if (digit > 15) return false;
        *unit = *unit << 4 | digit;
    }
    return true;
}

static bool number(struct scan *s) {
    take(s, '-');
    if (!take(s, '0') && !digits(s)) return false;
    if (take(s, '.') && !digits(s)) return false;
    if (!take(s, 'e') && !take(s, 'E')) return true;
    if (!take(s, '+')) take(s, '-');
    return digits(s);
}

/* At least one. */
static bool digits(struct scan *s) {
    const char *begin = s->p;
    while (s->p < s->end && *s->p >= '0' && *s->p <= '9')
        s->p++;
    return s->p > begin;
}

static bool literal(struct scan *s, const char *word) {
    while (*word && take(s, *word))
        word++;
    return !*word;
}

static void skip_space(struct scan *s) {
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\n' || *s->p == '\r' || *s->p == '\t')) {
        s->p++;
    }
}

static bool take(struct scan *s, char c) {
    if (s->p == s->end || *s->p != c) return false;
    s->p++;
    return true;
}

/* The finder. The text was checked. */

static bool skip_value(struct scan *s) {
    static const char enders[] = ",]} \n\r\t";
    if (s->p == s->end) return false;
    if (*s->p == '"') return skip_string(s);
    if (*s->p == '{' || *s->p == '[') return skip_container(s);
    const char *begin = s->p;
    while (s->p < s->end && !memchr(enders, *s->p, sizeof enders - 1))
        s->p++;
    return s->p > begin;
}

static bool skip_container(struct scan *s) {
    size_t depth = 0;
    while (s->p < s->end) {
        char c = *s->p;
        if (c == '"') {
            if (!skip_string(s)) return false;
            continue;
        }
        s->p++;
        if (c == '{' || c == '[') depth++;
        if ((c == '}' || c == ']') && --depth == 0) return true;
    }
    return false;
}

/* False if there is none. */
static bool skip_string(struct scan *s) {
    if (!take(s, '"')) return false;
    const char *begin = s->p;
    while (s->p < s->end) {
        const char *quote = (const char *)memchr(s->p, '"', (size_t)(s->end - s->p));
        if (!quote) return false;
        const char *slashes = quote;
        while (slashes > begin && slashes[-1] == '\\')
            slashes--;
        s->p = quote + 1;
        if ((quote - slashes) % 2 == 0) return true;
    }
    return false;
}

static bool is_name(struct tw_str quoted, struct tw_str name) {
    struct scan s = {quoted.data + 1, quoted.data + quoted.length - 1};
    if (!memchr(s.p, '\\', (size_t)(s.end - s.p))) {
        return tw_str_eq((struct tw_str){s.p, (size_t)(s.end - s.p)}, name);
    }
    size_t at = 0;
    while (s.p < s.end) {
        char decoded[4];
        size_t count = decode_one(&s, decoded);
        if (count == 0 || name.length - at < count) return false;
        if (memcmp(name.data + at, decoded, count) != 0) return false;
        at += count;
    }
    return at == name.length;
}

/* The byte, or the escape's character, at s->p. Returns its length; 0 if it is no good escape. */
static size_t decode_one(struct scan *s, char out[4]) {
    static const char meanings[] = "\"\\/\b\f\n\r\t";
    out[0] = *s->p++;
    if (out[0] != '\\') return 1;
    if (s->p == s->end) return 0;
    if (*s->p != 'u') {
        const char *known = (const char *)memchr(escapes, *s->p++, sizeof escapes - 1);
        if (!known) return 0;
        out[0] = meanings[known - escapes];
        return 1;
    }
    s->p++;
    unsigned code, low;
    if (!hex4(s, &code)) return 0;
    if (code >= 0xD800 && code <= 0xDFFF) {
        if (!take(s, '\\') || !take(s, 'u') || !hex4(s, &low)) return 0;
        code = 0x10000 + ((code & 0x3FF) << 10 | (low & 0x3FF));
    }
    return put_utf8(code, out);
}

static size_t put_utf8(unsigned code, char out[4]) {
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t length = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const unsigned char marks[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = length - 1; i > 0; i--, code >>= 6)
        out[i] = (char)(0x80 | (code & 0x3F));
    out[0] = (char)(marks[length] | code);
    return length;
}
