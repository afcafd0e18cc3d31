/* A client's frames into messages. Every input is read whole, split once at every offset, and byte
 * by byte, and must give the same each time; what came out is written down as a text ("log"). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/mem.h"
#include "base/status.h"
#include "base/str.h"
#include "proto/ws.h"

enum { MAX_MESSAGE = 100 };

static struct tw_ws_pool *pool;
static struct tw_buf input;
static bool takes; /* each message, as the session does */

/* Appends a frame: its first byte and a masked payload, with a header as long as needed. */
static void add_bytes(unsigned first, const void *payload, size_t length) {
    static const unsigned char mask[4] = {0x37, 0xFA, 0x21, 0x3D};
    unsigned char head[10];
    size_t size = tw_frame_header(head, TW_OP_TEXT, length);
    head[0] = (unsigned char)first;
    head[1] |= 0x80;
    tw_buf_append(&input, head, size);
    tw_buf_append(&input, mask, sizeof mask);
    for (size_t i = 0; i < length; i++) {
        char byte = (char)(((const unsigned char *)payload)[i] ^ mask[i % 4]);
        tw_buf_append(&input, &byte, 1);
    }
}

static void add(unsigned first, const char *payload) {
    add_bytes(first, payload, strlen(payload));
}

static void add_raw(const void *bytes, size_t length) {
    tw_buf_append(&input, bytes, length);
}

/* What a message of its own says is what the event said. */
static void take(struct tw_ws_reader *reader, const struct tw_ws_event *event) {
    char *text = tw_memdup(event->payload.data, event->payload.length);
    size_t length = event->payload.length;
    struct tw_message *message = tw_ws_take(reader, event);
    assert_non_null(message);
    assert_int_equal(message->binary, event->opcode == TW_OP_BINARY);
    assert_int_equal(message->length, length);
    assert_int_equal(message->header, 0);
    assert_memory_equal(tw_message_payload(message), text, length);
    tw_message_unref(&message);
    tw_free(text);
}

static void log_event(struct tw_buf *log, const struct tw_ws_event *event) {
    tw_buf_print(log, "%u", (unsigned)event->opcode);
    if (event->opcode == TW_OP_CLOSE) tw_buf_print(log, " %u", event->code);
    assert_non_null(event->payload.data);
    tw_buf_print(log, " %.*s\n", TW_STR_ARG(event->payload));
}

/* Feeds the piece until it is used or failed; each call gets its own allocation, so that the
 * address sanitizer sees whoever keeps a pointer into the caller's bytes. */
static int feed(struct tw_ws_reader **slot, const char *bytes, size_t length, size_t max_message,
                struct tw_buf *log) {
    int status;
    size_t at = 0;
    do {
        char *piece = (char *)malloc(length - at + (length == at));
        assert_non_null(piece);
        memcpy(piece, bytes + at, length - at);
        struct tw_ws_event event;
        size_t used;
        status = tw_ws_read(pool, slot, piece, length - at, &used, max_message, &event);
        free(piece);
        assert_true(used <= length - at);
        at += used;
        if (status == 1) log_event(log, &event);
        bool is_message = event.opcode == TW_OP_TEXT || event.opcode == TW_OP_BINARY;
        if (status == 1 && is_message && takes) take(*slot, &event);
        if (status == 0) assert_int_equal(at, length);
        if (status < 0) tw_buf_print(log, "! %u %s\n", event.code, event.why);
    } while (status == 1);
    return status;
}

/* `split` 0: byte by byte. */
static char *read_split(size_t split, size_t max_message) {
    struct tw_buf log = {0};
    struct tw_ws_reader *slot = NULL;
    int status = 0;
    for (size_t at = 0, size; at < input.length && status == 0; at += size) {
        size = split == 0 ? 1 : at < split ? split - at : input.length - at;
        status = feed(&slot, input.data + at, size, max_message, &log);
    }
    if (status == 0 && slot) tw_buf_print(&log, "half\n");
    tw_ws_release(pool, &slot);
    assert_null(slot);
    char *text = tw_memdup(log.data, log.length);
    tw_buf_deinit(&log);
    return text;
}

