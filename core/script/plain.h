/* plain.h: plain Lua data (nil, booleans, numbers, strings, tables of such, json.null) as bytes, to
 * carry a channel's state from one VM to another. Shared tables stay shared; an array of JSON stays
 * an array. Refused, with the path to the culprit: functions, userdata, coroutines, tables with a
 * metatable, tables that contain themselves, other keys than strings, numbers and booleans. */
#ifndef TW_SCRIPT_PLAIN_H
#define TW_SCRIPT_PLAIN_H

#include <lua.h>

#include "base/buf.h"

#define TW_PLAIN_MAX_DEPTH 128

/* Appends the value at `index`, called `name` in messages. Raises what is refused. `out` is not
 * the VM's: it outlives an error. */
void tw_plain_write(lua_State *L, int index, const char *name, struct tw_buf *out);
/* Pushes the value of what tw_plain_write wrote, in this process. May raise. */
void tw_plain_push(lua_State *L, const struct tw_buf *bytes);

#endif
