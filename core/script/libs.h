/* libs.h: what of Lua's own libraries an app may use. */
#ifndef TW_SCRIPT_LIBS_H
#define TW_SCRIPT_LIBS_H

#include <stdbool.h>

#include <lua.h>

/* Opens the libraries and takes away what is not on the list. May raise. */
void tw_libs_open(lua_State *L, bool jit);
/* How many parameters the function at `index` has; UINT_MAX: any number, or it is not Lua. May
 * raise. */
unsigned tw_libs_parameters(lua_State *L, int index);

#endif
