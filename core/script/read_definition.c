/* read_definition.c: to add a hook: a line in TW_HOOK_TABLE (vm.h), here in `keys`, and in
 * scripts/tidewire/meta/definition.lua; the call itself in hooks.c. */
#include "script/read_definition.h"

#include <lauxlib.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "broker/audience.h"
#include "script/libs.h"
#include "script/text.h"

#define LONGEST 86400.0 /* seconds */

const char *const tw_read_definition_paths[] = {"name",
                                                "history",
                                                "history.size",
                                                "history.ttl",
                                                "presence",
                                                "queue",
                                                "queue.size",
                                                "queue.overflow",
                                                "queue.key",
                                                "publish",
                                                "authorize",
                                                "transform",
                                                "audience",
                                                "views",
                                                "init",
                                                "on_subscribe",
                                                "on_unsubscribe",
                                                "tick",
                                                "tick.every",
                                                "tick.run",
                                                "migrate",
                                                "quarantine",
                                                NULL};

static const char *const keys[] = {"name",    "history",   "presence",     "queue",
                                   "publish", "authorize", "transform",    "audience",
                                   "views",   "init",      "on_subscribe", "on_unsubscribe",
                                   "tick",    "migrate",   "quarantine",   NULL};

struct definition_reader {
    struct tw_reader *reader;
    lua_State *L;
    int table;
    struct tw_definition *out;
    struct tw_vm_definition *kept;
};

static char *take_text(struct definition_reader *d, struct tw_str text);
static int push(struct definition_reader *d, int table, const char *key);
static void read_name(struct definition_reader *d, struct tw_str default_name);
static void read_publish(struct definition_reader *d);
static void read_quarantine(struct definition_reader *d);
static void read_queue(struct definition_reader *d);
static void read_key(struct definition_reader *d, int index);
static void check_conflate(struct definition_reader *d);
static void read_tick(struct definition_reader *d);
static bool read_function(struct definition_reader *d, int table, const char *key, const char *path,
                          enum tw_hook hook);
static void check_history(struct definition_reader *d, bool *is_used);
static void warn_unused(struct definition_reader *d, bool is_first);
static void read_audience(struct definition_reader *d);
static void read_views(struct definition_reader *d, int views);
static void add_view(struct definition_reader *d, int name);
static int compare_texts(const void *a, const void *b);

void tw_read_definition(struct tw_reader *reader, int index, struct tw_str name,
                        const struct tw_queue_settings *queue, bool is_first,
                        struct tw_definition *out, struct tw_vm_definition *kept) {
    struct definition_reader d = {reader, reader->L, index, out, kept};
    out->queue = *queue;
    out->name = tw_memdup(name.data, name.length);
    luaL_checkstack(d.L, 16, "definition");
    if (!lua_istable(d.L, index)) {
        tw_reader_expected(reader, "", index, "that the file returns a table, the definition");
        return;
    }
    tw_reader_check_keys(reader, index, "", keys);
    read_name(&d, name);
    out->has_authorize = read_function(&d, index, "authorize", "authorize", TW_HOOK_AUTHORIZE);
    out->has_transform = read_function(&d, index, "transform", "transform", TW_HOOK_TRANSFORM);
    out->has_init = read_function(&d, index, "init", "init", TW_HOOK_INIT);
    out->has_on_subscribe =
        read_function(&d, index, "on_subscribe", "on_subscribe", TW_HOOK_ON_SUBSCRIBE);
    out->has_on_unsubscribe =
        read_function(&d, index, "on_unsubscribe", "on_unsubscribe", TW_HOOK_ON_UNSUBSCRIBE);
    read_function(&d, index, "migrate", "migrate", TW_HOOK_MIGRATE);
    read_publish(&d);
    read_quarantine(&d);
    read_queue(&d);
    read_tick(&d);
    read_audience(&d);
    warn_unused(&d, is_first);
}

/* A copy; scripts choose its length. Owned. */
static char *take_text(struct definition_reader *d, struct tw_str text) {
    char *copy = tw_try_memdup(text.data, text.length);
    if (!copy) luaL_error(d->L, "not enough memory");
    return copy;
}

/* Pushes a field and returns its index. */
static int push(struct definition_reader *d, int table, const char *key) {
    lua_pushstring(d->L, key);
    lua_rawget(d->L, table);
    return lua_gettop(d->L);
}

static void read_name(struct definition_reader *d, struct tw_str default_name) {
    int index = push(d, d->table, "name");
    struct tw_str name = default_name;
    const char *why;
    bool is_given = !lua_isnil(d->L, index);
    if (!is_given ||
        tw_reader_text(d->reader, "name", index, "a text, the channel's name", &name)) {
        tw_free(d->out->name);
        d->out->name = NULL;
        d->out->name = take_text(d, name);
        if (tw_pattern_check(name, &d->out->is_pattern, &why) != 0) {
            tw_reader_error(d->reader, is_given ? "name" : "", "%s%s",
                            is_given ? "" : "the file's name is the channel's: ", why);
        }
    }
    lua_settop(d->L, index - 1);
}

