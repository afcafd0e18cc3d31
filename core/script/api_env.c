/* api_env.c: tidewire.env, the variables that `env` of broker.lua lists. */
#include <lauxlib.h>
#include <stdlib.h>

#include "broker/generation.h"
#include "script/api.h"
#include "script/text.h"
#include "script/vm.h"

static int l_index(lua_State *L);
static int l_newindex(lua_State *L);

void tw_api_push_env(lua_State *L) {
    lua_newtable(L);
    lua_createtable(L, 0, 3);
    lua_pushcfunction(L, l_index);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, l_newindex);
    lua_setfield(L, -2, "__newindex");
    lua_pushliteral(L, "env");
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
}

/* While broker.lua is read there is no generation yet, so that the default list is in force. */
static int l_index(lua_State *L) {
    const struct tw_generation *generation = tw_vm_of(L)->generation;
    if (lua_type(L, 2) != LUA_TSTRING) {
        return luaL_error(L, "tidewire.env: a variable's name is a text, got a %s",
                          luaL_typename(L, 2));
    }
    struct tw_str name = tw_text_at(L, 2);
    if (!tw_settings_allow_env(generation ? &generation->settings : NULL, name)) {
        return luaL_error(L, "tidewire.env.%s: not in `env` of broker.lua", name.data);
    }
    lua_pushstring(L, getenv(name.data)); /* nil for NULL */
    return 1;
}

static int l_newindex(lua_State *L) {
    return luaL_error(L, "tidewire.env is read-only");
}
