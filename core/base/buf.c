/* buf.c: growing bytes; capacity doubles, so that appending is cheap on average.
 *
 * The try_ half and the aborting half differ only in how they allocate; the aborting half must not
 * go through tw_try_realloc, which tests let fail. */
#include "base/buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/utf8.h"

enum { FIRST_CAPACITY = 64 };

static bool has_room(const struct tw_buf *buf, size_t more);
static size_t next_capacity(const struct tw_buf *buf, size_t more);
static void reserve(struct tw_buf *buf, size_t more);
static void put(struct tw_buf *buf, const void *bytes, size_t length);
static bool is_plain(unsigned char c);
static size_t json_escape(unsigned char c, char out[6]);

void tw_buf_deinit(struct tw_buf *buf) {
    tw_free(buf->data);
    *buf = (struct tw_buf){0};
}

int tw_buf_try_reserve(struct tw_buf *buf, size_t more) {
    if (has_room(buf, more)) return 0;
    size_t capacity = next_capacity(buf, more);
    char *data = (char *)tw_try_realloc(buf->data, capacity);
    if (!data) return -ENOMEM;
    buf->data = data;
    buf->capacity = capacity;
    return 0;
}

int tw_buf_try_append(struct tw_buf *buf, const void *bytes, size_t length) {
    int status = tw_buf_try_reserve(buf, length);
    if (status == 0) put(buf, bytes, length);
    return status;
}

void tw_buf_append(struct tw_buf *buf, const void *bytes, size_t length) {
    reserve(buf, length);
    put(buf, bytes, length);
}

void tw_buf_print(struct tw_buf *buf, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    size_t room = buf->capacity - buf->length;
    int length = vsnprintf(room > 0 ? buf->data + buf->length : NULL, room, format, arguments);
    va_end(arguments);
    TW_REQUIRE(length >= 0);
    if ((size_t)length >= room) { /* vsnprintf wants a byte for its NUL */
        reserve(buf, (size_t)length + 1);
        va_start(arguments, format);
        vsnprintf(buf->data + buf->length, (size_t)length + 1, format, arguments);
        va_end(arguments);
    }
    buf->length += (size_t)length;
}

void tw_buf_json_string(struct tw_buf *buf, const char *text, size_t length) {
    reserve(buf, length + 2);
    tw_buf_append(buf, "\"", 1);
    size_t done = 0; /* what is before it stands in the buffer; up to `at` it is fine as it is */
    for (size_t at = 0; at < length;) {
        unsigned char c = (unsigned char)text[at];
        size_t good = is_plain(c) ? 1 : c < 0x80 ? 0 : tw_utf8_char(text + at, length - at);
        if (good > 0) {
            at += good;
            continue;
        }
        if (at > done) tw_buf_append(buf, text + done, at - done);
        char escape[6];
        tw_buf_append(buf, escape, json_escape(c, escape));
        done = ++at;
    }
    if (length > done) tw_buf_append(buf, text + done, length - done);
    tw_buf_append(buf, "\"", 1);
}

void tw_buf_consume(struct tw_buf *buf, size_t length) {
    if (!TW_CHECK(length <= buf->length)) length = buf->length;
    if (length == 0) return;
    buf->length -= length;
    if (buf->length > 0) memmove(buf->data, buf->data + length, buf->length);
}

static bool has_room(const struct tw_buf *buf, size_t more) {
    return more <= buf->capacity - buf->length;
}

/* SIZE_MAX, which no allocation grants, if the sum overflows. */
static size_t next_capacity(const struct tw_buf *buf, size_t more) {
    if (more > SIZE_MAX - buf->length) return SIZE_MAX;
    size_t capacity = buf->capacity > 0 ? buf->capacity * 2 : FIRST_CAPACITY;
    return capacity > buf->length + more ? capacity : buf->length + more;
}

static void reserve(struct tw_buf *buf, size_t more) {
    if (has_room(buf, more)) return;
    size_t capacity = next_capacity(buf, more);
    buf->data = (char *)tw_realloc(buf->data, capacity);
    buf->capacity = capacity;
}

static void put(struct tw_buf *buf, const void *bytes, size_t length) {
    if (length == 0) return; /* both pointers may be NULL then */
    memcpy(buf->data + buf->length, bytes, length);
    buf->length += length;
}

static bool is_plain(unsigned char c) {
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

/* Also the U+FFFD for a byte that belongs to no character. Returns the length. */
static size_t json_escape(unsigned char c, char out[6]) {
    static const char digits[] = "0123456789abcdef";
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    if (c >= 0x80) {
        memcpy(out, "\xEF\xBF\xBD", 3);
        return 3;
    }
    const char *known = c > 0 ? strchr(from, c) : NULL;
    if (known) {
        out[0] = '\\';
        out[1] = to[known - from];
        return 2;
    }
    memcpy(out, "\\u00", 4);
    out[4] = digits[c >> 4];
    out[5] = digits[c & 15];
    return 6;
}
