/* globals.c */
#include "script/globals.h"

#include <lauxlib.h>
#include <lualib.h>

#include "script/object.h"

static void seal_fields(lua_State *L, int table, const char *path);
static void push_library(lua_State *L, int table, const char *name);
static void lock_strings(lua_State *L);
static int on_write(lua_State *L);
static int on_tostring(lua_State *L);
static int on_global(lua_State *L);

void tw_globals_seal(lua_State *L) {
    struct tw_vm *vm = tw_vm_of(L);
    lock_strings(L);
    lua_pushnil(L);
    lua_setglobal(L, "_G"); /* each file has its own */
    lua_pushvalue(L, LUA_GLOBALSINDEX);
    seal_fields(L, lua_gettop(L), "");

    lua_createtable(L, 0, 3);
    lua_pushvalue(L, -2);
    lua_setfield(L, -2, "__index");
    lua_pushvalue(L, -2);
    lua_pushcclosure(L, on_global, 1);
    lua_setfield(L, -2, "__newindex");
    lua_pushliteral(L, "globals");
    lua_setfield(L, -2, "__metatable");
    vm->globals = tw_vm_keep(L);

    lua_getfield(L, -1, "tidewire");
    lua_rawseti(L, LUA_REGISTRYINDEX, vm->tidewire);
    lua_pop(L, 1);
}

void tw_globals_give(lua_State *L) {
    lua_createtable(L, 0, 1);
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "_G");
    tw_vm_push(L, tw_vm_of(L)->globals);
    lua_setmetatable(L, -2);
    lua_setfenv(L, -2);
}

/* Some of LuaJIT's library functions are written in Lua, so that they look like a script's, but
 * their globals are the builtins themselves: table.foreach(t, load) must not give those away. */
void tw_globals_give_callers(lua_State *L) {
    lua_Debug info;
    for (int level = 1; lua_getstack(L, level, &info); level++) {
        lua_getinfo(L, "f", &info);
        bool is_lua = !lua_iscfunction(L, -1);
        lua_getfenv(L, -1);
        lua_remove(L, -2);
        if (is_lua && !lua_rawequal(L, -1, LUA_GLOBALSINDEX)) {
            lua_setfenv(L, -2);
            return;
        }
        lua_pop(L, 1);
    }
    tw_globals_give(L);
}

/* To assign to a field that is there while lua_next walks is allowed. */
static void seal_fields(lua_State *L, int table, const char *path) {
    luaL_checkstack(L, 10, "globals");
    lua_pushnil(L);
    while (lua_next(L, table)) {
        if (lua_istable(L, -1) && lua_type(L, -2) == LUA_TSTRING) {
            int value = lua_gettop(L);
            lua_pushfstring(L, "%s%s%s", path, path[0] ? "." : "", lua_tostring(L, value - 1));
            const char *name = lua_tostring(L, -1);
            seal_fields(L, value, name);
            lua_pushvalue(L, value - 1);
            push_library(L, value, name);
            lua_rawset(L, table);
            lua_settop(L, value);
        }
        lua_pop(L, 1);
    }
}

/* Has the head of an object, so that a method that is called on it finds what it looks for. */
static void push_library(lua_State *L, int table, const char *name) {
    struct tw_object *object = (struct tw_object *)lua_newuserdata(L, sizeof *object);
    *object = (struct tw_object){.class = NULL};
    lua_createtable(L, 0, 4);
    lua_pushvalue(L, table);
    lua_setfield(L, -2, "__index");
    lua_pushstring(L, name);
    lua_pushcclosure(L, on_write, 1);
    lua_setfield(L, -2, "__newindex");
    lua_pushstring(L, name);
    lua_pushcclosure(L, on_tostring, 1);
    lua_setfield(L, -2, "__tostring");
    lua_pushstring(L, name);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
}

/* The metatable of strings leads to the real table, for speed. */
static void lock_strings(lua_State *L) {
    lua_pushliteral(L, "");
    if (lua_getmetatable(L, -1)) {
        lua_pushliteral(L, LUA_STRLIBNAME);
        lua_setfield(L, -2, "__metatable");
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

static int on_write(lua_State *L) {
    const char *name = lua_tostring(L, lua_upvalueindex(1));
    if (lua_type(L, 2) != LUA_TSTRING) return luaL_error(L, "%s is read-only", name);
    return luaL_error(L, "%s.%s: %s is read-only", name, lua_tostring(L, 2), name);
}

static int on_tostring(lua_State *L) {
    lua_pushvalue(L, lua_upvalueindex(1));
    return 1;
}

/* A name that the file's globals do not have is set. */
static int on_global(lua_State *L) {
    lua_settop(L, 3);
    lua_pushvalue(L, 2);
    lua_rawget(L, lua_upvalueindex(1));
    if (!lua_isnil(L, -1)) {
        return luaL_error(L, "'%s' is built in and cannot be set; was 'local' forgotten?",
                          lua_tostring(L, 2));
    }
    lua_settop(L, 3);
    lua_rawset(L, 1);
    return 0;
}
