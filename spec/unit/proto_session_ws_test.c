/* The WebSocket part of a session's life: the handshake, pausing, heartbeat, closing. */
#include "proto_session_support.h"

/* --- the handshake --- */

static void opens_and_what_came_behind_the_handshake_counts(void **state) {
    struct wire wire;
    (void)state;
    begin(4, market(), 64);
    for (unsigned worker = 0; worker < 4; worker++) {
        dial(&wire, worker);
        say_bytes(&wire, BYTES(GET HANDSHAKE "\x81\x83" MASK "[1]\x81\x83" MASK "[2]"));
        assert_int_equal(wire.session->state, TW_SESSION_ASKING);
        assert_false(wire.is_reading);
        settle(&world);
        assert_true(wire.is_reading);
        assert_non_null(strstr(wire.got, HELLO "HTTP/1.1 101 "));
        assert_string_equal(wire.got + wire.length - 10, "\x81\x03[1]\x81\x03[2]");
        assert_int_equal(tw_admission_count(&world.hubs.admission), 1);
        hang_up(&wire);
    }
    finish();
}

static void an_answer_of_the_home_that_is_late_is_a_refusal(void **state) {
    (void)state;
    for (int close = 0; close <= 1; close++) {
        struct tw_generation *generation = market();
        struct wire wire;
        generation->settings.reject_with_close = close;
        begin(2, generation, 64);
        dial(&wire, elsewhere());
        world.is_asleep[home_of(&world, "market")] = true;
        say(&wire, HANDSHAKE);
        pass(&world, TIMEOUT_MS - 1);
        assert_int_equal(wire.length, 0);
        pass(&world, 1);
        assert_int_equal(tw_admission_count(&world.hubs.admission), 0);
        if (close) {
            assert_starts(wire.got, "HTTP/1.1 101 ");
            assert_non_null(memmem(wire.got, wire.length, BYTES("\x88\x13\x03\xf5no answer in")));
            say_frame(&wire, TW_OP_CLOSE, "\x03\xf5", 2);
            settle(&world);
        } else {
            assert_starts(wire.got, "HTTP/1.1 503 ");
            assert_non_null(strstr(wire.got, "\r\nRetry-After: 5\r\n"));
            assert_non_null(strstr(wire.got, "\r\n\r\n{\"error\":\"no answer in time\"}"));
        }
        assert_true(wire.is_shut);
        world.is_asleep[home_of(&world, "market")] = false;
        world.is_woken[home_of(&world, "market")] = true;
        forget(&wire);
        pass(&world, 1); /* now it comes */
        assert_int_equal(wire.length, 0);
        hang_up(&wire);
        finish();
    }
}

static void who_is_closed_before_the_answer_hears_why_by_http(void **state) {
    static const struct {
        unsigned code;
        const char *status;
    } cases[] = {{1001, "503 "}, {4403, "403 "}, {4401, "401 "},
                 {4404, "404 "}, {4429, "429 "}, {1011, "503 "}};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct wire wire;
        begin(2, market(), 64);
        dial(&wire, elsewhere());
        world.is_asleep[home_of(&world, "market")] = true;
        say(&wire, HANDSHAKE);
        tw_session_close(&wire.session->client, cases[i].code, "because", false);
        assert_memory_equal(wire.got + 9, cases[i].status, 4);
        assert_non_null(strstr(wire.got, "\r\n\r\n{\"error\":\"because\"}"));
        bool has_retry = strstr(wire.got, "\r\nRetry-After: ") != NULL;
        assert_int_equal(has_retry, cases[i].status[0] == '5');
        hang_up(&wire);
        finish();
    }
}

