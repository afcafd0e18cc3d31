/* hub.h: the broker at one worker: its clients and topics, the channels whose home it is, and the
 * mail to and from the other hubs. No sockets, no clock, no Lua: a driver (app/worker, or the
 * simulator) steps it.
 *
 * The way of a publish, all in hub.c, in this order:
 *   tw_hub_publish (the client's worker: rate limits) -> mail up -> order (home: may it, transform,
 *   key, offset) -> mail down, one per worker with subscribers -> deliver (outbox of each) -> end
 * of turn: one write per client.
 *
 * Nothing of a client goes away while the hub works: closing only marks, and the driver frees
 * clients outside of hub calls, after tw_hub_leave. */
#ifndef TW_BROKER_HUB_H
#define TW_BROKER_HUB_H

#include "base/heap.h"
#include "base/map.h"
#include "base/rand.h"
#include "broker/admission.h"
#include "broker/channel.h"
#include "broker/client.h"
#include "broker/common.h"
#include "broker/dialect.h"
#include "broker/hooks.h"
#include "broker/mailbox.h"

/* What all hubs of a process share. Owned by the driver, outlives the hubs. */
struct tw_hubs {
    unsigned workers;         /* homes: hubs 0 .. workers-1; hub `workers` is the control hub,
                                 which is home to nothing and has no scripts */
    struct tw_mailbox *boxes; /* workers + 1 */
    void (*wake)(void *driver, unsigned index); /* have that hub take a turn soon; any thread */
    /* Monotonic like hub->now_ms. NULL: turns take no time. */
    uint64_t (*clock_ms)(void *driver);
    /* Processor time of this thread, as long as there is a clock. */
    uint64_t (*cpu_ms)(void *driver);
    void *driver;
    struct tw_admission admission;
    const struct tw_hooks *hooks;
    const struct tw_dialect *dialect;
    struct tw_common *common; /* NULL: the scripts need none */
    int64_t wall_offset_ms;   /* unix time = monotonic time + this */
    unsigned slice;           /* instead of TW_HUB_SLICE, if it is not 0 */
};

#define TW_HUB_BATCH 4096        /* up mails that one turn handles */
#define TW_HUB_TURN_MS 2         /* each of reading, handling and writing: then the next turn */
#define TW_HUB_SLOW_MS 5         /* a channel whose handler lasts longer lets others go first ... */
#define TW_HUB_SLOW_FOR_MS 1000  /* ... for so long */
#define TW_HUB_CLOCK_EVERY 16    /* writes, goodbyes ... between two looks at the clock */
#define TW_HUB_BACKLOG 8192      /* mails waiting in a hub before its clients are read no more */
#define TW_HUB_MAX_BACKLOG 65536 /* ... before publishes of handlers are dropped, with an error */
#define TW_HUB_BURST 1024        /* messages that one turn may queue past a subscription's bounds */
#define TW_HUB_MAX_DEPTH 8       /* handlers that publish to handlers that publish ... */
#define TW_HUB_EXPIRIES 64       /* ends of tokens that one turn handles */
#define TW_HUB_TIMERS 64         /* timers of handlers that one turn runs */
#define TW_HUB_REAPS 256         /* idle channels that one turn lets go */
#define TW_HUB_SLICE 256         /* channels and subscribers that one turn sees to after a swap */
#define TW_CHANNEL_IDLE_MS 60000 /* a channel made by a pattern outlives its last use by this */

struct tw_hub_stats {
    uint64_t messages_in;  /* publishes by clients, refused ones included */
    uint64_t messages_out; /* deliveries queued */
    uint64_t published;    /* messages ordered here, as home */
    uint64_t refused;      /* violations */
    uint64_t hook_failures;
    uint64_t too_slow; /* clients closed with 4431 */
};

/* Mails in order, linked by next. */
struct tw_mail_queue {
    struct tw_mail *head, **tail;
    size_t count;
};

struct tw_hub {
    struct tw_hubs *hubs;
    unsigned index;
    struct tw_generation *generation; /* ref */
    void *vm;                         /* borrowed; NULL at the control hub */
    uint64_t now_ms;        /* monotonic; set by each turn, and by the driver before calls */
    struct tw_map channels; /* home */
    struct tw_map topics;
    struct tw_map clients; /* by id, joined ones */
    struct tw_waits waits;
    struct tw_heap ticks, expiries;
    struct tw_list dirty, paused, retiring, idle_channels;
    struct tw_list dirty_topics; /* with a batch that is not written yet */
    struct tw_list clogged;      /* topics; no up mail until there are none */
    char *room;                  /* owned: TW_PACK_ROOM bytes for the batch that is written */
    struct tw_mail_queue self;   /* up mail to myself */
    struct tw_mail_queue taken;  /* up mail from my box, not handled yet */
    struct tw_mail_queue slow;   /* up mail for channels whose handlers take long */
    size_t slow_orphans;         /* of these, for channels that were closed meanwhile */
    uint64_t slow_until_ms;      /* the latest of channels */
    uint64_t slow_again_ms;      /* no mail of these before, if there are others */
    uint64_t handled_ms;         /* hubs->clock_ms before the first and after each up mail */
    uint64_t cpu_ms;             /* hubs->cpu_ms before the first, or after a long one, ... */
    uint64_t cpu_at_ms;          /* ... of the turns of this time */
    uint64_t writing_ms;         /* ... when writing began */
    unsigned writes;
    bool is_slow_turn, is_turn_over;
    bool is_box_left; /* not looked at in the last turn: who put something there woke me for it */
    struct tw_mail_queue *spills; /* per hub: up mail that found its box full */
    size_t spill_count;
    bool *wakes;               /* per hub: it got mail from me, and is still to be woken for it */
    bool has_wakes;            /* any of them */
    struct tw_effects effects; /* of the handler that runs now */
    unsigned incarnation;      /* of the VM, when the channels were opened */
    struct tw_rand rand;
    struct tw_hub_stats stats;
    struct tw_list complete, stateless, behind; /* each channel is in one of these */
    /* A swap that is under way, see hub_swap.c. */
    struct tw_generation *past;  /* ref; NULL: none is */
    void *past_vm;               /* borrowed; with the states of those that are behind */
    uint32_t swaps;              /* so far */
    size_t unopened;             /* definitions from this on may lack their channel */
    struct tw_mail_queue chores; /* down mail that takes several turns */
    /* Goodbyes still to say, see hub_drain.c. */
    uint64_t *goodbyes;
    size_t goodbye_count, goodbye_next;
    uint64_t drain_since_ms, drain_window_ms;
    bool is_draining;
    bool is_own_turn; /* the next up mail is one of `self` */
    bool is_stalled; /* some hub's down lane is full: up mail waits until that hub wakes this one */
    /* Answers to tw_hub_publish_from_api. */
    void (*on_answer)(struct tw_hub *hub, const struct tw_mail *answer);
    /* A swap is over: nothing of the old VM is needed any more; the driver frees it. */
    void (*on_swapped)(struct tw_hub *hub, void *old_vm);
    void *owner; /* the driver's */
};

