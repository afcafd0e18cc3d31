/* channel.h: a channel at its home: offsets, subscriber counts per worker, the script's side.
 * Owned by the hub of its home; only that hub's thread touches it. */
#ifndef TW_BROKER_CHANNEL_H
#define TW_BROKER_CHANNEL_H

#include "base/buf.h"
#include "base/heap.h"
#include "base/list.h"
#include "base/rand.h"
#include "broker/audience.h"
#include "broker/name.h"
#include "broker/quarantine.h"

#define TW_EPOCH_SIZE 9 /* 8 letters and a NUL */

struct tw_channel {
    struct tw_name *name;
    const struct tw_definition *definition; /* of the hub's generation */
    void *script;                           /* the VM's own; see hooks.h */
    char epoch[TW_EPOCH_SIZE];
    uint64_t offset;      /* of the newest message; 0: none yet */
    uint64_t dropped;     /* by subscribers' queues, as reported by topics that are gone */
    uint32_t subscribers; /* the sum of per_worker */
    uint64_t withheld;    /* by views; in the same way */
    struct tw_audience audience;
    struct tw_heap_node tick;
    struct tw_list idle; /* in hub->idle_channels: made by a pattern and without subscribers */
    uint64_t idle_since_ms;
    uint64_t slow_until_ms; /* a handler took long: till then its mail goes through the slow lane */
    uint32_t slow_mails;    /* of it, in that lane */
    uint32_t swap;          /* the hub's, when it was bound; another one: it is behind, and its
                               definition and its script side are those of the past generation */
    struct tw_quarantine quarantine;
    /* Without a script side: it gets one before its first hook, or by the hub's turn. With bytes of
     * the state that it had under another generation, if there are any. */
    struct tw_list place; /* in the hub's `behind`, `stateless` (lacks_state) or `complete` */
    bool lacks_state;
    struct tw_buf carried;
    unsigned carried_from; /* number of that generation */
    bool lacks_init; /* opened while quarantined: open gives it an empty state, and runs no init */
    uint32_t per_worker[];
};

struct tw_channel *tw_channel_new(struct tw_name *name, unsigned workers, struct tw_rand *rand);
void tw_channel_free(struct tw_channel *channel);
/* Binds the channel to the generation's definition of its name; false if there is none, then the
 * definition is NULL. */
bool tw_channel_bind(struct tw_channel *channel, const struct tw_generation *generation);

#endif
