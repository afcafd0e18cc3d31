/* handshake.c: RFC 6455 section 4, the server's side: what a request must have to become a
 * WebSocket, the answer, and who is on the other side (Origin, X-Forwarded-For).
 *
 * Says nothing about who may connect: that is the policy's (auth.lua) and admission's. */
#include "proto/handshake.h"

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <pthread.h>
#include <string.h>

#include "base/check.h"
#include "base/ip.h"

enum { KEY_LENGTH = 24, KEY_DIGITS = 22 };

struct origin {
    struct tw_str scheme, host, port;
};

/* SHA1() looks it up each time, which takes longer than the sum. */
static pthread_once_t sha1_once = PTHREAD_ONCE_INIT;
static EVP_MD *sha1;

static void fetch_sha1(void);
static int refuse(int status, const char **why, const char *text);
static bool is_key(struct tw_str text);
static bool origin_matches(struct tw_str text, const struct origin *origin, struct tw_str entry);
static bool parse_origin(struct tw_str text, struct origin *out);
static struct tw_str default_port(struct tw_str scheme);
static bool host_matches(struct tw_str host, struct tw_str pattern);
static struct tw_str cut_last(struct tw_str *list);
static bool is_trusted(const struct tw_ip *ip, const struct tw_cidr *trusted, size_t count);

void tw_handshake_prepare(void) {
    char key[29];
    tw_handshake_key(TW_STR(""), key);
}

bool tw_handshake_is_wanted(const struct tw_http_request *request) {
    return tw_http_header_lists(request, "upgrade", "websocket");
}

/* The version goes before the key: other versions have other keys. */
int tw_handshake_check(const struct tw_http_request *request, const char **why) {
    if (!tw_str_eq(request->method, TW_STR("GET"))) return refuse(405, why, "method is not GET");
    if (request->minor < 1) return refuse(400, why, "HTTP/1.1 is needed");
    if (!tw_http_header(request, "host").data) return refuse(400, why, "no Host header");
    if (!tw_handshake_is_wanted(request)) {
        return refuse(400, why, "Upgrade does not list websocket");
    }
    if (!tw_http_header_lists(request, "connection", "upgrade")) {
        return refuse(400, why, "Connection does not list upgrade");
    }
    if (request->body.length > 0) return refuse(400, why, "a handshake has no body");
    if (!tw_str_eq(tw_http_header(request, "sec-websocket-version"), TW_STR("13")) ||
        tw_http_header_repeats(request, "sec-websocket-version")) {
        return refuse(426, why, "Sec-WebSocket-Version is not 13");
    }
    if (tw_http_header_repeats(request, "sec-websocket-key")) {
        return refuse(400, why, "more than one Sec-WebSocket-Key");
    }
    if (!is_key(tw_http_header(request, "sec-websocket-key"))) {
        return refuse(400, why, "no good Sec-WebSocket-Key");
    }
    return 0;
}

void tw_handshake_accept(struct tw_buf *out, const struct tw_http_request *request,
                         const char *protocol) {
    static const char answer[] = "HTTP/1.1 101 Switching Protocols\r\n"
                                 "Upgrade: websocket\r\n"
                                 "Connection: Upgrade\r\n"
                                 "Sec-WebSocket-Accept: ";
    char key[29];
    tw_handshake_key(tw_http_header(request, "sec-websocket-key"), key);
    tw_buf_append(out, answer, sizeof answer - 1);
    tw_buf_append(out, key, sizeof key - 1);
    if (protocol) tw_buf_print(out, "\r\nSec-WebSocket-Protocol: %s", protocol);
    tw_buf_append(out, "\r\n\r\n", 4);
}

void tw_handshake_key(struct tw_str key, char out[29]) {
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; /* RFC 6455 1.3 */
    unsigned char text[KEY_LENGTH + sizeof guid], digest[SHA_DIGEST_LENGTH];
    size_t length = key.length < KEY_LENGTH ? key.length : KEY_LENGTH;
    if (length > 0) memcpy(text, key.data, length);
    memcpy(text + length, guid, sizeof guid - 1);
    pthread_once(&sha1_once, fetch_sha1);
    TW_REQUIRE(EVP_Digest(text, length + sizeof guid - 1, digest, NULL, sha1, NULL) == 1);
    EVP_EncodeBlock((unsigned char *)out, digest, SHA_DIGEST_LENGTH);
}

