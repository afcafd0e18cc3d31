/* message.c: counted payloads. */
#include "broker/message.h"

#include <errno.h>
#include <string.h>

#include "base/mem.h"

struct tw_message *tw_message_try_new(const void *payload, size_t length, bool binary) {
    if (length > TW_MESSAGE_MAX) return NULL;
    void *memory = tw_try_realloc(NULL, TW_MESSAGE_ROOM + length); /* not zeroed: it may be large */
    if (!memory) return NULL;
    struct tw_message *message = tw_message_adopt(memory, length, binary);
    if (payload) memcpy(tw_message_payload(message), payload, length);
    return message;
}

struct tw_message *tw_message_adopt(void *memory, size_t length, bool binary) {
    struct tw_message *message = memory;
    memset(message, 0, offsetof(struct tw_message, bytes));
    atomic_init(&message->refs, 1);
    message->binary = binary;
    message->length = (uint32_t)length;
    return message;
}

struct tw_message *tw_message_ref(struct tw_message *message) {
    atomic_fetch_add_explicit(&message->refs, 1, memory_order_relaxed);
    return message;
}

void tw_message_unref(struct tw_message **slot) {
    struct tw_message *message = *slot;
    *slot = NULL;
    if (!message) return;
    if (atomic_fetch_sub_explicit(&message->refs, 1, memory_order_acq_rel) != 1) return;
    tw_free(message->key);
    tw_free(message);
}

int tw_message_try_set_key(struct tw_message *message, struct tw_str key) {
    tw_free(message->key);
    message->key = NULL;
    message->key_length = 0;
    if (key.length == 0) return 0;
    if (key.length > UINT16_MAX) key.length = UINT16_MAX;
    message->key = tw_try_memdup(key.data, key.length);
    if (!message->key) return -ENOMEM;
    message->key_length = (uint16_t)key.length;
    message->key_hash = (uint32_t)tw_str_hash(key);
    return 0;
}
