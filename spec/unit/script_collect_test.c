/* Garbage goes in slices: when there is nothing else to do, and after each call near the cap; and
 * nobody's call fails for garbage that another left. */
#include "script_support.h"

/* `garbage` bytes of it, `keep` tables of some 150 bytes in the state, and `held` ones that are
 * garbage only when the handler has ended. */
static const char MARKET[] = "return { transform = function(message, channel)"
                             "  local state, ask = channel.state, message.data"
                             "  for i = #state + 1, ask.keep or 0 do state[i] = { at = i } end"
                             "  for i = 1, (ask.garbage or 0) / 100 do local t = { at = i } end"
                             "  local held = {}"
                             "  for i = 1, ask.held or 0 do held[i] = { at = i } end"
                             "  if ask.fail then error 'asked for' end"
                             "  return message end }";

static struct stage stage;

static int ask(const char *what) {
    struct tw_message *message = message_of(what);
    int status = stage_transform(&stage, &message);
    tw_message_unref(&message);
    return status;
}

/* All there is to do; in how many slices. */
static unsigned collect_all(void) {
    unsigned slices = 0;
    for (; tw_vm_wants_collecting(stage.vm); slices++)
        tw_vm_collect_some(stage.vm);
    return slices;
}

static void begin(const char *settings) {
    memset(&stage, 0, sizeof stage);
    app_init(&stage.app);
    app_file(&stage.app, "channels/market.lua", MARKET);
    app_file(&stage.app, "broker.lua", settings);
    stage_load(&stage);
    assert_int_equal(stage_open(&stage), 0);
    collect_all();
}

static void what_handlers_leave_goes_when_there_is_time(void **state) {
    (void)state;
    begin("return {}");
    size_t live = tw_vm_memory(stage.vm);
    while (!tw_vm_wants_collecting(stage.vm))
        assert_int_equal(ask("{\"garbage\":5000}"), 0);
    assert_true(tw_vm_memory(stage.vm) > 2 * live - 20000);
    assert_true(collect_all() > 0);
    assert_true(tw_vm_memory(stage.vm) < live + 20000);
    assert_int_equal(collect_all(), 0);
    stage_deinit(&stage);
}

static void a_large_heap_takes_many_slices(void **state) {
    (void)state;
    begin("return { script = { deadline = 60 } }");
    assert_int_equal(ask("{\"keep\":50000}"), 0);
    collect_all();
    size_t live = tw_vm_memory(stage.vm);
    assert_int_equal(ask("{\"held\":60000}"), 0);
    assert_true(tw_vm_wants_collecting(stage.vm));
    assert_true(collect_all() > 10);
    assert_true(tw_vm_memory(stage.vm) < live + live / 2);
    stage_deinit(&stage);
}

static void near_the_cap_a_slice_follows_each_call(void **state) {
    (void)state;
    begin("return { script = { deadline = 60, memory = 16777216 } }");
    assert_int_equal(ask("{\"keep\":75000}"), 0);
    collect_all();
    size_t live = tw_vm_memory(stage.vm), most = 0;
    assert_in_range(live, 8 << 20, 12 << 20);
    for (int i = 0; i < 200; i++) {
        assert_int_equal(ask("{\"garbage\":500000}"), 0);
        if (tw_vm_memory(stage.vm) > most) most = tw_vm_memory(stage.vm);
    }
    assert_true(most > live + 500000); /* nothing stopped to collect it all */
    assert_true(most < 16777216);
    stage_deinit(&stage);
}

static void what_a_failed_handler_left_is_in_nobodys_way(void **state) {
    (void)state;
    begin("return { script = { deadline = 60, memory = 16777216 } }");
    size_t live = tw_vm_memory(stage.vm);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ask("{\"held\":60000,\"fail\":true}"), TW_ESCRIPT);
        assert_true(tw_vm_memory(stage.vm) < live + 100000);
        assert_int_equal(ask("{\"held\":60000}"), 0);
        assert_int_equal(ask("{\"held\":600000}"), TW_ESCRIPT);
        assert_non_null(strstr(stage.failure.message, "not enough memory"));
        assert_int_equal(ask("{\"held\":60000}"), 0);
        collect_all();
    }
    stage_deinit(&stage);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        SCRIPT_TEST(what_handlers_leave_goes_when_there_is_time),
        SCRIPT_TEST(a_large_heap_takes_many_slices),
        SCRIPT_TEST(near_the_cap_a_slice_follows_each_call),
        SCRIPT_TEST(what_a_failed_handler_left_is_in_nobodys_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
