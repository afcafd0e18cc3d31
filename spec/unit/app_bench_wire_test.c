/* app_bench_wire_test.c: what the load tool writes and reads, without a socket. */
#include "base_support.h"

#include "app/bench_parts.h"
#include "base/mem.h"
#include "base/status.h"

static void test_stamps(void **state) {
    (void)state;
    char payload[TW_BENCH_MIN_SIZE + 3];
    tw_bench_payload_write(payload, sizeof payload);
    tw_bench_stamp_write(payload, &(struct tw_bench_stamp){0xAB, 0xFEDCBA98, 0x123456789ABCDEF0});
    assert_memory_equal(payload, "{\"bench\":\"000000abfedcba98123456789abcdef0\",\"pad\":\"xxx\"}",
                        sizeof payload);
    const char *digits = tw_bench_stamp_find(payload, sizeof payload);
    assert_ptr_equal(digits, payload + TW_BENCH_STAMP_AT);
    assert_true(tw_bench_hex(digits) == 0xAB && tw_bench_hex(digits + 8) == 0xFEDCBA98);
    assert_true(tw_bench_hex(digits + 16) == 0x12345678 && tw_bench_hex(digits + 24) == 0x9ABCDEF0);
}

/* A server that writes the object anew may put other members before ours, and spaces. */
static void test_stamps_elsewhere(void **state) {
    (void)state;
    const char text[] =
        "{ \"a\": [1,\"\\u00fc\"], \"bench\" : \"000000abfedcba98123456789abcdef0\" }";
    const char *digits = tw_bench_stamp_find(text, sizeof text - 1);
    assert_non_null(digits);
    assert_true(tw_bench_hex(digits) == 0xAB);
    for (size_t length = 0; length < sizeof text - 4; length++) { /* cut anywhere */
        char *copy = exact_copy(text, length);
        assert_null(tw_bench_stamp_find(copy, length));
        free(copy);
    }
    assert_null(tw_bench_stamp_find("{\"bench\":12345678901234567890123456789012345}", 45));
}

static void test_heads(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        int status;
        uint64_t length;
    } cases[] = {
        {"\x81\x05", 2, 0, 5},
        {"\x82\x7E\x01\x02", 4, 0, 258},
        {"\x01\x7F\0\0\0\0\0\1\0\0", 10, 0, 65536},
        {"\x8A\x7D", 2, 0, 125},
        {"\x81\x85", 2, TW_EPROTO, 0},                    /* masked */
        {"\xC1\x05", 2, TW_EPROTO, 0},                    /* compressed */
        {"\x89\x7E\x00\x7E", 4, TW_EPROTO, 0},            /* a long ping */
        {"\x09\x00", 2, TW_EPROTO, 0},                    /* a fragment of a ping */
        {"\x81\x7F\x80\0\0\0\0\0\0\0", 10, TW_EPROTO, 0}, /* a negative length */
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct tw_bench_head head;
        char *bytes = exact_copy(cases[i].bytes, cases[i].size);
        assert_int_equal(tw_bench_head_read(&head, bytes, cases[i].size), cases[i].status);
        if (cases[i].status == 0)
            assert_true(head.length == cases[i].length && head.size == cases[i].size);
        free(bytes);
        for (size_t cut = 0; cases[i].status == 0 && cut < cases[i].size; cut++) {
            char *some = exact_copy(cases[i].bytes, cut);
            assert_int_equal(tw_bench_head_read(&head, some, cut), TW_EAGAIN);
            free(some);
        }
    }
}

static void test_masks(void **state) {
    (void)state;
    for (size_t length = 0; length < 300; length += 37) {
        struct tw_buf out = {0};
        char payload[300];
        for (size_t i = 0; i < length; i++)
            payload[i] = (char)(i * 7);
        tw_bench_frame_append(&out, TW_OP_BINARY, payload, length, 0x44332211);
        size_t head = length < 126 ? 2 : 4;
        assert_true(out.length == head + 4 + length);
        assert_true((unsigned char)out.data[0] == 0x82 && out.data[1] & 0x80);
        const char *key = out.data + head, *masked = key + 4;
        for (size_t i = 0; i < length; i++)
            assert_true((char)(masked[i] ^ key[i % 4]) == payload[i]);
        tw_buf_deinit(&out);
    }
}

/* ---- what a client makes of the server's bytes ---- */

static struct tw_bench_options options;
static struct tw_bench_channel channel;
static struct tw_bench_client client;
static struct tw_bench *bench;
static uint32_t left[16];

static void begin(uint32_t published) {
    options = (struct tw_bench_options){.window = 16, .size = 100, .url_text = "ws://x"};
    channel = (struct tw_bench_channel){.published = published, .listeners = 1, .left = left};
    memcpy(&channel.sender_digits, "00000000", 8);
    client = (struct tw_bench_client){.peer = {.fd = -1, .state = TW_BENCH_OPEN}};
    for (size_t i = 0; i < COUNT_OF(left); i++)
        left[i] = 1;
    *bench = (struct tw_bench){.options = &options,
                               .epoll = -1,
                               .clients = &client,
                               .client_count = 1,
                               .channels = &channel,
                               .channel_count = 1,
                               .left_mask = 15,
                               .is_closed_loop = true,
                               .in_flight = published,
                               .awaited = published,
                               .open = 1,
                               .now_ns = 1000,
                               .latency = &bench->phases[0].latency};
}

static void append_frame(struct tw_buf *out, unsigned char first, const void *payload,
                         size_t length) {
    unsigned char head[10];
    size_t size = tw_frame_header(head, first & 15, length);
    head[0] = first;
    tw_buf_append(out, head, size);
    tw_buf_append(out, payload, length);
}

