/* http.c: requests and handshakes, whole and in pieces: proto/http, proto/handshake.
 *
 * Input: limits, cuts, then the bytes of a connection. What they are read as is written down as a
 * text, which must be the same however they are cut. */
#include "fuzz.h"
#include "proto/handshake.h"

enum { MOST_PAIRS = 16 };

static void print_str(struct tw_buf *out, const char *name, struct tw_str text) {
    tw_buf_print(out, "%s %s ", name, text.data ? "=" : "none");
    tw_buf_append(out, text.data, text.length);
    tw_buf_print(out, "\n");
}

static void print_pairs(struct tw_buf *out, const char *name, const struct tw_pair *pairs,
                        size_t count) {
    for (size_t i = 0; i < count; i++) {
        FUZZ_ASSERT(pairs[i].name.length > 0);
        print_str(out, name, pairs[i].name);
        print_str(out, "  ", pairs[i].value);
    }
}

static bool ends_with(struct tw_str text, struct tw_str end) {
    if (text.length < end.length) return false;
    struct tw_str tail = {text.data + text.length - end.length, end.length};
    return tw_str_eq_nocase(tail, end);
}

/* Whatever is allowed must be an origin of ours, by the plainest look at it. */
static bool is_ours(struct tw_str origin) {
    for (size_t i = strlen("https://"); i < origin.length; i++)
        if (strchr("/\\?#@ \t,", origin.data[i])) return false;
    return ends_with(origin, TW_STR(".example.com")) ||
           ends_with(origin, TW_STR(".example.com:443"));
}

static void print_origin(struct tw_buf *out, const struct tw_http_request *request) {
    static char wild[] = "https://*.example.com", local[] = "http://localhost:3000";
    char *const allowed[] = {wild, local};
    struct tw_str origin = tw_http_header(request, "origin");
    bool is_allowed = tw_handshake_origin_allowed(origin, allowed, 2);
    FUZZ_ASSERT(!is_allowed || !origin.data || tw_str_eq_nocase(origin, tw_str_of(local)) ||
                is_ours(origin));
    tw_buf_print(out, "origin %d\n", is_allowed);
}

static void print_address(struct tw_buf *out, const struct tw_http_request *request) {
    char text[TW_IP_TEXT_SIZE];
    struct tw_ip peer;
    struct tw_cidr trusted[2];
    FUZZ_ASSERT(tw_ip_parse(TW_STR("10.0.0.1"), &peer) == 0);
    FUZZ_ASSERT(tw_cidr_parse(TW_STR("10.0.0.0/8"), &trusted[0]) == 0);
    FUZZ_ASSERT(tw_cidr_parse(TW_STR("::/0"), &trusted[1]) == 0);
    struct tw_ip ip = tw_handshake_client_ip(request, &peer, trusted, 2), again;
    tw_ip_format(&ip, text);
    FUZZ_ASSERT(tw_ip_parse(tw_str_of(text), &again) == 0 && tw_ip_eq(&ip, &again));
    tw_buf_print(out, "ip %s\n", text);
}

static void print_handshake(struct tw_buf *out, const struct tw_http_request *request) {
    const char *why = "";
    int status = tw_handshake_check(request, &why);
    FUZZ_ASSERT(status == 0 || status == 400 || status == 405 || status == 426);
    FUZZ_ASSERT(status == 0 || *why);
    tw_buf_print(out, "handshake %d %s\n", status, why);
    if (status != 0) return;
    FUZZ_ASSERT(request->is_upgrade && request->body.length == 0 && request->minor > 0);
    tw_handshake_accept(out, request, "tidewire.v1");
}

static void check_request(const struct tw_http_request *request, struct tw_http_limits limits) {
    FUZZ_ASSERT(request->path.length > 0 && request->path.data[0] == '/');
    FUZZ_ASSERT(!memchr(request->path.data, 0, request->path.length));
    FUZZ_ASSERT(request->method.length > 0 && request->target.length > 0);
    FUZZ_ASSERT(request->header_count <= TW_HTTP_MAX_HEADERS);
    FUZZ_ASSERT(request->body.length <= limits.body_size);
    FUZZ_ASSERT(!request->keep_alive || request->minor > 0);
    FUZZ_ASSERT(!tw_http_header_repeats(request, "host") &&
                !tw_http_header_repeats(request, "content-length"));
    FUZZ_ASSERT(!tw_http_header(request, "content-length").data ||
                !tw_http_header(request, "transfer-encoding").data);
    for (size_t i = 0; i < request->header_count; i++) {
        struct tw_str name = request->headers[i].name, value = request->headers[i].value;
        FUZZ_ASSERT(name.length > 0);
        for (size_t j = 0; j < name.length; j++)
            FUZZ_ASSERT(name.data[j] > ' ' && !(name.data[j] >= 'A' && name.data[j] <= 'Z') &&
                        name.data[j] != ':');
        for (size_t j = 0; j < value.length; j++)
            FUZZ_ASSERT(value.data[j] != '\r' && value.data[j] != '\n' && value.data[j] != 0);
    }
}

