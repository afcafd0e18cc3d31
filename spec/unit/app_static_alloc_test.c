/* HTTP when memory runs out: of what one connection asks for, the first allocation that may fail
 * fails, then the second one, and so on until all goes well. Each time the answer is the right one,
 * 503, or the connection breaks off; the sanitizer looks for what is left. */
#include "proto_session_support.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/static.h"

enum { BIG = 200000, MOST = 100 };

static struct tw_worker worker;
static char folder[] = "/tmp/tidewire-alloc-XXXXXX";

static void write_file(const char *path, size_t length) {
    char *name = tw_format("%s/%s", folder, path);
    FILE *file = fopen(name, "w");
    assert_non_null(file);
    for (size_t i = 0; i < length; i++)
        fputc('a' + (int)(i % 26), file);
    assert_int_equal(fclose(file), 0);
    tw_free(name);
}

static void remove_file(const char *path) {
    char *name = tw_format("%s/%s", folder, path);
    assert_int_equal(remove(name), 0);
    tw_free(name);
}

/* Says `text`, split in two, to a peer that takes 1000 bytes at a time. */
static void talk(struct wire *wire, const char *text) {
    size_t half = strlen(text) / 2;
    dial(wire, 0);
    wire->room = 1000;
    say_bytes(wire, text, half);
    if (!wire->is_closed) say(wire, text + half);
    for (int i = 0; i < BIG && !wire->is_closed && wire->session->client.is_blocked; i++)
        give_room(wire, 1000);
}

/* Does what was got begin as the answer when all goes well does, or with a 503, or is it nothing?
 */
static void check_answer(const struct wire *wire, const char *answer, size_t length) {
    bool is_beginning = wire->length <= length && memcmp(wire->got, answer, wire->length) == 0;
    if (is_beginning && (wire->length == length || wire->is_closed)) return;
    const char *last = wire->got;
    for (const char *p = last; (p = strstr(p, "HTTP/1.1 ")); p++)
        last = p;
    assert_starts(last, "HTTP/1.1 503 ");
    assert_memory_equal(wire->got, answer, (size_t)(last - wire->got));
    assert_true(wire->is_shut || wire->is_closed);
}

static void each_failure(const char *text) {
    struct wire good, wire;
    talk(&good, text);
    assert_true(good.length > 0);
    for (long n = 1; n < MOST; n++) {
        tw_mem_fail_after(n);
        talk(&wire, text);
        long left = tw_mem_fail_after(-1);
        if (left > 0) assert_int_equal(wire.length, good.length);
        check_answer(&wire, good.got, good.length);
        tw_session_abort(wire.session);
        bury(&wire);
        if (left == 0) continue;
        tw_session_abort(good.session);
        bury(&good);
        return;
    }
    fail_msg("it never got through");
}

#define ASK(method, path) method " " path " HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"

static void files_are_served_or_refused(void **state) {
    (void)state;
    struct tw_generation *generation = market();
    generation->public_dir = tw_format("%s", folder);
    begin(1, generation, 100);
    worker.hub.generation = world.hub[0].generation;
    struct tw_http_service files = tw_static_service(&worker);
    configs[0].service = &files;
    each_failure(ASK("GET", "/"));
    each_failure(ASK("GET", "/docs"));
    each_failure(ASK("GET", "/docs/"));
    each_failure(ASK("GET", "/%62ig?x=1"));
    each_failure(ASK("HEAD", "/big"));
    each_failure(ASK("GET", "/nowhere"));
    each_failure(ASK("GET", "/docs/../big"));
    each_failure(ASK("DELETE", "/big"));
    each_failure(
        "GET / HTTP/1.1\r\nHost: h\r\n\r\nGET /big HTTP/1.1\r\nHost: h\r\n\r\n" ASK("GET", "/"));
    finish();
}

static void requests_with_a_body_are_read_or_refused(void **state) {
    (void)state;
    begin(1, market(), 100);
    each_failure("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n"
                 "1234567890123456789012345678901234567890123456789012345678901234567890123456789"
                 "012345678901234567890" ASK("GET", "/b"));
    each_failure("POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                 "5\r\n12345\r\n3\r\nabc\r\n0\r\nTrailer: 1\r\n\r\n" ASK("GET", "/b"));
    finish();
}

static void requests_behind_an_unanswered_one_are_kept_or_refused(void **state) {
    (void)state;
    for (long n = 1; n < MOST; n++) {
        struct wire wire;
        begin(1, market(), 100);
        served.is_late = true;
        tw_mem_fail_after(n);
        talk(&wire, GET ASK("GET", "/b"));
        if (!wire.is_closed && served.requests == 1) answer(wire.session);
        if (!wire.is_closed && served.requests == 2) answer(wire.session);
        long left = tw_mem_fail_after(-1);
        if (left > 0) assert_int_equal(served.requests, 2);
        tw_session_abort(wire.session);
        bury(&wire);
        finish();
        if (left > 0) return;
    }
    fail_msg("it never got through");
}

static int set_up(void **state) {
    (void)state;
    if (!mkdtemp(folder)) return -1;
    char *docs = tw_format("%s/docs", folder);
    int status = mkdir(docs, 0700);
    tw_free(docs);
    write_file("index.html", 10);
    write_file("docs/index.html", 20);
    write_file("big", BIG);
    return status;
}

static int tear_down(void **state) {
    (void)state;
    remove_file("docs/index.html");
    remove_file("docs");
    remove_file("index.html");
    remove_file("big");
    return rmdir(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_served_or_refused),
        cmocka_unit_test(requests_with_a_body_are_read_or_refused),
        cmocka_unit_test(requests_behind_an_unanswered_one_are_kept_or_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
