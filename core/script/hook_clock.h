/* hook_clock.h: measures one call; used by call.c around the entry into Lua. */
#ifndef TW_SCRIPT_HOOK_CLOCK_H
#define TW_SCRIPT_HOOK_CLOCK_H

#include "script/call.h"
#include "script/guard.h"

struct tw_hook_clock {
    uint64_t ns, allocated;
};

struct tw_hook_clock tw_hook_clock_start(const struct tw_vm *vm);
/* Counts the call, unless it loads an app or only looks after a channel's state. */
void tw_hook_clock_stop(const struct tw_hook_clock *clock, struct tw_vm *vm,
                        const struct tw_call *call, int status, enum tw_guard_end end);

#endif
