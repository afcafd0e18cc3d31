/* timers.c: see timers.h. The functions lie in a table of the VM, all else outside of it. What is
 * called between calls of handlers only overwrites what is in that table, so it cannot raise. */
#include "script/timers.h"

#include <lauxlib.h>
#include <math.h>

#include "base/mem.h"
#include "script/call.h"
#include "script/lua_channel.h"
#include "script/lua_effects.h"

#define LONGEST 86400.0 /* seconds */
/* Timers of the same millisecond run in the order of their numbers' serials. */
#define ORDER_BITS 20

static struct tw_timer *find(struct tw_timers *timers, uint64_t number) {
    size_t place = (size_t)(number % TW_MAX_TIMERS);
    if (number == 0 || place >= timers->count) return NULL;
    struct tw_timer *timer = timers->places[place];
    return timer->number == number ? timer : NULL;
}

static void free_place(struct tw_timers *timers, struct tw_timer *timer) {
    tw_heap_remove(&timers->heap, &timer->due);
    timer->number = 0;
    timers->used--;
}

void tw_timers_deinit(struct tw_timers *timers) {
    tw_heap_deinit(&timers->heap);
    for (size_t i = 0; i < timers->count; i++)
        tw_free(timers->places[i]);
    tw_free(timers->places);
    *timers = (struct tw_timers){0};
}

void tw_timers_forget_all(struct tw_timers *timers) {
    timers->functions = 0;
    for (size_t i = 0; i < timers->count; i++)
        if (timers->places[i]->number != 0) free_place(timers, timers->places[i]);
}

void tw_timers_arm(struct tw_vm *vm, uint64_t number, uint64_t at_ms) {
    struct tw_timer *timer = find(&vm->timers, number);
    if (!timer) return;
    uint64_t order = number / TW_MAX_TIMERS % (1u << ORDER_BITS);
    tw_heap_add(&vm->timers.heap, &timer->due, at_ms << ORDER_BITS | order);
}

static void forget_function(lua_State *L, const struct tw_timers *timers, uint64_t number) {
    tw_vm_push(L, timers->functions);
    lua_pushnil(L);
    lua_rawseti(L, -2, (int)(number % TW_MAX_TIMERS) + 1);
    lua_pop(L, 1);
}

void tw_timers_cancel(struct tw_vm *vm, uint64_t number) {
    struct tw_timer *timer = find(&vm->timers, number);
    if (!timer) return;
    free_place(&vm->timers, timer);
    forget_function(vm->L, &vm->timers, number);
}

uint64_t tw_timers_next_ms(const struct tw_vm *vm, struct tw_channel **channel) {
    struct tw_heap_node *first = tw_heap_first(&vm->timers.heap);
    if (first && channel) *channel = TW_CONTAINER(first, struct tw_timer, due)->channel;
    return first ? first->at_ms >> ORDER_BITS : UINT64_MAX;
}

/* The timer is gone before its function runs: that may need the place. */
static int run_body(lua_State *L, struct tw_call *call) {
    const uint64_t *number = (const uint64_t *)call->data;
    struct tw_timers *timers = &tw_vm_of(L)->timers;
    struct tw_timer *timer = find(timers, *number);
    if (!timer) return 0; /* the VM had to be built anew for this call */
    tw_vm_push(L, timers->functions);
    lua_rawgeti(L, 1, (int)(*number % TW_MAX_TIMERS) + 1);
    forget_function(L, timers, *number);
    free_place(timers, timer);
    tw_lua_channel_push(L, call->channel);
    lua_call(L, 1, 0);
    return 0;
}

int tw_timers_run(struct tw_vm *vm, struct tw_effects *effects, struct tw_failure *failure) {
    struct tw_timer *timer = TW_CONTAINER(tw_heap_first(&vm->timers.heap), struct tw_timer, due);
    uint64_t number = timer->number;
    if (!effects) {
        tw_timers_cancel(vm, number);
        return 0;
    }
    struct tw_call call = {.hook = TW_HOOK_AFTER,
                           .body = run_body,
                           .data = &number,
                           .channel = timer->channel,
                           .effects = effects,
                           .failure = failure};
    int status = tw_call_run(vm, &call);
    tw_timers_cancel(vm, number); /* if there was no memory to get that far */
    return status;
}