static void read_publish(struct definition_reader *d) {
    static const char what[] = "true, false or \"authorize\"";
    int index = push(d, d->table, "publish");
    bool is_text = lua_type(d->L, index) == LUA_TSTRING;
    if (lua_isboolean(d->L, index)) {
        d->out->publish = lua_toboolean(d->L, index) ? TW_PUBLISH_ALWAYS : TW_PUBLISH_NEVER;
    } else if (is_text && tw_str_eq(tw_text_at(d->L, index), TW_STR("authorize"))) {
        d->out->publish = TW_PUBLISH_ASK;
        /* Without a function everybody may, which nobody who writes this can want. */
        if (!d->out->has_authorize) {
            tw_reader_error(d->reader, "publish", "\"authorize\" needs a function `authorize`");
        }
    } else if (!lua_isnil(d->L, index)) {
        tw_reader_expected(d->reader, "publish", index, what);
    }
    lua_settop(d->L, index - 1);
}

static void read_quarantine(struct definition_reader *d) {
    static const char what[] = "\"refuse\", \"pass\" or false";
    int index = push(d, d->table, "quarantine");
    bool is_text = lua_type(d->L, index) == LUA_TSTRING;
    struct tw_str text = is_text ? tw_text_at(d->L, index) : TW_STR("");
    if (lua_isboolean(d->L, index) && !lua_toboolean(d->L, index)) {
        d->out->quarantine = TW_QUARANTINE_NEVER;
    } else if (tw_str_eq(text, TW_STR("pass"))) {
        d->out->quarantine = TW_QUARANTINE_PASS;
    } else if (!lua_isnil(d->L, index) && !tw_str_eq(text, TW_STR("refuse"))) {
        tw_reader_expected(d->reader, "quarantine", index, what);
    }
    lua_settop(d->L, index - 1);
}

static void read_queue(struct definition_reader *d) {
    static const char *const names[] = {"size", "overflow", "key", NULL};
    int queue = push(d, d->table, "queue"), choice;
    double size;
    if (lua_istable(d->L, queue)) {
        tw_reader_check_keys(d->reader, queue, "queue", names);
        int index = push(d, queue, "size");
        if (!lua_isnil(d->L, index) &&
            tw_reader_number(d->reader, "queue.size", index, 1, 1e9, true, &size))
            d->out->queue.size = (uint32_t)size;
        index = push(d, queue, "overflow");
        if (!lua_isnil(d->L, index) &&
            tw_reader_choice(d->reader, "queue.overflow", index, tw_reader_overflows, &choice))
            d->out->queue.overflow = (enum tw_overflow)choice;
        index = push(d, queue, "key");
        if (!lua_isnil(d->L, index)) read_key(d, index);
    } else if (!lua_isnil(d->L, queue)) {
        tw_reader_expected(d->reader, "queue", queue, "a table");
    }
    lua_settop(d->L, queue - 1);
    check_conflate(d);
}

static void read_key(struct definition_reader *d, int index) {
    struct tw_str field;
    if (lua_isfunction(d->L, index)) {
        lua_pushvalue(d->L, index);
        d->kept->functions[TW_HOOK_KEY] = tw_vm_keep(d->L);
        d->out->has_key = true;
    } else if (tw_reader_text(d->reader, "queue.key", index,
                              "the name of a field, or a function(message)", &field)) {
        d->out->key_field = take_text(d, field);
        d->out->has_key = true;
    }
}

static void check_conflate(struct definition_reader *d) {
    if (d->out->queue.overflow != TW_CONFLATE || d->out->has_key) return;
    tw_reader_error(d->reader, "queue.overflow",
                    "\"conflate\" needs queue.key: the name of a field, or a function(message)");
}

static void read_tick(struct definition_reader *d) {
    static const char *const names[] = {"every", "run", NULL};
    int tick = push(d, d->table, "tick");
    if (lua_istable(d->L, tick)) {
        tw_reader_check_keys(d->reader, tick, "tick", names);
        tw_reader_seconds(d->reader, "tick.every", push(d, tick, "every"), 0.001, LONGEST,
                          &d->out->tick_ms);
        if (!read_function(d, tick, "run", "tick.run", TW_HOOK_TICK)) {
            int index = push(d, tick, "run");
            if (lua_isnil(d->L, index)) {
                tw_reader_expected(d->reader, "tick.run", index, "a function");
            }
        }
    } else if (!lua_isnil(d->L, tick)) {
        tw_reader_expected(d->reader, "tick", tick, "a table { every = seconds, run = function }");
    }
    lua_settop(d->L, tick - 1);
}

