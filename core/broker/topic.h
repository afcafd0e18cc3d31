/* topic.h: a channel as one worker sees it: its local subscribers. And sub.
 *
 * client --< sub >-- topic. The hub owns topics (made by the first subscriber, gone with the last);
 * the client owns its subs. */
#ifndef TW_BROKER_TOPIC_H
#define TW_BROKER_TOPIC_H

#include "broker/channel.h"
#include "broker/name.h"
#include "broker/settings.h"

struct tw_client;
struct tw_topic;

enum tw_sub_state { TW_SUB_PENDING, TW_SUB_ACTIVE };

struct tw_sub {
    struct tw_client *client;
    struct tw_topic *topic; /* NULL while pending */
    struct tw_name *name;   /* ref */
    struct tw_sub *next;    /* of the client */
    uint32_t index;         /* in topic->subs */
    uint32_t queued;        /* entries in the client's data lane ... */
    uint32_t queued_bytes;  /* ... and the bytes of their frames */
    enum tw_sub_state state;
};

struct tw_topic {
    struct tw_name *name;      /* ref */
    char epoch[TW_EPOCH_SIZE]; /* of the channel that counts these subs */
    struct tw_queue_settings queue;
    uint64_t dropped; /* not yet reported home */
    uint32_t count, capacity;
    struct tw_sub **subs;
};

struct tw_topic *tw_topic_new(struct tw_name *name, struct tw_queue_settings queue);
void tw_topic_free(struct tw_topic *topic); /* no subs any more */
void tw_topic_add(struct tw_topic *topic, struct tw_sub *sub);
void tw_topic_remove(struct tw_topic *topic, struct tw_sub *sub);

#endif
