/* message.h: an immutable payload, counted atomically, with room in front for a frame's header, so
 * that payload and frame are one piece of memory and nothing is copied on its way out.
 *
 * Until its home has ordered it, a message has one owner, who may still set its fields. */
#ifndef TW_BROKER_MESSAGE_H
#define TW_BROKER_MESSAGE_H

#include <stdatomic.h>
#include <stddef.h>

#include "base/str.h"

#define TW_FRAME_ROOM 10 /* the longest header of a server's frame, RFC 6455 5.2 */

struct tw_message {
    atomic_uint refs;
    bool binary;
    uint8_t header;      /* bytes of the frame's header, 0 until encoded */
    uint16_t key_length; /* of the conflation key; 0: none */
    uint32_t key_hash;
    uint32_t length; /* bytes of payload */
    uint64_t offset; /* in its channel; 0 until ordered */
    char *key;       /* owned */
    char bytes[];    /* TW_FRAME_ROOM, then the payload */
};

#define TW_MESSAGE_ROOM (offsetof(struct tw_message, bytes) + TW_FRAME_ROOM)
#define TW_MESSAGE_MAX (UINT32_MAX - 64)

/* Copies the payload; one ref, owned. NULL when memory is out. `payload` may be NULL: the caller
 * fills tw_message_payload before anyone else sees it. */
struct tw_message *tw_message_try_new(const void *payload, size_t length, bool binary);
/* Makes a message of memory (of tw_mem, taken) that holds TW_MESSAGE_ROOM bytes of anything and
 * then the payload. At most TW_MESSAGE_MAX bytes of it. One ref, owned. */
struct tw_message *tw_message_adopt(void *memory, size_t length, bool binary);
struct tw_message *tw_message_ref(struct tw_message *message);
void tw_message_unref(struct tw_message **message);
/* Copies the key; an empty one removes it. 0 or -ENOMEM: it has none then. */
int tw_message_try_set_key(struct tw_message *message, struct tw_str key);

static inline char *tw_message_payload(struct tw_message *message) {
    return message->bytes + TW_FRAME_ROOM;
}
static inline struct tw_str tw_message_text(const struct tw_message *message) {
    return (struct tw_str){message->bytes + TW_FRAME_ROOM, message->length};
}
/* The encoded frame (header != 0). */
static inline struct tw_str tw_message_frame(const struct tw_message *message) {
    return (struct tw_str){message->bytes + TW_FRAME_ROOM - message->header,
                           (size_t)message->header + message->length};
}

#endif
