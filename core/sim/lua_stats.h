/* lua_stats.h: what GET /v1/stats says, of a sim. */
#ifndef TW_SIM_LUA_STATS_H
#define TW_SIM_LUA_STATS_H

#include <lua.h>

#include "sim/sim.h"

/* Pushes a table with the names of the admin API's stats, and what specs of bounds want to know:
 * `queued` (entries in all outboxes), `queued_bytes`, `mail` (in boxes and hubs). */
void tw_lua_push_stats(lua_State *L, struct tw_sim *sim);
/* What is quick to tell of it: generation, connections, clients, subscriptions, refused, queued,
 * queued_bytes, mail, script_memory, channels with their subscribers, offset, dropped, epoch. */
void tw_lua_push_counts(lua_State *L, struct tw_sim *sim);

#endif
