/* lua_effects.c */
#include "script/lua_effects.h"

#include <lauxlib.h>

#include "base/status.h"
#include "broker/effects.h"
#include "script/lua_json.h"

static struct tw_str payload_of(lua_State *L, struct tw_call *call, int index);

void tw_lua_effects_publish(lua_State *L, const char *what, struct tw_str channel, int index) {
    struct tw_call *call = tw_lua_effects_call(L, what);
    struct tw_str payload = payload_of(L, call, index);
    tw_lua_effects_done(L, tw_effects_try_publish(call->effects, channel, payload, false));
}

void tw_lua_effects_send(lua_State *L, const char *what, struct tw_identity *client, int index) {
    struct tw_call *call = tw_lua_effects_call(L, what);
    struct tw_str payload = payload_of(L, call, index);
    tw_lua_effects_done(L, tw_effects_try_send(call->effects, client, payload, false));
}

void tw_lua_effects_disconnect(lua_State *L, const char *what, struct tw_identity *client,
                               unsigned code, struct tw_str reason) {
    struct tw_call *call = tw_lua_effects_call(L, what);
    tw_lua_effects_done(L, tw_effects_try_disconnect(call->effects, client, code, reason));
}

void tw_lua_effects_subscription(lua_State *L, const char *what, enum tw_effect_kind kind,
                                 struct tw_identity *client, struct tw_str channel) {
    struct tw_call *call = tw_lua_effects_call(L, what);
    tw_lua_effects_done(L, tw_effects_try_subscription(call->effects, kind, client, channel));
}

struct tw_call *tw_lua_effects_call(lua_State *L, const char *what) {
    struct tw_call *call = tw_vm_of(L)->call;
    if (!call || call->hook == TW_HOOK_LOAD) {
        luaL_error(L, "%s: not while the app is loaded, only in a hook", what);
    } else if (!call->effects) {
        luaL_error(L, "%s: not in %s, which only decides", what, tw_hook_name(call->hook));
    }
    return call;
}

/* Payloads lie outside of the VM's memory, so they are counted here, against the same cap. */
static struct tw_str payload_of(lua_State *L, struct tw_call *call, int index) {
    struct tw_str payload = tw_lua_json_text(L, index, "data");
    size_t cap = tw_vm_of(L)->cap;
    if (payload.length > cap - call->effect_bytes) {
        luaL_error(L, "this handler's messages are more than script.memory in all");
    }
    call->effect_bytes += payload.length;
    return payload;
}

void tw_lua_effects_done(lua_State *L, int status) {
    if (status == TW_EFULL) {
        luaL_error(L, "more than %d effects in one handler", TW_MAX_EFFECTS);
    } else if (status < 0) {
        luaL_error(L, "not enough memory");
    }
}
