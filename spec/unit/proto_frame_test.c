/* Server frames, byte for byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/utf8.h"
#include "proto/frame.h"

static void takes_the_shortest_header(void **state) {
    (void)state;
    static const struct {
        uint64_t length;
        size_t size;
        unsigned char bytes[10];
    } cases[] = {
        {0, 2, {0x81, 0}},
        {125, 2, {0x81, 125}},
        {126, 4, {0x81, 126, 0, 126}},
        {65535, 4, {0x81, 126, 0xFF, 0xFF}},
        {65536, 10, {0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0}},
        {0x0102030405060708, 10, {0x81, 127, 1, 2, 3, 4, 5, 6, 7, 8}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        unsigned char out[10];
        assert_int_equal(tw_frame_header(out, TW_OP_TEXT, cases[i].length), cases[i].size);
        assert_memory_equal(out, cases[i].bytes, cases[i].size);
    }
}

static void writes_control_frames(void **state) {
    (void)state;
    unsigned char out[TW_FRAME_MAX_CONTROL];
    assert_int_equal(tw_frame_control(out, TW_OP_PING, NULL, 0), 2);
    assert_memory_equal(out, "\x89\x00", 2);
    assert_int_equal(tw_frame_control(out, TW_OP_PONG, "hi", 2), 4);
    assert_memory_equal(out, "\x8A\x02hi", 4);
    char full[125];
    memset(full, 'x', sizeof full);
    assert_int_equal(tw_frame_control(out, TW_OP_PONG, full, sizeof full), TW_FRAME_MAX_CONTROL);
    assert_memory_equal(out + 2, full, sizeof full);
}

static void writes_close_frames(void **state) {
    (void)state;
    unsigned char out[TW_FRAME_MAX_CONTROL];
    assert_int_equal(tw_frame_close(out, 0, "ignored"), 2);
    assert_memory_equal(out, "\x88\x00", 2);
    assert_int_equal(tw_frame_close(out, 1000, NULL), 4);
    assert_memory_equal(out, "\x88\x02\x03\xE8", 4);
    assert_int_equal(tw_frame_close(out, 4429, "slow"), 8);
    assert_memory_equal(out, "\x88\x06\x11\x4Dslow", 8);
}

static void cuts_a_long_reason_between_characters(void **state) {
    (void)state;
    unsigned char out[TW_FRAME_MAX_CONTROL];
    for (size_t ascii = 0; ascii < 8; ascii++) {
        char reason[256] = "";
        memset(reason, 'a', ascii);
        while (strlen(reason) < 200)
            strcat(reason, "\xF0\x9F\x8C\x8A"); /* a wave: four bytes */
        size_t size = tw_frame_close(out, 1001, reason);
        size_t length = size - 4;
        assert_int_equal(out[1], size - 2);
        assert_in_range(length, 120, 123);
        assert_true(tw_utf8_is_valid(out + 4, length));
        assert_memory_equal(out + 4, reason, length);
    }
}

static void ends_a_reason_before_a_byte_that_is_not_utf8(void **state) {
    (void)state;
    unsigned char out[TW_FRAME_MAX_CONTROL];
    assert_int_equal(tw_frame_close(out, 1001, "ok\xC3\xA4\xFFno"), 8);
    assert_memory_equal(out + 4, "ok\xC3\xA4", 4);
    assert_int_equal(tw_frame_close(out, 1001, "ok\xE2\x82"), 6);
}

static void knows_the_close_codes_of_peers(void **state) {
    (void)state;
    static const unsigned good[] = {1000, 1001, 1002, 1003, 1007, 1011,
                                    1012, 1014, 3000, 3999, 4000, 4999};
    static const unsigned bad[] = {0,    1,    999,  1004, 1005, 1006,
                                   1015, 1016, 2000, 2999, 5000, 65535};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(tw_close_code_is_valid(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(tw_close_code_is_valid(bad[i]));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_the_shortest_header),
        cmocka_unit_test(writes_control_frames),
        cmocka_unit_test(writes_close_frames),
        cmocka_unit_test(cuts_a_long_reason_between_characters),
        cmocka_unit_test(ends_a_reason_before_a_byte_that_is_not_utf8),
        cmocka_unit_test(knows_the_close_codes_of_peers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
