/* lua_channel.h: `channel` as a handler sees it, and its state, which lives in the VM's registry;
 * channel->script is its index there. A channel whose state nobody has looked at has none. */
#ifndef TW_SCRIPT_LUA_CHANNEL_H
#define TW_SCRIPT_LUA_CHANNEL_H

#include "broker/channel.h"
#include "script/object.h"

/* Pushes it. May raise. */
void tw_lua_channel_push(lua_State *L, struct tw_channel *channel);
/* Pushes the channel's state, made empty if it has none. May raise. */
void tw_lua_channel_push_state(lua_State *L, struct tw_channel *channel);
/* Pops a table, which is the state from now on. May raise. */
void tw_lua_channel_set_state(lua_State *L, struct tw_channel *channel);
/* Gives the channel a script side, whose state is made when it is first used. */
void tw_lua_channel_begin_state(struct tw_channel *channel);
/* Lets go of the state, and of the script side. */
void tw_lua_channel_drop_state(lua_State *L, struct tw_channel *channel);

#endif
