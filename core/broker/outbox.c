/* outbox.c: the two lanes of one client.
 *
 * The data lane is a ring of 16-byte entries. A dropped entry becomes dead in its place (parcel
 * NULL); dead ones at the head, or right behind a frame that has begun, go at once, the others when
 * the ring would grow. */
#include "broker/outbox.h"

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "base/status.h"
#include "broker/topic.h"

enum { LEAST_CONTROL = 16 }; /* bytes beyond the first frame */

struct tw_parcel *tw_parcel_new(struct tw_message *message) {
    struct tw_parcel *parcel = TW_NEW(struct tw_parcel);
    parcel->message = tw_message_ref(message);
    parcel->refs = 1;
    return parcel;
}

void tw_parcel_unref(struct tw_parcel *parcel) {
    if (--parcel->refs > 0) return;
    tw_message_unref(&parcel->message);
    tw_free(parcel);
}

static struct tw_entry *entry_at(const struct tw_outbox *outbox, uint32_t i) {
    return &outbox->ring[(outbox->head + i) & (outbox->capacity - 1)];
}

static uint32_t frame_bytes(const struct tw_entry *entry) {
    return entry->parcel->message->header + entry->parcel->message->length;
}

void tw_outbox_init(struct tw_outbox *outbox) {
    memset(outbox, 0, sizeof *outbox);
}

static void disown(struct tw_entry *entry) {
    if (!entry->sub) return;
    entry->sub->queued--;
    entry->sub->queued_bytes -= frame_bytes(entry);
    entry->sub = NULL;
}

static void fill(struct tw_outbox *outbox, struct tw_entry *entry, struct tw_sub *sub,
                 struct tw_parcel *parcel) {
    *entry = (struct tw_entry){parcel, sub};
    parcel->refs++;
    outbox->bytes += frame_bytes(entry);
    if (!sub) return;
    sub->queued++;
    sub->queued_bytes += frame_bytes(entry);
}

static void clear(struct tw_outbox *outbox, struct tw_entry *entry) {
    outbox->bytes -= frame_bytes(entry);
    disown(entry);
    tw_parcel_unref(entry->parcel);
    *entry = (struct tw_entry){0};
}

/* The entry stays in the ring, dead. */
static void kill_entry(struct tw_outbox *outbox, struct tw_entry *entry) {
    clear(outbox, entry);
    outbox->dead++;
}

/* A frame that has begun moves up, so that a slow reader's dropped ones do not pile up behind it.
 */
static void trim_head(struct tw_outbox *outbox) {
    uint32_t first = outbox->sent > 0 ? 1 : 0;
    while (outbox->count > first && !entry_at(outbox, first)->parcel) {
        if (first) *entry_at(outbox, 1) = *entry_at(outbox, 0);
        outbox->head = (outbox->head + 1) & (outbox->capacity - 1);
        outbox->count--;
        outbox->dead--;
    }
}

/* Drops what is queued, but for a half-written frame; of one sub, or of all (NULL). */
static void drop_entries(struct tw_outbox *outbox, const struct tw_sub *sub) {
    for (uint32_t i = outbox->sent ? 1 : 0; i < outbox->count; i++) {
        struct tw_entry *entry = entry_at(outbox, i);
        if (entry->parcel && (!sub || entry->sub == sub)) kill_entry(outbox, entry);
    }
    trim_head(outbox);
}

void tw_outbox_deinit(struct tw_outbox *outbox) {
    outbox->sent = 0;
    drop_entries(outbox, NULL);
    tw_free(outbox->control);
    tw_free(outbox->final);
    tw_free(outbox->ring);
    tw_outbox_init(outbox);
}

int tw_outbox_try_control(struct tw_outbox *outbox, const void *bytes, size_t length) {
    if (outbox->final) return TW_ECLOSED;
    struct tw_control *control = outbox->control;
    uint32_t before = control ? control->length : 0, capacity = control ? control->capacity : 0;
    if (before + length > TW_OUTBOX_MAX_CONTROL) return TW_EFULL;
    if (!control || before + length > capacity) {
        capacity = 2 * capacity + LEAST_CONTROL + (uint32_t)length;
        control = tw_try_realloc(control, sizeof *control + capacity);
        if (!control) return -ENOMEM;
        outbox->control = control;
        control->capacity = capacity;
    }
    memcpy(control->bytes + before, bytes, length);
    control->length = before + (uint32_t)length;
    return 0;
}

bool tw_outbox_is_full(const struct tw_outbox *outbox, const struct tw_sub *sub, size_t frame,
                       uint32_t max_bytes) {
    if (sub && sub->topic && sub->queued >= sub->topic->queue.size) return true;
    return outbox->bytes > 0 && outbox->bytes + frame > max_bytes;
}

