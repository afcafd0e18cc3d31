/* Requests: every input is read whole, split once at every offset, and byte by byte, and must give
 * the same each time. What came out is written down as a text ("show"), which is compared. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/status.h"
#include "proto/http.h"

static const struct tw_http_limits limits = {.head_size = 512, .body_size = 64};

/* The request, and how many bytes it left over. */
static void show_request(struct tw_buf *out, const struct tw_http_request *request, size_t left) {
    tw_buf_print(out, "%.*s %.*s path=%.*s", TW_STR_ARG(request->method),
                 TW_STR_ARG(request->target), TW_STR_ARG(request->path));
    if (request->query.data) tw_buf_print(out, " query=%.*s", TW_STR_ARG(request->query));
    tw_buf_print(out, " 1.%d%s%s\n", request->minor, request->keep_alive ? " keep" : "",
                 request->is_upgrade ? " upgrade" : "");
    for (size_t i = 0; i < request->header_count; i++) {
        tw_buf_print(out, "%.*s=%.*s\n", TW_STR_ARG(request->headers[i].name),
                     TW_STR_ARG(request->headers[i].value));
    }
    tw_buf_print(out, "body=%.*s left=%zu", TW_STR_ARG(request->body), left);
}

/* Feeds pieces that end at `split`, or of one byte each if `split` is 0. Each piece is an
 * allocation of its own, gone before the next, so that the address sanitizer sees whoever keeps a
 * pointer. */
static char *read_split(struct tw_http_limits bounds, const char *bytes, size_t length,
                        size_t split) {
    struct tw_http_reader *reader = tw_http_reader_new(bounds);
    struct tw_http_request request;
    struct tw_buf out = {0};
    const char *why = NULL;
    int status = TW_EAGAIN;
    size_t at = 0;
    while (at < length && status == TW_EAGAIN) {
        size_t size = split == 0 ? 1 : at < split ? split - at : length - at;
        char *piece = tw_memdup(bytes + at, size);
        piece = (char *)tw_realloc(piece, size); /* without the NUL */
        size_t used;
        status = tw_http_reader_feed(reader, piece, size, &used, &request, &why);
        assert_true(used <= size);
        if (status == TW_EAGAIN) assert_int_equal(used, size);
        at += used;
        tw_free(piece);
    }
    if (status == 0) {
        show_request(&out, &request, length - at);
    } else if (status == TW_EAGAIN) {
        tw_buf_print(&out, "more");
    } else {
        assert_non_null(why);
        tw_buf_print(&out, "%d %s", status, why);
    }
    tw_http_reader_free(reader);
    char *text = tw_memdup(out.data, out.length);
    tw_buf_deinit(&out);
    return text;
}

static void expect_bounded(struct tw_http_limits bounds, const char *bytes, size_t length,
                           const char *wanted) {
    for (size_t split = 0; split <= length; split++) {
        char *got = read_split(bounds, bytes, length, split);
        assert_string_equal(got, wanted);
        tw_free(got);
    }
}

static void expect(const char *bytes, const char *wanted) {
    expect_bounded(limits, bytes, strlen(bytes), wanted);
}

/* The status and the start of the reason, for the many ways to be refused. */
static void refuses(const char *bytes, const char *wanted) {
    char *got = read_split(limits, bytes, strlen(bytes), strlen(bytes));
    if (strncmp(got, wanted, strlen(wanted)) != 0)
        fail_msg("%s gave %s, not %s", bytes, got, wanted);
    expect(bytes, got);
    tw_free(got);
}

static void reads_a_request(void **state) {
    (void)state;
    expect("GET /ws/market?token=a%20b HTTP/1.1\r\n"
           "Host: example.com:8080\r\n"
           "X-One:1\r\nX-EMPTY:\r\nx-one: \t two  words \t \r\n\r\n",
           "GET /ws/market?token=a%20b path=/ws/market query=token=a%20b 1.1 keep\n"
           "host=example.com:8080\nx-one=1\nx-empty=\nx-one=two  words\nbody= left=0");
}

static void leaves_what_follows_a_request(void **state) {
    (void)state;
    expect("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\n",
           "GET / path=/ 1.1 keep\nhost=a\nbody= left=16");
    expect("GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
           "Connection: keep-alive, Upgrade\r\n\r\n\x81\x80",
           "GET /ws path=/ws 1.1 keep upgrade\nhost=a\nupgrade=websocket\n"
           "connection=keep-alive, Upgrade\nbody= left=2");
    expect("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcdef",
           "POST / path=/ 1.1 keep\nhost=a\ncontent-length=3\nbody=abc left=3");
}

