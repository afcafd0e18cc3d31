/* vm.h: a Lua VM of ours: one lua_State, its memory, and the functions that definitions gave it.
 *
 * All memory of the state comes from an allocator with a byte cap that keeps every block on a list
 * of the VM's own. So a VM is thrown away whole, without lua_close and without running any of its
 * code, also when a handler was left in the middle of something.
 *
 * From a lua_State the VM is found by tw_vm_of. Nothing here is global. */
#ifndef TW_SCRIPT_VM_H
#define TW_SCRIPT_VM_H

#include <lua.h>

#include "base/buf.h"
#include "base/slab.h"
#include "script/hook_stats.h"
#include "script/script.h"
#include "script/timers.h"

struct tw_call;
struct tw_jwt_keys;
struct tw_source;

#define TW_LOAD_DEADLINES 20

/* Why Lua is entered. */
#define TW_HOOK_TABLE(X)                                                                           \
    X(TW_HOOK_LOAD, "load")                                                                        \
    X(TW_HOOK_AUTH, "auth")                                                                        \
    X(TW_HOOK_INIT, "init")                                                                        \
    X(TW_HOOK_AUTHORIZE, "authorize")                                                              \
    X(TW_HOOK_TRANSFORM, "transform")                                                              \
    X(TW_HOOK_KEY, "queue.key")                                                                    \
    X(TW_HOOK_ON_SUBSCRIBE, "on_subscribe")                                                        \
    X(TW_HOOK_ON_UNSUBSCRIBE, "on_unsubscribe")                                                    \
    X(TW_HOOK_TICK, "tick")                                                                        \
    X(TW_HOOK_MIGRATE, "migrate")                                                                  \
    X(TW_HOOK_AUDIENCE, "audience")                                                                \
    X(TW_HOOK_VIEWS, "views")                                                                      \
    X(TW_HOOK_ON_EXPIRE, "on_expire")                                                              \
    X(TW_HOOK_AFTER, "after") /* a function that tidewire.after was given */                       \
    X(TW_HOOK_STATE, "state") /* the state is made, read or let go; none of the app's code runs */

enum tw_hook {
#define X(name, text) name,
    TW_HOOK_TABLE(X)
#undef X
        TW_HOOKS
};

const char *tw_hook_name(enum tw_hook hook);

/* Kinds of objects that Lua sees; see object.h. */
enum tw_class_id { TW_CLASS_MESSAGE, TW_CLASS_CLIENT, TW_CLASS_CHANNEL, TW_CLASSES };

/* Index in the registry; 0: none. */
typedef int tw_ref;

/* The functions of one definition. */
struct tw_vm_definition {
    char *file; /* owned; where it stands, relative to the app */
    char *key;  /* owned; "market.lua" of channels/, or the key in a single-file app's `channels` */
    tw_ref functions[TW_HOOKS];
    bool is_of_message;  /* transform takes the message alone: nobody would see the others made */
    bool is_init_deadly; /* it killed its VM; to run it in each new one would kill them all */
    struct tw_hook_stats *stats[TW_HOOKS]; /* owned; NULL: never called */
    tw_ref views[TW_MAX_VIEWS];            /* as in the definition */
};

struct tw_vm {
    lua_State *L;
    struct tw_slabs blocks; /* all of L's memory */
    size_t used, cap;       /* bytes, our own bookkeeping included */
    uint64_t allocated;     /* bytes that L ever asked for */
    unsigned deadline_ms;   /* of a hook; loading a file gets TW_LOAD_DEADLINES times as long, */
    bool is_load_late; /* until one was not ready by then: it is in vain, the others be quick */
    bool jit;
    bool is_dead;         /* killed, and not yet built anew; see revive.h */
    unsigned incarnation; /* how often it was built anew */
    double retry_at;      /* unix seconds; 0: building anew has not failed; or: not before this, */
    double retry_after;   /* which was so many seconds after it failed last */
    struct tw_failure unloaded; /* ... and why it failed */

    struct tw_source *source;         /* ref */
    struct tw_generation *generation; /* ref; NULL while settings are read */
    struct tw_script_clock clock;
    struct tw_common *common;             /* ref */
    struct tw_jwt_keys *jwt;              /* owned; NULL: none was used yet */
    struct tw_vm_definition *definitions; /* owned; as in the generation */
    size_t definition_count;

    /* In the registry. */
    tw_ref auth, on_expire, app, loaded, tidewire, array_metatable, trace_function,
        classes[TW_CLASSES];
    tw_ref globals; /* the metatable of each file's; see globals.h */
    tw_ref getinfo; /* debug.getinfo */

    const void *rethrown; /* an error that was traced already on its way out */
    struct tw_call *call; /* what runs now; NULL: nothing */
    uint64_t serial;      /* of the call; objects of an earlier one are dead */
    size_t *units;        /* owned: files (indices in the source) being loaded, outermost first */
    size_t unit_count, unit_capacity;
    bool is_unborn;  /* lua_newstate is at work: allocations do not fail */
    bool is_loading; /* tidewire.file and require may read */
    bool is_mute;    /* print and tidewire.log say nothing: another VM's load said it already */

    struct tw_timers timers;

    /* Space for one call at a time; here, so that an error in Lua cannot leak it. */
    struct tw_buf scratch, keys, trace;

    uint64_t calls, failures;
    struct tw_hook_stats *auth_stats;       /* owned; NULL: never called */
    struct tw_hook_counts total, recent[2]; /* of hooks; recent: this minute and the one before */
    uint64_t recent_until_ns;
    size_t live;        /* bytes used when a collection ended last */
    size_t collect_at;  /* from so many used bytes on, a slice follows each call */
    bool is_collecting; /* a slice has begun, and none has ended it yet */
    bool is_to_trim;    /* much was freed, so when there is time the system gets it back */
};

/* The values that stand at the bottom of L's stack at all times. */
enum { TW_SLOT_TRACE = 1, TW_SLOT_ENTER, TW_SLOT_COLLECT, TW_SLOTS = TW_SLOT_COLLECT };

/* A VM with its libraries and `tidewire`, or NULL when `cap` is too small for that. Keeps a ref of
 * `source` and of `common`. */
struct tw_vm *tw_vm_new(struct tw_source *source, struct tw_common *common,
                        const struct tw_script_clock *clock, size_t cap, unsigned deadline_ms,
                        bool jit);
/* Throws the state away, whatever it was doing, and begins with an empty one; 0 or TW_ESCRIPT. What
 * was in its registry is gone: channels' states, too. */
int tw_vm_restart(struct tw_vm *vm);
/* load.c: runs the files of a restarted VM's app again; 0, or TW_ELOAD with errors added. */
int tw_load_again(struct tw_vm *vm, struct tw_load_errors *errors);
/* Unix seconds, of the app's clock. */
double tw_vm_now(const struct tw_vm *vm);
static inline struct tw_vm *tw_vm_of(lua_State *L) {
    void *vm;
    lua_getallocf(L, &vm);
    return (struct tw_vm *)vm;
}
/* Between calls: collects more eagerly the nearer the cap is. `fully`: all, now, which takes 3 ms
 * for each MB that is in use. */
void tw_vm_tidy(struct tw_vm *vm, bool fully);
/* Pops a value and keeps it in the registry. May raise. */
tw_ref tw_vm_keep(lua_State *L);
/* Pushes it; nil for 0. Never raises (but needs a slot of the stack). */
void tw_vm_push(lua_State *L, tw_ref ref);
/* Appends to a buffer of the VM's; raises "not enough memory". */
void tw_vm_append(lua_State *L, struct tw_buf *buf, const void *bytes, size_t length);

#endif
