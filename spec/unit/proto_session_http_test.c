/* The HTTP part of a session's life: requests, responses, bodies from a source, deadlines. */
#include "proto_session_support.h"

/* --- requests and responses --- */

static void answers_a_request_split_anywhere(void **state) {
    const char text[] = "POST /a?b HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc";
    (void)state;
    begin(1, market(), 64);
    for (size_t split = 0; split < sizeof text; split++) {
        struct wire wire;
        dial(&wire, 0);
        assert_true(tw_session_is_idle(wire.session));
        say_bytes(&wire, text, split);
        if (split > 0 && split < sizeof text - 1) {
            assert_false(tw_session_is_idle(wire.session));
            assert_int_equal(wire.length, 0);
        }
        say_bytes(&wire, text + split, sizeof text - 1 - split);
        assert_got(&wire, HELLO);
        assert_true(tw_session_is_idle(wire.session));
        hang_up(&wire);
    }
    finish();
}

static void answers_pipelined_requests_in_their_order(void **state) {
    struct wire wire;
    (void)state;
    begin(1, market(), 64);
    dial(&wire, 0);
    say(&wire, GET "HEAD /b HTTP/1.1\r\nHost: h\r\n\r\nGET /c HTTP/1.0\r\n\r\nGET /d HTTP/1.1\r\n");
    assert_string_equal(served.paths, "/a /b /c ");
    assert_got(&wire,
               HELLO "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\n"
                     "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n"
                     "Connection: close\r\n\r\nhello");
    assert_true(wire.is_shut); /* 1.0 is the last one; the rest is thrown away */
    assert_int_equal(wire.session->state, TW_SESSION_LINGER);
    say(&wire, GET);
    assert_int_equal(served.requests, 3);
    hang_up(&wire);
    finish();
}

static void reads_no_further_while_a_request_is_unanswered(void **state) {
    struct wire wire;
    (void)state;
    begin(1, market(), 64);
    served.is_late = true;
    dial(&wire, 0);
    say(&wire, GET "GET /b HTTP/1.1\r\nHost: h\r\n\r\nGET /c");
    assert_string_equal(served.paths, "/a ");
    assert_false(wire.is_reading);
    answer(wire.session);
    assert_got(&wire, HELLO);
    assert_string_equal(served.paths, "/a /b ");
    assert_false(wire.is_reading);
    answer(wire.session);
    answer(wire.session); /* there is no request for this one */
    assert_got(&wire, HELLO);
    assert_true(wire.is_reading);
    say(&wire, " HTTP/1.1\r\nHost: h\r\n\r\n");
    answer(wire.session);
    assert_got(&wire, HELLO);
    assert_string_equal(served.paths, "/a /b /c ");
    hang_up(&wire);
    assert_int_equal(served.gone, 0);
    finish();
}

static void an_answer_may_take_longer_than_any_deadline(void **state) {
    struct wire wire;
    (void)state;
    begin(1, market(), 64);
    served.is_late = true;
    dial(&wire, 0);
    say(&wire, GET);
    pass(&world, 10 * TIMEOUT_MS);
    assert_false(wire.is_closed);
    touch(&wire);
    answer(wire.session);
    assert_got(&wire, HELLO);
    pass(&world, TIMEOUT_MS - 1);
    assert_false(wire.is_closed);
    pass(&world, 1); /* for the next request it does not wait so long */
    bury(&wire);
    assert_int_equal(served.gone, 0);
    finish();
}

static void tells_the_service_when_nobody_waits_any_more(void **state) {
    struct wire wire;
    (void)state;
    begin(1, market(), 64);
    served.is_late = true;
    dial(&wire, 0);
    say(&wire, GET);
    tw_session_abort(wire.session);
    tw_session_abort(wire.session);
    assert_int_equal(served.gone, 1);
    answer(wire.session);
    assert_int_equal(wire.writes, 0);
    bury(&wire);
    finish();
}

