/* http_syntax.h: RFC 9112's grammar of lines and chunks, to the letter. Private to http*.c.
 *
 * Nothing is forgiven but one empty line before the request: spaces in header names, folded lines,
 * a bare LF, other bytes in place of the CRLF behind a chunk are read otherwise by some proxy, and
 * then each of these smuggles requests. */
#ifndef TW_PROTO_HTTP_SYNTAX_H
#define TW_PROTO_HTTP_SYNTAX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum tw_http_line {
    TW_HTTP_LINE_MORE,    /* all is fine */
    TW_HTTP_LINE_SKIP,    /* fine, and to be left out: of an empty line before the request line */
    TW_HTTP_LINE_REQUEST, /* the LF of the request line */
    TW_HTTP_LINE_HEADER,  /* the LF of a header line */
    TW_HTTP_LINE_END,     /* the LF of the empty line behind the headers */
    TW_HTTP_LINE_BAD
};

struct tw_http_lines {
    uint8_t state; /* all zero: before the request line */
};

void tw_http_lines_init_trailers(struct tw_http_lines *lines);
/* Up to and with the first byte that is worth an event, or all of them: TW_HTTP_LINE_MORE. *used:
 * how many; *why is set with TW_HTTP_LINE_BAD only. */
enum tw_http_line tw_http_lines_feed(struct tw_http_lines *lines, const char *bytes, size_t length,
                                     size_t *used, const char **why);

struct tw_http_chunks {
    size_t max_body, max_trailers;
    uint64_t left;      /* of the chunk: its size as far as read, then its data to come */
    size_t line_length; /* of the size line, of the trailers */
    uint8_t state;
    struct tw_http_lines trailers;
};

void tw_http_chunks_init(struct tw_http_chunks *chunks, size_t max_body, size_t max_trailers);
/* Appends the data to `body`; trailers are checked and forgotten (a trailer must not become a
 * header: RFC 9110 6.5.1). 0 when complete, TW_EAGAIN, -ENOMEM, or 400, 413, 431 and *why. */
int tw_http_chunks_feed(struct tw_http_chunks *chunks, const char *bytes, size_t length,
                        size_t *used, struct tw_buf *body, const char **why);

/* A character of a token (RFC 9110 5.6.2)? */
bool tw_http_is_token_char(unsigned char c);

#endif
