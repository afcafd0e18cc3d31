/* broker_outbox_support.h: an outbox with subscriptions, and its bytes as a text. */
#ifndef BROKER_OUTBOX_SUPPORT_H
#define BROKER_OUTBOX_SUPPORT_H

#include "broker_support.h"

#include "broker/outbox.h"

/* A subscription of a topic of its own. */
struct feed {
    struct tw_topic topic;
    struct tw_sub sub;
};

static inline void feed_init(struct feed *feed, uint32_t size, enum tw_overflow overflow) {
    memset(feed, 0, sizeof *feed);
    feed->topic.queue = (struct tw_queue_settings){size, overflow};
    feed->sub.topic = &feed->topic;
}

/* A parcel whose frame is '|' and the text; the key is what stands before a '='. */
static inline struct tw_parcel *parcel_of(const char *text) {
    struct tw_message *message = message_of(text);
    const char *equals = strchr(text, '=');
    mark_frame(message);
    if (equals)
        (void)tw_message_try_set_key(message, (struct tw_str){text, (size_t)(equals - text)});
    struct tw_parcel *parcel = tw_parcel_new(message);
    tw_message_unref(&message);
    return parcel;
}

static inline enum tw_push push_text(struct tw_outbox *outbox, struct tw_sub *sub, const char *text,
                                     uint32_t max_bytes, uint64_t *dropped) {
    struct tw_parcel *parcel = parcel_of(text);
    enum tw_push result = tw_outbox_push(outbox, sub, parcel, max_bytes, dropped);
    tw_parcel_unref(parcel);
    return result;
}

/* Appends up to `want` bytes of what would be written now to `out`, `spans_at_once` spans at a
 * time, and consumes them. Returns how many there were. */
static inline size_t take_bytes(struct tw_outbox *outbox, char *out, size_t want,
                                int spans_at_once) {
    struct iovec spans[16];
    size_t length = strlen(out), taken = 0;
    int count;
    while (taken < want && (count = tw_outbox_gather(outbox, spans, spans_at_once)) > 0) {
        size_t batch = 0;
        for (int i = 0; i < count; i++) {
            size_t part = spans[i].iov_len;
            assert_true(part > 0);
            if (part > want - taken - batch) part = want - taken - batch;
            memcpy(out + length, spans[i].iov_base, part);
            length += part;
            batch += part;
        }
        out[length] = 0;
        tw_outbox_consume(outbox, batch);
        taken += batch;
    }
    return taken;
}

/* All that is left. Static storage. */
static inline const char *rest_of(struct tw_outbox *outbox) {
    static char out[65536];
    out[0] = 0;
    take_bytes(outbox, out, sizeof out - 1, 3);
    return out;
}

#endif