/* Moves the live entries together, into a ring twice as large if fewer than half are dead. */
static bool make_room(struct tw_outbox *outbox) {
    if (outbox->count < outbox->capacity) return true;
    uint32_t capacity = outbox->dead * 2 > outbox->count ? outbox->capacity : outbox->capacity * 2;
    if (capacity == 0) capacity = TW_OUTBOX_LEAST;
    struct tw_entry *ring = tw_try_alloc(capacity * sizeof *ring);
    if (!ring) return false;
    uint32_t live = 0;
    for (uint32_t i = 0; i < outbox->count; i++)
        if (entry_at(outbox, i)->parcel) ring[live++] = *entry_at(outbox, i);
    tw_free(outbox->ring);
    outbox->ring = ring;
    outbox->capacity = capacity;
    outbox->count = live;
    outbox->head = outbox->dead = 0;
    return true;
}

/* The first entry of the sub, oldest first; NULL if there is none. */
static struct tw_entry *oldest_of(const struct tw_outbox *outbox, const struct tw_sub *sub) {
    for (uint32_t i = 0; i < outbox->count; i++)
        if (entry_at(outbox, i)->parcel && entry_at(outbox, i)->sub == sub)
            return entry_at(outbox, i);
    return NULL;
}

static bool is_same_key(const struct tw_message *a, const struct tw_message *b) {
    return a->key_hash == b->key_hash && a->key_length == b->key_length &&
           memcmp(a->key, b->key, a->key_length) == 0;
}

static bool has_key_of(const struct tw_entry *entry, const struct tw_sub *sub) {
    return entry->parcel && entry->sub == sub && entry->parcel->message->key_length > 0;
}

/* The newest entry of the sub with the same key; NULL if there is none. */
static struct tw_entry *same_key(const struct tw_outbox *outbox, const struct tw_sub *sub,
                                 const struct tw_message *message) {
    if (message->key_length == 0) return NULL;
    for (uint32_t i = outbox->count; i-- > 0;) {
        struct tw_entry *entry = entry_at(outbox, i);
        if (has_key_of(entry, sub) && is_same_key(entry->parcel->message, message)) return entry;
    }
    return NULL;
}

/* Puts the newer message into the place of the older one, if the bounds hold then. */
static bool replace(struct tw_outbox *outbox, struct tw_entry *entry, struct tw_parcel *parcel,
                    size_t frame, uint32_t max_bytes) {
    struct tw_sub *sub = entry->sub;
    uint32_t rest = outbox->bytes - frame_bytes(entry);
    if (sub->queued > sub->topic->queue.size || (rest > 0 && rest + frame > max_bytes))
        return false;
    clear(outbox, entry);
    fill(outbox, entry, sub, parcel);
    return true;
}

static bool append(struct tw_outbox *outbox, struct tw_sub *sub, struct tw_parcel *parcel) {
    if (!make_room(outbox)) return false;
    fill(outbox, entry_at(outbox, outbox->count++), sub, parcel);
    if (sub) sub->repeats_keys = true;
    return true;
}

/* Would the frame fit if the sub had nothing queued? */
static bool could_fit(const struct tw_outbox *outbox, const struct tw_sub *sub, size_t frame,
                      uint32_t max_bytes) {
    uint32_t of_others = outbox->bytes - sub->queued_bytes;
    return of_others == 0 || of_others + frame <= max_bytes;
}

static void drop(struct tw_outbox *outbox, struct tw_entry *entry, uint64_t *dropped) {
    kill_entry(outbox, entry);
    trim_head(outbox);
    ++*dropped;
}

/* Drops the sub's oldest until the new frame fits. */
static void drop_oldest(struct tw_outbox *outbox, struct tw_sub *sub, size_t frame,
                        uint32_t max_bytes, uint64_t *dropped) {
    struct tw_entry *entry;
    while (tw_outbox_is_full(outbox, sub, frame, max_bytes) && (entry = oldest_of(outbox, sub)))
        drop(outbox, entry, dropped);
}

/* Who makes keys collide gets them less conflated, and takes no more of our time. */
#define MAX_PROBES 32

/* Of each key only the sub's newest stays, in the oldest one's place. One pass over the queue, and
 * there is none again before it has grown: so a message costs little, however long the queue is.
 * Without memory for the pass all stay. */
