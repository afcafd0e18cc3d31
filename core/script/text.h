/* text.h: small helpers for texts that go into fixed places and messages. */
#ifndef TW_SCRIPT_TEXT_H
#define TW_SCRIPT_TEXT_H

#include <lua.h>

#include "base/str.h"

/* Copies with a NUL; cuts at the end of a character. */
void tw_text_copy(char *out, size_t size, struct tw_str text);
/* What stands at `index`, for "got ...": "the text \"abc\"", "a table", "-1". Never raises. */
void tw_text_of_value(lua_State *L, int index, char out[80]);
/* Pushes any value as text, as print shows it. May raise (and run a __tostring). */
void tw_text_push(lua_State *L, int index);
/* Lua string -> span; the value must be a string. Borrows. */
struct tw_str tw_text_at(lua_State *L, int index);

#endif
