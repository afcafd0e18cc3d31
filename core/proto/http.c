/* http.c: requests, from any splitting of their bytes.
 *
 *   HEAD --blank line--> BODY (Content-Length) | CHUNKS --> DONE          any of them --> FAILED
 *
 * The head is collected while http_syntax.c checks each byte; when its blank line is there, it is
 * cut, once and whole, so that spans need no care while the buffer grows. What the head means
 * (framing, host, target) is decided here, header by header. The body grows by what has arrived. */
#include "proto/http.h"

#include <errno.h>
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
};

static int fail(struct tw_http_reader *reader, int status, const char *why);
static int read_head(struct tw_http_reader *reader, const char *bytes, size_t length, size_t *used);
static int take_line(struct tw_http_reader *reader, enum tw_http_line line);
static int check_request_line(struct tw_http_reader *reader);
static int check_method(struct tw_http_reader *reader, struct tw_str method);
static int parse_head(struct tw_http_reader *reader);
static int cut_head(struct tw_http_reader *reader);
static char *cut_header(char *at, struct tw_pair *header);
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
    tw_free(reader->request.headers);
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
    tw_free(reader->request.headers);
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
        const char *at = bytes + *used, *why = NULL;
        size_t count = length - *used;
        room = reader->limits.head_size - head->length;
        if (room == 0) return fail(reader, 431, "head too big");
        enum tw_http_line line =
            tw_http_lines_feed(&reader->lines, at, count < room ? count : room, &count, &why);
        *used += count;
        if (line == TW_HTTP_LINE_BAD) return fail(reader, 400, why);
        if (line == TW_HTTP_LINE_SKIP) continue;
        tw_buf_append(head, at, count);
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

/* method SP target SP HTTP/1.x CRLF, with exactly these spaces. As early as the line is there: who
 * speaks HTTP/2 or something else hears of it at once. */
static int check_request_line(struct tw_http_reader *reader) {
    struct tw_str rest = {reader->head.data, reader->head.length - 2};
    struct tw_str method = tw_str_cut(&rest, ' ');
    struct tw_str target = tw_str_cut(&rest, ' ');
    struct tw_str version = rest;
    if (method.length == 0 || target.length == 0) return fail(reader, 400, "bad request line");
    const char *v = version.data;
    if (version.length != 8 || !tw_str_starts(version, TW_STR("HTTP/")) || v[5] < '0' ||
        v[5] > '9' || v[6] != '.' || v[7] < '0' || v[7] > '9') {
        return fail(reader, 400, "bad request line");
    }
    if (v[5] != '1') return fail(reader, 505, "not HTTP/1.x");
    reader->request.method = method;
    reader->request.target = target;
    reader->request.minor = v[7] - '0';
    return check_method(reader, method);
}

static int check_method(struct tw_http_reader *reader, struct tw_str method) {
    static const char *const known[] = {"GET",     "HEAD",    "POST",  "PUT",  "DELETE",
                                        "CONNECT", "OPTIONS", "TRACE", "PATCH"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (tw_str_eq(method, tw_str_of(known[i]))) return TW_EAGAIN;
    for (size_t i = 0; i < method.length; i++)
        if (!tw_http_is_token_char((unsigned char)method.data[i]))
            return fail(reader, 400, "bad method");
    return fail(reader, 501, "unknown method");
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

/* Fills the headers, and puts the spans of the request line where it is now: the buffer may have
 * moved since. http_syntax.c has seen all the separators. */
static int cut_head(struct tw_http_reader *reader) {
    struct tw_http_request *request = &reader->request;
    size_t size = reader->header_lines * sizeof *request->headers;
    request->headers = (struct tw_pair *)tw_try_alloc(size);
    if (!request->headers) return fail(reader, 503, "out of memory");
    char *at = reader->head.data;
    request->method.data = at;
    request->target.data = at + request->method.length + 1;
    at += request->method.length + request->target.length + sizeof "  HTTP/1.1\r\n" - 1;
    for (; request->header_count < reader->header_lines; request->header_count++)
        at = cut_header(at, &request->headers[request->header_count]);
    return TW_EAGAIN;
}

/* Returns where the next line begins. */
static char *cut_header(char *at, struct tw_pair *header) {
    char *name = at;
    for (; *at != ':'; at++)
        if (*at >= 'A' && *at <= 'Z') *at = (char)(*at + ('a' - 'A'));
    header->name = (struct tw_str){name, (size_t)(at - name)};
    char *value = ++at;
    while (*at != '\r')
        at++;
    header->value = tw_str_trim((struct tw_str){value, (size_t)(at - value)});
    return at + 2;
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
    reader->request.path = path;
    if (!memchr(path.data, '%', path.length)) return TW_EAGAIN;
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
