/* Metrics: names, series, bounds, how they are shown, and threads. */
#include "broker_support.h"

#include <pthread.h>

#include "base/json.h"
#include "broker/metrics.h"

static int add(struct tw_metrics *metrics, enum tw_metric_kind kind, const char *name,
               const char *labels, double value) {
    return tw_metrics_add(metrics, kind, tw_str_of(name), tw_str_of(labels), value);
}

static void shows(struct tw_metrics *metrics, const char *wanted) {
    struct tw_buf json = {0};
    tw_metrics_print_json(metrics, &json);
    assert_int_equal(tw_json_check((struct tw_str){json.data, json.length}, NULL), 0);
    tw_buf_append(&json, "", 1);
    assert_string_equal(json.data, wanted);
    tw_buf_deinit(&json);
}

static void names_are_as_prometheus_has_them(void **state) {
    (void)state;
    static const char *const good[] = {"a", "_a9", "a:b", "A_total"};
    static const char *const wrong[] = {"", "9a", "a-b", "a b", "\xc3\xa4", "tidewire_x", "a{"};
    for (size_t i = 0; i < COUNT_OF(good); i++)
        assert_true(tw_metrics_is_name(tw_str_of(good[i])));
    for (size_t i = 0; i < COUNT_OF(wrong); i++)
        assert_false(tw_metrics_is_name(tw_str_of(wrong[i])));
    assert_true(tw_metrics_is_label(TW_STR("side")));
    assert_true(tw_metrics_is_label(TW_STR("_x")));
    assert_false(tw_metrics_is_label(TW_STR("__x")));
    assert_false(tw_metrics_is_label(TW_STR("le")));
    assert_false(tw_metrics_is_label(TW_STR("a:b")));
    assert_false(tw_metrics_is_label(TW_STR("")));
}

static void series_are_shown_by_family(void **state) {
    (void)state;
    struct tw_metrics *metrics = tw_metrics_new();
    struct tw_buf labels = {0};
    shows(metrics, "{}");
    tw_metrics_add_label(&labels, TW_STR("a"), TW_STR("x\"\\\n"));
    tw_metrics_add_label(&labels, TW_STR("b"), TW_STR(""));
    tw_buf_append(&labels, "", 1);
    assert_string_equal(labels.data, "a=\"x\\\"\\\\\\n\",b=\"\"");
    add(metrics, TW_METRIC_COUNTER, "n", "", 1);
    add(metrics, TW_METRIC_GAUGE, "g", "", 5);
    add(metrics, TW_METRIC_COUNTER, "n", labels.data, 0.1);
    add(metrics, TW_METRIC_COUNTER, "n", "", 2);
    add(metrics, TW_METRIC_COUNTER, "n", labels.data, 0.2);
    add(metrics, TW_METRIC_GAUGE, "g", "", -0.5);
    add(metrics, TW_METRIC_HISTOGRAM, "h", "", 0.0001);
    add(metrics, TW_METRIC_HISTOGRAM, "h", "", 0.3);
    add(metrics, TW_METRIC_HISTOGRAM, "h", "", 11);
    shows(metrics,
          "{\"n\":3,\"n{a=\\\"x\\\\\\\"\\\\\\\\\\\\n\\\",b=\\\"\\\"}\":0.30000000000000004,"
          "\"g\":-0.5,"
          "\"h\":{\"count\":3,\"sum\":11.3001,\"buckets\":[[0.0001,1],[0.5,1]]}}");
    tw_buf_deinit(&labels);
    tw_metrics_free(metrics);
}

static void a_name_is_of_one_kind(void **state) {
    (void)state;
    struct tw_metrics *metrics = tw_metrics_new();
    assert_int_equal(add(metrics, TW_METRIC_COUNTER, "n", "", 1), 0);
    assert_int_equal(add(metrics, TW_METRIC_GAUGE, "n", "", 1), -EEXIST);
    assert_int_equal(add(metrics, TW_METRIC_GAUGE, "n", "a=\"1\"", 1), -EEXIST);
    assert_int_equal(add(metrics, TW_METRIC_HISTOGRAM, "h", "", 1), 0);
    assert_int_equal(add(metrics, TW_METRIC_COUNTER, "h_count", "", 1), -EEXIST);
    assert_int_equal(add(metrics, TW_METRIC_COUNTER, "n_count", "", 1), 0);
    assert_int_equal(add(metrics, TW_METRIC_HISTOGRAM, "n", "", 1), -EEXIST);
    assert_int_equal(add(metrics, TW_METRIC_GAUGE, "x_sum", "", 1), 0);
    assert_int_equal(add(metrics, TW_METRIC_HISTOGRAM, "x", "", 1), -EEXIST);
    tw_metrics_free(metrics);
}

static void series_are_bounded(void **state) {
    (void)state;
    struct tw_metrics *metrics = tw_metrics_new();
    for (int i = 0; i < TW_METRICS_MAX_SERIES; i++) {
        char *labels = tw_format("id=\"%d\"", i);
        assert_int_equal(add(metrics, TW_METRIC_COUNTER, "n", labels, 1), 0);
        tw_free(labels);
    }
    assert_int_equal(add(metrics, TW_METRIC_COUNTER, "n", "id=\"x\"", 1), TW_EFULL);
    assert_int_equal(add(metrics, TW_METRIC_GAUGE, "g", "", 1), TW_EFULL);
    assert_int_equal(add(metrics, TW_METRIC_COUNTER, "n", "id=\"7\"", 1), 0);
    tw_metrics_free(metrics);
}

static void an_allocation_that_fails_leaves_no_series(void **state) {
    (void)state;
    struct tw_metrics *metrics = tw_metrics_new();
    for (long n = 1; n <= 2; n++) {
        tw_mem_fail_after(n);
        assert_int_equal(add(metrics, TW_METRIC_COUNTER, "n", "", 1), -ENOMEM);
        tw_mem_fail_after(-1);
        shows(metrics, "{}");
    }
    assert_int_equal(add(metrics, TW_METRIC_COUNTER, "n", "", 1), 0);
    tw_metrics_free(metrics);
}

enum { THREADS = 4, ROUNDS = 20000 };

static void *work(void *metrics) {
    for (int i = 0; i < ROUNDS; i++) {
        add((struct tw_metrics *)metrics, TW_METRIC_COUNTER, "n", i % 2 ? "a=\"1\"" : "", 1);
        add((struct tw_metrics *)metrics, TW_METRIC_HISTOGRAM, "h", "", 1);
    }
    return NULL;
}

static void threads_add_up(void **state) {
    (void)state;
    struct tw_metrics *metrics = tw_metrics_new();
    pthread_t threads[THREADS];
    add(metrics, TW_METRIC_COUNTER, "n", "", 0); /* first in order */
    add(metrics, TW_METRIC_COUNTER, "n", "a=\"1\"", 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, metrics), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    shows(metrics, "{\"n\":40000,\"n{a=\\\"1\\\"}\":40000,"
                   "\"h\":{\"count\":80000,\"sum\":80000,\"buckets\":[[1,80000]]}}");
    tw_metrics_free(metrics);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_as_prometheus_has_them),
        cmocka_unit_test(series_are_shown_by_family),
        cmocka_unit_test(a_name_is_of_one_kind),
        cmocka_unit_test(series_are_bounded),
        cmocka_unit_test(an_allocation_that_fails_leaves_no_series),
        cmocka_unit_test(threads_add_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
