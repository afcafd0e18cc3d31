/* lua_client.h: `client` as a handler sees it. */
#ifndef TW_SCRIPT_LUA_CLIENT_H
#define TW_SCRIPT_LUA_CLIENT_H

#include "broker/identity.h"
#include "script/object.h"

/* Pushes it; nil for NULL. May raise. */
void tw_lua_client_push(lua_State *L, struct tw_identity *identity);

#endif
