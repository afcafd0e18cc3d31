/* main.c: tidewire-test: busted in a LuaJIT that knows the simulator. Used by `tidewire test`.
 *
 *   tidewire-test SCRIPTS_DIR [busted's arguments]
 *
 * Exit codes are busted's. */
#include <lauxlib.h>
#include <lualib.h>
#include <malloc.h>
#include <stdio.h>

#include "sim/lua_sim.h"

static const char start[] =
    "local scripts = ...\n"
    "package.path = scripts .. '/?.lua;' .. scripts .. '/?/init.lua;' .. package.path\n"
    "local found, runner = pcall(require, 'busted.runner')\n"
    "if not found then\n"
    "  io.stderr:write('tidewire test needs busted (Debian: lua-busted): ',\n"
    "    runner:match('^[^\\n]*'), '\\n')\n"
    "  os.exit(1)\n"
    "end\n"
    "runner { standalone = false }\n";

static void push_arguments(lua_State *L, int argc, char **argv) {
    lua_createtable(L, argc, 1);
    lua_pushstring(L, "tidewire test");
    lua_rawseti(L, -2, 0);
    for (int i = 2; i < argc; i++) {
        lua_pushstring(L, argv[i]);
        lua_rawseti(L, -2, i - 1);
    }
    lua_setglobal(L, "arg");
}

/* Specs of 16 MiB messages would spend a third of their time on getting the same pages anew. */
static void keep_memory(void) {
    mallopt(M_MMAP_THRESHOLD, 1 << 30);
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
}

int main(int argc, char **argv) {
    if (argc < 2) {
        fputs("usage: tidewire-test SCRIPTS_DIR [ARGUMENTS OF BUSTED]\n", stderr);
        return 2;
    }
    keep_memory();
    lua_State *L = luaL_newstate();
    luaL_openlibs(L);
    luaL_findtable(L, LUA_REGISTRYINDEX, "_PRELOAD", 1);
    lua_pushcfunction(L, luaopen_tidewire_sim_core);
    lua_setfield(L, -2, "tidewire.sim.core");
    lua_pop(L, 1);
    push_arguments(L, argc, argv);
    int code = luaL_loadbuffer(L, start, sizeof start - 1, "=tidewire-test");
    lua_pushstring(L, argv[1]);
    if (code != 0 || lua_pcall(L, 1, 0, 0) != 0) {
        fprintf(stderr, "tidewire-test: %s\n", lua_tostring(L, -1));
        code = 1;
    }
    lua_close(L);
    return code;
}
