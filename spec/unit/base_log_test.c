/* base_log_test.c: one event, one line, whatever is in it. */
#include "base_support.h"

#include <errno.h>
#include <pthread.h>

#include "base/log.h"
#include "base/status.h"

struct seen {
    int lines;
    enum tw_log_level level;
    size_t length;
    char line[16384];
};
static struct seen seen;

static void keep(void *data, enum tw_log_level level, const char *line, size_t length) {
    struct seen *to = (struct seen *)data;
    assert_true(length < sizeof to->line);
    memcpy(to->line, line, length);
    to->line[length] = 0;
    to->length = length;
    to->level = level;
    to->lines++;
}

static int begin(void **state) {
    (void)state;
    memset(&seen, 0, sizeof seen);
    tw_log_set_sink(keep, &seen);
    tw_log_set_level(TW_LOG_INFO);
    return 0;
}

static int end(void **state) {
    (void)state;
    tw_log_set_sink(NULL, NULL);
    return 0;
}

/* What is behind "time level group ". */
static const char *message(void) {
    const char *p = seen.line;
    for (int i = 0; i < 3; i++)
        p = strchr(p, ' ') + 1;
    return p;
}

static void test_form(void **state) {
    (void)state;
    tw_log(TW_LOG_WARN, "conn", "closed conn=%d reason=%s", 7, "slow");
    assert_int_equal(seen.lines, 1);
    assert_int_equal(seen.level, TW_LOG_WARN);
    const char *shape = "dddd-dd-ddTdd:dd:dd.dddZ ";
    for (size_t i = 0; shape[i]; i++) {
        char c = seen.line[i];
        assert_true(shape[i] == 'd' ? c >= '0' && c <= '9' : c == shape[i]);
    }
    assert_string_equal(seen.line + strlen(shape), "warn conn closed conn=7 reason=slow");
    assert_int_equal(seen.length, strlen(seen.line)); /* no newline in it */
}

static void test_generation(void **state) {
    (void)state;
    tw_log_set_generation(7);
    tw_log(TW_LOG_WARN, "hub", "slow reason=why");
    assert_string_equal(message(), "generation=7 slow reason=why");
    tw_log_set_generation(4294967295u);
    tw_log(TW_LOG_WARN, "hub", "slow");
    assert_string_equal(message(), "generation=4294967295 slow");
    tw_log_set_generation(0);
    tw_log(TW_LOG_WARN, "hub", "slow");
    assert_string_equal(message(), "slow");
}

static void *log_from_elsewhere(void *data) {
    (void)data;
    tw_log(TW_LOG_WARN, "hub", "elsewhere");
    return NULL;
}

static void test_generation_is_of_a_thread(void **state) {
    (void)state;
    pthread_t thread;
    tw_log_set_generation(7);
    assert_int_equal(pthread_create(&thread, NULL, log_from_elsewhere, NULL), 0);
    pthread_join(thread, NULL);
    assert_string_equal(message(), "elsewhere");
    tw_log_set_generation(0);
}

static void test_levels(void **state) {
    (void)state;
    tw_log(TW_LOG_DEBUG, "test", "not yet");
    assert_int_equal(seen.lines, 0);
    tw_log_set_level(TW_LOG_DEBUG);
    tw_log(TW_LOG_DEBUG, "test", "now");
    assert_int_equal(seen.lines, 1);
    tw_log_set_level(TW_LOG_ERROR);
    tw_log(TW_LOG_WARN, "test", "no more");
    assert_int_equal(seen.lines, 1);
    tw_log(TW_LOG_ERROR, "test", "always");
    assert_int_equal(seen.lines, 2);
}

static void test_level_names(void **state) {
    (void)state;
    const char *const names[] = {"error", "warn", "info", "debug"};
    const char *const bad[] = {"", "Error", "warning", "inf", "debug ", "0"};
    enum tw_log_level level = TW_LOG_ERROR;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(tw_log_level_parse(names[i], &level), 0);
        assert_int_equal(level, i);
    }
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        assert_int_equal(tw_log_level_parse(bad[i], &level), TW_EPARSE);
    }
    assert_int_equal(tw_log_level_parse(NULL, &level), TW_EPARSE);
    assert_int_equal(level, TW_LOG_DEBUG); /* untouched by failures */
}