/* `generation` keeps a ref; `vm` borrowed (NULL: control hub). Makes the channels with literal
 * names that live here. */
void tw_hub_init(struct tw_hub *hub, struct tw_hubs *hubs, unsigned index,
                 struct tw_generation *generation, void *vm, uint64_t seed, uint64_t now_ms);
/* No clients any more. Closes channels' script sides; the VM is the driver's to free after. */
void tw_hub_deinit(struct tw_hub *hub);

/* One turn: takes mail, runs deadlines and ticks, flushes. Returns when to take the next one at the
 * latest (ms; UINT64_MAX: when woken). Call it when woken, when due, and before sleeping. */
uint64_t tw_hub_turn(struct tw_hub *hub, uint64_t now_ms);
/* True if there is work left that waits for nobody, i.e. take another turn at once. */
bool tw_hub_is_busy(const struct tw_hub *hub);
/* True if handlers have used up the time of a turn since now_ms: what runs more of them may wait.
 * So a row of handlers that are stopped by their deadlines lets all else in between two of them. */
bool tw_hub_is_late(const struct tw_hub *hub);

/* Passes a mail to hub `to`; takes it. Never loses it: up mail that finds the box full waits here.
 * Down mail to this hub is handled within the call, unless it is a TW_MAIL_CALL. */
void tw_hub_post(struct tw_hub *hub, unsigned to, struct tw_mail *mail);
/* Which hub is home to that channel. */
unsigned tw_hub_home(const struct tw_hub *hub, const struct tw_name *name);

/* A new id for a client of this hub: unique in the process. Not a secret. */
uint64_t tw_hub_client_id(struct tw_hub *hub);
/* The client takes part from now on. Takes the identity's ref. `expires`: unix seconds after which
 * the client is closed with 4401, unless on_expire says another end; 0: never. */
void tw_hub_join(struct tw_hub *hub, struct tw_client *client, struct tw_identity *identity,
                 double expires);
/* It takes part no more: its subs end, its waits stop. Idempotent. Not from within client ops. */
void tw_hub_leave(struct tw_hub *hub, struct tw_client *client);
/* Asks the home; the answer comes by on_subscribed, not from within this call. 0, TW_EFULL past
 * channels_per_client, -EALREADY or -ENOMEM. Not at the control hub. */
int tw_hub_subscribe(struct tw_hub *hub, struct tw_client *client, struct tw_str channel);
/* A client's message; takes it. 0; TW_EAGAIN: taken, but read no more until
 * on_resume; TW_ERATE, TW_EJSON: refused at once, and counted as a violation. What
 * the home refuses comes by on_published; `request` not NULL: so does what it accepts. */
int tw_hub_publish(struct tw_hub *hub, struct tw_client *client, struct tw_name *channel,
                   struct tw_message *message, void *request);
/* A message that comes from no client; takes it. The answer comes by hub->on_answer if `request` is
 * not NULL. 0, or TW_EJSON, TW_EDRAINING, -ENOMEM (then no answer follows). */
int tw_hub_publish_from_api(struct tw_hub *hub, struct tw_str channel, struct tw_message *message,
                            void *request);
/* Queues for the client what its topics have batched for it. */
void tw_hub_catch_up(struct tw_hub *hub, struct tw_client *client);
/* Counts a control frame of a client against its message rate; TW_ERATE when over it. */
int tw_hub_take_control(struct tw_hub *hub, struct tw_client *client);

/* Swaps to a new generation between two messages (keeps a ref): no hook of the old one runs from
 * now on. The turns that follow, or the first need of each channel, carry its state from the old
 * VM, let it go if it has no definition any more, and have a changed authorize asked again. The old
 * VM is in use until on_swapped, which each swap ends with (not at the control hub, vm NULL). */
void tw_hub_swap(struct tw_hub *hub, struct tw_generation *generation, void *vm);
/* Does at once what is left of a swap, if one is under way: before a further one, or when there
 * will be no turns any more. */
void tw_hub_end_swap(struct tw_hub *hub);

/* Says goodbye (1001) to every client, spread evenly over `window_ms`; new ones are to be refused
 * from now on (is_draining). */
void tw_hub_drain(struct tw_hub *hub, uint64_t window_ms);

#endif
