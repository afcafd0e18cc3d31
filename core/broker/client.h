/* client.h: one connection as the hub sees it. Embedded in whoever speaks with the peer
 * (proto/session), which implements tw_client_ops. */
#ifndef TW_BROKER_CLIENT_H
#define TW_BROKER_CLIENT_H

#include "base/heap.h"
#include "base/list.h"
#include "broker/bucket.h"
#include "broker/identity.h"
#include "broker/mail.h"
#include "broker/outbox.h"
#include "broker/topic.h"
#include "broker/wait.h"

struct tw_hub;
struct tw_client;

/* Called by the hub, on its thread. None may free the client; they may call hub functions. */
struct tw_client_ops {
    /* Write what the outbox holds, as far as the peer takes it. Must not call the hub back. */
    void (*flush)(struct tw_client *client);
    /* Write these, of `offered` bytes in all, to an open client whose outbox is empty. Returns how
     * many the peer took; fewer than offered: the client is blocked now; negative: it is broken,
     * and closing. Must not call the hub back. */
    int64_t (*write)(struct tw_client *client, const struct iovec *spans, int count,
                     size_t offered);
    /* The home's answer to tw_hub_subscribe. On success the sub is active. */
    void (*on_subscribed)(struct tw_client *client, struct tw_sub *sub,
                          const struct tw_mail *answer);
    /* A refused publish (or every publish that had a `request`). */
    void (*on_published)(struct tw_client *client, const struct tw_mail *answer);
    /* The hub wants the client gone: policy, limits, drain. `discard`: do not send what waits. */
    void (*on_close)(struct tw_client *client, unsigned code, const char *reason, bool discard);
    void (*on_deadline)(struct tw_client *client, enum tw_wait_kind kind);
    /* Read on after tw_hub_publish said TW_EAGAIN. */
    void (*on_resume)(struct tw_client *client);
};

/* What a write looks at comes first, in 80 bytes; drivers keep what they look at in front of it. */
struct tw_client {
    const struct tw_client_ops *ops;
    struct tw_outbox outbox;
    uint32_t sub_count, violations;
    bool is_blocked; /* the socket takes no more for now; the transport will say when */
    bool is_closing; /* takes part in nothing any more */
    struct tw_hub *hub;
    struct tw_identity *identity; /* ref; NULL until tw_hub_join */
    struct tw_sub *subs;
    struct tw_list dirty; /* in hub->dirty: something to flush */
    struct tw_list other; /* in hub->paused, or, once closing, in hub->retiring */
    struct tw_wait wait;
    struct tw_heap_node expiry; /* in hub->expiries, if its token ends */
    struct tw_bucket messages, bytes;
};

void tw_client_init(struct tw_client *client, struct tw_hub *hub, const struct tw_client_ops *ops);
/* After tw_hub_leave. */
void tw_client_deinit(struct tw_client *client);
/* Queues control frames and marks the client dirty. 0 or as tw_outbox_try_control. */
int tw_client_try_control(struct tw_client *client, const void *bytes, size_t length);
/* Has the client closed (ops->on_close), behind all that was published so far unless `discard`. */
void tw_client_close(struct tw_client *client, unsigned code, const char *reason, bool discard);
/* Something to write: flush at the end of this turn. */
void tw_client_mark_dirty(struct tw_client *client);
/* The client is on its way out: it gets no more messages, and its subscriptions end with this turn.
 * Idempotent. Pings and closing handshake go on; tw_hub_leave is still to be called. */
void tw_client_retire(struct tw_client *client);
/* Counts one refusal; at limits.violations the client is closed with 4429. */
void tw_client_violate(struct tw_client *client, const char *reason);

#endif