static void who_leaves_before_the_answer_leaves_nothing(void **state) {
    struct wire wire;
    (void)state;
    begin(2, market(), 64);
    dial(&wire, elsewhere());
    world.is_asleep[home_of(&world, "market")] = true;
    say(&wire, HANDSHAKE);
    say_bytes(&wire, BYTES("\x81\x83" MASK "[1]"));
    say_eof(&wire);
    bury(&wire);
    world.is_asleep[home_of(&world, "market")] = false;
    world.is_woken[home_of(&world, "market")] = true;
    settle(&world);
    assert_int_equal(STAT(&world, published), 0);
    assert_int_equal(channel_of(&world, "market")->subscribers, 0);
    finish();
}

static void a_drain_refuses_with_503(void **state) {
    struct wire early, late;
    (void)state;
    begin(2, market(), 64);
    unsigned home = home_of(&world, "market");
    dial(&early, elsewhere());
    dial(&late, elsewhere());
    world.is_asleep[home] = true;
    say(&early, HANDSHAKE);
    hub_of(&late)->is_draining = true;
    say(&late, HANDSHAKE);
    world.is_asleep[home] = false;
    world.is_woken[home] = true;
    settle(&world);
    for (struct wire *wire = &early; wire; wire = wire == &early ? &late : NULL) {
        assert_starts(wire->got, "HTTP/1.1 503 ");
        assert_non_null(strstr(wire->got, "\r\nRetry-After: 5\r\n"));
        assert_true(wire->is_shut);
        hang_up(wire);
    }
    finish();
}

/* --- pausing --- */

static void who_publishes_faster_than_the_home_works_is_paused(void **state) {
    enum { COUNT = 40, BOUND = 4 };
    struct wire wire;
    struct tw_buf frames = {0}, expected = {0};
    (void)state;
    begin(2, market(), BOUND);
    unsigned home = home_of(&world, "market");
    open_socket(&wire, elsewhere());
    for (int i = 0; i < COUNT; i++) {
        tw_buf_append(&frames, BYTES("\x81\x84" MASK));
        tw_buf_print(&frames, "[%02d]", i + 10);
        tw_buf_print(&expected, "\x81\x04[%02d]", i + 10);
    }
    world.is_asleep[home] = true;
    say_bytes(&wire, frames.data, frames.length / 2);
    assert_false(wire.is_reading);
    size_t kept = wire.session->input->length;
    assert_true(kept > 0);
    pass(&world, 100);
    assert_false(wire.is_reading);
    assert_int_equal(wire.session->input->length, kept);
    /* A read that was under way already is kept, in its order. */
    say_bytes(&wire, frames.data + frames.length / 2, frames.length - frames.length / 2);
    assert_false(wire.is_reading);
    world.is_asleep[home] = false;
    world.is_woken[home] = true;
    settle(&world);
    assert_true(wire.is_reading);
    assert_null(wire.session->input);
    assert_int_equal(wire.length, expected.length);
    assert_memory_equal(wire.got, expected.data, expected.length);
    hang_up(&wire);
    tw_buf_deinit(&frames);
    tw_buf_deinit(&expected);
    finish();
}

static struct tw_generation *with_heartbeat(void) {
    struct tw_generation *generation = market();
    generation->settings.heartbeat_interval_ms = 1000;
    generation->settings.heartbeat_timeout_ms = 500;
    return generation;
}

static void who_is_paused_is_not_taken_for_silent(void **state) {
    struct wire wire;
    (void)state;
    begin(2, with_heartbeat(), 4);
    unsigned home = home_of(&world, "market");
    open_socket(&wire, elsewhere());
    pass(&world, 1200); /* a ping is out already */
    assert_got(&wire, "\x89\0");
    world.is_asleep[home] = true;
    for (int i = 0; i < 8; i++)
        say_frame(&wire, TW_OP_TEXT, "1", 1);
    assert_false(wire.is_reading);
    pass(&world, 20000);
    assert_int_equal(wire.session->state, TW_SESSION_OPEN);
    world.is_asleep[home] = false;
    world.is_woken[home] = true;
    settle(&world);
    assert_true(wire.is_reading);
    pass(&world, 499);
    assert_int_equal(wire.session->state, TW_SESSION_OPEN);
    pass(&world, 2000); /* and now it is silent indeed */
    assert_int_equal(wire.session->state, TW_SESSION_CLOSING);
    pass(&world, CLOSE_MS);
    bury(&wire);
    finish();
}

