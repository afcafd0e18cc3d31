/* globals.h: what a file of the app finds under names that it did not declare, and cannot change.
 *
 *   a file's globals   a table of its own; reads go on to the builtins, new names stay with the
 * file the builtins       one table per VM (LUA_GLOBALSINDEX) that no script ever gets hold of a
 * library          `string`, `tidewire.json`, ...: an empty userdata in front of the real table
 *
 * A library is userdata and no empty table with a metatable, because then nothing that writes into
 * tables past metatables (rawset, table.insert, table.sort, next's kin, whatever comes) takes it.
 * It costs 10 ns a lookup, and 14 ns for a global's name; s:method() costs nothing. */
#ifndef TW_SCRIPT_GLOBALS_H
#define TW_SCRIPT_GLOBALS_H

#include "script/vm.h"

/* When all builtins are registered: makes their tables libraries. May raise. */
void tw_globals_seal(lua_State *L);
/* Gives the function on the top of the stack globals of its own. May raise. */
void tw_globals_give(lua_State *L);
/* Gives it those of the script that calls the running C function. May raise. */
void tw_globals_give_callers(lua_State *L);

#endif
