/* topic.c: a dense array of local subscribers; order does not matter, so removal swaps. */
#include "broker/topic.h"

#include "base/check.h"
#include "base/mem.h"

enum { KEEP_PARCELS = 256 };

struct tw_topic *tw_topic_new(struct tw_name *name, struct tw_queue_settings queue) {
    struct tw_topic *topic = TW_NEW(struct tw_topic);
    topic->name = tw_name_ref(name);
    topic->queue = queue;
    tw_list_init(&topic->dirty);
    return topic;
}

void tw_topic_free(struct tw_topic *topic) {
    TW_CHECK(topic->count == 0);
    tw_topic_end_batch(topic);
    tw_list_remove(&topic->dirty);
    tw_name_unref(&topic->name);
    tw_free(topic->batch.parcels);
    tw_free(topic->subs);
    tw_free(topic);
}

void tw_topic_add(struct tw_topic *topic, struct tw_sub *sub) {
    if (topic->count == topic->capacity) {
        topic->capacity = topic->capacity ? topic->capacity * 2 : 4;
        topic->subs = tw_realloc(topic->subs, topic->capacity * sizeof(struct tw_sub *));
    }
    sub->topic = topic;
    sub->taken = topic->batch.first + topic->batch.count;
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

bool tw_topic_has_room(const struct tw_topic *topic, size_t frame) {
    return topic->batch.count == 0 || topic->batch.bytes + frame <= TW_BATCH_BYTES;
}

void tw_topic_add_message(struct tw_topic *topic, struct tw_message *message) {
    struct tw_batch *batch = &topic->batch;
    if (batch->count == batch->capacity) {
        batch->capacity = batch->capacity ? batch->capacity * 2 : 4;
        batch->parcels = tw_realloc(batch->parcels, batch->capacity * sizeof(struct tw_parcel *));
    }
    batch->parcels[batch->count++] = tw_parcel_new(message);
    batch->bytes += (uint32_t)tw_message_frame(message).length;
}

void tw_topic_end_batch(struct tw_topic *topic) {
    struct tw_batch *batch = &topic->batch;
    for (uint32_t i = 0; i < batch->count; i++)
        tw_parcel_unref(batch->parcels[i]);
    batch->first += batch->count;
    batch->count = batch->bytes = 0;
    if (batch->capacity <= KEEP_PARCELS) return;
    tw_free(batch->parcels);
    batch->parcels = NULL;
    batch->capacity = 0;
}