/* --- heartbeat --- */

static void asks_who_is_idle_and_ends_who_is_silent(void **state) {
    struct wire wire;
    (void)state;
    begin(1, with_heartbeat(), 64);
    open_socket(&wire, 0);
    for (int i = 0; i < 3; i++) {
        pass(&world, 999);
        assert_int_equal(wire.length, 0);
        pass(&world, 1);
        assert_got(&wire, "\x89\0");
        pass(&world, 499);
        say_frame(&wire, TW_OP_PONG, "", 0);
    }
    pass(&world, 1500);
    assert_got(&wire, "\x89\0\x88\x13\x11\x38heartbeat timeout");
    assert_false(wire.is_closed);
    pass(&world, CLOSE_MS - 1);
    assert_false(wire.is_closed);
    pass(&world, 1);
    bury(&wire);
    finish();
}

static void a_ping_goes_out_as_there_is_room(void **state) {
    struct wire wire;
    (void)state;
    begin(1, with_heartbeat(), 64);
    open_socket(&wire, 0);
    for (size_t room = 0; room < 2; room++) {
        wire.room = room;
        pass(&world, 1000);
        assert_int_equal(wire.length, room);
        say_frame(&wire, TW_OP_PING, "", 0);
        settle(&world);
        assert_int_equal(wire.length, room);
        give_room(&wire, SIZE_MAX);
        settle(&world);
        assert_got(&wire, "\x89\0\x8a\0");
    }
    /* Half of it is out, and no memory for the rest: nothing could follow. */
    wire.room = 1;
    tw_mem_fail_after(1);
    pass(&world, 1000);
    assert_int_equal(tw_mem_fail_after(-1), 0);
    bury(&wire);
    /* None is out: the next one will do. */
    open_socket(&wire, 0);
    wire.room = 0;
    tw_mem_fail_after(1);
    pass(&world, 1000);
    assert_int_equal(tw_mem_fail_after(-1), 0);
    give_room(&wire, SIZE_MAX);
    pass(&world, 999);
    assert_int_equal(wire.length, 0);
    pass(&world, 1);
    assert_got(&wire, "\x89\0");
    hang_up(&wire);
    finish();
}

static int slow_transform(struct tw_channel *channel, struct tw_identity *client,
                          struct tw_message **message, struct tw_effects *effects) {
    (void)channel, (void)client, (void)message, (void)effects;
    world.now_ms += 100; /* a handler that takes its time */
    return 0;
}

static void who_is_idle_is_not_ended_for_what_handlers_take(void **state) {
    struct wire idle, busy;
    struct tw_generation *generation = with_heartbeat();
    (void)state;
    generation->definitions[0].has_transform = true;
    begin(1, generation, 1000);
    open_socket(&idle, 0);
    open_socket(&busy, 0);
    script.transform = slow_transform;
    /* Every turn takes 2 s. A pong is read between two of them, if it was there in time: the peer
     * needs a millisecond. */
    bool is_pinged = false;
    for (int i = 0; i < 10; i++) {
        for (int n = 0; n < 20; n++)
            say_frame(&busy, TW_OP_TEXT, "1", 1);
        forget(&idle);
        turn(&world, 0);
        is_pinged |= memmem(idle.got, idle.length, "\x89\0", 2) != NULL;
        if (is_pinged && world.now_ms > idle.pinged_ms) {
            say_frame(&idle, TW_OP_PONG, "", 0);
            is_pinged = false;
        }
        assert_int_equal(idle.session->state, TW_SESSION_OPEN);
    }
    script.transform = NULL;
    hang_up(&idle);
    hang_up(&busy);
    finish();
}