static void print_request(struct tw_buf *out, const struct tw_http_request *request) {
    struct tw_pair pairs[MOST_PAIRS];
    struct tw_buf scratch = {0};
    tw_buf_print(out, "request minor=%d keep_alive=%d upgrade=%d\n", request->minor,
                 request->keep_alive, request->is_upgrade);
    print_str(out, "method", request->method);
    print_str(out, "target", request->target);
    print_str(out, "path", request->path);
    print_str(out, "query", request->query);
    print_pairs(out, "header", request->headers, request->header_count);
    print_str(out, "body", request->body);
    size_t count = tw_http_parse_query(request->query, pairs, MOST_PAIRS, &scratch);
    print_pairs(out, "argument", pairs, count);
    count = tw_http_parse_cookies(tw_http_header(request, "cookie"), pairs, MOST_PAIRS);
    print_pairs(out, "cookie", pairs, count);
    print_origin(out, request);
    print_address(out, request);
    print_handshake(out, request);
    tw_buf_deinit(&scratch);
}

/* A failed reader says the same again, and takes nothing. */
static void print_failure(struct tw_buf *out, struct tw_http_reader *reader, int status,
                          const char *why) {
    static const int known[] = {400, 413, 431, 501, 503, 505};
    struct tw_http_request request;
    const char *again = NULL;
    bool is_known = false;
    size_t used;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        is_known = is_known || status == known[i];
    FUZZ_ASSERT(is_known && why && *why);
    FUZZ_ASSERT(tw_http_reader_feed(reader, "GET", 3, &used, &request, &again) == status);
    FUZZ_ASSERT(again == why && used == 0);
    tw_buf_print(out, "failed %d %s\n", status, why);
}

/* All requests on the connection, one behind the other. */
static struct tw_buf read_all(struct tw_http_limits limits, struct tw_str bytes,
                              struct fuzz_cuts cuts) {
    struct tw_buf out = {0};
    struct tw_http_reader *reader = tw_http_reader_new(limits);
    int status = TW_EAGAIN;
    while (bytes.length > 0 && status <= 0) {
        size_t length, used;
        const char *why = NULL;
        struct tw_http_request request;
        struct tw_str rest = bytes;
        char *piece = fuzz_cut(&cuts, &rest, &length);
        status = tw_http_reader_feed(reader, piece, length, &used, &request, &why);
        tw_free(piece);
        FUZZ_ASSERT(used <= length && (status != TW_EAGAIN || used == length));
        bytes = (struct tw_str){bytes.data + used, bytes.length - used};
        if (status == 0) {
            check_request(&request, limits);
            print_request(&out, &request);
            tw_http_reader_reset(reader);
            FUZZ_ASSERT(!tw_http_reader_has_begun(reader));
        } else if (status > 0) {
            print_failure(&out, reader, status, why);
        } else {
            FUZZ_ASSERT(status == TW_EAGAIN);
        }
    }
    tw_buf_print(&out, "begun %d\n", status <= 0 && tw_http_reader_has_begun(reader));
    tw_http_reader_free(reader);
    return out;
}

static void must_be_same(struct tw_buf *a, struct tw_buf b) {
    FUZZ_ASSERT(a->length == b.length && memcmp(a->data, b.data, a->length) == 0);
    tw_buf_deinit(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const size_t heads[] = {256, 64, 1024, 8192}, bodies[] = {0, 16, 300, 65536};
    struct fuzz_input input = {data, data + size};
    fuzz_begin();
    uint8_t choice = fuzz_byte(&input);
    struct tw_http_limits limits = {heads[choice & 3], bodies[choice >> 2 & 3]};
    struct fuzz_cuts cuts = fuzz_cuts_from(&input);
    struct tw_str bytes = fuzz_bytes(&input, SIZE_MAX);
    struct tw_buf whole = read_all(limits, bytes, fuzz_whole);
    must_be_same(&whole, read_all(limits, bytes, cuts));
    must_be_same(&whole, read_all(limits, bytes, fuzz_single_bytes));
    tw_buf_deinit(&whole);
    if (choice & 0x80) { /* the first allocations fail in turn */
        tw_mem_fail_after(1 + (choice >> 4 & 7));
        whole = read_all(limits, bytes, cuts);
        tw_mem_fail_after(-1);
        tw_buf_deinit(&whole);
    }
    return fuzz_end();
}
