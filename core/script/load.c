/* load.c: tw_app_load: the files of an app -> a generation, and a VM per worker.
 *
 *   settings VM     runs broker.lua, and is thrown away: the settings say how large VMs may be
 *   first VM        runs auth.lua and channels/; what it finds becomes the generation
 *   the other VMs   run the same bytes, and must find the same
 *
 * Each file is a call into Lua of its own, so that a mistake in one does not hide those in others.
 * A single-file app is one file that returns settings, `auth` and `channels` in one table. */
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/status.h"
#include "script/call.h"
#include "script/errors.h"
#include "script/read_definition.h"
#include "script/read_settings.h"
#include "script/require.h"
#include "script/source.h"
#include "script/text.h"

enum { SETTINGS_MEMORY = 64 << 20, SETTINGS_DEADLINE_MS = 100 };

struct loading {
    const struct tw_app *app;
    struct tw_common *common; /* ref */
    struct tw_source *source;
    struct tw_generation *generation;
    struct tw_load_errors *errors;
    struct tw_vm *vm;
    char **files; /* of channels/: "market.lua"; of a single file: keys of `channels` */
    size_t count;
    size_t at;                  /* the one that is read now */
    struct tw_definition found; /* in it; here, so that an error of Lua's cannot leak it */
    bool is_first;              /* of the VMs */
};

static bool load_settings(struct loading *l);
static bool check_app(struct loading *l);
static void copy_channels(struct loading *l);
static struct tw_vm *load_vm(struct loading *l);
static void run_files(struct loading *l);
static void check_names(struct loading *l);
static char *file_of(const struct loading *l, size_t i);
static bool run(struct loading *l, const char *file, int (*body)(lua_State *, struct tw_call *));
static int settings_body(lua_State *L, struct tw_call *call);
static int list_body(lua_State *L, struct tw_call *call);
static int auth_body(lua_State *L, struct tw_call *call);
static void read_auth(struct loading *l, struct tw_reader *reader, int index, bool is_key);
static int channel_body(lua_State *L, struct tw_call *call);
static void read_channel(struct loading *l, lua_State *L, int index, const char *file,
                         const char *name);
static void forget_found(struct loading *l);
static char *find_public(const struct tw_source *source);
static int compare_texts(const void *a, const void *b);

int tw_app_load(const struct tw_app *app, unsigned number, unsigned workers,
                struct tw_generation **generation, struct tw_vm ***vms, size_t *vm_count,
                struct tw_load_errors *errors) {
    struct loading l = {.app = app, .errors = errors, .is_first = true};
    struct tw_vm **built = NULL;
    size_t count = 0;
    char *why = NULL;
    *errors = (struct tw_load_errors){0};
    l.generation = tw_generation_new(number);
    l.common = app->common ? tw_common_ref(app->common) : tw_common_new(NULL, NULL);
    l.source = app->source ? tw_source_ref(app->source) : tw_source_open(app->path, &why);
    if (!l.source) {
        tw_errors_add(errors, app->path, 0, "%s", why);
        tw_free(why);
        goto out;
    }
    if (!check_app(&l)) goto out;
    load_settings(&l);
    copy_channels(&l);
    if (workers == 0) workers = l.generation->settings.workers;
    built = (struct tw_vm **)tw_alloc(workers * sizeof(struct tw_vm *));
    do {
        struct tw_vm *vm = load_vm(&l);
        if (!vm) break;
        built[count++] = vm;
        l.is_first = false;
    } while (errors->count == 0 && count < workers);
    if (errors->count == 0) {
        l.generation->public_dir = find_public(l.source);
        l.generation->print = tw_source_print_all(l.source);
        tw_source_seal(l.source);
    }
out:
    tw_common_unref(&l.common);
    for (size_t i = 0; i < l.count; i++)
        tw_free(l.files[i]);
    tw_free(l.files);
    tw_source_unref(&l.source);
    if (errors->count == 0) {
        *generation = l.generation;
        *vms = built;
        *vm_count = count;
        return 0;
    }
    tw_errors_sort(errors);
    for (size_t i = 0; i < count; i++)
        tw_vm_free(built[i]);
    tw_free(built);
    tw_generation_unref(&l.generation);
    return TW_ELOAD;
}

static void copy_channels(struct loading *l) {
    tw_source_list_channels(l->source);
    l->count = l->source->channel_count;
    l->files = (char **)tw_alloc((l->count + 1) * sizeof *l->files);
    for (size_t i = 0; i < l->count; i++)
        l->files[i] = tw_format("%s", l->source->channels[i]);
}