static void a_half_close_is_answered_all_the_same(void **state) {
    struct wire wire;
    (void)state;
    begin(1, market(), 64);
    served.is_late = true;
    dial(&wire, 0);
    say(&wire, "GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    say_eof(&wire);
    assert_false(wire.is_closed);
    answer(wire.session);
    assert_true(wire.is_shut);
    assert_non_null(strstr(wire.got, "\r\n\r\nhello"));
    hang_up(&wire);
    finish();
}

static void what_it_cannot_read_is_refused_and_the_rest_not_looked_at(void **state) {
    struct wire wire;
    (void)state;
    begin(1, market(), 64);
    dial(&wire, 0);
    say(&wire, "nonsense\r\n\r\n" GET);
    assert_starts(wire.got, "HTTP/1.1 400 ");
    assert_non_null(strstr(wire.got, "\r\nConnection: close\r\n"));
    assert_int_equal(served.requests, 0);
    assert_true(wire.is_shut && wire.is_reading && !wire.is_closed);
    say(&wire, GET);
    pass(&world, CLOSE_MS); /* the peer does not hang up */
    bury(&wire);
    finish();
}

static void waits_for_a_request_only_so_long_however_it_dribbles(void **state) {
    struct wire wire;
    (void)state;
    begin(1, market(), 64);
    dial(&wire, 0);
    for (int i = 0; i < 9; i++) {
        say_bytes(&wire, &GET[i], 1);
        pass(&world, TIMEOUT_MS / 10);
        assert_false(wire.is_closed);
    }
    pass(&world, TIMEOUT_MS / 10);
    bury(&wire);
    finish();
}

static void a_keep_alive_connection_ends_with_its_answer_in_a_drain(void **state) {
    struct wire wire;
    (void)state;
    begin(1, market(), 64);
    served.is_late = true;
    dial(&wire, 0);
    say(&wire, GET);
    wire.room = 10;
    answer(wire.session); /* composed before, written after */
    world.hub[0].is_draining = true;
    give_room(&wire, SIZE_MAX);
    assert_got(&wire, HELLO);
    assert_true(wire.is_shut);
    hang_up(&wire);
    dial(&wire, 0);
    served.is_late = false;
    say(&wire, GET);
    assert_non_null(strstr(wire.got, "\r\nConnection: close\r\n"));
    assert_true(wire.is_shut);
    hang_up(&wire);
    finish();
}

static void a_broken_connection_ends_at_the_write(void **state) {
    struct wire wire;
    (void)state;
    begin(1, market(), 64);
    dial(&wire, 0);
    wire.is_broken = true;
    say(&wire, GET GET);
    assert_int_equal(served.requests, 1);
    assert_int_equal(served.gone, 0); /* it was answered */
    bury(&wire);
    open_socket(&wire, 0);
    wire.is_broken = true;
    say_frame(&wire, TW_OP_PING, "", 0);
    bury(&wire);
    finish();
}

/* --- bodies from a source --- */

/* A body that the service gives from a source. */
static struct {
    uint64_t given, breaks_at;
    unsigned reads, closes;
} source;

static int64_t read_source(void *data, void *bytes, size_t size) {
    (void)data;
    source.reads++;
    if (source.breaks_at && source.given + size > source.breaks_at)
        size = source.breaks_at - source.given;
    memset(bytes, 'x', size);
    source.given += size;
    return (int64_t)size;
}

static void close_source(void *data) {
    (void)data;
    source.closes++;
}

static void answer_from(struct tw_session *session, uint64_t length) {
    tw_session_respond_from(
        session, &(struct tw_http_response){.status = 200},
        &(struct tw_http_source){.read = read_source, .close = close_source, .length = length});
}

static void a_large_body_is_never_in_memory_whole(void **state) {
    enum { SIZE = 10000000 };
    struct wire wire;
    char head[64];
    (void)state;
    begin(1, market(), 64);
    memset(&source, 0, sizeof source);
    served.is_late = true;
    dial(&wire, 0);
    wire.room = 1000;
    say(&wire, GET GET);
    answer_from(wire.session, SIZE);
    size_t total = 0, most = 0;
    while (served.requests < 2) {
        most = wire.session->http->out.capacity > most ? wire.session->http->out.capacity : most;
        total += wire.length;
        if (total == wire.length)
            assert_non_null(strstr(wire.got, "\r\nContent-Length: 10000000\r\n"));
        forget(&wire);
        give_room(&wire, 20000);
    }
    total += wire.length;
    snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", SIZE);
    assert_int_equal(total, SIZE + strlen(head));
    assert_true(most < 200000);
    assert_int_equal(source.given, SIZE);
    assert_int_equal(source.closes, 1);
    give_room(&wire, SIZE_MAX);
    forget(&wire);
    answer(wire.session); /* and the next request has its own */
    assert_got(&wire, HELLO);
    hang_up(&wire);
    assert_int_equal(source.closes, 1);
    finish();
}

static void who_reads_slowly_is_waited_for_as_long_as_he_reads(void **state) {
    struct wire wire;
    (void)state;
    begin(1, market(), 64);
    memset(&source, 0, sizeof source);
    served.is_late = true;
    dial(&wire, 0);
    say(&wire, GET);
    wire.room = 10;
    answer_from(wire.session, 300000);
    for (int i = 0; i < 30; i++) {
        pass(&world, TIMEOUT_MS - 1);
        assert_false(wire.is_closed);
        give_room(&wire, 5000);
    }
    pass(&world, TIMEOUT_MS);
    bury(&wire);
    assert_int_equal(source.closes, 1);
    assert_int_equal(served.gone, 0);
    finish();
}

static void a_source_that_breaks_off_breaks_the_connection_off(void **state) {
    struct wire wire;
    (void)state;
    begin(1, market(), 64);
    memset(&source, 0, sizeof source);
    served.is_late = true;
    source.breaks_at = 100000;
    dial(&wire, 0);
    say(&wire, GET);
    answer_from(wire.session, 200000);
    assert_int_equal(source.given, 100000);
    assert_true(wire.is_closed && !wire.is_shut);
    bury(&wire);
    assert_int_equal(source.closes, 1);
    finish();
}

static void a_source_is_closed_also_when_it_is_not_read(void **state) {
    struct wire wire;
    (void)state;
    begin(1, market(), 64);
    memset(&source, 0, sizeof source);
    served.is_late = true;
    dial(&wire, 0);
    say(&wire, "HEAD /a HTTP/1.1\r\nHost: h\r\n\r\n");
    answer_from(wire.session, 5000000000);
    assert_got(&wire, "HTTP/1.1 200 OK\r\nContent-Length: 5000000000\r\n\r\n");
    assert_int_equal(source.closes, 1);
    answer_from(wire.session, 1); /* no request */
    assert_int_equal(source.closes, 2);
    tw_session_abort(wire.session);
    answer_from(wire.session, 1); /* no connection */
    assert_int_equal(source.closes, 3);
    assert_int_equal(source.reads, 0);
    bury(&wire);
    finish();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_a_request_split_anywhere),
        cmocka_unit_test(answers_pipelined_requests_in_their_order),
        cmocka_unit_test(reads_no_further_while_a_request_is_unanswered),
        cmocka_unit_test(an_answer_may_take_longer_than_any_deadline),
        cmocka_unit_test(tells_the_service_when_nobody_waits_any_more),
        cmocka_unit_test(a_half_close_is_answered_all_the_same),
        cmocka_unit_test(what_it_cannot_read_is_refused_and_the_rest_not_looked_at),
        cmocka_unit_test(waits_for_a_request_only_so_long_however_it_dribbles),
        cmocka_unit_test(a_keep_alive_connection_ends_with_its_answer_in_a_drain),
        cmocka_unit_test(a_broken_connection_ends_at_the_write),
        cmocka_unit_test(a_large_body_is_never_in_memory_whole),
        cmocka_unit_test(who_reads_slowly_is_waited_for_as_long_as_he_reads),
        cmocka_unit_test(a_source_that_breaks_off_breaks_the_connection_off),
        cmocka_unit_test(a_source_is_closed_also_when_it_is_not_read),
    };
    return cmocka_run_group_tests(tests, NULL, no_failed_checks);
}