static void test_nobody_forges_a_line(void **state) {
    (void)state;
    const struct {
        const char *text, *want;
    } cases[] = {
        {"a\n2026-11-22T17:45:17.123Z error x y", "a 2026-11-22T17:45:17.123Z error x y"},
        {"a\r\nb", "a  b"},
        {"a\rb", "a b"},
        {"\x1b[2Ja\x7f\b\v\f", " [2Ja    "},
        {"a\xC2\x85z", "a z"},                  /* NEL */
        {"a\xC2\x9B[0m", "a [0m"},              /* CSI in one character */
        {"a\xE2\x80\xA8z\xE2\x80\xA9", "a z "}, /* line and paragraph separator */
        {"a\xC2\xA0\xD8\xA8\xE2\x82\xAC", "a\xC2\xA0\xD8\xA8\xE2\x82\xAC"},
        {"cut \xE2", "cut \xE2"},
        {"cut \xE2\x80", "cut \xE2\x80"},
        {"cut \xC2", "cut \xC2"},
        {"tail\n", "tail "},
        {"x\nstack traceback:\n\ta.lua:1\n\tb.lua:2",
         "x stack traceback:\n    a.lua:1\n    b.lua:2"},
        {"\n\n\t\t", " \n     "},
        {"", ""},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        tw_log(TW_LOG_INFO, "test", "%s", cases[i].text);
        assert_string_equal(message(), cases[i].want);
    }
}

static void test_every_control_character(void **state) {
    (void)state;
    for (int c = 1; c < 256; c++) {
        tw_log(TW_LOG_INFO, "test", "<%c>", c);
        char want = c < 0x20 || c == 0x7F ? ' ' : (char)c;
        assert_int_equal(message()[1], want);
        assert_string_equal(message() + 2, ">");
    }
    tw_log(TW_LOG_INFO, "gr\noup", "the group, too");
    assert_null(strchr(seen.line, '\n'));
}

/* At every length around the bound: never longer, always marked, never half a character. */
static void test_long_lines_are_cut(void **state) {
    (void)state;
    char text[9001];
    for (size_t i = 0; i < 9000; i += 2)
        memcpy(text + i, "\xD8\xA8", 2);
    text[9000] = 0;
    size_t cut = 0;
    for (int length = 8100; length <= 9000; length++) {
        tw_log(TW_LOG_INFO, "test", "%.*s", length - length % 2, text);
        assert_true(seen.length < 8192);
        if (strcmp(seen.line + seen.length - 3, "...") != 0) continue;
        cut++;
        assert_int_equal((unsigned char)seen.line[seen.length - 4], 0xA8);
    }
    assert_true(cut > 700);
    memset(text, '\n', sizeof text - 1);
    for (size_t i = 1; i < sizeof text - 1; i += 2)
        text[i] = '\t';
    tw_log(TW_LOG_INFO, "test", "%s", text); /* the text that grows most */
    assert_true(seen.length < 8192);
    assert_string_equal(seen.line + seen.length - 3, "...");
    tw_log(TW_LOG_INFO, text, "a long group");
    assert_true(seen.length < 200);
}

static void test_errno_survives(void **state) {
    (void)state;
    errno = ENOTTY;
    tw_log(TW_LOG_INFO, "test", "x");
    assert_int_equal(errno, ENOTTY);
}

static void *log_often(void *data) {
    for (int i = 0; i < 300; i++) {
        tw_log(TW_LOG_INFO, "thread", "begin %s %s end", (const char *)data, (const char *)data);
    }
    return NULL;
}

/* On stderr itself: whole lines, each ended by a newline, and all of them. */
static void test_lines_of_threads_do_not_mix(void **state) {
    (void)state;
    static const char *const words[] = {"aaaaaaaaaaaaaaaaaaaaaaaa", "bbb", "cccccccccccc", "d"};
    pthread_t threads[4];
    FILE *file = tmpfile();
    assert_non_null(file);
    tw_log_set_sink(NULL, NULL);
    int saved = dup(STDERR_FILENO);
    dup2(fileno(file), STDERR_FILENO);
    for (size_t i = 0; i < 4; i++) {
        pthread_create(&threads[i], NULL, log_often, (void *)(uintptr_t)words[i]);
    }
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    dup2(saved, STDERR_FILENO);
    close(saved);
    rewind(file);
    int counts[4] = {0};
    char line[256], want[256];
    while (fgets(line, sizeof line, file)) {
        size_t i = 0;
        while (i < 3 && !strstr(line, words[i]))
            i++;
        snprintf(want, sizeof want, " info thread begin %s %s end\n", words[i], words[i]);
        assert_string_equal(line + 24, want);
        counts[i]++;
    }
    fclose(file);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(counts[i], 300);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_form, begin, end),
        cmocka_unit_test_setup_teardown(test_generation, begin, end),
        cmocka_unit_test_setup_teardown(test_generation_is_of_a_thread, begin, end),
        cmocka_unit_test_setup_teardown(test_levels, begin, end),
        cmocka_unit_test_setup_teardown(test_level_names, begin, end),
        cmocka_unit_test_setup_teardown(test_nobody_forges_a_line, begin, end),
        cmocka_unit_test_setup_teardown(test_every_control_character, begin, end),
        cmocka_unit_test_setup_teardown(test_long_lines_are_cut, begin, end),
        cmocka_unit_test_setup_teardown(test_errno_survives, begin, end),
        cmocka_unit_test_setup_teardown(test_lines_of_threads_do_not_mix, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
