/* name.h: a channel's name with its hash, shared by everything that speaks of the channel. */
#ifndef TW_BROKER_NAME_H
#define TW_BROKER_NAME_H

#include <stdatomic.h>

#include "base/str.h"

struct tw_name {
    atomic_uint refs;
    uint64_t hash;
    struct tw_str text; /* points behind the struct; a NUL follows it */
};

struct tw_name *tw_name_new(struct tw_str text);     /* owned */
struct tw_name *tw_name_try_new(struct tw_str text); /* owned; a peer or a script named it */
struct tw_name *tw_name_ref(struct tw_name *name);
void tw_name_unref(struct tw_name **name);

#endif