static void reads_bodies(void **state) {
    (void)state;
    expect("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
           "POST / path=/ 1.1 keep\nhost=a\ncontent-length=0\nbody= left=0");
    expect("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nabc", "more");
    expect("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n"
           "5\r\nhello\r\n00b;a=\"b c\"\r\n, moon rise\r\n0\r\nX-Trailer: no\r\n\r\nnext",
           "POST / path=/ 1.1 keep\nhost=a\ntransfer-encoding=Chunked\n"
           "body=hello, moon rise left=4");
    expect("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n000\r\n\r\n",
           "POST / path=/ 1.1 keep\nhost=a\ntransfer-encoding=chunked\nbody= left=0");
    struct tw_buf many = {0}; /* the bounds of a size line are for each one */
    tw_buf_print(&many, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 20; i++)
        tw_buf_print(&many, "01;an=extension\r\n%d\r\n", i % 10);
    tw_buf_append(&many, "0\r\n\r\n", 6); /* with the NUL */
    expect(many.data, "POST / path=/ 1.1 keep\nhost=a\ntransfer-encoding=chunked\n"
                      "body=01234567890123456789 left=0");
    tw_buf_deinit(&many);
    expect("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx",
           "POST / path=/ 1.1 keep\nhost=a\nexpect=100-continue\ncontent-length=1\nbody=x left=0");
}

static void reads_the_body_of_an_upgrade_as_a_body(void **state) {
    (void)state;
    expect("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
           "Content-Length: 2\r\n\r\nabc",
           "GET / path=/ 1.1 keep upgrade\nhost=a\nupgrade=websocket\nconnection=upgrade\n"
           "content-length=2\nbody=ab left=1");
}

static void speaks_http_1_0(void **state) {
    (void)state;
    expect("GET / HTTP/1.0\r\n\r\n", "GET / path=/ 1.0\nbody= left=0");
    expect("GET / HTTP/1.0\r\nConnection: keep-alive, upgrade\r\nUpgrade: websocket\r\n\r\n",
           "GET / path=/ 1.0\nconnection=keep-alive, upgrade\nupgrade=websocket\nbody= left=0");
    expect("GET / HTTP/1.7\r\nHost: a\r\n\r\n", "GET / path=/ 1.7 keep\nhost=a\nbody= left=0");
}

static void closes_when_asked_to(void **state) {
    (void)state;
    expect("GET / HTTP/1.1\r\nHost: a\r\nConnection: x\r\nConnection: y, CLOSE\r\n\r\n",
           "GET / path=/ 1.1\nhost=a\nconnection=x\nconnection=y, CLOSE\nbody= left=0");
}

