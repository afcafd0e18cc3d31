/* globals.h: what a file of the app finds under names that it did not declare, and cannot change.
 *
 *   a file's globals  a table of its own; reads go on to the builtins, new names stay with the file
 *   the builtins      one table per VM (LUA_GLOBALSINDEX) that no script ever gets hold of
 *   a library         `string`, `tidewire.json`, ...: userdata in front of the real table
 *
 * A library is userdata and no empty table with a metatable: whatever writes into tables past
 * metatables (rawset, table.insert, table.sort ...) does not take userdata, so nothing needs to be
 * wrapped. A call of string.byte in a hook takes some 35 ns instead of 16, s:byte() what it did. */
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
