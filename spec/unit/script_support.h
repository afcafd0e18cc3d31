/* script_support.h: apps from strings, in a folder of their own; channels and messages to run their
 * hooks on; what was logged meanwhile. */
#ifndef SCRIPT_SUPPORT_H
#define SCRIPT_SUPPORT_H

#include <setjmp.h> /* cmocka.h needs these four, in this order */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/status.h"
#include "broker/channel.h"
#include "script/script.h"

#define MOST_OVERRIDES 8

struct app {
    char folder[64], path[96];
    const char *overrides[MOST_OVERRIDES];
    struct tw_app how;
    struct tw_generation *generation;
    struct tw_vm **vms;
    size_t vm_count;
    struct tw_load_errors errors;
};

static char logged[65536];

static inline void keep_line(void *data, enum tw_log_level level, const char *line, size_t length) {
    (void)data;
    (void)level;
    size_t at = strlen(logged);
    if (at + length + 2 > sizeof logged) return;
    memcpy(logged + at, line, length);
    memcpy(logged + at + length, "\n", 2);
}

static inline bool was_logged(const char *part) {
    return strstr(logged, part) != NULL;
}

/* Each test begins with an empty log and ends without failed checks. */
static inline int set_up(void **state) {
    (void)state;
    logged[0] = 0;
    tw_log_set_level(TW_LOG_DEBUG);
    tw_log_set_sink(keep_line, NULL);
    return 0;
}

static inline int tear_down(void **state) {
    (void)state;
    tw_log_set_sink(NULL, NULL);
    return tw_check_count() == 0 ? 0 : -1;
}

#define SCRIPT_TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

static inline void app_init(struct app *app) {
    memset(app, 0, sizeof *app);
    snprintf(app->folder, sizeof app->folder, "/tmp/tidewire-script-XXXXXX");
    assert_non_null(mkdtemp(app->folder));
    snprintf(app->path, sizeof app->path, "%s", app->folder);
    app->how.path = app->path;
    app->how.overrides = app->overrides;
}

/* Makes the folders on the way, too. */
static inline void app_file(struct app *app, const char *name, const char *text) {
    char path[300];
    snprintf(path, sizeof path, "%s/%s", app->folder, name);
    for (char *slash = path + strlen(app->folder) + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = 0;
        mkdir(path, 0755);
        *slash = '/';
    }
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    fclose(file);
}

static inline void app_unload(struct app *app) {
    for (size_t i = 0; i < app->vm_count; i++)
        tw_vm_free(app->vms[i]);
    tw_free(app->vms);
    tw_generation_unref(&app->generation);
    tw_load_errors_deinit(&app->errors);
    app->vms = NULL;
    app->vm_count = 0;
}

static inline int app_load(struct app *app, unsigned workers) {
    app_unload(app);
    return tw_app_load(&app->how, 1, workers, &app->generation, &app->vms, &app->vm_count,
                       &app->errors);
}

static inline void app_must_load(struct app *app) {
    if (app_load(app, 1) == 0) return;
    for (size_t i = 0; i < app->errors.count; i++) {
        const struct tw_load_error *error = &app->errors.items[i];
        print_error("%s:%d: %s\n", error->file, error->line, error->message);
    }
    fail();
}

/* Is there an error at that place whose message has that part? */
static inline bool app_has_error(const struct app *app, const char *file, int line,
                                 const char *part) {
    for (size_t i = 0; i < app->errors.count; i++) {
        const struct tw_load_error *error = &app->errors.items[i];
        if (strcmp(error->file, file) == 0 && error->line == line && strstr(error->message, part))
            return true;
    }
    return false;
}

static inline void app_must_fail(struct app *app, const char *file, int line, const char *part) {
    assert_int_equal(app_load(app, 1), TW_ELOAD);
    if (app_has_error(app, file, line, part)) return;
    print_error("wanted: %s:%d: %s\n", file, line, part);
    for (size_t i = 0; i < app->errors.count; i++) {
        const struct tw_load_error *error = &app->errors.items[i];
        print_error("got:    %s:%d: %s\n", error->file, error->line, error->message);
    }
    fail();
}

