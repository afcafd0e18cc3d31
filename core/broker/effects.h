/* effects.h: what a handler asked for while it ran. The hub applies all of it after the handler
 * returned well, in order, and nothing of it otherwise. */
#ifndef TW_BROKER_EFFECTS_H
#define TW_BROKER_EFFECTS_H

#include "broker/identity.h"
#include "broker/message.h"
#include "broker/name.h"

enum tw_effect_kind {
    TW_EFFECT_PUBLISH,
    TW_EFFECT_SEND,
    TW_EFFECT_DISCONNECT,
    TW_EFFECT_SUBSCRIBE,
    TW_EFFECT_UNSUBSCRIBE,
    TW_EFFECT_AFTER, /* a timer that the script holds is to run */
    TW_EFFECT_CANCEL /* ... and is not */
};

struct tw_effect {
    enum tw_effect_kind kind;
    struct tw_name *channel;    /* publish, subscribe, unsubscribe */
    struct tw_message *message; /* publish, send */
    struct tw_identity *client; /* send, disconnect, subscribe, unsubscribe */
    uint64_t timer;             /* after, cancel: of the script's */
    uint64_t delay_ms;          /* after */
    unsigned code;              /* disconnect */
    char reason[124];           /* disconnect */
};

struct tw_effects {
    struct tw_effect *items;
    size_t count, capacity;
    size_t bytes;
};

/* A script's memory is bounded by its VM; what it asks for, by these. */
#define TW_MAX_EFFECTS 10000
#define TW_MAX_EFFECT_BYTES 67108864 /* of payloads and names */

/* All zero is empty. Each returns 0, or TW_EFULL past the bounds, or -ENOMEM; then the buffer is as
 * before. They copy the bytes and keep a ref of the client. */
int tw_effects_try_publish(struct tw_effects *effects, struct tw_str channel, struct tw_str payload,
                           bool binary);
int tw_effects_try_send(struct tw_effects *effects, struct tw_identity *client,
                        struct tw_str payload, bool binary);
int tw_effects_try_disconnect(struct tw_effects *effects, struct tw_identity *client, unsigned code,
                              struct tw_str reason);
/* `kind`: TW_EFFECT_SUBSCRIBE or TW_EFFECT_UNSUBSCRIBE. */
int tw_effects_try_subscription(struct tw_effects *effects, enum tw_effect_kind kind,
                                struct tw_identity *client, struct tw_str channel);
int tw_effects_try_after(struct tw_effects *effects, uint64_t timer, uint64_t delay_ms);
int tw_effects_try_cancel(struct tw_effects *effects, uint64_t timer);
/* Drops all that was added since there were `count`. */
void tw_effects_rewind(struct tw_effects *effects, size_t count);
void tw_effects_deinit(struct tw_effects *effects);

#endif
