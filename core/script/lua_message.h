/* lua_message.h: `message` as a handler sees it. */
#ifndef TW_SCRIPT_LUA_MESSAGE_H
#define TW_SCRIPT_LUA_MESSAGE_H

#include "broker/message.h"
#include "script/object.h"

struct tw_lua_message {
    struct tw_object head;
    struct tw_message *message; /* borrowed */
    struct tw_channel *channel; /* borrowed */
    bool is_decoded;            /* data is in the cache */
    bool is_touched;            /* data may differ from the payload */
};

/* Pushes it. May raise. */
struct tw_lua_message *tw_lua_message_push(lua_State *L, struct tw_message *message,
                                           struct tw_channel *channel);
/* The message that the object at `index` stands for now: 0 and *out, the borrowed original if data
 * was not touched, else a new one, owned. Or -ENOMEM. May raise (data is no JSON). */
int tw_lua_message_result(lua_State *L, int index, struct tw_message **out);

#endif
