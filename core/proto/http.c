/* http.c: requests, from any splitting of their bytes.
 *
 *   HEAD --blank line--> BODY (Content-Length) | CHUNKS --> DONE          any of them --> FAILED
 *
 * The head is collected while http_syntax.c checks each byte; when its blank line is there,
 * http_parser cuts it, once and whole, so that spans need no care while the buffer grows. What the
 * head means (framing, host, target) is decided here, header by header, since the checks that
 * http_parser makes are not strict enough behind a proxy. The body grows by what has arrived. */
#include "proto/http.h"

#include <errno.h>
#include <http_parser.h>
#include <pthread.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/status.h"
#include "proto/http_syntax.h"

enum { KEPT_CAPACITY = 65536 }; /* of a buffer, from one request to the next */

enum stage { HEAD, BODY, CHUNKS, DONE, FAILED };

struct tw_http_reader {
    struct tw_http_limits limits;
    enum stage stage;
    int status;      /* of FAILED */
    const char *why; /* of FAILED */
    struct tw_http_lines lines;
    struct tw_http_chunks chunks;
    size_t header_lines;
    size_t body_left; /* of a Content-Length */
    struct tw_buf head, path, body;
    struct tw_http_request request;
    struct tw_pair headers[TW_HTTP_MAX_HEADERS];
};

static int fail(struct tw_http_reader *reader, int status, const char *why);
static int read_head(struct tw_http_reader *reader, const char *bytes, size_t length, size_t *used);
static int take_line(struct tw_http_reader *reader, enum tw_http_line line);
static int check_request_line(struct tw_http_reader *reader);
static int parse_head(struct tw_http_reader *reader);
static int cut_head(struct tw_http_reader *reader);
static int on_url(http_parser *parser, const char *at, size_t length);
static int on_header_field(http_parser *parser, const char *at, size_t length);
static int on_header_value(http_parser *parser, const char *at, size_t length);
static int on_headers_complete(http_parser *parser);
static void raise_parser_limit(void);
static int check_host(struct tw_http_reader *reader);
static int cut_target(struct tw_http_reader *reader);
static int cut_absolute(struct tw_http_reader *reader, struct tw_str *rest);
static int decode_path(struct tw_http_reader *reader, struct tw_str path);
static bool is_host(struct tw_str text);
static int find_framing(struct tw_http_reader *reader);
static int take_content_length(struct tw_http_reader *reader, struct tw_str text);
static int read_body(struct tw_http_reader *reader, const char *bytes, size_t length, size_t *used);
static void empty(struct tw_buf *buf);

struct tw_http_reader *tw_http_reader_new(struct tw_http_limits limits) {
    struct tw_http_reader *reader = TW_NEW(struct tw_http_reader);
    reader->limits = limits;
    return reader;
}

void tw_http_reader_free(struct tw_http_reader *reader) {
    if (!reader) return;
    tw_buf_deinit(&reader->body);
    tw_buf_deinit(&reader->path);
    tw_buf_deinit(&reader->head);
    tw_free(reader);
}

int tw_http_reader_feed(struct tw_http_reader *reader, const void *bytes, size_t length,
                        size_t *used, struct tw_http_request *request, const char **why) {
    *used = 0;
    int status = reader->stage == FAILED ? reader->status : TW_EAGAIN;
    if (!TW_CHECK(reader->stage != DONE)) status = fail(reader, 400, "not reset");
    if (status == TW_EAGAIN && reader->stage == HEAD) {
        status = read_head(reader, (const char *)bytes, length, used);
    }
    if (status == TW_EAGAIN && reader->stage != HEAD) {
        size_t more = 0;
        status = read_body(reader, (const char *)bytes + *used, length - *used, &more);
        *used += more;
    }
    if (status == 0) {
        reader->stage = DONE;
        reader->request.body = (struct tw_str){reader->body.data, reader->body.length};
        *request = reader->request;
    } else if (status > 0) {
        *why = reader->why;
    }
    return status;
}

bool tw_http_reader_has_begun(const struct tw_http_reader *reader) {
    return reader->head.length > 0;
}

