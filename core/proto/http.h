/* http.h: reads HTTP/1.1 requests (RFC 9110, 9112) from any splitting of the bytes, and writes
 * responses. Pure.
 *
 * Reading is strict: what two servers could read in two ways is refused. "Expect: 100-continue" is
 * a header like any other: a client that waits for the interim answer sends its body after a while
 * without it (RFC 9110 10.1.1). HTTP/1.0 is read, but its keep_alive is always false. */
#ifndef TW_PROTO_HTTP_H
#define TW_PROTO_HTTP_H

#include "base/buf.h"
#include "broker/hooks.h"

#define TW_HTTP_MAX_HEADERS 100

struct tw_http_limits {
    size_t head_size; /* request line and headers */
    size_t body_size;
};

/* A complete request; spans borrow from the reader until tw_http_reader_reset. */
struct tw_http_request {
    struct tw_str method, target;
    struct tw_str path;      /* percent-decoded, begins with '/' */
    struct tw_str query;     /* raw, without '?' */
    struct tw_pair *headers; /* names in lower case, in order, repeated ones apart */
    size_t header_count;
    struct tw_str body;
    bool keep_alive, is_upgrade; /* is_upgrade: "Connection: upgrade" with an Upgrade header; a
                                  * body, if the head announces one, is read all the same */
    int minor;                   /* of HTTP/1.x */
};

/* The first header of that (lower case) name; data NULL if none. */
struct tw_str tw_http_header(const struct tw_http_request *request, const char *name);
/* Are there two of them? */
bool tw_http_header_repeats(const struct tw_http_request *request, const char *name);
/* Is `token` one of the comma-separated values, case aside? Repeated headers are one list. */
bool tw_http_header_lists(const struct tw_http_request *request, const char *name,
                          const char *token);

struct tw_http_reader;

struct tw_http_reader *tw_http_reader_new(struct tw_http_limits limits);
void tw_http_reader_free(struct tw_http_reader *reader);
/* Feeds bytes; *used says how many belonged to this request (all, unless it is complete: bytes that
 * follow a complete request are the caller's). 0 and the request in *request when complete,
 * TW_EAGAIN when more is needed, otherwise the status to refuse with as a positive number:
 * 400 malformed, 413 body, 414 not used (431 covers the request line), 431 head or too many
 * headers, 501 a transfer coding other than chunked, or an unknown method, 503 out of memory, 505
 * not HTTP/1.x. After that only free; after a complete request, reset or free. *why: a static text.
 */
int tw_http_reader_feed(struct tw_http_reader *reader, const void *bytes, size_t length,
                        size_t *used, struct tw_http_request *request, const char **why);
/* Has any byte of a request arrived? */
bool tw_http_reader_has_begun(const struct tw_http_reader *reader);
void tw_http_reader_reset(struct tw_http_reader *reader);

/* A body that is read while it is written, so that a large file never lies in memory whole. */
struct tw_http_source {
    /* Bytes read, at most `size`; 0 or negative: broken off. */
    int64_t (*read)(void *data, void *bytes, size_t size);
    void (*close)(void *data); /* called once, whatever happens */
    void *data;
    uint64_t length;
};

struct tw_http_response {
    int status;
    const char *type;       /* Content-Type; NULL: none */
    struct tw_str body;     /* sent unless head_only; its length is always told */
    uint64_t source_length; /* of a body that the caller sends behind this; then `body` is empty */
    double retry_after;     /* seconds, rounded up; 0: none */
    const char *headers;    /* more header lines, each ended by CRLF; NULL: none */
    bool head_only, close;  /* close: "Connection: close" */
};

/* Appends status line, headers and body. */
void tw_http_write(struct tw_buf *out, const struct tw_http_response *response);
/* A body {"error":"..."} for a refusal, appended. */
void tw_http_error_body(struct tw_buf *out, const char *message);
const char *tw_http_reason(int status);

/* "a=1&b=2" or cookies "a=1; b=2" into at most `max` pairs (decoded into `scratch`, which the spans
 * borrow from and which must be empty); returns how many. Malformed parts are left out. */
size_t tw_http_parse_query(struct tw_str query, struct tw_pair *pairs, size_t max,
                           struct tw_buf *scratch);
size_t tw_http_parse_cookies(struct tw_str header, struct tw_pair *pairs, size_t max);

#endif