static const struct tw_source_file *look(struct loading *l, const char *path) {
    return tw_source_file(l->source, tw_source_find(l->source, tw_str_of(path)));
}

/* A wrong folder is a likelier mistake than an app without anything. */
static bool check_app(struct loading *l) {
    if (l->source->only || l->source->is_sealed) return true;
    if (!look(l, "broker.lua")->is_absent || !look(l, "auth.lua")->is_absent) return true;
    struct stat status;
    char *channels = tw_format("%s/channels", l->source->root);
    bool has_channels = stat(channels, &status) == 0 && S_ISDIR(status.st_mode);
    tw_free(channels);
    if (!has_channels) {
        tw_errors_add(l->errors, l->app->path, 0,
                      "no app here: neither broker.lua nor auth.lua nor channels/");
    }
    return has_channels;
}

static bool load_settings(struct loading *l) {
    const char *file = l->source->only ? l->source->only : "broker.lua";
    l->vm = tw_vm_new(l->source, l->common, &l->app->clock, SETTINGS_MEMORY, SETTINGS_DEADLINE_MS,
                      false);
    if (!l->vm) {
        tw_errors_add(l->errors, file, 0, "not enough memory");
        return false;
    }
    l->vm->is_loading = true;
    bool is_good = run(l, file, settings_body);
    tw_vm_free(l->vm);
    return is_good;
}

/* A VM that has run all files; mistakes are reported. NULL: there is not enough memory for one. */
static struct tw_vm *load_vm(struct loading *l) {
    const struct tw_settings *settings = &l->generation->settings;
    const char *only = l->source->only;
    struct tw_vm *vm = l->vm =
        tw_vm_new(l->source, l->common, &l->app->clock, settings->script_memory,
                  (unsigned)settings->script_deadline_ms, settings->script_jit);
    if (!vm) {
        tw_errors_add(l->errors, only ? only : "broker.lua", 0,
                      "script.memory: too small to begin with");
        return NULL;
    }
    vm->generation = tw_generation_ref(l->generation);
    run_files(l);
    return vm;
}

static void make_definitions(struct loading *l) {
    struct tw_generation *generation = l->generation;
    struct tw_vm *vm = l->vm;
    if (l->is_first) {
        generation->definition_count = l->count;
        generation->definitions =
            (struct tw_definition *)tw_alloc(l->count * sizeof *generation->definitions);
    }
    vm->definition_count = l->count;
    vm->definitions = (struct tw_vm_definition *)tw_alloc(l->count * sizeof *vm->definitions);
    for (size_t i = 0; i < l->count; i++) {
        vm->definitions[i].file = file_of(l, i);
        vm->definitions[i].key = tw_format("%s", l->files[i]);
    }
}

/* Ends early when the guard has killed the VM. */
static void run_files(struct loading *l) {
    const char *only = l->source->only;
    struct tw_vm *vm = l->vm;
    vm->is_loading = true;
    vm->is_load_late = false;
    vm->is_mute = !l->is_first || only; /* a single file has spoken to the settings VM */
    if (only && !run(l, only, list_body)) return;
    if (only || !look(l, "auth.lua")->is_absent) run(l, only ? only : "auth.lua", auth_body);
    if (!vm->definitions) make_definitions(l);
    TW_REQUIRE(vm->definitions);
    for (l->at = 0; l->at < l->count && !vm->is_dead; l->at++) {
        run(l, vm->definitions[l->at].file, channel_body);
        forget_found(l);
    }
    if (l->is_first) check_names(l);
    vm->is_loading = vm->is_mute = false;
}

int tw_load_again(struct tw_vm *vm, struct tw_load_errors *errors) {
    struct loading l = {.source = vm->source,
                        .generation = vm->generation,
                        .errors = errors,
                        .vm = vm,
                        .count = vm->definition_count};
    l.files = (char **)tw_alloc((l.count + 1) * sizeof *l.files);
    for (size_t i = 0; i < l.count; i++)
        l.files[i] = vm->definitions[i].key;
    run_files(&l);
    tw_free(l.files);
    return errors->count > 0 ? TW_ELOAD : 0;
}