void tw_http_reader_reset(struct tw_http_reader *reader) {
    empty(&reader->head);
    empty(&reader->path);
    empty(&reader->body);
    reader->stage = HEAD;
    reader->lines = (struct tw_http_lines){0};
    reader->header_lines = 0;
    reader->request = (struct tw_http_request){0};
}

static int fail(struct tw_http_reader *reader, int status, const char *why) {
    reader->stage = FAILED;
    reader->status = status;
    reader->why = why;
    return status;
}

/* 0: the request is complete; TW_EAGAIN: it is not, or a body follows. */
static int read_head(struct tw_http_reader *reader, const char *bytes, size_t length,
                     size_t *used) {
    struct tw_buf *head = &reader->head;
    size_t room = reader->limits.head_size - head->length;
    if (tw_buf_try_reserve(head, length < room ? length : room) != 0) {
        return fail(reader, 503, "out of memory");
    }
    while (*used < length) {
        if (head->length == reader->limits.head_size) return fail(reader, 431, "head too big");
        char byte = bytes[(*used)++];
        const char *why = NULL;
        enum tw_http_line line = tw_http_lines_feed(&reader->lines, (unsigned char)byte, &why);
        if (line == TW_HTTP_LINE_BAD) return fail(reader, 400, why);
        if (line == TW_HTTP_LINE_SKIP) continue;
        head->data[head->length++] = byte;
        if (line == TW_HTTP_LINE_MORE) continue;
        int status = take_line(reader, line);
        if (status != TW_EAGAIN || reader->stage != HEAD) return status;
    }
    return TW_EAGAIN;
}

static int take_line(struct tw_http_reader *reader, enum tw_http_line line) {
    if (line == TW_HTTP_LINE_END) return parse_head(reader);
    if (line == TW_HTTP_LINE_REQUEST) return check_request_line(reader);
    if (++reader->header_lines > TW_HTTP_MAX_HEADERS) return fail(reader, 431, "too many headers");
    return TW_EAGAIN;
}

/* method SP target SP HTTP/1.x CRLF, with exactly these spaces; http_parser would skip more. As
 * early as the line is there: who speaks HTTP/2 or something else hears of it at once. */
static int check_request_line(struct tw_http_reader *reader) {
    struct tw_str rest = {reader->head.data, reader->head.length - 2};
    struct tw_str method = tw_str_cut(&rest, ' ');
    struct tw_str target = tw_str_cut(&rest, ' ');
    struct tw_str version = rest;
    if (method.length == 0 || target.length == 0) return fail(reader, 400, "bad request line");
    for (size_t i = 0; i < method.length; i++) {
        if (!tw_http_is_token_char((unsigned char)method.data[i])) {
            return fail(reader, 400, "bad method");
        }
    }
    const char *v = version.data;
    if (version.length != 8 || !tw_str_starts(version, TW_STR("HTTP/")) || v[5] < '0' ||
        v[5] > '9' || v[6] != '.' || v[7] < '0' || v[7] > '9') {
        return fail(reader, 400, "bad request line");
    }
    if (v[5] != '1') return fail(reader, 505, "not HTTP/1.x");
    reader->request.method = method;
    reader->request.minor = v[7] - '0';
    return TW_EAGAIN;
}

static int parse_head(struct tw_http_reader *reader) {
    struct tw_http_request *request = &reader->request;
    int status = cut_head(reader);
    if (status != TW_EAGAIN) return status;
    request->keep_alive =
        request->minor >= 1 && !tw_http_header_lists(request, "connection", "close");
    request->is_upgrade = request->minor >= 1 && tw_http_header(request, "upgrade").data &&
                          tw_http_header_lists(request, "connection", "upgrade");
    status = check_host(reader);
    if (status == TW_EAGAIN) status = cut_target(reader);
    if (status == TW_EAGAIN) status = find_framing(reader);
    return status;
}