/* --- closing --- */

static void their_close_is_echoed_and_our_side_shut_down(void **state) {
    struct wire wire;
    (void)state;
    begin(1, market(), 64);
    open_socket(&wire, 0);
    say_frame(&wire, TW_OP_CLOSE,
              "\x03\xe8"
              "bye",
              5);
    say_frame(&wire, TW_OP_TEXT, "1", 1); /* nothing is heard any more */
    settle(&world);
    assert_got(&wire, "\x88\x05\x03\xe8"
                      "bye");
    assert_true(wire.is_shut);
    assert_int_equal(STAT(&world, published), 0);
    hang_up(&wire);
    finish();
}

static void who_says_goodbye_and_reads_no_more_has_a_deadline(void **state) {
    static const char *const codes[] = {"\x03\xe8", "\x03\xe9"};
    (void)state;
    for (int is_draining = 0; is_draining <= 1; is_draining++)
        for (size_t i = 0; i < COUNT_OF(codes); i++) {
            struct wire wire;
            begin(1, market(), 64);
            open_socket(&wire, 0);
            wire.room = 3;
            say_frame(&wire, TW_OP_TEXT, "[1,2,3]", 7);
            settle(&world);
            assert_true(wire.session->client.is_blocked);
            if (is_draining) world.hub[0].is_draining = true;
            say_frame(&wire, TW_OP_CLOSE, codes[i], 2);
            pass(&world, CLOSE_MS - 1);
            assert_false(wire.is_closed);
            pass(&world, 1);
            bury(&wire);
            finish();
        }
}

static void a_goodbye_waits_for_a_slow_reader_then_for_his_answer(void **state) {
    struct wire wire;
    (void)state;
    begin(1, market(), 64);
    open_socket(&wire, 0);
    wire.room = 3;
    say_frame(&wire, TW_OP_TEXT, "[1,2,3]", 7);
    settle(&world);
    world.hub[0].now_ms = world.now_ms;
    tw_hub_drain(&world.hub[0], 0);
    world.is_woken[0] = true;
    pass(&world, 100 * CLOSE_MS);
    assert_false(wire.is_closed);
    give_room(&wire, SIZE_MAX);
    assert_got(&wire, "\x81\x07[1,2,3]\x88\x16\x03\xe9server is going away");
    pass(&world, CLOSE_MS - 1);
    assert_false(wire.is_closed);
    pass(&world, 1);
    bury(&wire);
    finish();
}

static void our_close_is_answered_or_not(void **state) {
    struct wire wire;
    (void)state;
    begin(1, market(), 64);
    open_socket(&wire, 0);
    tw_session_close(&wire.session->client, 4403, "go", true);
    tw_session_close(&wire.session->client, 4404, "again", true); /* said once */
    world.is_woken[0] = true;
    settle(&world);
    assert_got(&wire, "\x88\x04\x11\x33go");
    say_frame(&wire, TW_OP_TEXT, "1", 1);
    say_frame(&wire, TW_OP_CLOSE, "\x11\x33", 2);
    settle(&world);
    assert_true(wire.is_shut);
    hang_up(&wire);
    open_socket(&wire, 0);
    tw_session_close(&wire.session->client, 4403, "go", true);
    say_eof(&wire); /* no answer: the connection is over */
    bury(&wire);
    finish();
}

static void what_breaks_the_protocol_is_closed_with_1002(void **state) {
    struct wire wire;
    (void)state;
    begin(1, market(), 64);
    open_socket(&wire, 0);
    say_bytes(&wire, BYTES("\x81\x01x")); /* not masked */
    settle(&world);
    assert_memory_equal(wire.got, "\x88", 1);
    assert_memory_equal(wire.got + 2, "\x03\xea", 2);
    assert_true(wire.is_shut);
    hang_up(&wire);
    finish();
}