bool tw_handshake_origin_allowed(struct tw_str origin, char *const *allowed, size_t count) {
    if (count == 0 || !origin.data) return true;
    struct origin parsed;
    bool is_parsed = parse_origin(origin, &parsed);
    for (size_t i = 0; i < count; i++) {
        if (origin_matches(origin, is_parsed ? &parsed : NULL, tw_str_of(allowed[i]))) return true;
    }
    return false;
}

/* From the right: each proxy appends the peer it saw, so what trusted proxies wrote is true, and
 * whatever stands left of the first stranger is the stranger's invention. */
struct tw_ip tw_handshake_client_ip(const struct tw_http_request *request, const struct tw_ip *peer,
                                    const struct tw_cidr *trusted, size_t count) {
    struct tw_ip ip = *peer;
    for (size_t i = request->header_count; i-- > 0;) {
        if (!tw_str_eq(request->headers[i].name, TW_STR("x-forwarded-for"))) continue;
        struct tw_str list = request->headers[i].value;
        while (list.data) {
            if (!is_trusted(&ip, trusted, count)) return ip;
            struct tw_ip next;
            if (tw_ip_parse(tw_str_trim(cut_last(&list)), &next) != 0) return ip;
            ip = next;
        }
    }
    return ip;
}

static void fetch_sha1(void) {
    sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
}

static int refuse(int status, const char **why, const char *text) {
    *why = text;
    return status;
}

/* 16 bytes in base64. */
static bool is_key(struct tw_str text) {
    if (text.length != KEY_LENGTH || memcmp(text.data + KEY_DIGITS, "==", 2) != 0) return false;
    for (size_t i = 0; i < KEY_DIGITS; i++) {
        char c = text.data[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!is_letter && !(c >= '0' && c <= '9') && c != '+' && c != '/') return false;
    }
    return true;
}

/* `origin`: `text` in parts, or NULL if it has none ("null", of a sandboxed page). */
static bool origin_matches(struct tw_str text, const struct origin *origin, struct tw_str entry) {
    struct origin wanted;
    if (!origin || !parse_origin(entry, &wanted)) return tw_str_eq_nocase(text, entry);
    return tw_str_eq_nocase(origin->scheme, wanted.scheme) &&
           tw_str_eq(origin->port, wanted.port) && host_matches(origin->host, wanted.host);
}

/* scheme "://" host [":" port], and nothing else: a path or a user would hide the host. */
static bool parse_origin(struct tw_str text, struct origin *out) {
    struct tw_str host = text;
    out->scheme = tw_str_cut(&host, ':');
    if (out->scheme.length == 0 || !tw_str_starts(host, TW_STR("//"))) return false;
    host = (struct tw_str){host.data + 2, host.length - 2};
    for (size_t i = 0; i < host.length; i++) {
        if (strchr("/\\?#@ \t,", host.data[i])) return false;
    }
    out->port = default_port(out->scheme);
    for (size_t i = host.length; i-- > 0 && host.data[i] != ']';) {
        if (host.data[i] != ':') continue;
        out->port = (struct tw_str){host.data + i + 1, host.length - i - 1};
        host.length = i;
        break;
    }
    out->host = host;
    return host.length > 0;
}

static struct tw_str default_port(struct tw_str scheme) {
    if (tw_str_eq_nocase(scheme, TW_STR("http"))) return TW_STR("80");
    if (tw_str_eq_nocase(scheme, TW_STR("https"))) return TW_STR("443");
    return TW_STR("");
}

/* "*.example.com" is every host below example.com, at any depth, but not example.com itself. */
static bool host_matches(struct tw_str host, struct tw_str pattern) {
    if (!tw_str_starts(pattern, TW_STR("*."))) return tw_str_eq_nocase(host, pattern);
    struct tw_str tail = {pattern.data + 1, pattern.length - 1};
    if (host.length <= tail.length) return false;
    struct tw_str end = {host.data + (host.length - tail.length), tail.length};
    return tw_str_eq_nocase(end, tail);
}

/* The last of the comma-separated values; at the front `list->data` becomes NULL. */
static struct tw_str cut_last(struct tw_str *list) {
    size_t at = list->length;
    while (at > 0 && list->data[at - 1] != ',')
        at--;
    struct tw_str last = {list->data + at, list->length - at};
    *list = at > 0 ? (struct tw_str){list->data, at - 1} : (struct tw_str){NULL, 0};
    return last;
}

static bool is_trusted(const struct tw_ip *ip, const struct tw_cidr *trusted, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (tw_cidr_has(&trusted[i], ip)) return true;
    }
    return false;
}
