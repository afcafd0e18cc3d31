/* buf.h: growing bytes. */
#ifndef TW_BASE_BUF_H
#define TW_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tw_buf {
    char *data; /* NULL while capacity is 0; not NUL-terminated */
    size_t length;
    size_t capacity;
};

/* All zero is an empty buffer; there is no init. */
void tw_buf_deinit(struct tw_buf *buf); /* frees and empties */
/* Room for `more` bytes behind the length; 0, or -ENOMEM with the buffer as it was. */
int tw_buf_try_reserve(struct tw_buf *buf, size_t more);
/* `bytes` must not lie in the buffer itself. */
int tw_buf_try_append(struct tw_buf *buf, const void *bytes, size_t length);
/* The same, aborting when memory is out: for sizes of our own choosing. */
void tw_buf_append(struct tw_buf *buf, const void *bytes, size_t length);
void tw_buf_print(struct tw_buf *buf, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Appends a JSON string with its quotes; bytes that are not UTF-8 become U+FFFD. */
void tw_buf_json_string(struct tw_buf *buf, const char *text, size_t length);
/* Removes `length` bytes from the front. */
void tw_buf_consume(struct tw_buf *buf, size_t length);

#endif