static void expect(const char *wanted) {
    for (size_t split = 0; split <= input.length; split++) {
        for (int i = 0; i < 2; i++) {
            takes = !takes;
            char *got = read_split(split, MAX_MESSAGE);
            assert_string_equal(got, wanted);
            tw_free(got);
        }
    }
    input.length = 0;
}

/* Refused with `wanted`, and before its last `spare` bytes have arrived, but not earlier. */
static void expect_at(size_t spare, const char *wanted) {
    struct tw_buf whole = {0};
    tw_buf_append(&whole, input.data, input.length);
    expect(wanted);
    tw_buf_append(&input, whole.data, whole.length - spare);
    expect(wanted);
    tw_buf_append(&input, whole.data, whole.length - spare - 1);
    char *got = read_split(0, MAX_MESSAGE);
    assert_null(strchr(got, '!'));
    tw_free(got);
    input.length = 0;
    tw_buf_deinit(&whole);
}

static void reads_messages(void **state) {
    (void)state;
    add_raw("\x81\x85\x37\xFA\x21\x3D\x7F\x9F\x4D\x51\x58", 11); /* RFC 6455 5.7 */
    add(0x82, "\xFF\xFE");
    add(0x81, "");
    expect("1 Hello\n2 \xFF\xFE\n1 \n");
}

static void joins_fragments_with_control_frames_between(void **state) {
    (void)state;
    add(0x01, "moon ");
    add(0x89, "ping");
    add(0x00, "and ");
    add(0x00, "");
    add(0x8A, "");
    add(0x80, "tide");
    add(0x81, "next");
    expect("9 ping\n10 \n1 moon and tide\n1 next\n");
    add(0x02, "");
    add(0x80, "all of it");
    add(0x01, "all of it");
    add(0x80, "");
    expect("2 all of it\n1 all of it\n");
}

static void a_half_read_message_keeps_its_reader(void **state) {
    (void)state;
    add(0x01, "moon");
    expect("half\n");
    add(0x01, "moon");
    add(0x89, "");
    expect("9 \nhalf\n");
    add_raw("\x81", 1);
    expect("half\n");
    add_raw("\x81\x81\x00\x00\x00\x00", 6);
    expect("half\n");
}

static void reads_large_messages(void **state) {
    (void)state;
    static const size_t lengths[] = {125, 126, 4082, 4088, 4089, 4096, 65535, 65536, 300000};
    char *payload = (char *)malloc(300000);
    assert_non_null(payload);
    for (size_t i = 0; i < 300000; i++)
        payload[i] = (char)('a' + i % 23);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        add_bytes(0x82, payload, lengths[i]);
        for (size_t step = 1; step <= input.length; step = step * 3 + 1) {
            struct tw_ws_reader *slot = NULL;
            struct tw_ws_event event;
            int events = 0;
            for (size_t at = 0, used; at < input.length || slot; at += used) {
                size_t left = input.length - at, size = step < left ? step : left;
                if (tw_ws_read(pool, &slot, input.data + at, size, &used, 300000, &event) == 1) {
                    events++;
                    assert_int_equal(event.payload.length, lengths[i]);
                    assert_memory_equal(event.payload.data, payload, lengths[i]);
                }
            }
            assert_int_equal(events, 1);
        }
        input.length = 0;
    }
    free(payload);
}

