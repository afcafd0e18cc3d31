/* api.c: the module itself. Its parts: api_*.c. What is registered here also stands
 * in scripts/tidewire/meta/tidewire.lua; a test compares the two. */
#include "script/api.h"

#include <lauxlib.h>

#include "base/status.h"
#include "script/call.h"
#include "script/lua_effects.h"
#include "script/lua_json.h"
#include "script/require.h"
#include "script/text.h"

#ifndef TW_VERSION
#define TW_VERSION "0"
#endif

static int l_now(lua_State *L);
static int l_publish(lua_State *L);

static const luaL_Reg functions[] = {{"now", l_now},
                                     {"publish", l_publish},
                                     {"after", tw_timers_l_after},
                                     {"cancel", tw_timers_l_cancel},
                                     {"file", tw_require_file},
                                     {"sha256", tw_api_sha256},
                                     {"hmac", tw_api_hmac},
                                     {"equal", tw_api_equal},
                                     {NULL, NULL}};

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

    tw_api_push_env(L);
    lua_setfield(L, -2, "env");
    tw_api_push_shared(L);
    lua_setfield(L, -2, "shared");
    tw_api_push_base64(L);
    lua_setfield(L, -2, "base64");
    tw_api_push_random(L);
    lua_setfield(L, -2, "random");
    tw_api_push_jwt(L);
    lua_setfield(L, -2, "jwt");
    tw_api_push_metrics(L);
    lua_setfield(L, -2, "metrics");

    lua_pushvalue(L, -1);
    lua_setglobal(L, "tidewire");
    tw_vm_of(L)->tidewire = tw_vm_keep(L);
    tw_require_open(L);
}

double tw_api_now(lua_State *L) {
    return tw_vm_now(tw_vm_of(L));
}

void tw_api_check_in_hook(lua_State *L, const char *what) {
    const struct tw_call *call = tw_vm_of(L)->call;
    if (!call || call->hook == TW_HOOK_LOAD)
        luaL_error(L, "%s: not while the app is loaded, only in a hook", what);
}

/* tidewire.now(): unix seconds, with fractions. */
static int l_now(lua_State *L) {
    lua_pushnumber(L, tw_api_now(L));
    return 1;
}

/* tidewire.publish(name, data) */
static int l_publish(lua_State *L) {
    luaL_checktype(L, 1, LUA_TSTRING);
    luaL_checkany(L, 2);
    struct tw_str name = tw_text_at(L, 1);
    luaL_argcheck(L, tw_channel_name_is_valid(name), 1, tw_channel_name_rule);
    tw_lua_effects_publish(L, "tidewire.publish", name, 2);
    return 0;
}
