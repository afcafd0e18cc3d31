/* hooks.c: what a hook costs, in nanoseconds of processor time per call: the entry, the guard, what
 * handlers do with a message; and what it costs to build a VM anew. Run it from the root of the
 * repository, on the release build; it asserts nothing. */
#include <lauxlib.h>
#include <lua.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "broker/channel.h"
#include "broker/identity.h"
#include "script/guard.h"
#include "script/script.h"
#include "script/vm.h"

enum { ROUNDS = 5, CALLS = 100000, REBUILDS = 200 };

static const char payload[] =
    "{\"symbol\":\"MSFT\",\"price\":412.51,\"volume\":1200,\"time\":1700000000.25,"
    "\"exchange\":\"NASDAQ\",\"bid\":412.5,\"ask\":412.52,\"open\":410}";

struct app {
    char folder[64];
    const char *overrides[1];
    struct tw_app how;
    struct tw_generation *generation;
    struct tw_vm **vms;
    size_t count;
    struct tw_load_errors errors;
};

static void die(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    exit(1);
}

static double used_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

/* --- apps --- */

static void load(struct app *app, const char *path, bool jit) {
    app->overrides[0] = jit ? "script.jit=true" : "script.jit=false";
    app->how = (struct tw_app){.path = path, .overrides = app->overrides, .override_count = 1};
    if (tw_app_load(&app->how, 1, 1, &app->generation, &app->vms, &app->count, &app->errors) != 0)
        die("%s:%d: %s\n", app->errors.items[0].file, app->errors.items[0].line,
            app->errors.items[0].message);
}

static void unload(struct app *app) {
    for (size_t i = 0; i < app->count; i++)
        tw_vm_free(app->vms[i]);
    tw_free(app->vms);
    tw_generation_unref(&app->generation);
}

static void write_channel(const struct app *app, unsigned number, const char *text) {
    char path[128];
    snprintf(path, sizeof path, "%s/channels/c%u.lua", app->folder, number);
    FILE *file = fopen(path, "w");
    if (!file || fputs(text, file) < 0 || fclose(file) != 0) die("cannot write %s\n", path);
}

static void make_folder(struct app *app) {
    char channels[80];
    memset(app, 0, sizeof *app);
    snprintf(app->folder, sizeof app->folder, "/tmp/tidewire-bench-XXXXXX");
    if (!mkdtemp(app->folder)) die("no folder for the app\n");
    snprintf(channels, sizeof channels, "%s/channels", app->folder);
    mkdir(channels, 0755);
}

static void remove_folder(const struct app *app, unsigned channels) {
    char path[128];
    for (unsigned i = 0; i < channels; i++) {
        snprintf(path, sizeof path, "%s/channels/c%u.lua", app->folder, i);
        unlink(path);
    }
    snprintf(path, sizeof path, "%s/channels", app->folder);
    rmdir(path);
    rmdir(app->folder);
}

/* --- hooks --- */

static double transform_ns(struct tw_vm *vm, struct tw_channel *channel) {
    struct tw_effects effects = {0};
    struct tw_failure failure;
    double best = 1e18;
    for (int round = 0; round < ROUNDS; round++) {
        double before = used_ns();
        for (int i = 0; i < CALLS; i++) {
            struct tw_message *message = tw_message_try_new(payload, sizeof payload - 1, false);
            if (tw_script_hooks.transform(vm, channel, NULL, &message, &effects, &failure) != 0)
                die("transform: %s\n", failure.message);
            tw_message_unref(&message);
        }
        double took = (used_ns() - before) / CALLS;
        if (took < best) best = took;
    }
    tw_effects_deinit(&effects);
    return best;
}

/* What transform_ns does beside the hook. */
static double message_ns(void) {
    double best = 1e18;
    for (int round = 0; round < ROUNDS; round++) {
        double before = used_ns();
        for (int i = 0; i < CALLS; i++) {
            struct tw_message *message = tw_message_try_new(payload, sizeof payload - 1, false);
            tw_message_unref(&message);
        }
        double took = (used_ns() - before) / CALLS;
        if (took < best) best = took;
    }
    return best;
}

