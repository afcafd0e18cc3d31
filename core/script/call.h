/* call.h: the one door into Lua. Everything that can raise runs inside of a call: a body that the
 * VM enters under lua_pcall. What the body raises, or what Lua raises through it, becomes
 * TW_ESCRIPT with a failure that says where; the effects are as before then.
 *
 * A body, and every lua_CFunction below it, may be left at any Lua call that it makes and never be
 * returned to. So it holds nothing of its own across one: what it needs lives in the VM or with the
 * caller of tw_call_run. */
#ifndef TW_SCRIPT_CALL_H
#define TW_SCRIPT_CALL_H

#include "script/vm.h"

struct tw_call {
    enum tw_hook hook;
    /* Returns 0 or a status; may raise. */
    int (*body)(lua_State *L, struct tw_call *call);
    void *data;                 /* the body's */
    size_t view;                /* TW_HOOK_VIEWS: which one */
    struct tw_channel *channel; /* NULL: auth, load */
    struct tw_effects *effects; /* NULL: this hook cannot have any */
    struct tw_failure *failure; /* never NULL */
    bool is_quiet;              /* the caller reports; nothing is logged */
    size_t effect_bytes;        /* payloads in `effects` of this call */
    int status;                 /* the body's result */
    bool is_traced;             /* the failure is filled */
};

/* 0, what the body returned, TW_ESCRIPT, or TW_EUNLOADED (revive.h). Not reentrant: no call while
 * one runs. */
int tw_call_run(struct tw_vm *vm, struct tw_call *call);

/* For bodies: pushes the channel's function for the hook; false (nothing pushed): it has none. */
bool tw_call_push_function(lua_State *L, const struct tw_call *call);
/* "transform of market" for messages. Pushes it, too. */
const char *tw_call_title(lua_State *L, const struct tw_call *call);

/* What stands at the bottom of a VM's stack; see enum in vm.h. */
int tw_call_trace(lua_State *L);
int tw_call_enter(lua_State *L);

#endif