static void refuses_bad_frames_by_their_first_bytes(void **state) {
    (void)state;
    static const struct {
        const char *bytes, *wanted;
    } cases[] = {
        {"\xC1", "! 1002 reserved bits set\n"},
        {"\xA1", "! 1002 reserved bits set\n"},
        {"\x99", "! 1002 reserved bits set\n"},
        {"\x83", "! 1002 reserved opcode\n"},
        {"\x07", "! 1002 reserved opcode\n"},
        {"\x8B", "! 1002 reserved opcode\n"},
        {"\x8F", "! 1002 reserved opcode\n"},
        {"\x09", "! 1002 fragmented control frame\n"},
        {"\x08", "! 1002 fragmented control frame\n"},
        {"\x80", "! 1002 continuation of nothing\n"},
        {"\x81\x05", "! 1002 frame not masked\n"},
        {"\x89\xFE", "! 1002 control frame too long\n"},
        {"\x88\xFF", "! 1002 control frame too long\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        add_raw(cases[i].bytes, strlen(cases[i].bytes));
        size_t length = input.length;
        add_raw("\xFE\x00\x7E\x00\x00\x00\x00", 7);
        expect_at(input.length - length, cases[i].wanted);
    }
    add(0x01, "moon");
    add_raw("\x81", 1);
    expect_at(0, "! 1002 new message within a message\n");
    add(0x81, "good");
    add_raw("\x00", 1);
    expect_at(0, "1 good\n! 1002 continuation of nothing\n");
}

static void refuses_lengths_that_are_not_minimal(void **state) {
    (void)state;
    add_raw("\x82\xFE\x00\x7D\x00", 5);
    expect_at(1, "! 1002 length not minimal\n");
    add_raw("\x82\xFF\x00\x00\x00\x00\x00\x00\xFF\xFF\x00", 11);
    expect_at(1, "! 1002 length not minimal\n");
    add_raw("\x82\xFF\x80\x00\x00\x00\x00\x00\x00\x00\x00", 11);
    expect_at(1, "! 1002 length with the top bit\n");
}

static void refuses_what_is_too_big_by_its_header(void **state) {
    (void)state;
    add_raw("\x82\xE5\x00\x00\x00\x00", 6); /* 101 */
    expect_at(4, "! 1009 message too big\n");
    add_raw("\x82\xFE\x01\x00\x00\x00", 6);
    expect_at(2, "! 1009 message too big\n");
    add_raw("\x82\xFF\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x00", 11);
    expect_at(1, "! 1009 message too big\n");
    char full[MAX_MESSAGE];
    memset(full, 'x', sizeof full);
    add_bytes(0x01, full, 60);
    add_bytes(0x00, full, 40);
    add_raw("\x80\x81\x00", 3);
    expect_at(1, "! 1009 message too big\n");
    add_bytes(0x01, full, 60);
    add(0x89, "an interjection that does not count");
    add_bytes(0x80, full, 40);
    char *got = read_split(0, MAX_MESSAGE);
    assert_null(strchr(got, '!'));
    tw_free(got);
    input.length = 0;
}

static void refuses_text_that_is_not_utf8_at_once(void **state) {
    (void)state;
    add(0x81, "moon\xFFnight");
    expect_at(5, "! 1007 text is not UTF-8\n");
    add(0x81, "\xF4\x90zz");
    expect_at(2, "! 1007 text is not UTF-8\n");
    add(0x01, "\xED");
    add(0x00, "");
    add(0x89, "\xFF");
    add(0x80, "\xA0\x80");
    expect_at(1, "9 \xFF\n! 1007 text is not UTF-8\n");
    add(0x01, "\xE2");
    add(0x80, "\x82");
    expect_at(0, "! 1007 text ends within a character\n");
    add(0x01, "\xE2");
    add(0x00, "\x82");
    add(0x80, "\xAC");
    add(0x82, "\xE2");
    add(0x81, "\xF0\x9F\x8C\x8A");
    expect("1 \xE2\x82\xAC\n2 \xE2\n1 \xF0\x9F\x8C\x8A\n");
}

static void reads_close_frames(void **state) {
    (void)state;
    add(0x88, "");
    expect("8 1005 \nhalf\n");
    add_bytes(0x88, "\x03\xE8", 2);
    expect("8 1000 \nhalf\n");
    add_bytes(0x88, "\x0F\xA0good night", 12);
    expect("8 4000 good night\nhalf\n");
    add_bytes(0x88, "\x03", 1);
    expect("! 1002 close payload of one byte\n");
    add_bytes(0x88, "\x03\xED", 2);
    expect("! 1002 bad close code\n");
    add_bytes(0x88, "\x00\x00no", 4);
    expect("! 1002 bad close code\n");
    add_bytes(0x88, "\x03\xE8\xE2\x82", 4);
    expect("! 1007 close reason is not UTF-8\n");
}

static void reads_nothing_after_a_close_but_for_the_next_client(void **state) {
    (void)state;
    add(0x01, "half");
    add(0x88, "");
    add(0x89, "");
    add_raw("\xFF\xFF\xFF", 3);
    expect("8 1005 \nhalf\n");
    add(0x81, "a new client with the same reader");
    expect("1 a new client with the same reader\n");
    add(0x01, "\xE2"); /* given back within a character */
    expect("half\n");
    add(0x81, "another");
    expect("1 another\n");
}

static void bounds_the_empty_frames_of_a_message(void **state) {
    (void)state;
    for (int round = 0; round < 2; round++) { /* the count begins anew with each message */
        add(0x01, "a");
        for (int i = 0; i < TW_WS_MAX_EMPTY_FRAMES - 1; i++)
            add(0x00, "");
        add(0x80, "");
    }
    add(0x02, "a");
    for (int i = 0; i < TW_WS_MAX_EMPTY_FRAMES + 1; i++)
        add(0x00, "");
    static const size_t splits[] = {0, 1, 100};
    for (size_t i = 0; i < sizeof splits / sizeof *splits; i++) {
        char *got = read_split(splits[i], MAX_MESSAGE);
        assert_string_equal(got, "1 a\n1 a\n! 1002 too many empty frames\n");
        tw_free(got);
    }
    input.length = 0;
}

static void gives_the_reader_back_at_a_boundary(void **state) {
    (void)state;
    struct tw_ws_reader *slot = NULL;
    struct tw_ws_event event;
    size_t used;
    assert_int_equal(tw_ws_read(pool, &slot, NULL, 0, &used, MAX_MESSAGE, &event), 0);
    assert_null(slot);
    add(0x81, "moon");
    size_t first = input.length;
    add(0x81, "tide");
    assert_int_equal(tw_ws_read(pool, &slot, input.data, input.length, &used, MAX_MESSAGE, &event),
                     1);
    assert_int_equal(used, first); /* exact: nothing was read ahead */
    assert_non_null(slot);
    assert_int_equal(
        tw_ws_read(pool, &slot, input.data + used, input.length - used, &used, MAX_MESSAGE, &event),
        1);
    assert_true(tw_str_eq(event.payload, TW_STR("tide")));
    assert_non_null(slot); /* the payload is still borrowed */
    assert_int_equal(tw_ws_read(pool, &slot, "", 0, &used, MAX_MESSAGE, &event), 0);
    assert_null(slot);
    tw_ws_release(pool, &slot);
    input.length = 0;
}

static void many_clients_share_the_pool(void **state) {
    (void)state;
    struct tw_ws_reader *slots[5] = {0};
    struct tw_buf log = {0};
    add(0x01, "moon");
    size_t first = input.length;
    add(0x80, "tide");
    for (size_t at = 0; at < input.length; at++) {
        for (size_t i = 0; i < 5; i++) {
            assert_int_equal(feed(&slots[i], input.data + at, 1, MAX_MESSAGE, &log), 0);
            assert_true((slots[i] == NULL) == (at == input.length - 1));
        }
    }
    tw_buf_append(&log, "", 1);
    assert_string_equal(log.data, "1 moontide\n1 moontide\n1 moontide\n1 moontide\n1 moontide\n");
    log.length = 0;
    for (size_t i = 0; i < 5; i++)
        feed(&slots[i], input.data, i == 0 ? 3 : first, MAX_MESSAGE, &log);
    for (size_t i = 0; i < 5; i++)
        tw_ws_release(pool, &slots[i]); /* half-way: the next ones begin anew */
    input.length = 0;
    add(0x81, "anew");
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(feed(&slots[i], input.data, input.length, MAX_MESSAGE, &log), 0);
    tw_buf_append(&log, "", 1);
    assert_string_equal(log.data, "1 anew\n1 anew\n1 anew\n1 anew\n1 anew\n");
    tw_buf_deinit(&log);
    input.length = 0;
}

static void keeps_failing(void **state) {
    (void)state;
    struct tw_ws_reader *slot = NULL;
    struct tw_ws_event event;
    size_t used;
    for (int i = 0; i < 2; i++) {
        int status = tw_ws_read(pool, &slot, "\x83\x80", 2, &used, MAX_MESSAGE, &event);
        assert_int_equal(status, TW_EPROTO);
        assert_int_equal(event.code, 1002);
        assert_string_equal(event.why, "reserved opcode");
    }
    tw_ws_release(pool, &slot);
}

static void codes_match_statuses(void **state) {
    (void)state;
    struct tw_ws_reader *slot = NULL;
    struct tw_ws_event event;
    size_t used;
    add(0x81, "\xFF");
    int status = tw_ws_read(pool, &slot, input.data, input.length, &used, MAX_MESSAGE, &event);
    assert_int_equal(status, TW_EUTF8);
    tw_ws_release(pool, &slot);
    status = tw_ws_read(pool, &slot, "\x82\xFD", 2, &used, MAX_MESSAGE, &event);
    assert_int_equal(status, TW_ETOOBIG);
    tw_ws_release(pool, &slot);
    input.length = 0;
}

/* Of a header that announces 16 MiB nothing is allocated; of the payload, what arrived. */
static void grows_by_what_arrives(void **state) {
    (void)state;
    enum { ANNOUNCED = 16 << 20 };
    struct tw_ws_pool *shared = pool;
    pool = tw_ws_pool_new(0); /* empty, so that the first allocation is a reader */
    struct tw_ws_reader *slot = NULL;
    struct tw_buf log = {0};
    unsigned char head[10 + 4] = {0};
    tw_frame_header(head, TW_OP_BINARY, ANNOUNCED);
    head[1] |= 0x80;
    tw_mem_fail_after(2);
    assert_int_equal(feed(&slot, (char *)head, sizeof head, ANNOUNCED, &log), 0);
    tw_mem_fail_after(-1);
    assert_int_equal(feed(&slot, "moon", 4, ANNOUNCED, &log), 0);
    tw_ws_release(pool, &slot);
    assert_null(log.data);
    tw_ws_pool_free(pool);
    pool = shared;
}

static void fails_with_1011_when_memory_is_out(void **state) {
    (void)state;
    struct tw_ws_pool *shared = pool;
    add(0x01, "moon");
    add(0x80, "tide");
    int failures = 0;
    for (long n = 1;; n++) {
        pool = tw_ws_pool_new(1); /* empty: a reader must be made */
        tw_mem_fail_after(n);
        char *got = read_split(input.length, MAX_MESSAGE);
        tw_mem_fail_after(-1);
        tw_ws_pool_free(pool);
        bool is_failed = strcmp(got, "! 1011 out of memory\n") == 0;
        if (!is_failed) assert_string_equal(got, "1 moontide\n");
        tw_free(got);
        if (!is_failed) break;
        failures++;
    }
    assert_int_equal(failures, 2); /* reader, message */
    pool = shared;
    input.length = 0;
}

static int open_pool(void **state) {
    (void)state;
    pool = tw_ws_pool_new(2);
    return 0;
}

static int free_pool(void **state) {
    (void)state;
    tw_ws_pool_free(pool);
    tw_buf_deinit(&input);
    return tw_check_count() == 0 ? 0 : -1;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_messages),
        cmocka_unit_test(joins_fragments_with_control_frames_between),
        cmocka_unit_test(a_half_read_message_keeps_its_reader),
        cmocka_unit_test(reads_large_messages),
        cmocka_unit_test(refuses_bad_frames_by_their_first_bytes),
        cmocka_unit_test(refuses_lengths_that_are_not_minimal),
        cmocka_unit_test(refuses_what_is_too_big_by_its_header),
        cmocka_unit_test(refuses_text_that_is_not_utf8_at_once),
        cmocka_unit_test(reads_close_frames),
        cmocka_unit_test(reads_nothing_after_a_close_but_for_the_next_client),
        cmocka_unit_test(bounds_the_empty_frames_of_a_message),
        cmocka_unit_test(gives_the_reader_back_at_a_boundary),
        cmocka_unit_test(many_clients_share_the_pool),
        cmocka_unit_test(keeps_failing),
        cmocka_unit_test(codes_match_statuses),
        cmocka_unit_test(grows_by_what_arrives),
        cmocka_unit_test(fails_with_1011_when_memory_is_out),
    };
    return cmocka_run_group_tests(tests, open_pool, free_pool);
}