static inline void app_deinit(struct app *app) {
    char command[120];
    app_unload(app);
    snprintf(command, sizeof command, "rm -rf %s", app->folder);
    assert_int_equal(system(command), 0);
}

/* A loaded app with one channel, and what hooks need. */
struct stage {
    struct app app;
    void *vm;
    struct tw_channel *channel;
    struct tw_identity *client;
    struct tw_effects effects;
    struct tw_failure failure;
};

static inline struct tw_channel *channel_of(const struct app *app, const char *name) {
    struct tw_rand rand;
    tw_rand_seed(&rand, 1);
    struct tw_name *text = tw_name_new(tw_str_of(name));
    struct tw_channel *channel = tw_channel_new(text, 1, &rand);
    tw_name_unref(&text);
    assert_true(tw_channel_bind(channel, app->generation));
    return channel;
}

static inline struct tw_identity *identity_of(const char *user, const char *claims) {
    struct tw_ip ip;
    tw_ip_parse(TW_STR("1.2.3.4"), &ip);
    return tw_identity_try_new(0xABC, 0, &ip, tw_str_of(user), tw_str_of(claims));
}

static inline void stage_load(struct stage *stage) {
    app_must_load(&stage->app);
    stage->vm = stage->app.vms[0];
    stage->channel = channel_of(&stage->app, "market");
    stage->client = identity_of("alice", "{\"plan\":\"pro\"}");
}

/* `text` is channels/market.lua. */
static inline void stage_init(struct stage *stage, const char *text) {
    memset(stage, 0, sizeof *stage);
    app_init(&stage->app);
    app_file(&stage->app, "channels/market.lua", text);
    stage_load(stage);
}

static inline int stage_open(struct stage *stage) {
    return tw_script_hooks.open(stage->vm, stage->channel, &stage->effects, &stage->failure);
}

static inline void stage_deinit(struct stage *stage) {
    tw_channel_free(stage->channel);
    tw_identity_unref(&stage->client);
    tw_effects_deinit(&stage->effects);
    app_deinit(&stage->app);
}

static inline struct tw_message *message_of(const char *payload) {
    return tw_message_try_new(payload, strlen(payload), false);
}

/* Takes the message and puts what became of it there. */
static inline int stage_transform(struct stage *stage, struct tw_message **message) {
    return tw_script_hooks.transform(stage->vm, stage->channel, stage->client, message,
                                     &stage->effects, &stage->failure);
}

static inline void assert_text(struct tw_str got, const char *wanted) {
    if (got.length == strlen(wanted) && memcmp(got.data, wanted, got.length) == 0) return;
    print_error("got    %.*s\nwanted %s\n", TW_STR_ARG(got), wanted);
    fail();
}

/* What market's transform makes of a payload, as text; the status if it is not 0. */
static inline int transformed(struct stage *stage, const char *payload, const char *wanted) {
    struct tw_message *message = message_of(payload);
    int status = stage_transform(stage, &message);
    if (status == 0) assert_text(tw_message_text(message), wanted);
    tw_message_unref(&message);
    return status;
}

/* Runs Lua in a VM, in a transform: the chunk is its body, with (message, channel, client). */
static inline int run_lua(struct stage *stage, const char *body) {
    char *text = tw_format("return { transform = function(message, channel, client) %s "
                           "return message end }",
                           body);
    stage_init(stage, text);
    tw_free(text);
    int status = stage_open(stage);
    if (status == 0) {
        struct tw_message *message = message_of("{}");
        status = stage_transform(stage, &message);
        tw_message_unref(&message);
    }
    return status;
}

static inline void lua_is_good(const char *body) {
    struct stage stage;
    if (run_lua(&stage, body) != 0) {
        print_error("%s:%d: %s\n", stage.failure.script, stage.failure.line, stage.failure.message);
        fail();
    }
    stage_deinit(&stage);
}

static inline void lua_fails(const char *body, const char *message) {
    struct stage stage;
    assert_int_equal(run_lua(&stage, body), TW_ESCRIPT);
    if (!strstr(stage.failure.message, message)) {
        print_error("got    %s\nwanted %s\n", stage.failure.message, message);
        fail();
    }
    assert_int_equal(stage.effects.count, 0);
    stage_deinit(&stage);
}

#endif
