/* lua_json.h: Lua values from JSON text and back. Of our own because an envelope needs `[]` to stay
 * `[]` and numbers to stay what they are, which Debian's lua-cjson does not give.
 *
 *   object  table                    array  table with a metatable of ours, so that an empty one
 *   null    tidewire.json.null              is still an array when it is written
 *
 * Written: strings must be UTF-8, numbers finite; whole numbers up to 2^53 exactly, others with 15
 * digits, or 16 or 17 if they need them to read back the same; the keys of an object in the order
 * of their bytes (the order of a Lua table differs from VM to VM); metatables are not asked. */
#ifndef TW_SCRIPT_LUA_JSON_H
#define TW_SCRIPT_LUA_JSON_H

#include <lua.h>

#include "base/str.h"

/* What stands for null. */
#define TW_LUA_NULL NULL
#define tw_lua_is_null(L, index)                                                                   \
    (lua_islightuserdata(L, index) && lua_touserdata(L, index) == TW_LUA_NULL)

/* Pushes the value of a text that passed tw_json_check. May raise. */
void tw_lua_json_push(lua_State *L, struct tw_str text);
/* The text of the value at `index`, in the VM's scratch: valid until its next use. Raises what is
 * wrong with the value; `name` is what the value is called in that message. */
struct tw_str tw_lua_json_text(lua_State *L, int index, const char *name);
/* The text of a finite number, into `out`, without a NUL; returns its length. */
size_t tw_lua_json_number(double number, char out[32]);

/* Makes the metatable of arrays. May raise. */
void tw_lua_json_open(lua_State *L);
/* Is the table at `index` marked as an array? / Mark it. */
bool tw_lua_json_is_array(lua_State *L, int index);
void tw_lua_json_mark_array(lua_State *L, int index);

#endif