static void drop_stale(struct tw_outbox *outbox, struct tw_sub *sub, uint64_t *dropped) {
    uint32_t slots = TW_OUTBOX_LEAST;
    while (slots < 2 * sub->queued)
        slots *= 2;
    uint32_t *places = tw_try_alloc(slots * sizeof *places); /* of each key's oldest, from 1 on */
    if (!places) return;
    for (uint32_t i = 0; i < outbox->count; i++) {
        struct tw_entry *entry = entry_at(outbox, i), *oldest = NULL;
        if (!has_key_of(entry, sub)) continue;
        const struct tw_message *message = entry->parcel->message;
        uint32_t at = message->key_hash & (slots - 1), probes = 0;
        while (places[at] > 0 && probes++ < MAX_PROBES) {
            oldest = entry_at(outbox, places[at] - 1);
            if (is_same_key(oldest->parcel->message, message)) break;
            at = (at + 1) & (slots - 1);
            oldest = NULL;
        }
        if (!oldest) {
            if (places[at] == 0) places[at] = i + 1;
            continue;
        }
        clear(outbox, oldest);
        *oldest = *entry;
        *entry = (struct tw_entry){0};
        outbox->dead++;
        ++*dropped;
    }
    sub->repeats_keys = false;
    tw_free(places);
}

/* True if the parcel took the place of the older one of its key. */
static bool conflate(struct tw_outbox *outbox, struct tw_sub *sub, struct tw_parcel *parcel,
                     size_t frame, uint32_t max_bytes, uint64_t *dropped) {
    if (sub->repeats_keys) drop_stale(outbox, sub, dropped);
    struct tw_entry *older = same_key(outbox, sub, parcel->message);
    if (!older) return false;
    if (!replace(outbox, older, parcel, frame, max_bytes)) {
        drop(outbox, older, dropped);
        return false;
    }
    ++*dropped;
    return true;
}

enum tw_push tw_outbox_push(struct tw_outbox *outbox, struct tw_sub *sub, struct tw_parcel *parcel,
                            uint32_t max_bytes, uint64_t *dropped) {
    const struct tw_message *message = parcel->message;
    size_t frame = (size_t)message->header + message->length;
    enum tw_overflow overflow = sub && sub->topic ? sub->topic->queue.overflow : TW_DROP_NEWEST;
    bool repeats_keys = true; /* nobody looked */
    if (outbox->final) return TW_PUSH_REFUSED;
    if (tw_outbox_is_full(outbox, sub, frame, max_bytes)) {
        if (overflow == TW_DISCONNECT) return TW_PUSH_TOO_SLOW;
        if (overflow == TW_DROP_NEWEST || !could_fit(outbox, sub, frame, max_bytes)) goto refused;
        if (overflow == TW_CONFLATE) {
            if (conflate(outbox, sub, parcel, frame, max_bytes, dropped)) return TW_PUSHED;
            repeats_keys = sub->repeats_keys;
        }
        drop_oldest(outbox, sub, frame, max_bytes, dropped);
    }
    if (append(outbox, sub, parcel)) {
        if (sub) sub->repeats_keys = repeats_keys;
        return TW_PUSHED;
    }
refused:
    ++*dropped;
    return TW_PUSH_REFUSED;
}

int tw_outbox_try_append(struct tw_outbox *outbox, struct tw_sub *sub, struct tw_parcel *parcel) {
    if (outbox->final) return TW_ECLOSED;
    if (!append(outbox, sub, parcel)) return -ENOMEM;
    outbox->is_over = true;
    return 0;
}

int tw_outbox_try_keep(struct tw_outbox *outbox, struct tw_sub *sub, size_t written) {
    struct tw_topic *topic = sub->topic;
    uint32_t i = 0, count = topic->batch.part;
    for (size_t frame; i < count && written > 0; i++, written -= frame) {
        frame = tw_message_frame(topic->batch.items[i].message).length;
        if (frame > written) break;
    }
    for (uint32_t first = i; i < count; i++) {
        bool is_begun = i == first && written > 0;
        if (!append(outbox, is_begun ? NULL : sub, tw_topic_parcel(topic, i))) return -ENOMEM;
    }
    outbox->sent = (uint32_t)written;
    outbox->is_over = true;
    return 0;
}

