/* lint.c: warnings for `tidewire check`. A Lua of its own, with all libraries and without a guard,
 * runs tidewire/check/lint.lua; the app's files are only text to it. */
#include <lauxlib.h>
#include <lualib.h>
#include <string.h>

#include "base/mem.h"
#include "base/status.h"
#include "script/errors.h"
#include "script/source.h"
#include "script/vm.h"
#include "script/where.h"

struct lint {
    struct tw_vm *vm;
    const char *scripts_dir;
    struct tw_load_errors *warnings;
};

static int run(lua_State *L);
static void open_libraries(lua_State *L, const char *scripts_dir);
static void push_files(lua_State *L, struct tw_source *source);
static void push_hooks(lua_State *L, const struct tw_vm *vm);
static void push_builtins(lua_State *L, lua_State *app);
static void take(lua_State *L, struct tw_load_errors *warnings);

int tw_vm_lint(struct tw_vm *vm, const char *scripts_dir, struct tw_load_errors *warnings,
               char **why) {
    struct lint lint = {vm, scripts_dir, warnings};
    lua_State *L = luaL_newstate();
    int status = L ? lua_cpcall(L, run, &lint) : LUA_ERRMEM;
    *why = NULL;
    if (status != 0) {
        const char *text = L && lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
        *why = tw_format("%s", text ? text : "not enough memory");
    }
    if (L) lua_close(L);
    tw_errors_sort(warnings);
    return status == 0 ? 0 : TW_ESCRIPT;
}

const char *tw_vm_definition_file(const struct tw_vm *vm, size_t i) {
    return vm->definitions[i].file;
}

bool tw_vm_definition_has(const struct tw_vm *vm, size_t i, unsigned hook, const char **name) {
    *name = hook < TW_HOOKS ? tw_hook_name((enum tw_hook)hook) : NULL;
    return *name && vm->definitions[i].functions[hook] != 0;
}

int tw_load_error_column(const struct tw_load_error *error, struct tw_str text, struct tw_str *line,
                         int *length) {
    int column = tw_where_column(text, error->line, error->message, length);
    *line = tw_where_line(text, error->line);
    return error->column > 0 ? error->column : column;
}

static int run(lua_State *L) {
    struct lint *lint = (struct lint *)lua_touserdata(L, 1);
    luaL_checkstack(L, LUA_MINSTACK, NULL);
    open_libraries(L, lint->scripts_dir);
    lua_getglobal(L, "require");
    lua_pushliteral(L, "tidewire.check.lint");
    lua_call(L, 1, 1);
    push_files(L, lint->vm->source);
    push_hooks(L, lint->vm);
    push_builtins(L, lint->vm->L);
    lua_call(L, 3, 1);
    take(L, lint->warnings);
    return 0;
}

/* LuaJIT's own path stays behind ours, for jit.vmdef; the environment's is nobody's business. */
static void open_libraries(lua_State *L, const char *scripts_dir) {
    lua_pushboolean(L, 1);
    lua_setfield(L, LUA_REGISTRYINDEX, "LUA_NOENV");
    luaL_openlibs(L);
    lua_getglobal(L, LUA_LOADLIBNAME);
    lua_getfield(L, -1, "path");
    lua_pushfstring(L, "%s/?.lua;%s", scripts_dir, lua_tostring(L, -1));
    lua_setfield(L, -3, "path");
    lua_pop(L, 2);
}

/* { { path =, text = }, ... } of those that were read as Lua. */
static void push_files(lua_State *L, struct tw_source *source) {
    int count = 0;
    lua_newtable(L);
    for (size_t i = 0; i < source->count; i++) {
        const struct tw_source_file *file = tw_source_file(source, i);
        struct tw_str path = tw_str_of(file->path), text = tw_source_text(source, i);
        bool is_lua = path.length > 4 && strcmp(path.data + path.length - 4, ".lua") == 0;
        if (file->why || (!is_lua && !source->only)) continue;
        lua_createtable(L, 0, 2);
        lua_pushlstring(L, path.data, path.length);
        lua_setfield(L, -2, "path");
        lua_pushlstring(L, text.data, text.length);
        lua_setfield(L, -2, "text");
        lua_rawseti(L, -2, ++count);
    }
}

/* Adds { hook =, file =, first =, last = } to the list on the top. */
static void add_hook(lua_State *L, lua_State *app, enum tw_hook hook, tw_ref function) {
    lua_Debug info;
    if (!function) return;
    tw_vm_push(app, function);
    if (!lua_getinfo(app, ">S", &info) || info.source[0] != '@') return;
    lua_createtable(L, 0, 4);
    lua_pushstring(L, tw_hook_name(hook));
    lua_setfield(L, -2, "hook");
    lua_pushstring(L, info.source + 1);
    lua_setfield(L, -2, "file");
    lua_pushinteger(L, info.linedefined);
    lua_setfield(L, -2, "first");
    lua_pushinteger(L, info.lastlinedefined);
    lua_setfield(L, -2, "last");
    lua_rawseti(L, -2, (int)lua_objlen(L, -2) + 1);
}

static void push_hooks(lua_State *L, const struct tw_vm *vm) {
    lua_newtable(L);
    add_hook(L, vm->L, TW_HOOK_AUTH, vm->auth);
    for (size_t i = 0; i < vm->definition_count; i++)
        for (int hook = 0; hook < TW_HOOKS; hook++)
            add_hook(L, vm->L, (enum tw_hook)hook, vm->definitions[i].functions[hook]);
}

/* { string = true, ... }: what the app's files find. */
static void push_builtins(lua_State *L, lua_State *app) {
    lua_newtable(L);
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, "_G");
    lua_pushnil(app);
    while (lua_next(app, LUA_GLOBALSINDEX)) {
        lua_pop(app, 1);
        if (lua_type(app, -1) != LUA_TSTRING) continue;
        lua_pushboolean(L, 1);
        lua_setfield(L, -2, lua_tostring(app, -1));
    }
}

/* The list on the top, of { file, line, column, message }. */
static void take(lua_State *L, struct tw_load_errors *warnings) {
    for (int i = 1; i <= (int)lua_objlen(L, -1); i++) {
        size_t count = warnings->count;
        lua_rawgeti(L, -1, i);
        int warning = lua_gettop(L);
        for (int part = 1; part <= 4; part++)
            lua_rawgeti(L, warning, part);
        tw_errors_add(warnings, lua_tostring(L, warning + 1), (int)lua_tointeger(L, warning + 2),
                      "%s", lua_tostring(L, warning + 4));
        if (warnings->count > count)
            warnings->items[count].column = (int)lua_tointeger(L, warning + 3);
        lua_settop(L, warning - 1);
    }
}
