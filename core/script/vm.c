/* vm.c: memory and birth of a VM. What may raise runs in `set_up`, under lua_cpcall. */
#include "script/vm.h"

#include <lauxlib.h>
#include <luajit.h>
#include <string.h>
#include <time.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/status.h"
#include "script/api.h"
#include "script/call.h"
#include "script/globals.h"
#include "script/jwt_keys.h"
#include "script/libs.h"
#include "script/object.h"
#include "script/source.h"

enum {
    KEEP_SCRATCH = 65536, /* bytes; larger buffers are given back after a call */
    TRIM = 8 << 20,       /* bytes; when so many were freed at once, the system gets them back */
    BIRTH = 65536,        /* bytes; more than lua_newstate takes, which is some 10,000 */
    LEAST_PAUSE = 110,    /* per cent, of LUA_GCSETPAUSE */
    USUAL_PAUSE = 250,
    USUAL_STEPMUL = 200,
    SLICE_US = 200,        /* of collecting when there is nothing else to do */
    PRESSED_SLICE_US = 500 /* ... after a call, near the cap */
};

struct set_up {
    bool jit;
    tw_ref slots[TW_SLOTS + 1];
};

static bool give_birth(struct tw_vm *vm);
static void *allocate(void *data, void *p, size_t old_size, size_t size);
static int set_up(lua_State *L);
static int collect_body(lua_State *L);
static void give_back(struct tw_buf *buf);

const char *tw_hook_name(enum tw_hook hook) {
    static const char *const names[] = {
#define X(name, text) text,
        TW_HOOK_TABLE(X)
#undef X
    };
    return names[hook];
}

static int begin(struct tw_vm *vm) {
    struct set_up how = {.jit = vm->jit};
    vm->collect_at = vm->cap / 2;
    if (!give_birth(vm) || lua_cpcall(vm->L, set_up, &how) != 0) return TW_ESCRIPT;
    for (int i = 1; i <= TW_SLOTS; i++)
        tw_vm_push(vm->L, how.slots[i]);
    tw_vm_tidy(vm, false);
    return 0;
}

struct tw_vm *tw_vm_new(struct tw_source *source, struct tw_common *common,
                        const struct tw_script_clock *clock, size_t cap, unsigned deadline_ms,
                        bool jit) {
    struct tw_vm *vm = TW_NEW(struct tw_vm);
    tw_slabs_init(&vm->blocks);
    vm->cap = cap;
    vm->deadline_ms = deadline_ms;
    vm->jit = jit;
    vm->source = tw_source_ref(source);
    vm->clock = *clock;
    vm->common = tw_common_ref(common);
    if (begin(vm) == 0) return vm;
    tw_vm_free(vm);
    return NULL;
}

static void free_blocks(struct tw_vm *vm) {
    if (vm->used >= TRIM) vm->is_to_trim = true;
    tw_slabs_clear(&vm->blocks);
    vm->used = 0;
    vm->L = NULL;
}

int tw_vm_restart(struct tw_vm *vm) {
    free_blocks(vm);
    vm->auth = vm->on_expire = vm->app = vm->loaded = vm->tidewire = 0;
    vm->globals = vm->getinfo = vm->array_metatable = vm->trace_function = 0;
    memset(vm->classes, 0, sizeof vm->classes);
    for (size_t i = 0; i < vm->definition_count; i++) {
        memset(vm->definitions[i].functions, 0, sizeof vm->definitions[i].functions);
        memset(vm->definitions[i].views, 0, sizeof vm->definitions[i].views);
    }
    tw_timers_forget_all(&vm->timers);
    vm->rethrown = NULL;
    vm->live = 0;
    vm->is_collecting = false;
    tw_jwt_keys_free(&vm->jwt);
    return begin(vm);
}

void tw_vm_free(struct tw_vm *vm) {
    if (!vm) return;
    free_blocks(vm);
    if (vm->is_to_trim) tw_mem_trim();
    tw_free(vm->auth_stats);
    for (size_t i = 0; i < vm->definition_count; i++) {
        for (int hook = 0; hook < TW_HOOKS; hook++)
            tw_free(vm->definitions[i].stats[hook]);
        tw_free(vm->definitions[i].file);
        tw_free(vm->definitions[i].key);
    }
    tw_free(vm->definitions);
    tw_timers_deinit(&vm->timers);
    tw_free(vm->units);
    tw_buf_deinit(&vm->trace);
    tw_buf_deinit(&vm->keys);
    tw_buf_deinit(&vm->scratch);
    tw_jwt_keys_free(&vm->jwt);
    tw_common_unref(&vm->common);
    tw_source_unref(&vm->source);
    tw_generation_unref(&vm->generation);
    tw_free(vm);
}

size_t tw_vm_memory(const struct tw_vm *vm) {
    return vm->used + vm->scratch.capacity + vm->keys.capacity + vm->trace.capacity;
}

bool tw_vm_is_dead(const struct tw_vm *vm) {
    return vm->is_dead;
}

