/* guard.h: no call into Lua lasts for ever.
 *
 * A watchdog thread looks at each thread that is in Lua; one that has spent its deadline of
 * processor time in the same call gets a signal, and again and again. The signal's handler runs on
 * that thread, so nothing races:
 *
 *   stage 1   each ms: a hook that raises, on every instruction, until the Lua handler is out of
 *             every pcall
 *   stage 2   when 20 ms of this were in vain (string.find that backtracks, compiled code, a loop
 *             in an error handler): jumps back to the C frame that entered Lua. Only from within
 *             LuaJIT's own code or code that it compiled, never from ours or libc's: elsewhere it
 *             waits for the next signal, 0.2 ms later, or for the hook. The state is unusable
 *             then, and must be thrown away by its memory.
 *
 * Sound because handlers are transactions: nothing of the core is half-changed while Lua runs, and
 * what Lua calls of ours holds nothing of its own across a call into Lua. */
#ifndef TW_SCRIPT_GUARD_H
#define TW_SCRIPT_GUARD_H

#include <lua.h>
#include <stdbool.h>

enum tw_guard_end {
    TW_GUARD_IN_TIME,
    TW_GUARD_INTERRUPTED, /* stage 1: the call raised; the state is fine */
    TW_GUARD_KILLED       /* stage 2: the state must not be touched any more */
};

/* lua_pcall(L, 0, 0, handler) under a deadline; its result (LUA_ERRRUN when killed). Not reentrant
 * on a thread. deadline_ms 0: none. */
int tw_guard_call(lua_State *L, int handler, unsigned deadline_ms, enum tw_guard_end *end);

/* For tests: is the watchdog asleep until the next call, as nobody has called Lua for a while? */
bool tw_guard_is_napping(void);

#endif
