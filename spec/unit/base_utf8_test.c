/* base_utf8_test.c: the classic bad sequences, every code point, every cut. */
#include "base_support.h"

#include "base/utf8.h"

struct sample {
    const char *bytes;
    size_t length;
};
#define SAMPLE(text)                                                                               \
    { text, sizeof(text) - 1 }

static const struct sample good[] = {
    SAMPLE(""),
    SAMPLE("a"),
    SAMPLE("\0"),
    SAMPLE("plain ASCII of more than sixteen bytes"),
    SAMPLE("\x7F\xC2\x80\xDF\xBF"),
    SAMPLE("\xE0\xA0\x80\xED\x9F\xBF\xEE\x80\x80\xEF\xBF\xBF"),
    SAMPLE("\xF0\x90\x80\x80\xF4\x8F\xBF\xBF"),
    SAMPLE("12345678\xD8\xA8"
           "1234567\xE2\x82\xAC"
           "123456\xF0\x9F\x98\x80"
           "12345678"),
    SAMPLE("\xEF\xBB\xBF"
           "BOM"),
    SAMPLE("\xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5"),
    SAMPLE("\xEF\xB7\x90\xEF\xBF\xBE"), /* noncharacters are characters enough */
};

/* Wrong at the last byte that is given, and not before. */
static const struct sample bad[] = {
    SAMPLE("\x80"),
    SAMPLE("\xBF"),
    SAMPLE("\xC0"), /* overlong, whatever follows */
    SAMPLE("\xC1"),
    SAMPLE("\xF5"), /* above U+10FFFF */
    SAMPLE("\xF8"),
    SAMPLE("\xFC"),
    SAMPLE("\xFE"),
    SAMPLE("\xFF"),
    SAMPLE("\xE0\x80"), /* overlong */
    SAMPLE("\xE0\x9F"),
    SAMPLE("\xF0\x80"),
    SAMPLE("\xF0\x8F"),
    SAMPLE("\xED\xA0"), /* surrogates */
    SAMPLE("\xED\xBF"),
    SAMPLE("\xF4\x90"), /* above U+10FFFF */
    SAMPLE("\xC2\x7F"),
    SAMPLE("\xC2\xC0"),
    SAMPLE("\xE2\x82"
           "a"),
    SAMPLE("\xE2\x82\xE2"),
    SAMPLE("\xF0\x9F\x98\xF0"),
    SAMPLE("\xF0\x9F"
           "a"),
    SAMPLE("\xC2\x80\x80"),
    SAMPLE("12345678\xFF"),
    SAMPLE("1234567890123456\xD8\xA8\xC0"),
    SAMPLE("\xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5\xED\xA0"), /* Autobahn 6.4 */
};

static bool is_valid_bytewise(const char *bytes, size_t length) {
    struct tw_utf8 state = {0};
    for (size_t i = 0; i < length; i++) {
        if (!tw_utf8_feed(&state, bytes + i, 1)) return false;
    }
    return tw_utf8_is_complete(&state);
}

static void test_good(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        char *bytes = exact_copy(good[i].bytes, good[i].length);
        assert_true(tw_utf8_is_valid(bytes, good[i].length));
        for (size_t at = 0; at <= good[i].length; at++) {
            for (size_t then = at; then <= good[i].length; then++) {
                struct tw_utf8 utf8 = {0};
                assert_true(tw_utf8_feed(&utf8, bytes, at));
                assert_true(tw_utf8_feed(&utf8, bytes + at, then - at));
                assert_true(tw_utf8_feed(&utf8, bytes + then, good[i].length - then));
                assert_true(tw_utf8_is_complete(&utf8));
            }
        }
        free(bytes);
    }
    assert_true(tw_utf8_is_valid(NULL, 0));
}

/* A prefix is complete exactly where the next byte begins a character. */
static void test_truncated(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        for (size_t length = 0; length < good[i].length; length++) {
            char *bytes = exact_copy(good[i].bytes, length);
            bool is_cut = ((unsigned char)good[i].bytes[length] & 0xC0) == 0x80;
            struct tw_utf8 utf8 = {0};
            assert_true(tw_utf8_feed(&utf8, bytes, length));
            assert_int_equal(tw_utf8_is_complete(&utf8), !is_cut);
            assert_int_equal(tw_utf8_is_valid(bytes, length), !is_cut);
            free(bytes);
        }
    }
}

