/* api_log.c: tidewire.log.debug, info, warn, error; and print. Each writes one line at once, also
 * if the handler fails later: a log is not an effect. */
#include <lauxlib.h>

#include "base/log.h"
#include "broker/channel.h"
#include "script/api.h"
#include "script/call.h"
#include "script/text.h"

static int write_line(lua_State *L, enum tw_log_level level);

static int l_debug(lua_State *L) {
    return write_line(L, TW_LOG_DEBUG);
}

static int l_info(lua_State *L) {
    return write_line(L, TW_LOG_INFO);
}

static int l_warn(lua_State *L) {
    return write_line(L, TW_LOG_WARN);
}

static int l_error(lua_State *L) {
    return write_line(L, TW_LOG_ERROR);
}

static const luaL_Reg functions[] = {
    {"debug", l_debug}, {"info", l_info}, {"warn", l_warn}, {"error", l_error}, {NULL, NULL}};

void tw_api_push_log(lua_State *L) {
    lua_newtable(L);
    luaL_setfuncs(L, functions, 0);
    lua_pushcfunction(L, l_info);
    lua_setglobal(L, "print");
}

/* All arguments as text, with spaces between; and who says it. */
static int write_line(lua_State *L, enum tw_log_level level) {
    const struct tw_vm *vm = tw_vm_of(L);
    int count = lua_gettop(L);
    if (vm->is_mute) return 0;
    luaL_checkstack(L, 2 * count + 8, "too many arguments");
    lua_pushliteral(L, "");
    for (int i = 1; i <= count; i++) {
        if (i > 1) lua_pushliteral(L, " ");
        tw_text_push(L, i);
    }
    lua_concat(L, lua_gettop(L) - count);
    const struct tw_call *call = vm->call;
    if (call && call->channel) {
        tw_log(level, "script", "%s channel=%.*s hook=%s", lua_tostring(L, -1),
               TW_STR_ARG(call->channel->name->text), tw_hook_name(call->hook));
    } else if (call) {
        tw_log(level, "script", "%s hook=%s", lua_tostring(L, -1), tw_hook_name(call->hook));
    }
    return 0;
}
