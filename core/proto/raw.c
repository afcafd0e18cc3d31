/* raw.c: a message's frame is its payload behind a WebSocket header. */
#include "proto/raw.h"

#include <string.h>

#include "proto/frame.h"

static void encode(struct tw_message *message) {
    unsigned char header[10];
    size_t length =
        tw_frame_header(header, message->binary ? TW_OP_BINARY : TW_OP_TEXT, message->length);
    memcpy(message->bytes + TW_FRAME_ROOM - length, header, length);
    message->header = (uint8_t)length;
}

const struct tw_dialect tw_dialect_raw = {.name = "raw", .encode = encode};