void tw_timers_drop_effects(struct tw_vm *vm, const struct tw_effects *effects, size_t first) {
    for (size_t i = first; i < effects->count; i++)
        if (effects->items[i].kind == TW_EFFECT_AFTER)
            tw_timers_cancel(vm, effects->items[i].timer);
}

void tw_timers_drop_channel(struct tw_vm *vm, const struct tw_channel *channel) {
    struct tw_timers *timers = &vm->timers;
    for (size_t i = 0; timers->used > 0 && i < timers->count; i++) {
        const struct tw_timer *timer = timers->places[i];
        if (timer->number != 0 && timer->channel == channel) tw_timers_cancel(vm, timer->number);
    }
}

/* --- what Lua calls --- */

/* TW_MAX_TIMERS: there is none. */
static size_t find_place(const struct tw_timers *timers) {
    for (size_t i = 0; timers->used < timers->count && i < timers->count; i++)
        if (timers->places[i]->number == 0) return i;
    return timers->count;
}

/* Makes the place if it is not there; 0: no memory. */
static uint64_t take_place(struct tw_timers *timers, size_t place, struct tw_channel *channel) {
    if (place == timers->count) {
        void *places =
            tw_try_realloc(timers->places, (timers->count + 1) * sizeof(struct tw_timer *));
        if (places) timers->places = (struct tw_timer **)places;
        struct tw_timer *timer = places ? (struct tw_timer *)tw_try_alloc(sizeof *timer) : NULL;
        if (!timer) return 0;
        *timer = (struct tw_timer){0};
        timers->places[timers->count++] = timer;
    }
    struct tw_timer *timer = timers->places[place];
    timer->channel = channel;
    timer->number = ++timers->serial * TW_MAX_TIMERS + place;
    timers->used++;
    return timer->number;
}

int tw_timers_l_after(lua_State *L) {
    struct tw_vm *vm = tw_vm_of(L);
    struct tw_timers *timers = &vm->timers;
    lua_Number seconds = luaL_checknumber(L, 1);
    luaL_argcheck(L, seconds >= 0 && seconds <= LONGEST, 1, "0 to 86400 seconds");
    luaL_checktype(L, 2, LUA_TFUNCTION);
    struct tw_call *call = tw_lua_effects_call(L, "tidewire.after");
    size_t place = find_place(timers);
    if (place >= TW_MAX_TIMERS)
        return luaL_error(L, "tidewire.after: more than %d timers in this worker", TW_MAX_TIMERS);
    if (!timers->functions) {
        lua_newtable(L);
        timers->functions = tw_vm_keep(L);
    }
    tw_vm_push(L, timers->functions);
    lua_pushvalue(L, 2);
    lua_rawseti(L, -2, (int)place + 1);
    uint64_t number = take_place(timers, place, call->channel);
    uint64_t delay_ms = (uint64_t)ceil(seconds * 1000.0);
    if (number == 0) return luaL_error(L, "not enough memory");
    int status = tw_effects_try_after(call->effects, number, delay_ms > 0 ? delay_ms : 1);
    if (status != 0) tw_timers_cancel(vm, number);
    tw_lua_effects_done(L, status);
    lua_pushnumber(L, (lua_Number)number);
    return 1;
}

int tw_timers_l_cancel(lua_State *L) {
    lua_Number number = luaL_checknumber(L, 1);
    luaL_argcheck(L, number >= TW_MAX_TIMERS && number <= 9007199254740992.0, 1,
                  "the number that tidewire.after returned");
    struct tw_call *call = tw_lua_effects_call(L, "tidewire.cancel");
    tw_lua_effects_done(L, tw_effects_try_cancel(call->effects, (uint64_t)number));
    return 0;
}
