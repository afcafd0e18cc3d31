/* timers.h: the functions that handlers gave to tidewire.after, and when they are due.
 *
 *   kept (by `after`, as long as its handler's effects wait) -> armed (when the hub applies them)
 *   -> gone: it ran, was cancelled, its effect was dropped, its channel was closed, its VM died
 *
 * A timer's number is never given out again, so one that is gone is told from a newer one in its
 * place. */
#ifndef TW_SCRIPT_TIMERS_H
#define TW_SCRIPT_TIMERS_H

#include <lua.h>

#include "base/heap.h"
#include "broker/effects.h"

struct tw_vm;
struct tw_channel;
struct tw_failure;

#define TW_MAX_TIMERS 4096 /* of a VM; a power of two */

struct tw_timer {
    struct tw_heap_node due; /* while it is armed */
    uint64_t number;         /* 0: free */
    struct tw_channel *channel;
};

/* Of a VM. All zero is empty. */
struct tw_timers {
    struct tw_timer **places; /* each owned; place i belongs to functions[i + 1] */
    size_t count, used;
    struct tw_heap heap;
    uint64_t serial;
    int functions; /* a table in the registry; 0: none yet */
};

void tw_timers_deinit(struct tw_timers *timers);
/* The state is gone, and all functions with it. */
void tw_timers_forget_all(struct tw_timers *timers);
/* See broker/hooks.h. */
void tw_timers_arm(struct tw_vm *vm, uint64_t number, uint64_t at_ms);
void tw_timers_cancel(struct tw_vm *vm, uint64_t number);
uint64_t tw_timers_next_ms(const struct tw_vm *vm, struct tw_channel **channel);
int tw_timers_run(struct tw_vm *vm, struct tw_effects *effects, struct tw_failure *failure);
/* Cancels those of the effects from `first` on. */
void tw_timers_drop_effects(struct tw_vm *vm, const struct tw_effects *effects, size_t first);
void tw_timers_drop_channel(struct tw_vm *vm, const struct tw_channel *channel);

/* tidewire.after(seconds, function), tidewire.cancel(id) */
int tw_timers_l_after(lua_State *L);
int tw_timers_l_cancel(lua_State *L);

#endif
