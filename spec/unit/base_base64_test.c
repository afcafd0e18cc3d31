/* base64: RFC 4648's vectors, and what is no base64. */
#include "base_support.h"

#include <string.h>

#include "base/base64.h"
#include "base/status.h"

static void decodes(enum tw_base64 form, const char *text, const char *wanted) {
    char out[64];
    int64_t length = tw_base64_decode(form, tw_str_of(text), out);
    assert_int_equal(length, strlen(wanted));
    assert_memory_equal(out, wanted, strlen(wanted));
}

static void the_vectors_of_rfc_4648(void **state) {
    (void)state;
    static const char *const cases[][3] = {
        {"", "", ""},
        {"f", "Zg==", "Zg"},
        {"fo", "Zm8=", "Zm8"},
        {"foo", "Zm9v", "Zm9v"},
        {"foob", "Zm9vYg==", "Zm9vYg"},
        {"fooba", "Zm9vYmE=", "Zm9vYmE"},
        {"foobar", "Zm9vYmFy", "Zm9vYmFy"},
        {"\xfb\xff\xfe", "+//+", "-__-"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int form = TW_BASE64; form <= TW_BASE64_URL; form++) {
            char out[16];
            struct tw_str bytes = tw_str_of(cases[i][0]);
            size_t length = tw_base64_encode((enum tw_base64)form, bytes, out);
            assert_true(length <= TW_BASE64_SIZE(bytes.length));
            assert_int_equal(length, strlen(cases[i][1 + form]));
            assert_memory_equal(out, cases[i][1 + form], length);
            decodes((enum tw_base64)form, cases[i][1 + form], cases[i][0]);
        }
    }
    decodes(TW_BASE64_URL, "Zg==", "f");
}

static void every_byte_comes_back(void **state) {
    (void)state;
    char bytes[256], text[TW_BASE64_SIZE(sizeof bytes)];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)(i * 7);
    for (size_t length = 0; length <= sizeof bytes; length++) {
        size_t written = tw_base64_encode(TW_BASE64_URL, (struct tw_str){bytes, length}, text);
        /* In place. */
        int64_t back = tw_base64_decode(TW_BASE64_URL, (struct tw_str){text, written}, text);
        assert_int_equal(back, length);
        assert_memory_equal(text, bytes, length);
    }
}

static void bytes_have_one_text_only(void **state) {
    (void)state;
    static const char *const wrong[] = {"Z",        "Zg",     "Zg=",    "Zg===",  "Zh==",
                                        "Zm9=",     "Zm8",    "Zm 8",   "Zm8=\n", "=",
                                        "==",       "Zm9v=",  "Zm9v==", "Z===",   "-__-",
                                        "Zg==Zg==", "Zm9vZg", "Zm9vZ",  "\x80",   "Zm9\xff"};
    char out[16];
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        if (tw_base64_decode(TW_BASE64, tw_str_of(wrong[i]), out) != TW_EPARSE)
            fail_msg("taken: %s", wrong[i]);
    }
    static const char *const wrong_url[] = {
        "Z", "Zh", "Zm9", "Zg=", "+//+", "Zm9v=", "Z===", "Zg\n"};
    for (size_t i = 0; i < sizeof wrong_url / sizeof *wrong_url; i++) {
        if (tw_base64_decode(TW_BASE64_URL, tw_str_of(wrong_url[i]), out) != TW_EPARSE)
            fail_msg("taken: %s", wrong_url[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_vectors_of_rfc_4648),
        cmocka_unit_test(every_byte_comes_back),
        cmocka_unit_test(bytes_have_one_text_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
