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

#endif
