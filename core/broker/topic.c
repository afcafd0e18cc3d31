/* topic.c: a dense array of local subscribers; order does not matter, so removal swaps. */
#include "broker/topic.h"

#include <string.h>

#include "base/check.h"
#include "base/mem.h"

enum { FIRST_ITEMS = 4, KEEP_ITEMS = 256 };

static void be_small(struct tw_batch *batch) {
    if (batch->items != &batch->one) tw_free(batch->items);
    batch->items = &batch->one;
    batch->capacity = 1;
}

struct tw_topic *tw_topic_new(struct tw_name *name, struct tw_queue_settings queue) {
    struct tw_topic *topic = TW_NEW(struct tw_topic);
    topic->name = tw_name_ref(name);
    topic->queue = queue;
    be_small(&topic->batch);
    tw_list_init(&topic->dirty);
    tw_list_init(&topic->clogged);
    return topic;
}

void tw_topic_free(struct tw_topic *topic) {
    TW_CHECK(topic->count == 0);
    while (topic->batch.count > 0) {
        tw_topic_start_part(topic);
        tw_topic_end_part(topic);
    }
    tw_list_remove(&topic->dirty);
    tw_list_remove(&topic->clogged);
    tw_name_unref(&topic->name);
    be_small(&topic->batch);
    tw_free(topic->subs);
    tw_free(topic);
}

void tw_topic_add(struct tw_topic *topic, struct tw_sub *sub) {
    if (topic->count == topic->capacity) {
        topic->capacity = topic->capacity ? topic->capacity + topic->capacity / 2 : 4;
        topic->subs = tw_realloc(topic->subs, topic->capacity * sizeof(struct tw_sub *));
    }
    sub->topic = topic;
    sub->taken = topic->batch.first + topic->batch.count;
    sub->state = TW_SUB_ACTIVE;
    sub->index = topic->count;
    topic->subs[topic->count++] = sub;
}

static void place(struct tw_topic *topic, uint32_t index, struct tw_sub *sub) {
    topic->subs[index] = sub;
    sub->index = index;
}

/* Those that are served stay in front of those that are not. */
void tw_topic_remove(struct tw_topic *topic, struct tw_sub *sub) {
    uint32_t hole = sub->index;
    if (hole < topic->batch.served) {
        place(topic, hole, topic->subs[--topic->batch.served]);
        hole = topic->batch.served;
    }
    if (hole != --topic->count) place(topic, hole, topic->subs[topic->count]);
    sub->topic = NULL;
}

bool tw_topic_has_room(const struct tw_topic *topic, size_t frame) {
    const struct tw_batch *batch = &topic->batch;
    size_t most = batch->part > 0 ? TW_BATCH_WAITING : TW_BATCH_BYTES;
    return batch->count == 0 || batch->bytes + frame <= most;
}

static void grow(struct tw_batch *batch) {
    bool is_small = batch->items == &batch->one;
    batch->capacity = is_small ? FIRST_ITEMS : batch->capacity * 2;
    batch->items = tw_realloc(is_small ? NULL : batch->items, batch->capacity * sizeof batch->one);
    if (is_small) batch->items[0] = batch->one;
}

void tw_topic_add_message(struct tw_topic *topic, struct tw_message *message) {
    struct tw_batch *batch = &topic->batch;
    if (batch->count == batch->capacity) grow(batch);
    batch->items[batch->count++] = (struct tw_item){.message = tw_message_ref(message)};
    batch->bytes += (uint32_t)tw_message_frame(message).length;
}

struct tw_parcel *tw_topic_parcel(struct tw_topic *topic, uint64_t i) {
    struct tw_item *item = &topic->batch.items[i];
    if (!item->parcel) item->parcel = tw_parcel_new(item->message);
    return item->parcel;
}

void tw_topic_start_part(struct tw_topic *topic) {
    struct tw_batch *batch = &topic->batch;
    if (batch->part > 0) return;
    batch->served = batch->part_bytes = 0;
    do {
        size_t frame = tw_message_frame(batch->items[batch->part].message).length;
        if (batch->part > 0 && batch->part_bytes + frame > TW_BATCH_BYTES) return;
        batch->part_bytes += (uint32_t)frame;
    } while (++batch->part < batch->count);
}

void tw_topic_end_part(struct tw_topic *topic) {
    struct tw_batch *batch = &topic->batch;
    for (uint32_t i = 0; i < batch->part; i++) {
        struct tw_item *item = &batch->items[i];
        if (item->parcel) tw_parcel_unref(item->parcel);
        tw_message_unref(&item->message);
    }
    batch->first += batch->part;
    batch->count -= batch->part;
    batch->bytes -= batch->part_bytes;
    memmove(batch->items, batch->items + batch->part, batch->count * sizeof *batch->items);
    batch->part = batch->part_bytes = batch->served = 0;
    /* Busy topics are few, and keep theirs; there may be many of the others. */
    bool is_kept = batch->capacity > FIRST_ITEMS && batch->capacity <= KEEP_ITEMS;
    if (batch->count == 0 && !is_kept) be_small(batch);
}
