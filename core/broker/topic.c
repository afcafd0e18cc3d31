/* topic.c: a dense array of local subscribers; order does not matter, so removal swaps. */
#include "broker/topic.h"

#include "base/check.h"
#include "base/mem.h"

struct tw_topic *tw_topic_new(struct tw_name *name, struct tw_queue_settings queue) {
    struct tw_topic *topic = TW_NEW(struct tw_topic);
    topic->name = tw_name_ref(name);
    topic->queue = queue;
    return topic;
}

void tw_topic_free(struct tw_topic *topic) {
    TW_CHECK(topic->count == 0);
    tw_name_unref(&topic->name);
    tw_free(topic->subs);
    tw_free(topic);
}

void tw_topic_add(struct tw_topic *topic, struct tw_sub *sub) {
    if (topic->count == topic->capacity) {
        topic->capacity = topic->capacity ? topic->capacity * 2 : 4;
        topic->subs = tw_realloc(topic->subs, topic->capacity * sizeof(struct tw_sub *));
    }
    sub->topic = topic;
    sub->state = TW_SUB_ACTIVE;
    sub->index = topic->count;
    topic->subs[topic->count++] = sub;
}

void tw_topic_remove(struct tw_topic *topic, struct tw_sub *sub) {
    struct tw_sub *last = topic->subs[--topic->count];
    topic->subs[sub->index] = last;
    last->index = sub->index;
    sub->topic = NULL;
}
