/* api_json.c: tidewire.json. */
#include <lauxlib.h>

#include "base/json.h"
#include "base/status.h"
#include "script/api.h"
#include "script/lua_json.h"
#include "script/text.h"

static int l_decode(lua_State *L);
static int l_encode(lua_State *L);
static int l_array(lua_State *L);

static const luaL_Reg functions[] = {
    {"decode", l_decode}, {"encode", l_encode}, {"array", l_array}, {NULL, NULL}};

void tw_api_push_json(lua_State *L) {
    lua_newtable(L);
    luaL_setfuncs(L, functions, 0);
    lua_pushlightuserdata(L, TW_LUA_NULL);
    lua_setfield(L, -2, "null");
}

/* json.decode(text): the value; or nil, why, TW_EJSON. */
static int l_decode(lua_State *L) {
    luaL_checktype(L, 1, LUA_TSTRING);
    struct tw_str text = tw_text_at(L, 1);
    size_t at;
    if (tw_json_check(text, &at) != 0) {
        lua_pushnil(L);
        lua_pushfstring(L, "not JSON: at byte %d", (int)at + 1);
        lua_pushinteger(L, TW_EJSON);
        return 3;
    }
    tw_lua_json_push(L, text);
    return 1;
}

/* json.encode(value): the text; raises what JSON cannot hold. */
static int l_encode(lua_State *L) {
    luaL_checkany(L, 1);
    struct tw_str text = tw_lua_json_text(L, 1, "value");
    lua_pushlstring(L, text.data, text.length);
    return 1;
}

/* json.array(t): t, marked as an array, so that it is written as [] when empty. */
static int l_array(lua_State *L) {
    if (lua_isnoneornil(L, 1)) {
        lua_settop(L, 0);
        lua_newtable(L);
    }
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    bool is_free = !lua_getmetatable(L, 1);
    lua_settop(L, 1);
    luaL_argcheck(L, is_free || tw_lua_json_is_array(L, 1), 1, "the table has a metatable");
    if (is_free) tw_lua_json_mark_array(L, 1);
    return 1;
}