static void check_names(struct loading *l) {
    const struct tw_generation *generation = l->generation;
    for (size_t i = 0; i < l->count; i++) {
        const char *name = generation->definitions[i].name;
        for (size_t j = 0; name && j < i; j++) {
            const char *other = generation->definitions[j].name;
            if (!other || strcmp(name, other) != 0) continue;
            if (l->source->only) {
                tw_errors_add(l->errors, l->source->only, 0,
                              "channels.%s: the name \"%s\" is that of channels.%s, too",
                              l->files[i], name, l->files[j]);
            } else {
                tw_errors_add(l->errors, l->vm->definitions[i].file, 0,
                              "name: the name \"%s\" is that of %s, too", name,
                              l->vm->definitions[j].file);
            }
        }
    }
}

/* Owned. */
static char *file_of(const struct loading *l, size_t i) {
    return l->source->only ? tw_format("%s", l->source->only)
                           : tw_format("channels/%s", l->files[i]);
}

/* Reports what the body raises; `file` is where, unless the error says better. */
static bool run(struct loading *l, const char *file, int (*body)(lua_State *, struct tw_call *)) {
    struct tw_failure failure;
    struct tw_call call = {
        .hook = TW_HOOK_LOAD, .body = body, .data = l, .failure = &failure, .is_quiet = true};
    if (tw_call_run(l->vm, &call) == 0) return true;
    tw_errors_add(l->errors, failure.script[0] ? failure.script : file, failure.line, "%s",
                  failure.message);
    return false;
}

static struct tw_reader reader_of(struct loading *l, lua_State *L, const char *file) {
    struct tw_reader reader = {.L = L, .errors = l->errors, .file = file};
    reader.text = tw_source_text(l->source, tw_source_find(l->source, tw_str_of(file)));
    return reader;
}

static int settings_body(lua_State *L, struct tw_call *call) {
    struct loading *l = (struct loading *)call->data;
    const char *only = l->source->only, *file = only ? only : "broker.lua";
    if (look(l, file)->is_absent) {
        lua_newtable(L);
    } else {
        tw_require_push(L, tw_str_of(file));
    }
    struct tw_reader reader = reader_of(l, L, file);
    reader.app = l->app;
    reader.generation = l->generation;
    if (lua_istable(L, 1)) tw_read_overrides(&reader, 1);
    tw_read_settings(&reader, 1, only != NULL, &l->generation->settings);
    return 0;
}

/* The first VM of a single-file app says which channels there are. */
static int list_body(lua_State *L, struct tw_call *call) {
    struct loading *l = (struct loading *)call->data;
    const char *file = l->source->only;
    struct tw_reader reader = reader_of(l, L, file);
    tw_require_push(L, tw_str_of(file));
    if (!lua_istable(L, 1)) return 0; /* reported by settings_body */
    lua_pushvalue(L, 1);
    l->vm->app = tw_vm_keep(L);
    lua_getfield(L, 1, "channels");
    if (lua_isnil(L, 2) || !l->is_first) return 0;
    if (!lua_istable(L, 2)) {
        tw_reader_expected(&reader, "channels", 2, "a table from names to definitions");
        return 0;
    }
    lua_pushnil(L);
    while (lua_next(L, 2)) {
        lua_pop(L, 1);
        if (lua_type(L, -1) != LUA_TSTRING) {
            tw_reader_expected(&reader, "channels", -1, "names as keys");
            continue;
        }
        struct tw_str name = tw_text_at(L, -1);
        l->files = (char **)tw_realloc(l->files, (l->count + 1) * sizeof *l->files);
        l->files[l->count++] = tw_memdup(name.data, name.length);
    }
    if (l->count > 1) qsort(l->files, l->count, sizeof *l->files, compare_texts);
    return 0;
}

static int auth_body(lua_State *L, struct tw_call *call) {
    struct loading *l = (struct loading *)call->data;
    const char *only = l->source->only, *file = only ? only : "auth.lua";
    struct tw_reader reader = reader_of(l, L, file);
    if (only) {
        tw_vm_push(L, l->vm->app);
        if (lua_isnil(L, -1)) return 0;
        lua_getfield(L, -1, "auth");
        if (lua_isnil(L, -1)) return 0;
    } else {
        tw_require_push(L, tw_str_of(file));
    }
    read_auth(l, &reader, lua_gettop(L), only != NULL);
    return 0;
}