/* Fills target and headers. The method's span is set anew: the buffer may have moved since. */
static int cut_head(struct tw_http_reader *reader) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    static const http_parser_settings settings = {.on_url = on_url,
                                                  .on_header_field = on_header_field,
                                                  .on_header_value = on_header_value,
                                                  .on_headers_complete = on_headers_complete};
    pthread_once(&once, raise_parser_limit);
    struct tw_http_request *request = &reader->request;
    request->headers = reader->headers;
    request->header_count = 0;
    request->method.data = reader->head.data;
    http_parser parser;
    http_parser_init(&parser, HTTP_REQUEST);
    parser.data = reader;
    size_t length = reader->head.length;
    size_t parsed = http_parser_execute(&parser, &settings, reader->head.data, length);
    enum http_errno error = HTTP_PARSER_ERRNO(&parser);
    if (error == HPE_INVALID_METHOD) return fail(reader, 501, "unknown method");
    if (error == HPE_INVALID_CONTENT_LENGTH || error == HPE_UNEXPECTED_CONTENT_LENGTH) {
        return fail(reader, 400, "bad Content-Length");
    }
    if (error != HPE_OK || parsed != length) return fail(reader, 400, "malformed head");
    for (size_t i = 0; i < request->header_count; i++) {
        char *name = reader->head.data + (reader->headers[i].name.data - reader->head.data);
        for (size_t j = 0; j < reader->headers[i].name.length; j++) {
            if (name[j] >= 'A' && name[j] <= 'Z') name[j] = (char)(name[j] + ('a' - 'A'));
        }
        reader->headers[i].value = tw_str_trim(reader->headers[i].value);
    }
    return TW_EAGAIN;
}

static int on_url(http_parser *parser, const char *at, size_t length) {
    struct tw_http_reader *reader = (struct tw_http_reader *)parser->data;
    reader->request.target = (struct tw_str){at, length};
    return 0;
}

static int on_header_field(http_parser *parser, const char *at, size_t length) {
    struct tw_http_reader *reader = (struct tw_http_reader *)parser->data;
    if (!TW_CHECK(reader->request.header_count < TW_HTTP_MAX_HEADERS)) return 1;
    reader->headers[reader->request.header_count++] = (struct tw_pair){{at, length}, {at, 0}};
    return 0;
}

static int on_header_value(http_parser *parser, const char *at, size_t length) {
    struct tw_http_reader *reader = (struct tw_http_reader *)parser->data;
    if (!TW_CHECK(reader->request.header_count > 0)) return 1;
    reader->headers[reader->request.header_count - 1].value = (struct tw_str){at, length};
    return 0;
}

/* 2 tells http_parser that what follows is not its own. */
static int on_headers_complete(http_parser *parser) {
    (void)parser;
    return 2;
}

/* We count the head ourselves; http_parser's bound is one for the process, 80 KiB at first. */
static void raise_parser_limit(void) {
    http_parser_set_max_header_size(UINT32_MAX);
}

/* RFC 9112 3.2: exactly one Host in HTTP/1.1, and well-formed. */
static int check_host(struct tw_http_reader *reader) {
    struct tw_str host = tw_http_header(&reader->request, "host");
    if (!host.data && reader->request.minor >= 1) return fail(reader, 400, "no Host header");
    if (tw_http_header_repeats(&reader->request, "host")) {
        return fail(reader, 400, "more than one Host header");
    }
    if (host.data && !is_host(host)) return fail(reader, 400, "bad Host header");
    return TW_EAGAIN;
}

/* The characters of host and port (RFC 3986 3.2.2); no user. */
static bool is_host(struct tw_str text) {
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] & 0x80 || strchr("\"#/<>?@\\^`{|} \t", text.data[i])) return false;
    }
    return text.length > 0;
}

/* Origin form, or the absolute form that proxies send; a server must take both. */
static int cut_target(struct tw_http_reader *reader) {
    struct tw_http_request *request = &reader->request;
    struct tw_str rest = request->target;
    if (memchr(rest.data, '#', rest.length)) return fail(reader, 400, "fragment in the target");
    if (tw_str_eq(request->method, TW_STR("CONNECT"))) return fail(reader, 400, "not a proxy");
    if (rest.data[0] != '/') {
        int status = cut_absolute(reader, &rest);
        if (status != TW_EAGAIN) return status;
    }
    struct tw_str path = tw_str_cut(&rest, '?');
    request->query = rest;
    return decode_path(reader, path.length > 0 ? path : TW_STR("/"));
}