static void bench_transform(const char *what, const char *body) {
    double ns[2], message = message_ns();
    for (int jit = 0; jit < 2; jit++) {
        struct app app;
        struct tw_rand rand;
        struct tw_effects effects = {0};
        struct tw_failure failure;
        char text[400];
        make_folder(&app);
        snprintf(text, sizeof text,
                 "return { transform = function(message, channel) %s return message end }", body);
        write_channel(&app, 0, text);
        load(&app, app.folder, jit == 1);
        tw_rand_seed(&rand, 1);
        struct tw_name *name = tw_name_new(TW_STR("c0"));
        struct tw_channel *channel = tw_channel_new(name, 1, &rand);
        tw_channel_bind(channel, app.generation);
        tw_script_hooks.open(app.vms[0], channel, &effects, &failure);
        ns[jit] = transform_ns(app.vms[0], channel) - message;
        tw_script_hooks.close(app.vms[0], channel);
        tw_channel_free(channel);
        tw_name_unref(&name);
        unload(&app);
        remove_folder(&app, 1);
    }
    printf("%-44s %8.0f ns  %8.0f ns compiled\n", what, ns[0], ns[1]);
}

/* --- the guard alone --- */

static void bench_guard(void) {
    lua_State *L = luaL_newstate();
    double best[2] = {1e18, 1e18};
    if (luaL_loadstring(L, "") != 0) die("no chunk\n");
    for (int round = 0; round < ROUNDS; round++) {
        for (int guarded = 0; guarded < 2; guarded++) {
            double before = used_ns();
            for (int i = 0; i < CALLS * 10; i++) {
                enum tw_guard_end end;
                lua_pushvalue(L, 1);
                if (guarded)
                    tw_guard_call(L, 0, 100, &end);
                else
                    lua_pcall(L, 0, 0, 0);
            }
            double took = (used_ns() - before) / (CALLS * 10);
            if (took < best[guarded]) best[guarded] = took;
        }
    }
    printf("%-44s %8.1f ns\n", "lua_pcall of an empty function", best[0]);
    printf("%-44s %8.1f ns\n", "the same under the guard", best[1]);
    lua_close(L);
}

/* --- a VM anew --- */

static void bench_rebuild(const char *what, const char *path) {
    struct app app = {0};
    double times[2] = {0, 0};
    load(&app, path, false);
    for (int i = 0; i < REBUILDS; i++) {
        double before = used_ns();
        if (tw_vm_restart(app.vms[0]) != 0) die("restart\n");
        double between = used_ns();
        struct tw_load_errors errors = {0};
        if (tw_load_again(app.vms[0], &errors) != 0) die("load again\n");
        times[0] += between - before;
        times[1] += used_ns() - between;
    }
    printf("%-44s %8.2f ms (an empty VM %.2f, its files %.2f), %zu KB\n", what,
           (times[0] + times[1]) / REBUILDS / 1e6, times[0] / REBUILDS / 1e6,
           times[1] / REBUILDS / 1e6, tw_vm_memory(app.vms[0]) / 1024);
    unload(&app);
}

static void bench_rebuild_of_many(void) {
    enum { CHANNELS = 50 };
    struct app app;
    make_folder(&app);
    for (unsigned i = 0; i < CHANNELS; i++)
        write_channel(&app, i,
                      "local names = { 'a', 'b', 'c' }\n"
                      "local function change(old, new) return old and new - old or 0 end\n"
                      "local function find(list, wanted)\n"
                      "  for i, it in ipairs(list) do if it == wanted then return i end end\n"
                      "end\n"
                      "return {\n"
                      "  queue = { size = 64, overflow = 'conflate', key = 'symbol' },\n"
                      "  init = function(channel) channel.state.count = 0 end,\n"
                      "  authorize = function(client, action, channel)\n"
                      "    return action == 'subscribe' or client.claims.plan == 'pro'\n"
                      "  end,\n"
                      "  transform = function(message, channel)\n"
                      "    local quote = message.data\n"
                      "    quote.change = change(channel.state[quote.symbol], quote.price)\n"
                      "    quote.place = find(names, quote.symbol)\n"
                      "    channel.state[quote.symbol] = quote.price\n"
                      "    return message\n"
                      "  end,\n"
                      "  tick = { every = 1, run = function(channel)\n"
                      "    channel:publish { count = channel.state.count }\n"
                      "  end },\n"
                      "}\n");
    bench_rebuild("a new VM, 50 channel files", app.folder);
    remove_folder(&app, CHANNELS);
}

int main(void) {
    bench_guard();
    printf("%-44s %8.0f ns\n", "a message of 128 bytes, without a hook", message_ns());
    bench_transform("a transform that touches nothing", "");
    bench_transform("... that reads message.raw", "local x = #message.raw");
    bench_transform("... that reads message.data.price", "local x = message.data.price");
    bench_transform("... that changes a field", "message.data.change = 1");
    bench_transform("... that also keeps state",
                    "local q = message.data q.change = q.price - (channel.state[q.symbol] or 0) "
                    "channel.state[q.symbol] = q.price");
    bench_rebuild("a new VM, the stock tracker", "examples/stock-tracker");
    bench_rebuild_of_many();
    return 0;
}