/* A function, or a table of both. */
static void read_auth(struct loading *l, struct tw_reader *reader, int index, bool is_key) {
    static const char *const names[] = {"auth", "on_expire", NULL};
    lua_State *L = reader->L;
    struct tw_vm *vm = l->vm;
    if (lua_isfunction(L, index)) {
        vm->auth = tw_vm_keep(L);
        if (l->is_first) l->generation->has_auth = true;
        return;
    }
    if (!lua_istable(L, index)) {
        tw_reader_expected(reader, is_key ? "auth" : "", index,
                           is_key ? "a function(request), or a table with `auth`, `on_expire`"
                                  : "that the file returns a function(request), or a table with "
                                    "`auth` and `on_expire`");
        return;
    }
    const char *path = is_key ? "auth" : "";
    tw_reader_check_keys(reader, index, path, names);
    lua_getfield(L, index, "auth");
    if (!lua_isfunction(L, -1)) {
        tw_reader_expected(reader, is_key ? "auth.auth" : "auth", lua_gettop(L),
                           "a function(request)");
        return;
    }
    vm->auth = tw_vm_keep(L);
    lua_getfield(L, index, "on_expire");
    bool has_on_expire = lua_isfunction(L, -1);
    if (has_on_expire) {
        vm->on_expire = tw_vm_keep(L);
    } else if (!lua_isnil(L, -1)) {
        tw_reader_expected(reader, is_key ? "auth.on_expire" : "on_expire", lua_gettop(L),
                           "a function(client)");
    }
    if (!l->is_first) return;
    l->generation->has_auth = true;
    l->generation->has_on_expire = has_on_expire;
}

static int channel_body(lua_State *L, struct tw_call *call) {
    struct loading *l = (struct loading *)call->data;
    const char *key = l->files[l->at], *file = l->vm->definitions[l->at].file;
    if (l->source->only) {
        tw_vm_push(L, l->vm->app);
        lua_getfield(L, -1, "channels");
        if (!lua_istable(L, -1)) return 0;
        lua_getfield(L, -1, key);
        read_channel(l, L, lua_gettop(L), file, key);
    } else {
        char name[256];
        size_t length = strlen(key) - strlen(".lua");
        tw_text_copy(name, sizeof name, (struct tw_str){key, length});
        tw_require_push(L, tw_str_of(file));
        read_channel(l, L, lua_gettop(L), file, name);
    }
    return 0;
}

static void read_channel(struct loading *l, lua_State *L, int index, const char *file,
                         const char *name) {
    struct tw_generation *generation = l->generation;
    struct tw_reader reader = reader_of(l, L, file);
    struct tw_definition *found = &l->found;
    *found = (struct tw_definition){.index = l->at};
    char prefix[300];
    if (l->source->only) {
        snprintf(prefix, sizeof prefix, "channels.%s.", name);
        reader.prefix = prefix;
    }
    tw_read_definition(&reader, index, tw_str_of(name), &generation->settings.queue, l->is_first,
                       found, &l->vm->definitions[l->at]);
    struct tw_definition *definition = &generation->definitions[l->at];
    if (l->is_first) {
        *definition = *found;
        *found = (struct tw_definition){0};
        if (definition->has_authorize || definition->has_audience) {
            size_t place = tw_source_find(l->source, tw_str_of(file));
            definition->policy_print = tw_source_print(l->source, place);
        }
        return;
    }
    bool is_same = strcmp(found->name, definition->name) == 0 &&
                   found->has_authorize == definition->has_authorize &&
                   found->has_transform == definition->has_transform &&
                   found->has_key == definition->has_key && found->publish == definition->publish &&
                   found->tick_ms == definition->tick_ms &&
                   found->has_audience == definition->has_audience &&
                   found->view_count == definition->view_count;
    for (size_t i = 0; is_same && i < found->view_count; i++)
        is_same = strcmp(found->views[i], definition->views[i]) == 0;
    if (!is_same) {
        tw_reader_error(&reader, "", "the definition is another one each time that it is loaded");
    }
}

static void forget_found(struct loading *l) {
    tw_definition_deinit(&l->found);
}

/* Owned, or NULL. */
static char *find_public(const struct tw_source *source) {
    if (source->only) return NULL;
    char *path = tw_format("%s/public", source->root);
    char *real = realpath(path, NULL);
    struct stat status;
    char *found = NULL;
    if (real && stat(real, &status) == 0 && S_ISDIR(status.st_mode)) found = tw_format("%s", real);
    free(real);
    tw_free(path);
    return found;
}

static int compare_texts(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}