/* Leaves what is behind the authority in *rest. */
static int cut_absolute(struct tw_http_reader *reader, struct tw_str *rest) {
    static const char *const schemes[] = {"http://", "https://", "ws://", "wss://"};
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        struct tw_str scheme = tw_str_of(schemes[i]);
        struct tw_str front = {rest->data, scheme.length};
        if (rest->length < scheme.length || !tw_str_eq_nocase(front, scheme)) continue;
        struct tw_str host = {rest->data + scheme.length, 0};
        size_t left = rest->length - scheme.length;
        while (host.length < left && host.data[host.length] != '/' && host.data[host.length] != '?')
            host.length++;
        if (!is_host(host)) break;
        *rest = (struct tw_str){host.data + host.length, left - host.length};
        return TW_EAGAIN;
    }
    return fail(reader, 400, "bad target");
}

static int decode_path(struct tw_http_reader *reader, struct tw_str path) {
    if (tw_buf_try_reserve(&reader->path, path.length) != 0) {
        return fail(reader, 503, "out of memory");
    }
    int64_t length = tw_str_percent_decode(path, false, reader->path.data);
    if (length < 0) return fail(reader, 400, "bad percent-encoding in the path");
    reader->request.path = (struct tw_str){reader->path.data, (size_t)length};
    return TW_EAGAIN;
}

/* RFC 9112 6.3, refusing whatever two servers could read in two ways. */
static int find_framing(struct tw_http_reader *reader) {
    const struct tw_http_request *request = &reader->request;
    struct tw_str length = tw_http_header(request, "content-length");
    struct tw_str coding = tw_http_header(request, "transfer-encoding");
    if (coding.data) {
        if (length.data) return fail(reader, 400, "both Content-Length and Transfer-Encoding");
        if (request->minor < 1) return fail(reader, 400, "Transfer-Encoding in HTTP/1.0");
        if (tw_http_header_repeats(request, "transfer-encoding")) {
            return fail(reader, 400, "more than one Transfer-Encoding");
        }
        if (!tw_str_eq_nocase(coding, TW_STR("chunked"))) {
            return fail(reader, 501, "unknown transfer coding");
        }
        tw_http_chunks_init(&reader->chunks, reader->limits.body_size, reader->limits.head_size);
        reader->stage = CHUNKS;
        return TW_EAGAIN;
    }
    if (!length.data) return 0;
    if (tw_http_header_repeats(request, "content-length")) {
        return fail(reader, 400, "more than one Content-Length");
    }
    return take_content_length(reader, length);
}

static int take_content_length(struct tw_http_reader *reader, struct tw_str text) {
    uint64_t size = 0;
    if (text.length == 0 || text.length > 19) return fail(reader, 400, "bad Content-Length");
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return fail(reader, 400, "bad Content-Length");
        size = size * 10 + (uint64_t)(text.data[i] - '0');
    }
    if (size > reader->limits.body_size) return fail(reader, 413, "body too big");
    if (size == 0) return 0;
    reader->body_left = (size_t)size;
    reader->stage = BODY;
    return TW_EAGAIN;
}

static int read_body(struct tw_http_reader *reader, const char *bytes, size_t length,
                     size_t *used) {
    int status;
    const char *why = NULL;
    if (reader->stage == CHUNKS) {
        status = tw_http_chunks_feed(&reader->chunks, bytes, length, used, &reader->body, &why);
    } else {
        *used = length < reader->body_left ? length : reader->body_left;
        reader->body_left -= *used;
        status = tw_buf_try_append(&reader->body, bytes, *used);
        if (status == 0 && reader->body_left > 0) status = TW_EAGAIN;
    }
    if (status == -ENOMEM) return fail(reader, 503, "out of memory");
    return status > 0 ? fail(reader, status, why) : status;
}

static void empty(struct tw_buf *buf) {
    buf->length = 0;
    if (buf->capacity > KEPT_CAPACITY) tw_buf_deinit(buf);
}
