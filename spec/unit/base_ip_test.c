/* base_ip_test.c */
#include "base_support.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include "base/ip.h"
#include "base/status.h"

static struct tw_ip ip_of(const char *text) {
    struct tw_ip ip;
    char *copy = exact_copy(text, strlen(text));
    if (tw_ip_parse((struct tw_str){copy, strlen(text)}, &ip) != 0) fail_msg("%s", text);
    free(copy);
    return ip;
}

static void test_parse_and_format(void **state) {
    (void)state;
    const struct {
        const char *in, *out;
    } cases[] = {
        {"1.2.3.4", "1.2.3.4"},
        {"0.0.0.0", "0.0.0.0"},
        {"255.255.255.255", "255.255.255.255"},
        {"1.2.3.4:80", "1.2.3.4"},
        {"1.2.3.4:0", "1.2.3.4"},
        {"1.2.3.4:65535", "1.2.3.4"},
        {"::ffff:1.2.3.4", "1.2.3.4"},
        {"::FFFF:102:304", "1.2.3.4"},
        {"[::ffff:1.2.3.4]:80", "1.2.3.4"},
        {"::1", "::1"},
        {"::", "::"},
        {"[::1]", "::1"},
        {"[::1]:8080", "::1"},
        {"::1:80", "::0.1.0.128"}, /* no port: ambiguous, so an address */
        {"2001:DB8:0:0:0:0:0:1", "2001:db8::1"},
        {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"}, /* one zero group stays: RFC 5952 4.2.2 */
        {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},
        {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
        {"64:ff9b::1.2.3.4", "64:ff9b::102:304"},
        {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
        {"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255",
         "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char text[TW_IP_TEXT_SIZE];
        struct tw_ip ip = ip_of(cases[i].in);
        tw_ip_format(&ip, text);
        assert_string_equal(text, cases[i].out);
        struct tw_ip again = ip_of(text);
        assert_true(tw_ip_eq(&ip, &again));
        assert_int_equal(tw_ip_hash(&ip), tw_ip_hash(&again));
    }
}

static void test_refused(void **state) {
    (void)state;
    const char *const cases[] = {
        "",
        " ",
        "unknown",
        "_hidden",
        "localhost",
        "1.2.3",
        "1.2.3.4.5",
        "1.2.3.256",
        "1.2.3.-4",
        "01.2.3.4",
        "1.2.3.04",
        "0x7f.0.0.1",
        "127.1",
        "2130706433",
        "1.2.3.4 ",
        " 1.2.3.4",
        "1..2.3",
        "1.2.3.4:",
        "1.2.3.4:65536",
        "1.2.3.4:99999",
        "1.2.3.4:080",
        "1.2.3.4:x",
        "1.2.3.4:8 ",
        "1.2.3.4:+80",
        "1.2.3.4:80:90",
        "1.2.3.4:000080",
        "[1.2.3.4]",
        "[1.2.3.4]:80",
        ":80",
        ":",
        "[",
        "]",
        "[]",
        "[]:80",
        "[::1",
        "::1]",
        "[::1]x",
        "[::1]80",
        "[::1]:",
        "[::1]:65536",
        "[::1]]",
        "[[::1]]",
        "[::1]:80]",
        ":::",
        "1::2::3",
        "12345::",
        "g::",
        "1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7:8:9",
        "::1.2.3",
        "::1.2.3.4.5",
        "1.2.3.4::",
        "fe80::1%eth0",
        "fe80::1%1",
        "[fe80::1%eth0]:80",
        "[fe80::1%25eth0]",
        "1.2.3.4%1",
        "::1/128",
        "1.2.3.4/8",
        "\"::1\"",
        "0000:0000:0000:0000:0000:ffff:0192.168.100.228",
        "00000000000000000000000000000000000000000000000000000000000000000000000000000000001.2.3.4",
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct tw_ip ip = {{7}};
        char *copy = exact_copy(cases[i], strlen(cases[i]));
        if (tw_ip_parse((struct tw_str){copy, strlen(cases[i])}, &ip) != TW_EPARSE) {
            fail_msg("%s", cases[i]);
        }
        assert_int_equal(ip.bytes[0], 7);
        free(copy);
    }
    struct tw_ip ip;
    assert_int_equal(tw_ip_parse((struct tw_str){NULL, 0}, &ip), TW_EPARSE);
    assert_int_equal(tw_ip_parse(TW_STR("1.2.3.4\0"), &ip), TW_EPARSE);
    assert_int_equal(tw_ip_parse(TW_STR("::1\0"
                                        "2"),
                                 &ip),
                     TW_EPARSE);
    assert_int_equal(tw_ip_parse(TW_STR("1.2.3.4:80\0"), &ip), TW_EPARSE);
}

static void test_sockaddr(void **state) {
    (void)state;
    struct sockaddr_storage storage = {0};
    struct sockaddr_in *v4 = (struct sockaddr_in *)&storage;
    v4->sin_family = AF_INET;
    inet_pton(AF_INET, "10.1.2.3", &v4->sin_addr);
    struct tw_ip ip = tw_ip_of_sockaddr((struct sockaddr *)&storage), want = ip_of("10.1.2.3");
    assert_true(tw_ip_eq(&ip, &want));
    assert_true(tw_ip_is_v4(&ip));

    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&storage;
    v6->sin6_family = AF_INET6;
    v6->sin6_scope_id = 3;
    inet_pton(AF_INET6, "fe80::5", &v6->sin6_addr);
    ip = tw_ip_of_sockaddr((struct sockaddr *)&storage);
    want = ip_of("fe80::5");
    assert_true(tw_ip_eq(&ip, &want));
    assert_false(tw_ip_is_v4(&ip));

    inet_pton(AF_INET6, "::ffff:10.1.2.3", &v6->sin6_addr); /* from a dual-stack listener */
    ip = tw_ip_of_sockaddr((struct sockaddr *)&storage);
    want = ip_of("10.1.2.3");
    assert_true(tw_ip_eq(&ip, &want));

    struct sockaddr_un local = {.sun_family = AF_UNIX};
    ip = tw_ip_of_sockaddr((struct sockaddr *)&local);
    want = ip_of("127.0.0.1");
    assert_true(tw_ip_eq(&ip, &want));
}

static bool same_group(const char *a, const char *b) {
    struct tw_ip first = ip_of(a), second = ip_of(b);
    first = tw_ip_group(&first);
    second = tw_ip_group(&second);
    return tw_ip_eq(&first, &second);
}

static void test_group(void **state) {
    (void)state;
    assert_true(same_group("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff"));
    assert_false(same_group("2001:db8:1:2::1", "2001:db8:1:3::1"));
    assert_false(same_group("1.2.3.4", "1.2.3.5"));
    assert_true(same_group("1.2.3.4", "::ffff:1.2.3.4"));
    assert_false(same_group("1.2.3.4", "::1"));
}

static bool cidr_has(const char *network, const char *address) {
    struct tw_cidr cidr;
    struct tw_ip ip = ip_of(address);
    char *copy = exact_copy(network, strlen(network));
    if (tw_cidr_parse((struct tw_str){copy, strlen(network)}, &cidr) != 0) fail_msg("%s", network);
    free(copy);
    return tw_cidr_has(&cidr, &ip);
}

static void test_cidr(void **state) {
    (void)state;
    const struct {
        const char *network, *in, *out;
    } cases[] = {
        {"0.0.0.0/0", "255.1.2.3", "::1"},
        {"::/0", "ffff::1", "1.2.3.4"}, /* IPv4 peers are not IPv6 peers */
        {"::/0", "::", "0.0.0.0"},
        {"::ffff:0:0/95", "::fffe:1.2.3.4", "1.2.3.4"},
        {"::ffff:0:0/96", "1.2.3.4", "::fffe:1.2.3.4"},
        {"::ffff:10.0.0.0/104", "10.9.9.9", "11.0.0.0"},
        {"10.0.0.0/8", "10.255.255.255", "11.0.0.0"},
        {"10.0.0.0/8", "::ffff:10.1.1.1", "9.255.255.255"},
        {"10.1.2.3/8", "10.9.9.9", "11.1.2.3"}, /* bits behind the prefix do not matter */
        {"128.0.0.0/1", "255.0.0.0", "127.255.255.255"},
        {"192.168.0.0/23", "192.168.1.255", "192.168.2.0"},
        {"1.2.3.4/31", "1.2.3.5", "1.2.3.6"},
        {"1.2.3.4/32", "1.2.3.4", "1.2.3.5"},
        {"1.2.3.4", "1.2.3.4", "1.2.3.5"},
        {"::1/128", "::1", "::"},
        {"::1", "::1", "::2"},
        {"2001:db8::/32", "2001:db8:ffff::", "2001:db9::"},
        {"2001:db8::/127", "2001:db8::1", "2001:db8::2"},
        {"fe80::/10", "febf::1", "fec0::1"},
        {"8000::/1", "ffff::", "7fff::"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        if (!cidr_has(cases[i].network, cases[i].in)) fail_msg("not in %s", cases[i].network);
        if (cidr_has(cases[i].network, cases[i].out)) fail_msg("in %s", cases[i].network);
    }
    struct tw_cidr cidr;
    assert_int_equal(tw_cidr_parse(TW_STR("10.1.2.3/8"), &cidr), 0);
    struct tw_ip want = ip_of("10.0.0.0");
    assert_true(tw_ip_eq(&cidr.ip, &want));
    assert_int_equal(cidr.bits, 104);
}

static void test_cidr_refused(void **state) {
    (void)state;
    const char *const cases[] = {
        "",
        "/",
        "/8",
        "10.0.0.0/",
        "10.0.0.0/33",
        "10.0.0.0/128",
        "::/129",
        "::/256",
        "10.0.0.0/-1",
        "10.0.0.0/+8",
        "10.0.0.0/08",
        "10.0.0.0/ 8",
        "10.0.0.0/8 ",
        "10.0.0.0/8/8",
        "10/8",
        "10.0.0.0/255.0.0.0",
        "10.0.0.0:80/8",
        "[::1]/128",
        "[::1]",
        "fe80::1%eth0/64",
        "::1/x",
        "10.0.0.0/4294967304",
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct tw_cidr cidr = {.bits = 77};
        if (tw_cidr_parse(tw_str_of(cases[i]), &cidr) != TW_EPARSE) fail_msg("%s", cases[i]);
        assert_int_equal(cidr.bits, 77);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_and_format),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_sockaddr),
        cmocka_unit_test(test_group),
        cmocka_unit_test(test_cidr),
        cmocka_unit_test(test_cidr_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