double tw_vm_now(const struct tw_vm *vm) {
    if (vm->clock.now) return vm->clock.now(vm->clock.data);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* --- the collector ---
 *
 * Most of the garbage is collected by tw_vm_collect_some, when the loop has nothing else to do. The
 * collector's own steps, which come with allocations, begin later, so that they are for loops that
 * are never idle. And LuaJIT does not collect when the allocator says no, it gives up. So near the
 * cap a slice follows each call, and what is left is collected at once only when the cap is as good
 * as reached, or by a call that failed and left much. */

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

/* From so many used bytes on a cycle is worth it, when there is time. */
static size_t idle_at(const struct tw_vm *vm) {
    size_t room = vm->cap > vm->live ? vm->cap - vm->live : 0;
    return vm->live + smaller(vm->live, room / 4);
}

/* `us` 0: to the end. */
static void collect(struct tw_vm *vm, unsigned us) {
    vm->is_collecting = true;
    lua_pushvalue(vm->L, TW_SLOT_COLLECT);
    lua_pushinteger(vm->L, (lua_Integer)us);
    if (lua_pcall(vm->L, 1, 1, 0) != 0 || lua_toboolean(vm->L, -1)) vm->is_collecting = false;
    lua_settop(vm->L, TW_SLOTS);
    if (vm->is_collecting) return;
    vm->live = vm->used;
    vm->collect_at = vm->used + (vm->cap - smaller(vm->used, vm->cap)) / 2;
    if (vm->collect_at < vm->cap / 2) vm->collect_at = vm->cap / 2;
}

static void set_pace(struct tw_vm *vm) {
    size_t comfortable = vm->cap / 10 * 3;
    int pause = USUAL_PAUSE;
    if (vm->used > comfortable) {
        pause = (int)((double)vm->cap * 0.75 * 100 / (double)vm->used);
        if (pause < LEAST_PAUSE) pause = LEAST_PAUSE;
    }
    lua_gc(vm->L, LUA_GCSETPAUSE, pause); /* these two only set a number */
    lua_gc(vm->L, LUA_GCSETSTEPMUL, pause < USUAL_PAUSE ? 2 * USUAL_STEPMUL : USUAL_STEPMUL);
}

void tw_vm_tidy(struct tw_vm *vm, bool fully) {
    bool is_at_cap = vm->used > vm->cap / 16 * 15 && vm->used > vm->collect_at;
    size_t before = vm->used;
    if (fully || is_at_cap)
        collect(vm, 0);
    else if (vm->used > vm->collect_at)
        collect(vm, PRESSED_SLICE_US);
    if (fully && vm->used + TRIM <= before) vm->is_to_trim = true;
    set_pace(vm);
    give_back(&vm->scratch);
    give_back(&vm->keys);
}

bool tw_vm_wants_collecting(const struct tw_vm *vm) {
    return vm->is_to_trim || (!vm->is_dead && (vm->is_collecting || vm->used > idle_at(vm)));
}

void tw_vm_collect_some(struct tw_vm *vm) {
    TW_REQUIRE(!vm->call);
    if (vm->is_to_trim) {
        vm->is_to_trim = false;
        tw_mem_trim();
    } else if (tw_vm_wants_collecting(vm)) {
        collect(vm, SLICE_US);
    }
}

tw_ref tw_vm_keep(lua_State *L) {
    return luaL_ref(L, LUA_REGISTRYINDEX);
}

void tw_vm_push(lua_State *L, tw_ref ref) {
    if (ref) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, ref);
    } else {
        lua_pushnil(L);
    }
}

void tw_vm_append(lua_State *L, struct tw_buf *buf, const void *bytes, size_t length) {
    if (tw_buf_try_append(buf, bytes, length) != 0) luaL_error(L, "not enough memory");
}

/* LuaJIT's lua_newstate crashes when it gets its first block but not all of the next. So it gets
 * them all, if there is room for them. */
static bool give_birth(struct tw_vm *vm) {
    void *room = tw_try_alloc(BIRTH);
    if (!room) return false;
    tw_free(room);
    vm->is_unborn = true;
    vm->L = lua_newstate(allocate, vm);
    vm->is_unborn = false;
    return vm->L && vm->used <= vm->cap;
}

static void *allocate(void *data, void *p, size_t old_size, size_t size) {
    struct tw_vm *vm = (struct tw_vm *)data;
    size_t before = p ? tw_slabs_cost(old_size) : 0, after = tw_slabs_cost(size);
    bool is_capped = after > before && !vm->is_unborn;
    if (after < size || (is_capped && after - before > vm->cap - vm->used)) return NULL;
    void *moved = tw_slabs_resize(&vm->blocks, p, old_size, size, !vm->is_unborn);
    if (!moved && size > 0) return NULL;
    vm->used = vm->used - before + after;
    if (after > before) vm->allocated += after - before;
    return moved;
}

static uint64_t now_us(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_nsec / 1000;
}

/* For so many microseconds, 0: all; true: a cycle has ended. In a call, since to shrink the table
 * of strings takes memory. A step is a few microseconds, or as long as it takes to mark the largest
 * table there is. */
static int collect_body(lua_State *L) {
    lua_Integer us = lua_tointeger(L, 1);
    bool is_done = us == 0;
    if (us == 0) lua_gc(L, LUA_GCCOLLECT, 0);
    for (uint64_t until = now_us() + (uint64_t)us; !is_done && now_us() < until;)
        is_done = lua_gc(L, LUA_GCSTEP, 0) == 1;
    lua_pushboolean(L, is_done);
    return 1;
}

static int set_up(lua_State *L) {
    struct set_up *how = (struct set_up *)lua_touserdata(L, 1);
    luaL_checkstack(L, LUA_MINSTACK, NULL);
    tw_libs_open(L, how->jit);
    tw_object_open(L);
    tw_api_open(L);
    tw_globals_seal(L);
    lua_pushcfunction(L, tw_call_trace);
    how->slots[TW_SLOT_TRACE] = tw_vm_of(L)->trace_function = tw_vm_keep(L);
    lua_pushcfunction(L, tw_call_enter);
    how->slots[TW_SLOT_ENTER] = tw_vm_keep(L);
    lua_pushcfunction(L, collect_body);
    how->slots[TW_SLOT_COLLECT] = tw_vm_keep(L);
    return 0;
}

static void give_back(struct tw_buf *buf) {
    buf->length = 0;
    if (buf->capacity > KEEP_SCRATCH) tw_buf_deinit(buf);
}
