/* lua_sim.h: the simulator as a Lua module, `tidewire.sim.core`: thin; what specs use is
 * scripts/tidewire/sim.lua on top of it. */
#ifndef TW_SIM_LUA_SIM_H
#define TW_SIM_LUA_SIM_H

#include <lua.h>

int luaopen_tidewire_sim_core(lua_State *L);

#endif
