/* broker_generation_test.c: names, patterns, and which definition a channel gets. */
#include "broker_support.h"

#include "broker/generation.h"

static struct tw_generation *generation_of(const char *const *names) {
    struct tw_generation *generation = tw_generation_new(1);
    size_t count = 0;
    while (names[count])
        count++;
    generation->definitions =
        (struct tw_definition *)tw_alloc((count + 1) * sizeof *generation->definitions);
    for (size_t i = 0; i < count; i++) {
        const char *why;
        struct tw_definition *definition = &generation->definitions[i];
        definition->name = tw_format("%s", names[i]);
        definition->index = i;
        assert_int_equal(tw_pattern_check(tw_str_of(names[i]), &definition->is_pattern, &why), 0);
    }
    generation->definition_count = count;
    return generation;
}

/* "index a=1 b=2", or "none". */
static const char *match(const struct tw_generation *generation, const char *name) {
    static char out[512];
    struct tw_param params[TW_MAX_PARAMS];
    const struct tw_definition *definition = tw_generation_match(generation, tw_str_of(name));
    if (!definition) return "none";
    size_t count = tw_definition_params(definition, tw_str_of(name), params);
    int length = snprintf(out, sizeof out, "%zu", definition->index);
    for (size_t i = 0; i < count; i++)
        length += snprintf(out + length, sizeof out - (size_t)length, " %.*s=%.*s",
                           TW_STR_ARG(params[i].name), TW_STR_ARG(params[i].value));
    return out;
}

static void matches_literals_and_captures(void **state) {
    (void)state;
    const char *const names[] = {"{id}",       "room:{id}", "{kind}:{name}",
                                 "a{x}-b:{y}", "market",    NULL};
    struct tw_generation *generation = generation_of(names);
    assert_string_equal(match(generation, "foreign"), "0 id=foreign");
    assert_string_equal(match(generation, "room:7"), "1 id=7");
    assert_string_equal(match(generation, "stock:ABC"), "2 kind=stock name=ABC");
    assert_string_equal(match(generation, "ax-y-b:z"),
                        "2 kind=ax-y-b name=z");                /* the order of files */
    assert_string_equal(match(generation, "room:1:2"), "none"); /* no capture crosses ':' */
    assert_string_equal(match(generation, "room:"), "none");    /* one character at least */
    assert_string_equal(match(generation, ":x"), "none");
    assert_string_equal(match(generation, "market"), "4"); /* a literal before patterns */
    assert_string_equal(match(generation, "markets"), "0 id=markets");
    assert_string_equal(match(generation, ""), "none");
    tw_generation_unref(&generation);
}

static void a_capture_ends_at_the_whole_text_behind_it(void **state) {
    (void)state;
    const char *const names[] = {"{a}-x:{b}", "{a}.end", "pre{a}x", NULL};
    struct tw_generation *generation = generation_of(names);
    assert_string_equal(match(generation, "foo-x:1"), "0 a=foo b=1");
    assert_string_equal(match(generation, "foo-bar-x:1"), "0 a=foo-bar b=1");
    assert_string_equal(match(generation, "-x-x:1"), "0 a=-x b=1");
    assert_string_equal(match(generation, "v1.2.end"), "1 a=v1.2");
    assert_string_equal(match(generation, "a.end.end"), "none"); /* the first place, no other */
    assert_string_equal(match(generation, "prexx"), "2 a=x");
    assert_string_equal(match(generation, "prex"), "none");
    assert_string_equal(match(generation, "preabcx"), "2 a=abc");
    assert_string_equal(match(generation, "preabcxy"), "none");
    tw_generation_unref(&generation);
}

static void takes_the_most_captures_there_may_be(void **state) {
    (void)state;
    const char *const names[] = {"{a}:{b}:{c}:{d}:{e}:{f}:{g}:{h}", NULL};
    struct tw_generation *generation = generation_of(names);
    assert_string_equal(match(generation, "1:2:3:4:5:6:7:8"), "0 a=1 b=2 c=3 d=4 e=5 f=6 g=7 h=8");
    assert_string_equal(match(generation, "1:2:3:4:5:6:7"), "none");
    assert_string_equal(match(generation, "1:2:3:4:5:6:7:8:9"), "none");
    tw_generation_unref(&generation);
}

static void check_pattern(const char *pattern, bool is_ok, bool is_pattern) {
    bool result = !is_pattern;
    const char *why = NULL;
    int status = tw_pattern_check(tw_str_of(pattern), &result, &why);
    if (status != (is_ok ? 0 : TW_EPARSE)) fail_msg("%s", pattern);
    if (is_ok)
        assert_int_equal(result, is_pattern);
    else
        assert_true(why && *why);
}

static void refuses_malformed_patterns(void **state) {
    (void)state;
    static const char *const bad[] = {"",
                                      "{",
                                      "}",
                                      "a}",
                                      "{}",
                                      "{a",
                                      "{a{b}}",
                                      "{a}{b}",
                                      "a/b",
                                      "a\nb",
                                      "\xff",
                                      "x{a}{b}y",
                                      "{a}:{b}:{c}:{d}:{e}:{f}:{g}:{h}:{i}"};
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        check_pattern(bad[i], false, false);
    check_pattern("market", true, false);
    check_pattern("caf\xc3\xa9", true, false);
    check_pattern("{id}", true, true);
    check_pattern("room:{id}", true, true);
    check_pattern("{a}:{b}:{c}:{d}:{e}:{f}:{g}:{h}", true, true);
}

static void knows_a_valid_name(void **state) {
    (void)state;
    char name[202];
    memset(name, 'x', sizeof name);
    assert_true(tw_channel_name_is_valid((struct tw_str){name, 1}));
    assert_true(tw_channel_name_is_valid((struct tw_str){name, 200}));
    assert_false(tw_channel_name_is_valid((struct tw_str){name, 201}));
    assert_false(tw_channel_name_is_valid((struct tw_str){name, 0}));
    assert_false(tw_channel_name_is_valid((struct tw_str){NULL, 0}));
    assert_false(tw_channel_name_is_valid(TW_STR("a/b")));
    assert_false(tw_channel_name_is_valid(TW_STR("a\0b")));
    assert_false(tw_channel_name_is_valid(TW_STR("a\x7f")));
    assert_false(tw_channel_name_is_valid(TW_STR("\xc3")));
    assert_true(tw_channel_name_is_valid(TW_STR("\xf0\x9f\x8c\x8a:{x}-y.z_@=!$&'()*+,;")));
    static const char unfit[] = " ?#%\"\\";
    for (const char *c = unfit; *c; c++) {
        char text[] = {'a', *c, 'b'};
        assert_false(tw_channel_name_is_valid((struct tw_str){text, sizeof text}));
    }
}

static void counts_refs(void **state) {
    (void)state;
    struct tw_generation *generation = generation_of((const char *const[]){"a", NULL});
    struct tw_generation *second = tw_generation_ref(generation);
    assert_int_equal(generation->number, 1);
    tw_generation_unref(&generation);
    assert_null(generation);
    assert_string_equal(match(second, "a"), "0");
    tw_generation_unref(&second);
    tw_generation_unref(&second); /* harmless */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_literals_and_captures),
        cmocka_unit_test(a_capture_ends_at_the_whole_text_behind_it),
        cmocka_unit_test(takes_the_most_captures_there_may_be),
        cmocka_unit_test(refuses_malformed_patterns),
        cmocka_unit_test(knows_a_valid_name),
        cmocka_unit_test(counts_refs),
    };
    return cmocka_run_group_tests(tests, NULL, no_failed_checks);
}
