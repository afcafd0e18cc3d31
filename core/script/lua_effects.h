/* lua_effects.h: what API functions do instead of acting: append to the effects of the call. */
#ifndef TW_SCRIPT_LUA_EFFECTS_H
#define TW_SCRIPT_LUA_EFFECTS_H

#include "script/call.h"

/* Each raises if the hook that runs can have no effects (`what` is the function's name in that
 * message), if the value at `index` is no JSON, or if there are too many effects. */
void tw_lua_effects_publish(lua_State *L, const char *what, struct tw_str channel, int index);
void tw_lua_effects_send(lua_State *L, const char *what, struct tw_identity *client, int index);
void tw_lua_effects_disconnect(lua_State *L, const char *what, struct tw_identity *client,
                               unsigned code, struct tw_str reason);

void tw_lua_effects_subscription(lua_State *L, const char *what, enum tw_effect_kind kind,
                                 struct tw_identity *client, struct tw_str channel);

/* What the above are made of: the running call, which can have effects (else raises); and raises
 * what a tw_effects_try_* said. */
struct tw_call *tw_lua_effects_call(lua_State *L, const char *what);
void tw_lua_effects_done(lua_State *L, int status);

#endif
