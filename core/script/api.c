/* api.c: the module itself. Its parts: api_json.c, api_log.c. What is registered here also stands
 * in scripts/tidewire/meta/tidewire.lua; a test compares the two. */
#include "script/api.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <time.h>

#include "base/status.h"
#include "script/lua_effects.h"
#include "script/lua_json.h"
#include "script/require.h"
#include "script/text.h"

#ifndef TW_VERSION
#define TW_VERSION "0"
#endif

static int l_now(lua_State *L);
static int l_publish(lua_State *L);
static int l_env_index(lua_State *L);
static int l_env_newindex(lua_State *L);

static const luaL_Reg functions[] = {
    {"now", l_now}, {"publish", l_publish}, {"file", tw_require_file}, {NULL, NULL}};

void tw_api_open(lua_State *L) {
    tw_lua_json_open(L);
    lua_newtable(L);
    luaL_setfuncs(L, functions, 0);
    lua_pushliteral(L, TW_VERSION);
    lua_setfield(L, -2, "version");
    tw_api_push_json(L);
    lua_setfield(L, -2, "json");
    tw_api_push_log(L);
    lua_setfield(L, -2, "log");

    lua_newtable(L); /* env */
    lua_createtable(L, 0, 3);
    lua_pushcfunction(L, l_env_index);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, l_env_newindex);
    lua_setfield(L, -2, "__newindex");
    lua_pushliteral(L, "env");
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
    lua_setfield(L, -2, "env");

    lua_pushvalue(L, -1);
    lua_setglobal(L, "tidewire");
    tw_vm_of(L)->tidewire = tw_vm_keep(L);
    tw_require_open(L);
}

/* tidewire.now(): unix seconds, with fractions. */
static int l_now(lua_State *L) {
    const struct tw_script_clock *clock = &tw_vm_of(L)->clock;
    if (clock->now) {
        lua_pushnumber(L, clock->now(clock->data));
        return 1;
    }
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    lua_pushnumber(L, (lua_Number)now.tv_sec + (lua_Number)now.tv_nsec / 1e9);
    return 1;
}

/* tidewire.publish(name, data) */
static int l_publish(lua_State *L) {
    luaL_checktype(L, 1, LUA_TSTRING);
    luaL_checkany(L, 2);
    struct tw_str name = tw_text_at(L, 1);
    luaL_argcheck(L, tw_channel_name_is_valid(name), 1,
                  "a channel's name is 1 to 200 bytes of UTF-8 without '/' and control characters");
    tw_lua_effects_publish(L, "tidewire.publish", name, 2);
    return 0;
}

static int l_env_index(lua_State *L) {
    const char *value = lua_type(L, 2) == LUA_TSTRING ? getenv(lua_tostring(L, 2)) : NULL;
    lua_pushstring(L, value); /* nil for NULL */
    return 1;
}

static int l_env_newindex(lua_State *L) {
    return luaL_error(L, "tidewire.env is read-only");
}
