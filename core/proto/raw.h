/* raw.h: the dialect `raw`: one channel per socket, a frame is a payload and nothing else. */
#ifndef TW_PROTO_RAW_H
#define TW_PROTO_RAW_H

#include "broker/dialect.h"

extern const struct tw_dialect tw_dialect_raw;

#endif