/* Refused at once, at the wrong byte, wherever the input is cut and wherever it stands. */
static void test_bad(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        for (size_t before = 0; before < 20; before++) {
            char bytes[64];
            size_t length = before + bad[i].length;
            memset(bytes, 'a', sizeof bytes);
            memcpy(bytes + before, bad[i].bytes, bad[i].length);
            assert_false(tw_utf8_is_valid(bytes, length));
            assert_false(tw_utf8_is_valid(bytes, length + 9));
            for (size_t at = 0; at < length; at++) {
                struct tw_utf8 utf8 = {0};
                assert_true(tw_utf8_feed(&utf8, bytes, at));
                assert_false(tw_utf8_feed(&utf8, bytes + at, length - at));
            }
        }
    }
}

static void test_a_bad_byte_at_every_place(void **state) {
    (void)state;
    const struct sample *sample = &good[7];
    for (size_t at = 0; at < sample->length; at++) {
        char *bytes = exact_copy(sample->bytes, sample->length);
        bytes[at] = (char)0xFF;
        assert_false(tw_utf8_is_valid(bytes, sample->length));
        assert_false(is_valid_bytewise(bytes, sample->length));
        free(bytes);
    }
}

static size_t encode(uint32_t code, uint8_t out[4]) {
    if (code < 0x80) {
        out[0] = (uint8_t)code;
        return 1;
    }
    size_t length = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = length - 1; i > 0; i--, code >>= 6)
        out[i] = (uint8_t)(0x80 | (code & 0x3F));
    out[0] = (uint8_t)((0xF00u >> length & 0xFF) | code);
    return length;
}

static void test_every_code_point(void **state) {
    (void)state;
    for (uint32_t code = 0; code < 0x120000; code++) {
        uint8_t bytes[4];
        size_t length = encode(code, bytes);
        bool want = code <= 0x10FFFF && (code < 0xD800 || code > 0xDFFF);
        if (tw_utf8_is_valid(bytes, length) != want) fail_msg("U+%04X", code);
        if (tw_utf8_char(bytes, length) != (want ? length : 0)) fail_msg("U+%04X", code);
        if (is_valid_bytewise((char *)bytes, length) != want) fail_msg("U+%04X", code);
    }
}

/* All 3-byte inputs, and a sample of 4-byte ones: both ways agree, and what is valid is complete.
 */
static void test_both_ways_agree(void **state) {
    (void)state;
    for (uint32_t word = 0; word < 0x1000000; word += 7) {
        char bytes[4] = {(char)(word >> 16), (char)(word >> 8), (char)word, (char)(word * 31 >> 4)};
        for (size_t length = 3; length <= 4; length++) {
            if (tw_utf8_is_valid(bytes, length) != is_valid_bytewise(bytes, length)) {
                fail_msg("%06X, %zu bytes", word, length);
            }
        }
    }
}

static void test_one_character(void **state) {
    (void)state;
    assert_int_equal(tw_utf8_char("", 0), 0);
    assert_int_equal(tw_utf8_char("a\x80", 2), 1);
    assert_int_equal(tw_utf8_char("\xD8\xA8\x80", 3), 2);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        if ((unsigned char)bad[i].bytes[0] < 0x80 || bad[i].bytes[0] == '\xCE') continue;
        if (tw_utf8_is_valid(bad[i].bytes, bad[i].length - 1) && bad[i].length > 1) continue;
        char *bytes = exact_copy(bad[i].bytes, bad[i].length);
        assert_int_equal(tw_utf8_char(bytes, bad[i].length), 0);
        free(bytes);
    }
    for (size_t length = 0; length < 4; length++) {
        char *bytes = exact_copy("\xF0\x9F\x98\x80", length);
        assert_int_equal(tw_utf8_char(bytes, length), 0);
        free(bytes);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_a_bad_byte_at_every_place),
        cmocka_unit_test(test_every_code_point),
        cmocka_unit_test(test_both_ways_agree),
        cmocka_unit_test(test_one_character),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
