/* api.h: the module `tidewire`, and the globals print, require and tidewire. */
#ifndef TW_SCRIPT_API_H
#define TW_SCRIPT_API_H

#include <lua.h>

/* May raise. */
void tw_api_open(lua_State *L);
/* Each pushes the table of that name. May raise. */
void tw_api_push_json(lua_State *L);
void tw_api_push_log(lua_State *L);

#endif
