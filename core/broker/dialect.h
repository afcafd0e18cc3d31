/* dialect.h: what is spoken on a socket, as far as the hub needs it: how a message becomes a frame.
 * Called once per message at its home, before any subscriber sees it. */
#ifndef TW_BROKER_DIALECT_H
#define TW_BROKER_DIALECT_H

#include "broker/message.h"

struct tw_dialect {
    const char *name;
    /* Writes the frame's header in front of the payload and sets message->header. */
    void (*encode)(struct tw_message *message);
};

#endif
