/* app_bench_options_test.c: the command line of the load tool, URLs, /proc. */
#include "base_support.h"

#include <errno.h>

#include "app/bench_options.h"
#include "app/bench_process.h"
#include "base/status.h"

#define MAX_ARGS 16

/* Parses "a b c"; what was said about it is in `said`. */
static int parse(struct tw_bench_options *options, const char *line, char *said, size_t size) {
    static char words[512];
    char *args[MAX_ARGS + 1] = {NULL}, *rest = words;
    size_t count = 0;
    FILE *err = fmemopen(said, size, "w");
    assert_non_null(err);
    snprintf(words, sizeof words, "%s", line);
    for (char *word; (word = strsep(&rest, " "));)
        args[count++] = word;
    int status = tw_bench_options_parse(options, args, err);
    fclose(err);
    return status;
}

static void test_reads(void **state) {
    (void)state;
    struct tw_bench_options options;
    char said[512] = "";
    const char *line =
        "fanout ws://[::1]:9000/ws/a:{n}?t=1 --clients 1000 --channels=10 --window 64 "
        "--size 200 --duration 2.5 --pid=7 --json --header A:b";
    assert_int_equal(parse(&options, line, said, sizeof said), 0);
    assert_string_equal(said, "");
    assert_string_equal(options.url.host, "::1");
    assert_string_equal(options.url.port, "9000");
    assert_true(options.clients == 1000 && options.channels == 10 && options.window == 64);
    assert_true(options.size == 200 && options.duration_s == 2.5 && options.warmup_s == 1);
    assert_true(options.pid == 7 && options.json && options.header_count == 1);
    struct tw_buf text = {0};
    tw_bench_url_target(&options.url, 12, &text);
    tw_bench_url_host(&options.url, &text);
    assert_memory_equal(text.data, "/ws/a:12?t=1[::1]:9000", text.length);
    tw_buf_deinit(&text);
    tw_bench_options_deinit(&options);
}

static void test_counts_take_no_warmup(void **state) {
    (void)state;
    struct tw_bench_options options;
    char said[512];
    assert_int_equal(parse(&options, "echo ws://h --count 5", said, sizeof said), 0);
    assert_true(options.count == 5 && options.warmup_s == 0 && options.duration_s == 60);
    assert_string_equal(options.url.port, "80");
    tw_bench_options_deinit(&options);
}

static void test_refuses(void **state) {
    (void)state;
    static const struct {
        const char *line, *says;
    } cases[] = {
        {"fanot ws://h", "did you mean fanout?"},
        {"fanout", "takes a URL"},
        {"fanout ws://h ws://i", "takes one URL"},
        {"fanout ws://h --clints 4", "did you mean --clients?"},
        {"fanout ws://h --clients", "takes a value"},
        {"fanout ws://h --clients 0", "--clients takes a number from 1 to 1000000; got: 0"},
        {"fanout ws://h --clients 1.5", "--clients"},
        {"fanout ws://h --clients ten", "--clients"},
        {"fanout ws://h --clients nan", "--clients"},
        {"fanout ws://h --size 20", "--size takes a number from 53"},
        {"fanout ws://h --json=yes", "--json takes no value"},
        {"fanout ws://h --header nonsense", "Name: value"},
        {"fanout ws://h --dialect tidewire.v1", "only raw is spoken"},
        {"fanout ws://h --channels 2", "{n}"},
        {"fanout ws://h/{n} --clients 2 --channels 3", "as many --clients"},
        {"fanout ws://h/{n} --channels 3 --publish http://h/", "{n} in the URL of --publish"},
        {"echo ws://h --channels 2", "echo takes no --channels"},
        {"echo ws://h --publish http://h", "echo publishes by socket"},
        {"echo ws://h --rate 5", "--rate is for"},
        {"fanout ws://h --touch", "--touch is for idle"},
        {"slow ws://h --count 5", "slow takes a --duration"},
        {"fanout wss://h", "TLS"},
        {"fanout http://h", "must begin with ws://"},
        {"fanout ws://h --publish ws://h", "must begin with http://"},
        {"fanout ws://", "no host"},
        {"fanout ws://:80", "no host"},
        {"fanout ws://[]", "no host"},
        {"fanout ws://h:0", "port"},
        {"fanout ws://h:65536", "port"},
        {"fanout ws://h:", "port"},
        {"fanout ws://[::1]8", "port"},
        {"fanout ws://a@h", "no user"},
        {"fanout ws://h/#x", "no fragment"},
        {"fanout ws://h/\xC3\xBC", "not ASCII"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct tw_bench_options options;
        char said[512] = "";
        assert_int_equal(parse(&options, cases[i].line, said, sizeof said), TW_EUSAGE);
        if (!strstr(said, cases[i].says)) fail_msg("%s: said: %s", cases[i].line, said);
        assert_ptr_equal(strchr(said, '\n'), said + strlen(said) - 1); /* one line */
        tw_bench_options_deinit(&options);
    }
}

static void test_stat(void **state) {
    (void)state;
    uint64_t user, system;
    const char *line = "42 (a) b) (c) S 1 42 42 0 -1 4194560 1 2 3 4 1234 567 8 9 20 0 1";
    assert_int_equal(tw_bench_stat_parse(line, &user, &system), 0);
    assert_true(user == 1234 && system == 567);
    assert_int_equal(tw_bench_stat_parse("42 (a) S 1", &user, &system), TW_EPARSE);
    assert_int_equal(tw_bench_stat_parse("", &user, &system), TW_EPARSE);
}

static void test_own_process(void **state) {
    (void)state;
    struct tw_bench_usage usage;
    assert_int_equal(tw_bench_process_usage(getpid(), &usage), 0);
    assert_true(usage.user_s >= 0 && usage.system_s >= 0);
    assert_true(tw_bench_process_memory(getpid()) > 100000);
    assert_true(tw_bench_process_rss(getpid()) > 100000);
    assert_int_equal(tw_bench_process_usage(4194304, &usage), -ESRCH); /* above pid_max */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads),       cmocka_unit_test(test_counts_take_no_warmup),
        cmocka_unit_test(test_refuses),     cmocka_unit_test(test_stat),
        cmocka_unit_test(test_own_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