static void pings_are_answered_until_nobody_reads_the_pongs(void **state) {
    struct wire wire;
    (void)state;
    begin(1, market(), 64);
    open_socket(&wire, 0);
    say_frame(&wire, TW_OP_PING, "hi", 2);
    settle(&world);
    assert_got(&wire, "\x8a\x02hi");
    wire.room = 0;
    for (int i = 0; i < 1000 && wire.session->state == TW_SESSION_OPEN; i++) {
        char payload[100] = "";
        say_frame(&wire, TW_OP_PING, payload, sizeof payload);
        settle(&world);
    }
    assert_int_equal(wire.session->state, TW_SESSION_CLOSING);
    give_room(&wire, SIZE_MAX);
    assert_non_null(memmem(wire.got, wire.length, BYTES("\x11\x4fpongs are not read")));
    hang_up(&wire);
    finish();
}

static void small_and_large_frames_go_out_whole_whatever_the_socket_takes(void **state) {
    (void)state;
    for (size_t room = 1; room < 8000; room = room * 3 + 1) {
        struct wire wire, publisher;
        char *large = tw_alloc(5002);
        struct tw_buf expected = {0};
        memset(large, 'x', 5000);
        begin(1, market(), 1000);
        open_socket(&wire, 0);
        open_socket(&publisher, 0);
        wire.room = 0;
        for (int i = 0; i < 30; i++) {
            struct tw_name *name = tw_name_new(TW_STR("market"));
            bool is_large = i % 7 == 3;
            struct tw_message *message =
                tw_message_try_new(is_large ? large : "12", is_large ? 5000 : 2, true);
            unsigned char head[TW_FRAME_ROOM];
            size_t size = tw_frame_header(head, TW_OP_BINARY, message->length);
            tw_buf_append(&expected, head, size);
            tw_buf_append(&expected, tw_message_text(message).data, message->length);
            touch(&publisher);
            tw_hub_publish(hub_of(&publisher), &publisher.session->client, name, message, NULL);
            tw_name_unref(&name);
        }
        settle(&world);
        while (wire.session->client.is_blocked)
            give_room(&wire, room);
        assert_int_equal(wire.length, expected.length);
        assert_memory_equal(wire.got, expected.data, expected.length);
        hang_up(&wire);
        hang_up(&publisher);
        tw_buf_deinit(&expected);
        tw_free(large);
        finish();
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens_and_what_came_behind_the_handshake_counts),
        cmocka_unit_test(an_answer_of_the_home_that_is_late_is_a_refusal),
        cmocka_unit_test(who_is_closed_before_the_answer_hears_why_by_http),
        cmocka_unit_test(who_leaves_before_the_answer_leaves_nothing),
        cmocka_unit_test(a_drain_refuses_with_503),
        cmocka_unit_test(who_publishes_faster_than_the_home_works_is_paused),
        cmocka_unit_test(who_is_paused_is_not_taken_for_silent),
        cmocka_unit_test(asks_who_is_idle_and_ends_who_is_silent),
        cmocka_unit_test(a_ping_goes_out_as_there_is_room),
        cmocka_unit_test(who_is_idle_is_not_ended_for_what_handlers_take),
        cmocka_unit_test(their_close_is_echoed_and_our_side_shut_down),
        cmocka_unit_test(who_says_goodbye_and_reads_no_more_has_a_deadline),
        cmocka_unit_test(a_goodbye_waits_for_a_slow_reader_then_for_his_answer),
        cmocka_unit_test(our_close_is_answered_or_not),
        cmocka_unit_test(what_breaks_the_protocol_is_closed_with_1002),
        cmocka_unit_test(pings_are_answered_until_nobody_reads_the_pongs),
        cmocka_unit_test(small_and_large_frames_go_out_whole_whatever_the_socket_takes),
    };
    return cmocka_run_group_tests(tests, NULL, no_failed_checks);
}