static void append_message(struct tw_buf *out, uint32_t sequence, size_t size) {
    char *payload = tw_alloc(size);
    tw_bench_payload_write(payload, size);
    tw_bench_stamp_write(payload, &(struct tw_bench_stamp){0, sequence, 400});
    append_frame(out, 0x81, payload, size);
    tw_free(payload);
}

static void feed_pieces(const struct tw_buf *bytes, size_t piece) {
    for (size_t at = 0; at < bytes->length; at += piece) {
        size_t length = bytes->length - at < piece ? bytes->length - at : piece;
        char *copy = exact_copy(bytes->data + at, length);
        tw_bench_client_feed(bench, &client, copy, length);
        free(copy);
    }
}

/* Small and long frames, fragments, a ping within a message, a stranger's message: however cut. */
static void test_feeds(void **state) {
    (void)state;
    struct tw_buf bytes = {0};
    char payload[100];
    append_message(&bytes, 0, 53);
    append_message(&bytes, 1, 128);
    append_frame(&bytes, 0x89, "hello", 5);
    tw_bench_payload_write(payload, sizeof payload);
    tw_bench_stamp_write(payload, &(struct tw_bench_stamp){0, 2, 400});
    append_frame(&bytes, 0x01, payload, 60);
    append_frame(&bytes, 0x8A, "", 0);
    append_frame(&bytes, 0x00, payload + 60, 10);
    append_frame(&bytes, 0x80, payload + 70, 30);
    append_message(&bytes, 3, 70000);
    append_frame(&bytes, 0x82, "something else", 14);
    append_frame(&bytes, 0x82, "", 0);
    append_message(&bytes, 99, 60); /* was never sent */
    append_message(&bytes, 4, 300);
    for (size_t piece = 1; piece < 700; piece += piece < 320 ? 1 : 97) {
        begin(5);
        feed_pieces(&bytes, piece);
        assert_int_equal(bench->deliveries, 5);
        assert_int_equal(bench->foreign, 3);
        assert_int_equal(bench->awaited, 0);
        assert_int_equal(bench->in_flight, 0);
        assert_true(bench->losses.missing + bench->losses.duplicates + bench->losses.reordered ==
                    0);
        assert_int_equal(bench->latency->count, 5);
        assert_int_equal(bench->latency->max, 600);
        assert_true(client.peer.out.length == 11 && (uint8_t)client.peer.out.data[0] == 0x8A);
        assert_int_equal(client.skip + client.carried, 0);
        tw_buf_deinit(&client.peer.out);
    }
    tw_buf_deinit(&bytes);
}

static void test_close_frame(void **state) {
    (void)state;
    struct tw_buf bytes = {0};
    append_message(&bytes, 0, 53);
    append_frame(&bytes, 0x88, "\x11\x4Dslow", 6);
    append_message(&bytes, 1, 53);
    for (size_t piece = 1; piece < 80; piece++) {
        begin(3);
        options.workload = TW_BENCH_IDLE; /* in which a publisher may go */
        feed_pieces(&bytes, piece);
        assert_string_equal(bench->closing, "closed by the server: 4429 slow");
        assert_int_equal(client.peer.state, TW_BENCH_CLOSED);
        assert_true(bench->closed == 1 && bench->deliveries == 1 && bench->losses.missing == 2);
        assert_true(bench->awaited == 0 && bench->in_flight == 0 && channel.listeners == 0);
    }
    tw_buf_deinit(&bytes);
}

static void test_gaps(void **state) {
    (void)state;
    static const uint32_t order[] = {0, 3, 3, 1, 1, 4};
    struct tw_buf bytes = {0};
    begin(6);
    for (size_t i = 0; i < COUNT_OF(order); i++)
        append_message(&bytes, order[i], 64);
    feed_pieces(&bytes, bytes.length);
    assert_int_equal(bench->losses.missing, 1); /* 2 */
    assert_int_equal(bench->losses.duplicates, 2);
    assert_int_equal(bench->losses.reordered, 1);
    assert_int_equal(bench->awaited, 1); /* 5 */
    assert_int_equal(bench->in_flight, 1);
    tw_buf_deinit(&bytes);
}

static void test_tracks(void **state) {
    (void)state;
    struct tw_bench_track track = {0};
    struct tw_bench_losses losses = {0};
    assert_int_equal(tw_bench_track_take(&track, &losses, 0), 1);
    assert_int_equal(tw_bench_track_take(&track, &losses, 64), 64);
    assert_int_equal(losses.missing, 63);
    assert_int_equal(tw_bench_track_take(&track, &losses, 1), 0); /* 63 behind: late */
    assert_int_equal(tw_bench_track_take(&track, &losses, 0),
                     0); /* 64 behind: not known any more */
    assert_true(losses.missing == 62 && losses.reordered == 1 && losses.duplicates == 1);
    assert_int_equal(tw_bench_track_take(&track, &losses, 1000), 936);
    assert_int_equal(tw_bench_track_take(&track, &losses, 1001), 1);
    assert_int_equal(tw_bench_track_take(&track, &losses, 1000), 0);
    assert_int_equal(losses.duplicates, 2);
}

static int set_up(void **state) {
    (void)state;
    bench = TW_NEW(struct tw_bench);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    tw_free(bench);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stamps), cmocka_unit_test(test_stamps_elsewhere),
        cmocka_unit_test(test_heads),  cmocka_unit_test(test_masks),
        cmocka_unit_test(test_feeds),  cmocka_unit_test(test_close_frame),
        cmocka_unit_test(test_gaps),   cmocka_unit_test(test_tracks),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
