/* net_poller_test.c: how much one turn of a loop reads. Whether it is late is what the test says.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/stream.h"

enum { ROUND = 128, COUNT = ROUND + 10, BIG = 65536, BYTES_A_TURN = 512 << 10 };

struct end {
    struct tw_stream stream;
    int peer;
    size_t got;
    bool is_held, is_closed;
};

static struct world {
    uv_loop_t loop;
    struct tw_poller poller;
    struct end ends[COUNT];
    unsigned count, late_after, asked, closed; /* late when asked for the nth time; 0: never */
} world;

static struct end *end_of(struct tw_stream *stream) {
    return (struct end *)(void *)((char *)stream - offsetof(struct end, stream));
}

static bool is_late(struct tw_poller *poller) {
    assert_ptr_equal(poller, &world.poller);
    return ++world.asked >= world.late_after && world.late_after > 0;
}

static bool is_held(struct tw_stream *stream) {
    return end_of(stream)->is_held;
}

static void on_read(struct tw_stream *stream, const void *bytes, size_t length) {
    (void)bytes;
    end_of(stream)->got += length;
}

static void on_error(struct tw_stream *stream, int status) {
    (void)stream;
    fail_msg("error %d", status);
}

static void on_nothing(struct tw_stream *stream) {
    (void)stream;
}

/* As if it were freed: whoever looks at it again meets a wrong bool. */
static void on_closed(struct tw_stream *stream) {
    end_of(stream)->is_closed = true;
    memset(stream, 0xFF, sizeof *stream);
    world.closed++;
}

static const struct tw_stream_ops ops = {.is_late = is_late,
                                         .is_held = is_held,
                                         .on_read = on_read,
                                         .on_eof = on_nothing,
                                         .on_writable = on_nothing,
                                         .on_error = on_error,
                                         .on_closed = on_closed};

/* Each stream has `size` bytes to read. */
static void begin(unsigned count, size_t size) {
    static char bytes[BIG];
    memset(&world, 0, sizeof world);
    world.count = count;
    assert_int_equal(uv_loop_init(&world.loop), 0);
    assert_int_equal(tw_poller_open(&world.poller, &world.loop, &ops), 0);
    for (unsigned i = 0; i < count; i++) {
        int fds[2];
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
        assert_int_equal(send(fds[1], bytes, size, 0), size);
        world.ends[i].peer = fds[1];
        assert_int_equal(tw_stream_open(&world.ends[i].stream, &world.poller, fds[0]), 0);
    }
}

static void finish(void) {
    for (unsigned i = 0; i < world.count; i++) {
        close(world.ends[i].peer);
        if (!world.ends[i].is_closed) tw_stream_close(&world.ends[i].stream);
    }
    tw_poller_close(&world.poller);
    uv_run(&world.loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&world.loop), 0);
    assert_int_equal(world.closed, world.count);
}

static unsigned turn(void) {
    unsigned count = 0;
    world.asked = 0;
    uv_run(&world.loop, UV_RUN_NOWAIT);
    for (unsigned i = 0; i < world.count; i++)
        count += world.ends[i].got > 0;
    return count;
}

static void a_turn_reads_from_all_that_are_ready(void **state) {
    (void)state;
    begin(COUNT, 1);
    assert_int_equal(turn(), COUNT);
    assert_int_equal(world.asked, 1); /* after the first round; the second was not full */
    finish();
}

static void a_turn_that_is_late_ends_after_a_round_and_the_next_goes_on(void **state) {
    (void)state;
    begin(COUNT, 1);
    world.late_after = 1;
    assert_int_equal(turn(), ROUND);
    assert_int_equal(turn(), COUNT); /* what was not got to comes before what comes now */
    finish();
}

static void who_was_not_got_to_comes_first(void **state) {
    (void)state;
    begin(COUNT, 1);
    world.late_after = 1;
    assert_int_equal(turn(), ROUND);
    for (unsigned i = 0; i < COUNT; i++)
        if (world.ends[i].got > 0) assert_int_equal(send(world.ends[i].peer, "x", 1, 0), 1);
    assert_int_equal(turn(), COUNT);
    finish();
}

/* They cost nothing, so those behind them need not wait. */
static void streams_that_are_held_do_not_make_a_turn_late(void **state) {
    (void)state;
    begin(COUNT, 1);
    world.late_after = 1;
    for (unsigned i = 0; i < ROUND; i++)
        world.ends[i].is_held = true;
    assert_int_equal(turn(), COUNT - ROUND);
    for (unsigned i = 0; i < ROUND; i++)
        world.ends[i].is_held = false;
    assert_int_equal(turn(), COUNT);
    finish();
}

static void a_turn_reads_so_many_bytes_and_no_more(void **state) {
    (void)state;
    unsigned most = BYTES_A_TURN / BIG;
    begin(3 * most, BIG);
    assert_int_equal(turn(), most);
    assert_int_equal(turn(), 2 * most);
    assert_int_equal(turn(), 3 * most);
    assert_int_equal(world.asked, 0);
    finish();
}

/* However fast those are who were. */
static void who_was_not_got_to_for_the_bytes_comes_first(void **state) {
    (void)state;
    static char bytes[BIG];
    unsigned most = BYTES_A_TURN / BIG;
    begin(3 * most, BIG);
    for (unsigned turns = 1; turns <= 3; turns++) {
        assert_int_equal(turn(), turns * most);
        for (unsigned i = 0; i < world.count; i++)
            if (world.ends[i].got > 0) send(world.ends[i].peer, bytes, BIG, 0);
    }
    finish();
}

static void who_closes_before_it_is_told_hears_nothing(void **state) {
    (void)state;
    unsigned most = BYTES_A_TURN / BIG;
    begin(2 * most, BIG);
    assert_int_equal(turn(), most);
    for (unsigned i = 0; i < world.count; i++)
        if (world.ends[i].got == 0)
            tw_stream_close(&world.ends[i].stream);
        else
            send(world.ends[i].peer, "x", 1, 0); /* so that there is something to tell */
    assert_int_equal(turn(), most);
    assert_int_equal(turn(), most);
    assert_int_equal(world.closed, most);
    finish();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_turn_reads_from_all_that_are_ready),
        cmocka_unit_test(a_turn_that_is_late_ends_after_a_round_and_the_next_goes_on),
        cmocka_unit_test(who_was_not_got_to_comes_first),
        cmocka_unit_test(streams_that_are_held_do_not_make_a_turn_late),
        cmocka_unit_test(a_turn_reads_so_many_bytes_and_no_more),
        cmocka_unit_test(who_was_not_got_to_for_the_bytes_comes_first),
        cmocka_unit_test(who_closes_before_it_is_told_hears_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