static void forgives_one_empty_line_before_the_request(void **state) {
    (void)state;
    expect("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / path=/ 1.1 keep\nhost=a\nbody= left=0");
    refuses("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "400 no request line");
    refuses("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "400 ");
}

static void decodes_the_path(void **state) {
    (void)state;
    expect("GET /a%2fb%C3%A4+?%zz HTTP/1.1\r\nHost: a\r\n\r\n",
           "GET /a%2fb%C3%A4+?%zz path=/a/b\xC3\xA4+ query=%zz 1.1 keep\nhost=a\nbody= left=0");
    expect("GET /? HTTP/1.1\r\nHost: a\r\n\r\n",
           "GET /? path=/ query= 1.1 keep\nhost=a\nbody= left=0");
    expect("GET HTTP://b:80/x?y HTTP/1.1\r\nHost: a\r\n\r\n",
           "GET HTTP://b:80/x?y path=/x query=y 1.1 keep\nhost=a\nbody= left=0");
    expect("GET ws://[::1]?y HTTP/1.1\r\nHost: [::1]\r\n\r\n",
           "GET ws://[::1]?y path=/ query=y 1.1 keep\nhost=[::1]\nbody= left=0");
    expect("GET https://b HTTP/1.1\r\nHost: b\r\n\r\n",
           "GET https://b path=/ 1.1 keep\nhost=b\nbody= left=0");
}

static void refuses_other_targets(void **state) {
    (void)state;
    static const char *const targets[] = {
        "/%",       "/%0",         "/%zz",      "/%00",          "/a#b",  "*",
        "a",        "example:443", "http://",   "http:///x",     "?x",    "http://u@b/",
        "ftp://b/", "http:/b",     "\xC3\xA4/", "/\xC3\xA4\x80", "/a\tb", "/\x7F",
    };
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        struct tw_buf bytes = {0};
        tw_buf_print(&bytes, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", targets[i]);
        tw_buf_append(&bytes, "", 1);
        refuses(bytes.data, "400 ");
        tw_buf_deinit(&bytes);
    }
    refuses("CONNECT /x HTTP/1.1\r\nHost: a\r\n\r\n", "400 ");
    refuses("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", "400 ");
    refuses("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "400 ");
}

static void refuses_bad_request_lines_at_once(void **state) {
    (void)state;
    static const char *const lines[] = {"GET /",
                                        "GET  / HTTP/1.1",
                                        "GET /  HTTP/1.1",
                                        "GET / HTTP/1.1 ",
                                        " GET / HTTP/1.1",
                                        "GET\t/ HTTP/1.1",
                                        "GET / http/1.1",
                                        "GET / HTTP/11",
                                        "GET / HTTP/1.10",
                                        "GET / a HTTP/1.1",
                                        "G(T / HTTP/1.1",
                                        "GET / HTTP/1,1",
                                        "GET",
                                        "GET / HTTP/ 1.1",
                                        "HTTP/1.1 200 OK",
                                        "GET / ICE/1.0",
                                        "\x16\x03\x01",
                                        "GET /\x01 HTTP/1.1"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct tw_buf bytes = {0};
        tw_buf_print(&bytes, "%s\r\n", lines[i]);
        tw_buf_append(&bytes, "", 1);
        refuses(bytes.data, "400 ");
        tw_buf_deinit(&bytes);
    }
    refuses("PRI * HTTP/2.0\r\n", "505 ");
    refuses("GET / HTTP/0.9\r\n", "505 ");
    refuses("GET / HTTP/3.0\r\n", "505 ");
    refuses("BREW / HTTP/1.1\r\nHost: a\r\n\r\n", "501 ");
    refuses("get / HTTP/1.1\r\nHost: a\r\n\r\n", "501 ");
}

#define HEAD "POST / HTTP/1.1\r\nHost: a\r\n"

static void refuses_bad_header_lines(void **state) {
    (void)state;
    refuses(HEAD "A: b\r\n c\r\n\r\n", "400 folded");
    refuses("GET / HTTP/1.1\r\n Host: a\r\n\r\n", "400 folded");
    refuses(HEAD "A: b\r\n\tc\r\n\r\n", "400 folded");
    refuses(HEAD "A : b\r\n\r\n", "400 bad header name");
    refuses(HEAD "A B: b\r\n\r\n", "400 bad header name");
    refuses(HEAD ": b\r\n\r\n", "400 bad header name");
    refuses(HEAD "A\r\n\r\n", "400 bad header name");
    refuses(HEAD "A\xC3\xA4: b\r\n\r\n", "400 bad header name");
    refuses(HEAD "A: b\n\r\n", "400 ");
    refuses(HEAD "A: b\r\n\n", "400 ");
    refuses(HEAD "A: b\rContent-Length: 3\r\n\r\n", "400 ");
    refuses(HEAD "A: \rb\r\n\r\n", "400 ");
    refuses(HEAD "A: b\x01\r\n\r\n", "400 ");
    refuses(HEAD "A: b\x7F\r\n\r\n", "400 ");
    refuses(HEAD "\r\r\n", "400 ");
    refuses("GET / HTTP/1.1\nHost: a\n\n", "400 ");
    static const char nul[] = "GET / HTTP/1.1\r\nHost: a\r\nA: b\0c\r\n\r\n";
    expect_bounded(limits, nul, sizeof nul - 1, "400 bad character in a header");
    expect("GET / HTTP/1.1\r\nHost: a\r\nA: \xC3\xA4\tb\r\n\r\n",
           "GET / path=/ 1.1 keep\nhost=a\na=\xC3\xA4\tb\nbody= left=0");
}

/* Each byte in each place, by the words of RFC 9112 and 9110. */
static void knows_the_bytes_of_each_part(void **state) {
    (void)state;
    for (int i = 1; i < 256; i++) {
        bool is_letter = (i >= '0' && i <= '9') || (i >= 'a' && i <= 'z') || (i >= 'A' && i <= 'Z');
        bool is_token = is_letter || strchr("!#$%&'*+-.^_`|~", i);
        bool is_value = i == '\t' || (i >= ' ' && i != 0x7F);
        bool is_target = i > ' ' && i < 0x7F && i != '#' && i != '%';
        char text[80];
        if (i != ':') {
            snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: a\r\nx%c: b\r\n\r\n", i);
            refuses(text, is_token ? "GET / path=/ 1.1" : "400 bad header name");
        }
        if (i != '\r') {
            snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: a\r\nx: b%cc\r\n\r\n", i);
            refuses(text, is_value ? "GET / path=/ 1.1" : "400 bad character in a header");
        }
        snprintf(text, sizeof text, "GET /%c HTTP/1.1\r\nHost: a\r\n\r\n", i);
        refuses(text, is_target ? "GET /" : "400 ");
        snprintf(text, sizeof text, "G%cT / HTTP/1.1\r\nHost: a\r\n\r\n", i);
        refuses(text, i == 'E' ? "GET / path=/ 1.1" : is_token ? "501 " : "400 ");
    }
}

static void wants_one_host(void **state) {
    (void)state;
    refuses("GET / HTTP/1.1\r\n\r\n", "400 no Host");
    refuses(HEAD "Host: a\r\n\r\n", "400 more than one Host");
    refuses(HEAD "hOST: b\r\n\r\n", "400 more than one Host");
    refuses("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", "400 more than one Host");
    refuses("GET / HTTP/1.1\r\nHost:\r\n\r\n", "400 bad Host");
    refuses("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "400 bad Host");
    refuses("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", "400 bad Host");
    refuses("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "400 bad Host");
}

static void refuses_ambiguous_framing(void **state) {
    (void)state;
    static const char *const lengths[] = {"+1",
                                          "-1",
                                          "1, 1",
                                          "1 1",
                                          "0x1",
                                          "",
                                          "1a",
                                          "a",
                                          "99999999999999999999999",
                                          "18446744073709551617"};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        struct tw_buf bytes = {0};
        tw_buf_print(&bytes, HEAD "Content-Length: %s\r\n\r\nx", lengths[i]);
        tw_buf_append(&bytes, "", 1);
        refuses(bytes.data, "400 bad Content-Length");
        tw_buf_deinit(&bytes);
    }
    refuses(HEAD "Content-Length: 1\r\nContent-Length: 1\r\n\r\nx", "400 ");
    refuses(HEAD "Content-Length: 1\r\nContent-Length: 2\r\n\r\nx", "400 ");
    refuses(HEAD "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "400 ");
    refuses(HEAD "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", "400 ");
    refuses(HEAD "Transfer-Encoding: x\r\nContent-Length: 1\r\n\r\n", "400 ");
    refuses(HEAD "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", "400 ");
    refuses(HEAD "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n", "400 ");
    refuses(HEAD "Transfer-Encoding: gzip, chunked\r\n\r\n", "501 ");
    refuses(HEAD "Transfer-Encoding: chunked, identity\r\n\r\n", "501 ");
    refuses(HEAD "Transfer-Encoding: xchunked\r\n\r\n", "501 ");
    refuses(HEAD "Transfer-Encoding:\r\n\r\n", "501 ");
    refuses("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400 ");
}

#define CHUNKED HEAD "Transfer-Encoding: chunked\r\n\r\n"

static void refuses_bad_chunks(void **state) {
    (void)state;
    static const char *const bodies[] = {
        "\r\n",         "x\r\n",          "3\nabc\r\n",    "3\rabc\r\n",  "3 \r\nabc\r\n",
        " 3\r\nabc",    "0x3\r\nabc",     "3\r\nabcd\r\n", "3\r\nabc\n",  "3\r\nabc\rx",
        "3\r\nabcXX0",  "-1\r\n",         "+1\r\n",        ";a\r\n",      "3;\x01\r\n",
        "3;a\nabc\r\n", "0\r\nA : b\r\n", "0\r\n a\r\n",   "0\r\nA: b\n", "00000000000000003\r\n",
        "0\r\n\n",      "0\r\n\r\r",      "3 ;a\r\n",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        struct tw_buf bytes = {0};
        tw_buf_print(&bytes, CHUNKED "%s", bodies[i]);
        tw_buf_append(&bytes, "", 1);
        refuses(bytes.data, "400 ");
        tw_buf_deinit(&bytes);
    }
}

static void bounds_the_head(void **state) {
    (void)state;
    struct tw_buf bytes = {0};
    tw_buf_print(&bytes, "GET / HTTP/1.1\r\nHost: a\r\nA: ");
    while (bytes.length < limits.head_size - 4)
        tw_buf_append(&bytes, "b", 1);
    size_t before = bytes.length;
    tw_buf_print(&bytes, "\r\n\r\nmore");
    char *got = read_split(limits, bytes.data, bytes.length, bytes.length);
    assert_non_null(strstr(got, "left=4"));
    expect_bounded(limits, bytes.data, bytes.length, got);
    tw_free(got);
    bytes.length = before;
    tw_buf_print(&bytes, "b\r\n\r\n");
    expect_bounded(limits, bytes.data, bytes.length, "431 head too big");
    tw_buf_deinit(&bytes);
}

static void takes_a_large_head_if_allowed(void **state) {
    (void)state;
    struct tw_http_limits large = {.head_size = 200000, .body_size = 1};
    struct tw_buf bytes = {0};
    tw_buf_print(&bytes, "GET / HTTP/1.1\r\nHost: a\r\nA: ");
    while (bytes.length < 190000)
        tw_buf_print(&bytes, "0123456789");
    tw_buf_print(&bytes, "\r\n\r\n");
    char *got = read_split(large, bytes.data, bytes.length, 100000);
    assert_non_null(strstr(got, "left=0"));
    tw_free(got);
    tw_buf_deinit(&bytes);
}

static void bounds_the_number_of_headers(void **state) {
    (void)state;
    struct tw_http_limits large = {.head_size = 8192, .body_size = 1};
    struct tw_buf bytes = {0};
    tw_buf_print(&bytes, "GET / HTTP/1.1\r\nHost: a\r\n");
    for (int i = 1; i < TW_HTTP_MAX_HEADERS; i++)
        tw_buf_print(&bytes, "A:\r\n");
    size_t before = bytes.length;
    tw_buf_print(&bytes, "\r\n");
    char *got = read_split(large, bytes.data, bytes.length, bytes.length);
    assert_non_null(strstr(got, "left=0"));
    tw_free(got);
    bytes.length = before;
    tw_buf_print(&bytes, "A:\r\n");
    expect_bounded(large, bytes.data, bytes.length, "431 too many headers");
    tw_buf_deinit(&bytes);
}

static void bounds_the_body(void **state) {
    (void)state;
    refuses(HEAD "Content-Length: 65\r\n\r\n", "413 ");
    refuses(HEAD "Content-Length: 1000000000000000000\r\n\r\n", "413 ");
    refuses(CHUNKED "41", "413 ");
    refuses(CHUNKED "ffffffffffffffff", "413 ");
    refuses(CHUNKED "20\r\n0123456789abcdef0123456789abcdef\r\n21", "413 ");
    char *got = read_split(limits, HEAD "Content-Length: 64\r\n\r\n", 47, 47);
    assert_string_equal(got, "more");
    tw_free(got);
    struct tw_buf bytes = {0};
    tw_buf_print(&bytes, CHUNKED "1;");
    while (bytes.length < 400)
        tw_buf_print(&bytes, "x");
    expect_bounded(limits, bytes.data, bytes.length, "400 chunk extension too long");
    bytes.length = 0;
    tw_buf_print(&bytes, CHUNKED "0\r\nA: ");
    while (bytes.length < 1000)
        tw_buf_print(&bytes, "x");
    expect_bounded(limits, bytes.data, bytes.length, "431 trailers too big");
    tw_buf_deinit(&bytes);
}

static void reads_the_next_request_after_a_reset(void **state) {
    (void)state;
    static const char bytes[] = "POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab"
                                "POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                                "1\r\nc\r\n0\r\n\r\n"
                                "GET /3 HTTP/1.1\r\nHost: a\r\n\r\n";
    struct tw_http_reader *reader = tw_http_reader_new(limits);
    struct tw_http_request request;
    const char *why, *at = bytes;
    static const char *const paths[] = {"/1", "/2", "/3"}, *const bodies[] = {"ab", "c", ""};
    for (size_t i = 0; i < 3; i++) {
        assert_false(tw_http_reader_has_begun(reader));
        size_t used;
        assert_int_equal(tw_http_reader_feed(reader, at, strlen(at), &used, &request, &why), 0);
        assert_true(tw_http_reader_has_begun(reader));
        assert_true(tw_str_eq(request.path, tw_str_of(paths[i])));
        assert_true(tw_str_eq(request.body, tw_str_of(bodies[i])));
        at += used;
        tw_http_reader_reset(reader);
    }
    assert_string_equal(at, "");
    tw_http_reader_free(reader);
}

static void counts_headers_anew_after_a_reset(void **state) {
    (void)state;
    struct tw_http_limits large = {.head_size = 8192, .body_size = 1};
    struct tw_http_reader *reader = tw_http_reader_new(large);
    struct tw_http_request request;
    struct tw_buf bytes = {0};
    const char *why;
    tw_buf_print(&bytes, "GET / HTTP/1.1\r\nHost: a\r\n");
    for (int i = 1; i < TW_HTTP_MAX_HEADERS; i++)
        tw_buf_print(&bytes, "A:\r\n");
    tw_buf_print(&bytes, "\r\n");
    for (int i = 0; i < 2; i++) {
        size_t used;
        assert_int_equal(
            tw_http_reader_feed(reader, bytes.data, bytes.length, &used, &request, &why), 0);
        assert_int_equal(request.header_count, TW_HTTP_MAX_HEADERS);
        tw_http_reader_reset(reader);
    }
    tw_http_reader_free(reader);
    tw_buf_deinit(&bytes);
}

static void keeps_saying_no(void **state) {
    (void)state;
    struct tw_http_reader *reader = tw_http_reader_new(limits);
    struct tw_http_request request;
    const char *why = NULL;
    size_t used;
    assert_int_equal(tw_http_reader_feed(reader, "\x16", 1, &used, &request, &why), 400);
    why = NULL;
    assert_int_equal(tw_http_reader_feed(reader, "GET", 3, &used, &request, &why), 400);
    assert_non_null(why);
    assert_int_equal(used, 0);
    tw_http_reader_free(reader);
}

static void refuses_with_503_when_memory_is_out(void **state) {
    (void)state;
    static const char bytes[] = CHUNKED "3\r\nabc\r\n0\r\n\r\n";
    int refusals = 0;
    for (long n = 1;; n++) {
        tw_mem_fail_after(n);
        char *got = read_split(limits, bytes, sizeof bytes - 1, sizeof bytes - 1);
        tw_mem_fail_after(-1);
        bool is_refused = strncmp(got, "503 ", 4) == 0;
        if (!is_refused) assert_non_null(strstr(got, "body=abc left=0"));
        tw_free(got);
        if (!is_refused) break;
        refusals++;
    }
    assert_int_equal(refusals, 3); /* head, path, body */
}

static void assert_bytes(struct tw_buf *out, const char *wanted) {
    tw_buf_append(out, "", 1);
    assert_string_equal(out->data, wanted);
    tw_buf_deinit(out);
}

static void writes_responses(void **state) {
    (void)state;
    struct tw_buf out = {0};
    tw_http_write(&out, &(struct tw_http_response){
                            .status = 200, .type = "application/json", .body = TW_STR("{}")});
    assert_bytes(&out, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                       "Content-Length: 2\r\n\r\n{}");
    tw_http_write(
        &out, &(struct tw_http_response){
                  .status = 503, .retry_after = 1.2, .headers = "A: b\r\nC: d\r\n", .close = true});
    assert_bytes(&out, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nRetry-After: 2\r\n"
                       "Connection: close\r\nA: b\r\nC: d\r\n\r\n");
    tw_http_write(
        &out, &(struct tw_http_response){
                  .status = 404, .type = "text/plain", .body = TW_STR("no"), .head_only = true});
    assert_bytes(&out, "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\n"
                       "Content-Length: 2\r\n\r\n");
    tw_http_write(&out, &(struct tw_http_response){.status = 204});
    assert_bytes(&out, "HTTP/1.1 204 No Content\r\n\r\n");
    tw_http_error_body(&out, "no \"such\" channel\n");
    assert_bytes(&out, "{\"error\":\"no \\\"such\\\" channel\\n\"}");
    assert_string_equal(tw_http_reason(431), "Request Header Fields Too Large");
    assert_string_equal(tw_http_reason(299), "Unknown");
}

static void show_pairs(struct tw_buf *out, const struct tw_pair *pairs, size_t count) {
    for (size_t i = 0; i < count; i++) {
        tw_buf_print(out, "[%.*s=%.*s]", TW_STR_ARG(pairs[i].name), TW_STR_ARG(pairs[i].value));
    }
}

static void parses_queries(void **state) {
    (void)state;
    struct tw_pair pairs[4];
    struct tw_buf scratch = {0}, out = {0};
    static const struct {
        const char *query, *wanted;
    } cases[] = {
        {"a=1&b=2", "[a=1][b=2]"},
        {"", ""},
        {"a", "[a=]"},
        {"a=&b", "[a=][b=]"},
        {"&&a=1&&=x&", "[a=1]"},
        {"a=1=2&a=%C3%A4+b", "[a=1=2][a=\xC3\xA4 b]"},
        {"a=%zz&%0=b&c=%00&d=1&%64=2", "[d=1][d=2]"},
        {"a&b&c&d&e", "[a=][b=][c=][d=]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tw_str query = tw_str_of(cases[i].query);
        show_pairs(&out, pairs, tw_http_parse_query(query, pairs, 4, &scratch));
        assert_bytes(&out, cases[i].wanted);
        scratch.length = 0;
    }
    assert_int_equal(tw_http_parse_query((struct tw_str){0}, pairs, 4, &scratch), 0);
    tw_buf_deinit(&scratch);
    tw_mem_fail_after(1);
    assert_int_equal(tw_http_parse_query(TW_STR("a=1"), pairs, 4, &scratch), 0);
    tw_mem_fail_after(-1);
}

static void parses_cookies(void **state) {
    (void)state;
    struct tw_pair pairs[3];
    struct tw_buf out = {0};
    static const struct {
        const char *header, *wanted;
    } cases[] = {
        {"a=1; b=2", "[a=1][b=2]"},
        {"a=1;b=2;", "[a=1][b=2]"},
        {"", ""},
        {"a; =b; c d=e; f=", "[f=]"},
        {"a=\"1\"; b=\"; c=\"\"", "[a=1][b=\"][c=]"},
        {"a=1=2; a=%20", "[a=1=2][a=%20]"},
        {"a=1; b=2; c=3; d=4", "[a=1][b=2][c=3]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        show_pairs(&out, pairs, tw_http_parse_cookies(tw_str_of(cases[i].header), pairs, 3));
        assert_bytes(&out, cases[i].wanted);
    }
}

static int no_check_failed(void **state) {
    (void)state;
    return tw_check_count() == 0 ? 0 : -1;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_request),
        cmocka_unit_test(leaves_what_follows_a_request),
        cmocka_unit_test(reads_bodies),
        cmocka_unit_test(reads_the_body_of_an_upgrade_as_a_body),
        cmocka_unit_test(speaks_http_1_0),
        cmocka_unit_test(closes_when_asked_to),
        cmocka_unit_test(forgives_one_empty_line_before_the_request),
        cmocka_unit_test(decodes_the_path),
        cmocka_unit_test(refuses_other_targets),
        cmocka_unit_test(refuses_bad_request_lines_at_once),
        cmocka_unit_test(refuses_bad_header_lines),
        cmocka_unit_test(knows_the_bytes_of_each_part),
        cmocka_unit_test(wants_one_host),
        cmocka_unit_test(refuses_ambiguous_framing),
        cmocka_unit_test(refuses_bad_chunks),
        cmocka_unit_test(bounds_the_head),
        cmocka_unit_test(takes_a_large_head_if_allowed),
        cmocka_unit_test(bounds_the_number_of_headers),
        cmocka_unit_test(bounds_the_body),
        cmocka_unit_test(reads_the_next_request_after_a_reset),
        cmocka_unit_test(counts_headers_anew_after_a_reset),
        cmocka_unit_test(keeps_saying_no),
        cmocka_unit_test(refuses_with_503_when_memory_is_out),
        cmocka_unit_test(writes_responses),
        cmocka_unit_test(parses_queries),
        cmocka_unit_test(parses_cookies),
    };
    return cmocka_run_group_tests(tests, NULL, no_check_failed);
}