enum tw_push tw_outbox_enforce(struct tw_outbox *outbox, uint32_t max_bytes) {
    enum tw_push worst = TW_PUSHED;
    char *final = outbox->final;
    if (!outbox->is_over) return TW_PUSHED;
    outbox->is_over = false;
    uint32_t first = outbox->sent > 0 ? 1 : 0, count = outbox->count - first;
    struct tw_entry *queued = tw_try_alloc((count + 1) * sizeof *queued);
    if (!queued) return TW_PUSH_TOO_SLOW;
    for (uint32_t i = 0; i < count; i++) {
        struct tw_entry *entry = entry_at(outbox, first + i);
        if (!entry->parcel) continue;
        queued[i] = *entry;
        entry->parcel->refs++;
        kill_entry(outbox, entry);
    }
    trim_head(outbox);
    outbox->final = NULL; /* what was queued before it may stay before it */
    for (uint32_t i = 0; i < count; i++) {
        struct tw_sub *sub = queued[i].sub;
        uint64_t nobodys = 0;
        if (!queued[i].parcel) continue;
        enum tw_push push = tw_outbox_push(outbox, sub, queued[i].parcel, max_bytes,
                                           sub && sub->topic ? &sub->topic->dropped : &nobodys);
        if (push == TW_PUSH_TOO_SLOW) worst = push;
        tw_parcel_unref(queued[i].parcel);
    }
    outbox->final = final;
    tw_free(queued);
    return worst;
}

void tw_outbox_finish(struct tw_outbox *outbox, const void *final, size_t length, bool discard) {
    if (outbox->final) return;
    if (discard) drop_entries(outbox, NULL);
    outbox->final = tw_memdup(final, length);
    outbox->final_length = (uint8_t)length;
}

void tw_outbox_forget(struct tw_outbox *outbox, struct tw_sub *sub) {
    drop_entries(outbox, sub);
}

void tw_outbox_orphan(struct tw_outbox *outbox, struct tw_sub *sub) {
    for (uint32_t i = 0; sub->queued > 0 && i < outbox->count; i++)
        if (entry_at(outbox, i)->sub == sub) disown(entry_at(outbox, i));
}

static int add_span(struct iovec *spans, int n, const void *bytes, size_t length) {
    spans[n] = (struct iovec){.iov_base = (void *)(uintptr_t)bytes, .iov_len = length};
    return n + 1;
}

int tw_outbox_gather(const struct tw_outbox *outbox, struct iovec *spans, int max) {
    int n = 0;
    uint32_t i = 0;
    if (outbox->sent > 0 && n < max) {
        struct tw_str frame = tw_message_frame(entry_at(outbox, i++)->parcel->message);
        n = add_span(spans, n, frame.data + outbox->sent, frame.length - outbox->sent);
    }
    if (outbox->control && n < max)
        n = add_span(spans, n, outbox->control->bytes, outbox->control->length);
    for (; i < outbox->count && n < max; i++) {
        if (!entry_at(outbox, i)->parcel) continue;
        struct tw_str frame = tw_message_frame(entry_at(outbox, i)->parcel->message);
        n = add_span(spans, n, frame.data, frame.length);
    }
    if (i == outbox->count && n < max && outbox->final_sent < outbox->final_length)
        n = add_span(spans, n, outbox->final + outbox->final_sent,
                     (size_t)(outbox->final_length - outbox->final_sent));
    return n;
}

/* Up to `written` bytes of the first frame are gone; returns how many. A frame that has begun
 * belongs to no subscription any more: it can neither be dropped nor replaced. */
static size_t consume_frame(struct tw_outbox *outbox, size_t written) {
    struct tw_entry *entry = entry_at(outbox, 0);
    size_t rest = frame_bytes(entry) - outbox->sent;
    disown(entry);
    if (written < rest) {
        outbox->sent += (uint32_t)written;
        return written;
    }
    outbox->sent = 0;
    kill_entry(outbox, entry);
    trim_head(outbox);
    return rest;
}

/* The same of the control lane, which is not empty. */
static size_t consume_control(struct tw_outbox *outbox, size_t written) {
    struct tw_control *control = outbox->control;
    if (written < control->length) {
        control->length -= (uint32_t)written;
        memmove(control->bytes, control->bytes + written, control->length);
        return written;
    }
    size_t gone = control->length;
    tw_free(control); /* idle: no heap */
    outbox->control = NULL;
    return gone;
}

void tw_outbox_consume(struct tw_outbox *outbox, size_t written) {
    while (written > 0) {
        size_t gone;
        if (outbox->sent == 0 && outbox->control) {
            gone = consume_control(outbox, written);
        } else if (outbox->count > 0) {
            gone = consume_frame(outbox, written);
        } else {
            outbox->final_sent = (uint8_t)(outbox->final_sent + written);
            return;
        }
        written -= gone;
    }
}

bool tw_outbox_is_empty(const struct tw_outbox *outbox) {
    return outbox->count == 0 && !outbox->control && outbox->final_sent == outbox->final_length;
}

void tw_outbox_shrink(struct tw_outbox *outbox) {
    if (outbox->count > 0) return;
    tw_free(outbox->ring);
    outbox->ring = NULL;
    outbox->capacity = 0;
    outbox->head = outbox->dead = 0;
}
