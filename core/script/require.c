/* require.c */
#include "script/require.h"

#include <lauxlib.h>
#include <limits.h>
#include <string.h>

#include "base/mem.h"
#include "script/globals.h"
#include "script/source.h"
#include "script/text.h"
#include "script/where.h"

/* Stands among what is loaded for a file that returned nothing. */
static char nothing;

static int l_require(lua_State *L);
static void open_nothing(lua_State *L);
static bool check_name(struct tw_str name);
static size_t find(lua_State *L, struct tw_str path);
static void raise_syntax(lua_State *L, const char *path);
static void check_cycle(lua_State *L, size_t index);
static void push_unit(lua_State *L, size_t index);
static void note_use(struct tw_vm *vm, size_t index);

void tw_require_open(lua_State *L) {
    lua_newtable(L);
    tw_vm_of(L)->loaded = tw_vm_keep(L);
    lua_pushcfunction(L, l_require);
    lua_setglobal(L, "require");
}

/* An error inside of the file passes through here, so that the chain is right again for a pcall
 * around the require. */
void tw_require_push(lua_State *L, struct tw_str path) {
    struct tw_vm *vm = tw_vm_of(L);
    luaL_checkstack(L, 12, "require");
    tw_vm_push(L, vm->loaded);
    lua_pushlstring(L, path.data, path.length);
    lua_rawget(L, -2);
    bool is_loaded = !lua_isnil(L, -1);
    open_nothing(L);
    if (!vm->is_loading) {
        if (!is_loaded) {
            luaL_error(L, "'%s' was not loaded with the app: require it at the top of a file",
                       path.data);
        }
        lua_remove(L, -2);
        return;
    }
    size_t index = find(L, path);
    if (is_loaded) {
        note_use(vm, index);
        lua_remove(L, -2);
        return;
    }
    lua_pop(L, 1);
    const struct tw_source_file *file = tw_source_file(vm->source, index);
    if (file->why) luaL_error(L, "%s: %s", file->path, file->why);
    check_cycle(L, index);
    note_use(vm, index);

    struct tw_str text = tw_source_text(vm->source, index);
    lua_pushfstring(L, "@%s", file->path);
    if (luaL_loadbufferx(L, text.data, text.length, lua_tostring(L, -1), "t") != 0) {
        raise_syntax(L, file->path);
    }
    tw_globals_give(L);
    lua_remove(L, -2);
    push_unit(L, index);
    size_t depth = vm->unit_count;
    tw_vm_push(L, vm->trace_function);
    lua_insert(L, -2);
    int result = lua_pcall(L, 0, 1, lua_gettop(L) - 1);
    vm->unit_count = depth - 1;
    if (result != 0) {
        vm->rethrown = lua_topointer(L, -1);
        lua_error(L);
    }
    lua_remove(L, -2);

    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_pushlightuserdata(L, &nothing);
    }
    lua_pushlstring(L, path.data, path.length);
    lua_pushvalue(L, -2);
    lua_rawset(L, -4);
    lua_remove(L, -2);
    open_nothing(L);
}

static void open_nothing(lua_State *L) {
    if (lua_touserdata(L, -1) != &nothing) return;
    lua_pop(L, 1);
    lua_pushnil(L);
}

int tw_require_file(lua_State *L) {
    luaL_checktype(L, 1, LUA_TSTRING);
    struct tw_str text =
        tw_source_text(tw_vm_of(L)->source, tw_require_read(L, "tidewire.file", 1));
    lua_pushlstring(L, text.data, text.length);
    return 1;
}

size_t tw_require_read(lua_State *L, const char *what, int index) {
    struct tw_vm *vm = tw_vm_of(L);
    if (!vm->is_loading) luaL_error(L, "%s reads while the app is loaded, not in a hook", what);
    size_t place = find(L, tw_text_at(L, index));
    const struct tw_source_file *file = tw_source_file(vm->source, place);
    note_use(vm, place);
    if (file->why) luaL_error(L, "%s(\"%s\"): %s", what, file->path, file->why);
    return place;
}