/* False: there is none. */
static bool read_function(struct definition_reader *d, int table, const char *key, const char *path,
                          enum tw_hook hook) {
    int index = push(d, table, key);
    bool is_function = lua_isfunction(d->L, index);
    if (is_function) {
        if (hook == TW_HOOK_TRANSFORM)
            d->kept->is_of_message = tw_libs_parameters(d->L, index) <= 1;
        d->kept->functions[hook] = tw_vm_keep(d->L);
        return true;
    }
    if (!lua_isnil(d->L, index)) tw_reader_expected(d->reader, path, index, "a function");
    lua_settop(d->L, index - 1);
    return false;
}

static void check_history(struct definition_reader *d, bool *is_used) {
    static const char *const names[] = {"size", "ttl", NULL};
    int history = push(d, d->table, "history");
    double number = 0;
    uint64_t ms;
    if (lua_istable(d->L, history)) {
        tw_reader_check_keys(d->reader, history, "history", names);
        int index = push(d, history, "size");
        tw_reader_number(d->reader, "history.size", index, 0, 1e9, true, &number);
        index = push(d, history, "ttl");
        if (!lua_isnil(d->L, index)) {
            tw_reader_seconds(d->reader, "history.ttl", index, 0, 366 * LONGEST, &ms);
        }
        *is_used = number > 0;
    } else if (!lua_isnil(d->L, history)) {
        tw_reader_expected(d->reader, "history", history, "a table { size =, ttl = }");
    }
    lua_settop(d->L, history - 1);
}

/* Part 4 brings both. Without them nothing leaks; it is only that nothing is kept. */
static void warn_unused(struct definition_reader *d, bool is_first) {
    bool has_history = false, has_presence = false;
    check_history(d, &has_history);
    int index = push(d, d->table, "presence");
    if (!lua_isnil(d->L, index)) {
        tw_reader_boolean(d->reader, "presence", index, &has_presence);
    }
    lua_settop(d->L, index - 1);
    if (is_first && has_history) {
        tw_log(TW_LOG_WARN, "script", "history has no effect yet channel=%s script=%s",
               d->out->name, d->reader->file);
    }
    if (is_first && has_presence) {
        tw_log(TW_LOG_WARN, "script", "presence has no effect yet channel=%s script=%s",
               d->out->name, d->reader->file);
    }
}

static void read_audience(struct definition_reader *d) {
    d->out->has_audience = read_function(d, d->table, "audience", "audience", TW_HOOK_AUDIENCE);
    int views = push(d, d->table, "views");
    if (lua_istable(d->L, views)) {
        read_views(d, views);
        /* Nobody would be of any class, and all of the data be shown to everybody. */
        if (!d->out->has_audience)
            tw_reader_error(d->reader, "views", "without `audience` nobody is of any class");
    } else if (!lua_isnil(d->L, views)) {
        tw_reader_expected(d->reader, "views", views, "a table from classes to functions");
    }
    lua_settop(d->L, views - 1);
}

/* In the order of their names, which is the same in each VM. */
static void read_views(struct definition_reader *d, int views) {
    struct tw_definition *out = d->out;
    lua_pushnil(d->L);
    while (lua_next(d->L, views)) {
        add_view(d, lua_gettop(d->L) - 1);
        lua_pop(d->L, 1);
    }
    if (out->view_count > 1) qsort(out->views, out->view_count, sizeof *out->views, compare_texts);
    for (size_t i = 0; i < out->view_count; i++) {
        push(d, views, out->views[i]);
        d->kept->views[i] = tw_vm_keep(d->L);
    }
}

/* `name`: where it stands, its value above. */
static void add_view(struct definition_reader *d, int name) {
    char path[TW_MAX_CLASS_NAME + 16];
    struct tw_definition *out = d->out;
    struct tw_str text = {NULL, 0};
    if (lua_type(d->L, name) == LUA_TSTRING) text = tw_text_at(d->L, name);
    if (text.length == 0 || text.length > TW_MAX_CLASS_NAME || memchr(text.data, 0, text.length)) {
        tw_reader_expected(d->reader, "views", name,
                           "names of classes, of 1 to 100 bytes, as keys");
        return;
    }
    snprintf(path, sizeof path, "views.%.*s", TW_STR_ARG(text));
    if (!lua_isfunction(d->L, name + 1)) {
        tw_reader_expected(d->reader, path, name + 1, "a function(message)");
    } else if (out->view_count == TW_MAX_VIEWS) {
        tw_reader_error(d->reader, "views", "more than %d classes", TW_MAX_VIEWS);
    } else {
        if (!out->views) out->views = (char **)tw_alloc(TW_MAX_VIEWS * sizeof *out->views);
        char *copy = take_text(d, text);
        out->views[out->view_count++] = copy;
    }
}

static int compare_texts(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}
