/* hooks.h: what the hub asks of the scripts. core/script implements it; the hub knows no Lua.
 *
 * Every function runs on the hub's thread and may take up to the script deadline. It changes
 * nothing of the hub: what a script asks for is put into `effects` (never NULL where it is a
 * parameter), which the caller applies if the result is 0 or TW_EDROPPED and forgets otherwise.
 * A failing script gives TW_ESCRIPT, is logged by the implementation, and fills `failure`. So does
 * TW_EUNLOADED, which any of them may give: the VM is dead and cannot be built anew now. */
#ifndef TW_BROKER_HOOKS_H
#define TW_BROKER_HOOKS_H

#include "base/buf.h"
#include "broker/effects.h"
#include "broker/generation.h"

struct tw_channel;

enum tw_action { TW_ACTION_SUBSCRIBE, TW_ACTION_PUBLISH, TW_ACTION_HISTORY, TW_ACTION_PRESENCE };

struct tw_failure {
    char hook[24];     /* "transform" */
    char script[120];  /* "channels/market.lua", relative to the app */
    int line;          /* 0: not known */
    char message[400]; /* the error, or the reason of a refusal */
    uint64_t retry_ms; /* TW_EQUARANTINED, TW_EUNLOADED: after this it may be tried again; else 0 */
};

/* As zeroed, in a few stores: a publish does it twice. */
static inline void tw_failure_clear(struct tw_failure *failure) {
    failure->hook[0] = failure->script[0] = failure->message[0] = 0;
    failure->line = 0;
    failure->retry_ms = 0;
}

struct tw_pair {
    struct tw_str name, value;
};

/* A handshake as auth sees it. All spans borrow. */
struct tw_auth_request {
    struct tw_str path;                              /* percent-decoded */
    const struct tw_pair *query, *headers, *cookies; /* header names in lower case */
    size_t query_count, header_count, cookie_count;
    struct tw_ip ip;
    struct tw_str origin; /* data NULL: none */
    const char *dialect;
};

/* What auth said: owned by the caller, all zero at first, freed by tw_auth_deinit. */
struct tw_auth {
    bool has_user;
    struct tw_buf user, claims; /* claims: JSON of an object, or empty */
    double expires;             /* unix seconds; 0: never */
    char reason[124];           /* of a refusal */
};

struct tw_hooks {
    /* How often the VM was thrown away and built anew, because a handler could not be stopped. When
     * it has changed, every channel's script side is gone: set channel->script to NULL and open it.
     * If it could not be built then, this tries it again, now and then. */
    unsigned (*incarnation)(void *vm);
    /* 0: let in; TW_EREFUSED: out->reason; TW_ESCRIPT. Without auth.lua: 0, no user. */
    int (*auth)(void *vm, const struct tw_auth_request *request, struct tw_auth *out,
                struct tw_failure *failure);
    /* Gives a channel its script side, channel->script, with an empty state, and runs `init`.
     * When init fails the channel is there all the same, its state empty. An init that killed its
     * VM is not run again before the next load. With channel->lacks_init it does not run. */
    int (*open)(void *vm, struct tw_channel *channel, struct tw_effects *effects,
                struct tw_failure *failure);
    /* Takes the script side away. */
    void (*close)(void *vm, struct tw_channel *channel);
    /* Copies the state as plain data into channel->carried; channel->script is NULL then. On
     * TW_ESCRIPT nothing is carried. Runs nothing of the app. Of a VM whose generation is past:
     * nothing else is asked of it from the first one on. */
    int (*save)(void *vm, struct tw_channel *channel, struct tw_failure *failure);
    /* Like open, but with the state in channel->carried, through `migrate` if there is one. On
     * TW_ESCRIPT the state is new (and init has run). */
    int (*carry)(void *vm, struct tw_channel *channel, struct tw_effects *effects,
                 struct tw_failure *failure);
    /* 0, TW_EREFUSED with failure->message, or TW_ESCRIPT. Without the hook: 0. */
    int (*authorize)(void *vm, struct tw_channel *channel, struct tw_identity *client,
                     enum tw_action action, struct tw_failure *failure);
    /* `client` NULL: not from a socket. 0 with *message replaced (the old ref taken, a new one
     * owned) or as it was; TW_EDROPPED; TW_ESCRIPT. */
    int (*transform)(void *vm, struct tw_channel *channel, struct tw_identity *client,
                     struct tw_message **message, struct tw_effects *effects,
                     struct tw_failure *failure);
    /* The conflation key by function; 0 with *key filled or empty, or TW_ESCRIPT. */
    int (*key)(void *vm, struct tw_channel *channel, struct tw_message *message, struct tw_buf *key,
               struct tw_failure *failure);
    int (*on_subscribe)(void *vm, struct tw_channel *channel, struct tw_identity *client,
                        struct tw_effects *effects, struct tw_failure *failure);
    int (*on_unsubscribe)(void *vm, struct tw_channel *channel, struct tw_identity *client,
                          struct tw_effects *effects, struct tw_failure *failure);
    int (*tick)(void *vm, struct tw_channel *channel, struct tw_effects *effects,
                struct tw_failure *failure);
    /* Of which class of listeners the client is: 0 with *class filled (at most TW_MAX_CLASS_NAME
     * bytes) or empty for none, or TW_ESCRIPT. */
    int (*audience)(void *vm, struct tw_channel *channel, struct tw_identity *client,
                    struct tw_buf *class, struct tw_failure *failure);
    /* The message as the class views[view] of the definition hears it: 0 with *out, owned, which
     * may be another ref of the message; TW_EDROPPED: not at all; TW_ESCRIPT. */
    int (*view)(void *vm, struct tw_channel *channel, size_t view, struct tw_message *message,
                struct tw_message **out, struct tw_failure *failure);
    /* The client's token ends: 0 with *expires, a new end in unix seconds; TW_EREFUSED, also
     * without the hook; TW_ESCRIPT. An end that is not at least a second away is a refusal, too. */
    int (*on_expire)(void *vm, struct tw_identity *client, double *expires,
                     struct tw_failure *failure);
    /* Timers. A handler makes one and asks by an effect to have it armed; who drops that effect
     * cancels the timer. One that is gone, with its channel or its VM, is no error. */
    void (*arm)(void *vm, uint64_t timer, uint64_t at_ms);
    void (*cancel)(void *vm, uint64_t timer);
    /* When the first one is due, and of which channel it is (if `channel` is not NULL); UINT64_MAX:
     * there is none. */
    uint64_t (*next_timer_ms)(const void *vm, struct tw_channel **channel);
    /* Runs the one that is due first (there is one), which is gone then; `effects` NULL: it goes
     * without having run. 0 or TW_ESCRIPT. */
    int (*run_timer)(void *vm, struct tw_effects *effects, struct tw_failure *failure);
};

void tw_auth_deinit(struct tw_auth *auth);

#endif