static int l_require(lua_State *L) {
    luaL_checktype(L, 1, LUA_TSTRING);
    struct tw_str name = tw_text_at(L, 1);
    if (tw_str_eq(name, TW_STR("tidewire"))) {
        tw_vm_push(L, tw_vm_of(L)->tidewire);
        return 1;
    }
    if (!check_name(name)) {
        return luaL_error(L,
                          "require '%s': a module is named like \"transforms.quote\", which is "
                          "transforms/quote.lua in the app's folder",
                          name.data);
    }
    luaL_gsub(L, name.data, ".", "/");
    lua_pushliteral(L, ".lua");
    lua_concat(L, 2);
    tw_require_push(L, tw_text_at(L, -1));
    if (lua_isnil(L, -1)) lua_pushboolean(L, 1); /* as Lua's require has it */
    return 1;
}

/* Letters, digits, '_' and '-', in parts between single dots. */
static bool check_name(struct tw_str name) {
    bool is_begin = true;
    for (size_t i = 0; i < name.length; i++) {
        char c = name.data[i];
        bool is_dot = c == '.';
        bool is_good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '_' || c == '-';
        if (is_dot ? is_begin : !is_good) return false;
        is_begin = is_dot;
    }
    return !is_begin;
}

static size_t find(lua_State *L, struct tw_str path) {
    if (path.length > PATH_MAX) luaL_error(L, "the path is too long"); /* before it is kept */
    size_t index = tw_source_find(tw_vm_of(L)->source, path);
    if (index == TW_SOURCE_NONE) {
        luaL_error(L, "%s was not read when the app was loaded first", path.data);
    }
    return index;
}

/* The message on the stack, with the file's name if it has no place of its own. */
static void raise_syntax(lua_State *L, const char *path) {
    const char *file;
    int line;
    size_t head;
    if (!tw_where_split(tw_vm_of(L)->source, tw_text_at(L, -1), &file, &line, &head)) {
        lua_pushfstring(L, "%s:0: %s", path, lua_tostring(L, -1));
    }
    lua_error(L);
}

static void check_cycle(lua_State *L, size_t index) {
    const struct tw_vm *vm = tw_vm_of(L);
    size_t at = 0;
    while (at < vm->unit_count && vm->units[at] != index)
        at++;
    if (at == vm->unit_count) return;
    luaL_checkstack(L, (int)(vm->unit_count - at) * 2 + 8, "require");
    lua_pushliteral(L, "files require each other in a circle: ");
    int parts = 1;
    for (; at < vm->unit_count; at++, parts += 2) {
        lua_pushstring(L, tw_source_file(vm->source, vm->units[at])->path);
        lua_pushliteral(L, " -> ");
    }
    lua_pushstring(L, tw_source_file(vm->source, index)->path);
    lua_concat(L, parts + 1);
    luaL_error(L, "%s", lua_tostring(L, -1));
}

static void push_unit(lua_State *L, size_t index) {
    struct tw_vm *vm = tw_vm_of(L);
    if (vm->unit_count == vm->unit_capacity) {
        size_t capacity = vm->unit_capacity ? vm->unit_capacity * 2 : 8;
        size_t *units = (size_t *)tw_try_realloc(vm->units, capacity * sizeof *units);
        if (!units) {
            luaL_error(L, "not enough memory");
            return; /* not reached, but who reads this may not know */
        }
        vm->units = units;
        vm->unit_capacity = capacity;
    }
    vm->units[vm->unit_count++] = index;
}

/* The file under way depends on this one. */
static void note_use(struct tw_vm *vm, size_t index) {
    if (vm->unit_count == 0) return;
    tw_source_add_use(vm->source, vm->units[vm->unit_count - 1], index);
}
