/* The opening handshake, the origin, and the address behind proxies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/ip.h"
#include "proto/handshake.h"

static struct tw_http_reader *reader;

/* Reads `head`, which is complete, by the real reader. */
static struct tw_http_request parse(const char *head) {
    struct tw_http_request request;
    const char *why = "";
    size_t used;
    tw_http_reader_reset(reader);
    int status = tw_http_reader_feed(reader, head, strlen(head), &used, &request, &why);
    if (status != 0) fail_msg("%d %s", status, why);
    return request;
}

/* A good handshake with the lines of `without` left out and `more` added. */
static struct tw_http_request handshake(const char *without, const char *more) {
    static const char *const lines[] = {
        "Host: example.com", "Upgrade: websocket", "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13"};
    char head[1024] = "GET /chat HTTP/1.1\r\n";
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        if (without && strncmp(lines[i], without, strlen(without)) == 0) continue;
        strcat(strcat(head, lines[i]), "\r\n");
    }
    return parse(strcat(strcat(head, more), "\r\n"));
}

static int check(const char *without, const char *more) {
    struct tw_http_request request = handshake(without, more);
    const char *why = NULL;
    int status = tw_handshake_check(&request, &why);
    assert_true((status == 0) == (why == NULL));
    return status;
}

static void answers_the_example_of_the_rfc(void **state) {
    (void)state;
    struct tw_http_request request = handshake(NULL, "Origin: http://example.com\r\n");
    const char *why;
    assert_true(tw_handshake_is_wanted(&request));
    assert_int_equal(tw_handshake_check(&request, &why), 0);
    struct tw_buf out = {0};
    tw_handshake_accept(&out, &request, "chat");
    tw_buf_append(&out, "", 1);
    assert_string_equal(out.data, "HTTP/1.1 101 Switching Protocols\r\n"
                                  "Upgrade: websocket\r\n"
                                  "Connection: Upgrade\r\n"
                                  "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
                                  "Sec-WebSocket-Protocol: chat\r\n\r\n");
    out.length = 0;
    tw_handshake_accept(&out, &request, NULL);
    tw_buf_append(&out, "", 1);
    assert_null(strstr(out.data, "Protocol:"));
    assert_string_equal(out.data + out.length - 5, "\r\n\r\n");
    tw_buf_deinit(&out);
    char key[29];
    tw_handshake_key(TW_STR("dGhlIHNhbXBsZSBub25jZQ=="), key);
    assert_string_equal(key, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

static void takes_tokens_in_lists_and_in_any_case(void **state) {
    (void)state;
    assert_int_equal(check("Upgrade", "Upgrade: h2c, WebSocket\r\n"), 0);
    assert_int_equal(check("Upgrade", "Upgrade: h2c\r\nUpgrade: websocket\r\n"), 0);
    assert_int_equal(check("Connection", "Connection: keep-alive, UPGRADE\r\n"), 0);
    assert_int_equal(check("Connection", "Connection: keep-alive\r\nConnection: upgrade\r\n"), 0);
}

static void refuses_what_is_no_handshake(void **state) {
    (void)state;
    assert_int_equal(check("Upgrade", ""), 400);
    assert_int_equal(check("Upgrade", "Upgrade: websockets\r\n"), 400);
    assert_int_equal(check("Upgrade", "Upgrade: websocket/13\r\n"), 400);
    assert_int_equal(check("Connection", ""), 400);
    assert_int_equal(check("Connection", "Connection: close\r\n"), 400);
    assert_int_equal(check(NULL, "Content-Length: 0\r\n"), 0);
    struct tw_http_request request = handshake("Upgrade", "Upgrade: h2c\r\n");
    assert_false(tw_handshake_is_wanted(&request));
}

static void refuses_a_body(void **state) {
    (void)state;
    assert_int_equal(check(NULL, "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n"), 400);
}

static void refuses_methods_and_versions_of_http(void **state) {
    (void)state;
    const char *why;
    struct tw_http_request request = handshake(NULL, "");
    request.method = TW_STR("POST");
    assert_int_equal(tw_handshake_check(&request, &why), 405);
    request = handshake(NULL, "");
    request.minor = 0;
    assert_int_equal(tw_handshake_check(&request, &why), 400);
    request = handshake(NULL, "");
    request.headers++; /* the Host */
    request.header_count--;
    assert_int_equal(tw_handshake_check(&request, &why), 400);
}

static void wants_one_good_key(void **state) {
    (void)state;
    static const char *const bad[] = {
        "",
        "dGhlIHNhbXBsZSBub25jZQ=",
        "dGhlIHNhbXBsZSBub25jZQ===",
        "dGhlIHNhbXBsZSBub25jZQAA",
        "dGhlIHNhbXBsZSBub25jZ===",
        "dGhlIHNhbXBsZSBub25j*Q==",
        "dGhlIHNhbXBsZSBub25jZQ== x",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char line[128] = "Sec-WebSocket-Key: ";
        strcat(strcat(line, bad[i]), "\r\n");
        assert_int_equal(check("Sec-WebSocket-Key", line), 400);
    }
    assert_int_equal(check("Sec-WebSocket-Key", ""), 400);
    assert_int_equal(check(NULL, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"), 400);
    assert_int_equal(check("Sec-WebSocket-Key", "Sec-WebSocket-Key: //////////////////////==\r\n"),
                     0);
}

static void wants_version_13(void **state) {
    (void)state;
    assert_int_equal(check("Sec-WebSocket-Version", ""), 426);
    assert_int_equal(check("Sec-WebSocket-Version", "Sec-WebSocket-Version: 8\r\n"), 426);
    assert_int_equal(check("Sec-WebSocket-Version", "Sec-WebSocket-Version: 13, 8\r\n"), 426);
    assert_int_equal(check(NULL, "Sec-WebSocket-Version: 13\r\n"), 426);
    assert_int_equal(check("Sec-WebSocket", "Sec-WebSocket-Version: 7\r\n"), 426);
}

static bool allowed(const char *origin, const char *entry) {
    char text[64];
    strcpy(text, entry);
    char *const list[] = {(char[]){"https://other.test"}, text};
    return tw_handshake_origin_allowed(tw_str_of(origin), list, 2);
}

static void compares_origins(void **state) {
    (void)state;
    assert_true(tw_handshake_origin_allowed(TW_STR("http://x"), NULL, 0));
    assert_true(allowed(NULL, "https://example.com"));
    assert_true(allowed("https://example.com", "https://example.com"));
    assert_true(allowed("HTTPS://Example.COM", "https://example.com"));
    assert_true(allowed("https://example.com:443", "https://example.com"));
    assert_true(allowed("http://example.com", "http://example.com:80"));
    assert_true(allowed("http://[::1]:8080", "http://[::1]:8080"));
    assert_true(allowed("http://[::1]", "http://[::1]:80"));
    assert_true(allowed("null", "null"));
    static const char *const strangers[] = {
        "",
        "null",
        "example.com",
        "//example.com",
        "http://example.com",
        "https://example.com:8443",
        "https://example.com.evil.test",
        "https://evil-example.com",
        "https://evil.test/https://example.com",
        "https://evil.test#.example.com",
        "https://user@example.com",
        "https://example.com/",
        "https://",
        "https://:443",
        "https://[example.com",
        "https://a.example.com",
        "file://",
    };
    for (size_t i = 0; i < sizeof strangers / sizeof *strangers; i++)
        assert_false(allowed(strangers[i], "https://example.com"));
}

static void a_wildcard_is_every_host_below(void **state) {
    (void)state;
    assert_true(allowed("https://a.example.com", "https://*.example.com"));
    assert_true(allowed("https://A.B.Example.com:443", "https://*.example.com"));
    assert_true(allowed("https://a.example.com:8443", "https://*.example.com:8443"));
    assert_false(allowed("https://example.com", "https://*.example.com"));
    assert_false(allowed("https://.example.com", "https://*.example.com"));
    assert_false(allowed("https://evilexample.com", "https://*.example.com"));
    assert_false(allowed("http://a.example.com", "https://*.example.com"));
    assert_false(allowed("https://a.example.com:8443", "https://*.example.com"));
    assert_false(allowed("https://evil.test/.example.com", "https://*.example.com"));
    assert_false(allowed("https://evil.test:.example.com", "https://*.example.com"));
}

/* The client's address for a peer, with 10.0.0.0/8 and fd00::/8 trusted. */
static void expect_ip(const char *peer, const char *headers, const char *wanted) {
    struct tw_cidr trusted[2];
    struct tw_ip ip;
    assert_int_equal(tw_cidr_parse(TW_STR("10.0.0.0/8"), &trusted[0]), 0);
    assert_int_equal(tw_cidr_parse(TW_STR("fd00::/8"), &trusted[1]), 0);
    assert_int_equal(tw_ip_parse(tw_str_of(peer), &ip), 0);
    struct tw_http_request request = handshake(NULL, headers);
    struct tw_ip got = tw_handshake_client_ip(&request, &ip, trusted, 2);
    char text[TW_IP_TEXT_SIZE];
    tw_ip_format(&got, text);
    assert_string_equal(text, wanted);
}

#define XFF "X-Forwarded-For: "

static void believes_only_trusted_proxies(void **state) {
    (void)state;
    expect_ip("9.9.9.9", "", "9.9.9.9");
    expect_ip("9.9.9.9", XFF "1.1.1.1\r\n", "9.9.9.9");
    expect_ip("10.0.0.1", "", "10.0.0.1");
    expect_ip("10.0.0.1", XFF "1.1.1.1\r\n", "1.1.1.1");
    expect_ip("::ffff:10.0.0.1", XFF "1.1.1.1\r\n", "1.1.1.1");
    expect_ip("10.0.0.1", XFF "6.6.6.6, 1.1.1.1\r\n", "1.1.1.1");
    expect_ip("10.0.0.1", XFF "6.6.6.6,1.1.1.1 , 10.0.0.2\r\n", "1.1.1.1");
    expect_ip("10.0.0.1", XFF "10.0.0.3, 10.0.0.2\r\n", "10.0.0.3");
}

static void joins_forwarded_headers_in_order(void **state) {
    (void)state;
    expect_ip("10.0.0.1", XFF "6.6.6.6\r\n" XFF "1.1.1.1\r\n", "1.1.1.1");
    expect_ip("10.0.0.1", XFF "6.6.6.6, 1.1.1.1\r\n" XFF "10.0.0.3, fd00::2\r\n", "1.1.1.1");
}

static void reads_addresses_as_proxies_write_them(void **state) {
    (void)state;
    expect_ip("fd00::1", XFF "2001:db8::7\r\n", "2001:db8::7");
    expect_ip("fd00::1", XFF "[2001:db8::7]:443, [fd00::2]\r\n", "2001:db8::7");
    expect_ip("10.0.0.1", XFF "1.1.1.1:5000\r\n", "1.1.1.1");
}

static void ends_the_search_at_a_malformed_entry(void **state) {
    (void)state;
    expect_ip("10.0.0.1", XFF "6.6.6.6, unknown, 10.0.0.2\r\n", "10.0.0.2");
    expect_ip("10.0.0.1", XFF "6.6.6.6,\r\n", "10.0.0.1");
    expect_ip("10.0.0.1", XFF "\r\n", "10.0.0.1");
    expect_ip("10.0.0.1", XFF "6.6.6.6\r\n" XFF "1.1.1\r\n", "10.0.0.1");
}

static int open_reader(void **state) {
    (void)state;
    reader = tw_http_reader_new((struct tw_http_limits){.head_size = 4096, .body_size = 64});
    return 0;
}

static int free_reader(void **state) {
    (void)state;
    tw_http_reader_free(reader);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_the_example_of_the_rfc),
        cmocka_unit_test(takes_tokens_in_lists_and_in_any_case),
        cmocka_unit_test(refuses_what_is_no_handshake),
        cmocka_unit_test(refuses_a_body),
        cmocka_unit_test(refuses_methods_and_versions_of_http),
        cmocka_unit_test(wants_one_good_key),
        cmocka_unit_test(wants_version_13),
        cmocka_unit_test(compares_origins),
        cmocka_unit_test(a_wildcard_is_every_host_below),
        cmocka_unit_test(believes_only_trusted_proxies),
        cmocka_unit_test(joins_forwarded_headers_in_order),
        cmocka_unit_test(reads_addresses_as_proxies_write_them),
        cmocka_unit_test(ends_the_search_at_a_malformed_entry),
    };
    return cmocka_run_group_tests(tests, open_reader, free_reader);
}
