/* topic.h: a channel as one worker sees it: its local subscribers. And sub.
 *
 * client --< sub >-- topic. The hub owns topics (made by the first subscriber, gone with the last);
 * the client owns its subs. */
#ifndef TW_BROKER_TOPIC_H
#define TW_BROKER_TOPIC_H

#include "broker/channel.h"
#include "broker/name.h"
#include "broker/outbox.h"
#include "broker/settings.h"

struct tw_client;
struct tw_topic;

enum tw_sub_state { TW_SUB_PENDING, TW_SUB_ACTIVE };

struct tw_sub {
    struct tw_client *client;
    struct tw_topic *topic; /* NULL while pending */
    struct tw_name *name;   /* ref */
    struct tw_sub *next;    /* of the client */
    uint64_t taken;         /* of the topic's messages; those since are in its batch, or written */
    uint32_t index;         /* in topic->subs */
    uint32_t queued;        /* entries in the client's data lane ... */
    uint32_t queued_bytes;  /* ... and the bytes of their frames */
    enum tw_sub_state state : 8; /* there are many of these: 56 bytes */
    uint8_t class;               /* see audience.h; 0: none */
    bool by_script;              /* a handler subscribed it: authorize is not asked */
    bool repeats_keys;           /* what it has queued may hold a key twice; see outbox.c */
};

/* Bytes of frames that are written to a subscriber at a time, if it is more than one. */
#define TW_BATCH_BYTES 65536
/* ... and that wait for so long as many subscribers are written to. */
#define TW_BATCH_WAITING (1u << 20)

struct tw_item {
    struct tw_message *message; /* ref */
    struct tw_parcel *parcel;   /* ref; NULL until an outbox keeps it */
};

/* What a turn brought a topic. Its subscribers get all of it in one write each at the end of the
 * turn, so that a message costs nothing per subscriber until then. With many subscribers that takes
 * several turns: a part of the batch is on its way then, and what comes meanwhile waits behind it.
 */
struct tw_batch {
    struct tw_item *items; /* `one`, or owned */
    struct tw_item one;
    uint32_t count, capacity;
    uint32_t bytes;            /* of their frames */
    uint32_t part, part_bytes; /* so many of the first are on their way; 0: none */
    uint32_t served;           /* ... and so many of the first subs have them */
    uint64_t first;            /* how many messages the topic had before these */
};

struct tw_topic {
    struct tw_name *name;      /* ref */
    char epoch[TW_EPOCH_SIZE]; /* of the channel that counts these subs */
    uint32_t swap;             /* the hub's, when `queue` was looked up */
    struct tw_queue_settings queue;
    uint64_t dropped, withheld; /* not yet reported home */
    struct tw_batch batch;
    struct tw_list dirty;   /* in hub->dirty_topics: the batch is not empty */
    struct tw_list clogged; /* in hub->clogged: much waits behind what is on its way */
    uint32_t count, capacity;
    struct tw_sub **subs;
};

struct tw_topic *tw_topic_new(struct tw_name *name, struct tw_queue_settings queue);
void tw_topic_free(struct tw_topic *topic); /* no subs any more */
/* The sub gets what is batched from here on. */
void tw_topic_add(struct tw_topic *topic, struct tw_sub *sub);
void tw_topic_remove(struct tw_topic *topic, struct tw_sub *sub);
/* Is there room in the batch for a frame of that many bytes? In an empty one always; in one that is
 * on its way for more. */
bool tw_topic_has_room(const struct tw_topic *topic, size_t frame);
/* Keeps a ref of the message. */
void tw_topic_add_message(struct tw_topic *topic, struct tw_message *message);
/* The parcel of the batch's message `i`, for outboxes to share; borrowed. */
struct tw_parcel *tw_topic_parcel(struct tw_topic *topic, uint64_t i);
/* As many messages as make a write are on their way from now on, unless some are. */
void tw_topic_start_part(struct tw_topic *topic);
/* Every sub has taken what was on its way. */
void tw_topic_end_part(struct tw_topic *topic);
/* How many of the topic's messages the sub has, or is about to get without the batch. */
static inline uint64_t tw_sub_taken(const struct tw_sub *sub) {
    const struct tw_batch *batch = &sub->topic->batch;
    uint64_t least = batch->first + (sub->index < batch->served ? batch->part : 0);
    return sub->taken > least ? sub->taken : least;
}

#endif
