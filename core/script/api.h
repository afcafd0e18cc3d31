/* api.h: the module `tidewire`, and the globals print, require and tidewire. */
#ifndef TW_SCRIPT_API_H
#define TW_SCRIPT_API_H

#include <lua.h>

/* May raise. */
void tw_api_open(lua_State *L);
/* Each pushes the table of that name. May raise. */
void tw_api_push_json(lua_State *L);
void tw_api_push_log(lua_State *L);
void tw_api_push_env(lua_State *L);
void tw_api_push_shared(lua_State *L);
void tw_api_push_base64(lua_State *L);
void tw_api_push_random(lua_State *L);
void tw_api_push_jwt(lua_State *L);
void tw_api_push_metrics(lua_State *L);
/* tidewire.sha256, hmac, equal (api_crypto.c) */
int tw_api_sha256(lua_State *L);
int tw_api_hmac(lua_State *L);
int tw_api_equal(lua_State *L);

/* Unix seconds: the broker's clock, or the simulator's. */
double tw_api_now(lua_State *L);
/* Raises, in the name of `what`, while files of the app are loaded: a load that fails must have
 * changed nothing. */
void tw_api_check_in_hook(lua_State *L, const char *what);

#endif
