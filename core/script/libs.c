/* libs.c: an allow-list of globals. Whatever is not named here is gone, so that a library's next
 * version cannot add a hole.
 *
 * Left out with intent: dofile, loadfile, io, os but for its clocks, package, debug, ffi, jit
 * (files, the process, bytecode, the VM's insides); string.dump (bytecode); newproxy (finalizers: a
 * VM is thrown away without running them); collectgarbage (the cap relies on the collector);
 * getfenv and setfenv. `load` takes text only. What is left cannot be changed: see globals.h. Left
 * in with intent: tostring and "%p" tell addresses, which help only who can corrupt memory already.
 */
#include "script/libs.h"

#include <lauxlib.h>
#include <limits.h>
#include <luajit.h>
#include <lualib.h>
#include <string.h>

#include "script/globals.h"
#include "script/vm.h"

static const char *const globals[] = {
    "_G",       "_VERSION", "assert", "bit",    "coroutine",    "error",  "getmetatable",
    "ipairs",   "math",     "next",   "os",     "pairs",        "pcall",  "rawequal",
    "rawget",   "rawlen",   "rawset", "select", "setmetatable", "string", "table",
    "tonumber", "tostring", "type",   "unpack", "xpcall",       NULL};
static const char *const os_functions[] = {"clock", "date", "time", NULL};

static void open_one(lua_State *L, const char *name, lua_CFunction open);
static void keep_getinfo(lua_State *L);
static void keep_only(lua_State *L, int table, const char *const *names);
static int load_text(lua_State *L);

void tw_libs_open(lua_State *L, bool jit) {
    open_one(L, "", luaopen_base);
    open_one(L, LUA_TABLIBNAME, luaopen_table);
    open_one(L, LUA_STRLIBNAME, luaopen_string);
    open_one(L, LUA_MATHLIBNAME, luaopen_math);
    open_one(L, LUA_BITLIBNAME, luaopen_bit);
    open_one(L, LUA_OSLIBNAME, luaopen_os);
    keep_getinfo(L);
    if (jit) open_one(L, LUA_JITLIBNAME, luaopen_jit); /* without it the compiler never starts */
    luaJIT_setmode(L, 0, LUAJIT_MODE_ENGINE | (jit ? LUAJIT_MODE_ON : LUAJIT_MODE_OFF));

    keep_only(L, LUA_GLOBALSINDEX, globals);
    lua_getglobal(L, LUA_OSLIBNAME);
    keep_only(L, lua_gettop(L), os_functions);
    lua_getglobal(L, LUA_STRLIBNAME);
    lua_pushnil(L);
    lua_setfield(L, -2, "dump");
    lua_pop(L, 2);
    lua_pushcfunction(L, load_text);
    lua_pushvalue(L, -1);
    lua_setglobal(L, "load");
    lua_setglobal(L, "loadstring");
}

static void open_one(lua_State *L, const char *name, lua_CFunction open) {
    lua_pushcfunction(L, open);
    lua_pushstring(L, name);
    lua_call(L, 1, 0);
}

/* debug.getinfo for ourselves; nothing of `debug` stays where a script could come across it. */
static void keep_getinfo(lua_State *L) {
    open_one(L, LUA_DBLIBNAME, luaopen_debug);
    lua_getfield(L, LUA_REGISTRYINDEX, "_LOADED");
    lua_getfield(L, -1, LUA_DBLIBNAME);
    lua_getfield(L, -1, "getinfo");
    tw_vm_of(L)->getinfo = tw_vm_keep(L);
    lua_pushnil(L);
    lua_setfield(L, -3, LUA_DBLIBNAME);
    lua_pop(L, 2);
}

unsigned tw_libs_parameters(lua_State *L, int index) {
    lua_pushvalue(L, index);
    tw_vm_push(L, tw_vm_of(L)->getinfo);
    lua_insert(L, -2);
    lua_pushliteral(L, "u");
    lua_call(L, 2, 1);
    lua_getfield(L, -1, "isvararg");
    lua_getfield(L, -2, "nparams");
    bool is_vararg = lua_toboolean(L, -2);
    unsigned count = is_vararg ? UINT_MAX : (unsigned)lua_tointeger(L, -1);
    lua_pop(L, 3);
    return count;
}

/* Clearing a field while lua_next walks is allowed. */
static void keep_only(lua_State *L, int table, const char *const *names) {
    lua_pushnil(L);
    while (lua_next(L, table)) {
        bool is_kept = false;
        for (const char *const *name = names; *name && !is_kept; name++)
            is_kept = lua_type(L, -2) == LUA_TSTRING && strcmp(lua_tostring(L, -2), *name) == 0;
        lua_pop(L, 1);
        if (is_kept) continue;
        lua_pushvalue(L, -1);
        lua_pushnil(L);
        lua_rawset(L, table);
    }
}

/* load(text [, name [, mode [, env]]]): as Lua's, but text only, whatever `mode` says, and no
 * reader function. */
static int load_text(lua_State *L) {
    size_t length;
    const char *text = luaL_checklstring(L, 1, &length);
    const char *name = luaL_optstring(L, 2, "=(load)");
    bool has_env = !lua_isnoneornil(L, 4);
    if (has_env) luaL_checktype(L, 4, LUA_TTABLE);
    if (luaL_loadbufferx(L, text, length, name, "t") != 0) {
        lua_pushnil(L);
        lua_insert(L, -2);
        return 2;
    }
    if (has_env) {
        lua_pushvalue(L, 4);
        lua_setfenv(L, -2);
    } else {
        tw_globals_give_callers(L);
    }
    return 1;
}
