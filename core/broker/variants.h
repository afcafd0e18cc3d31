/* variants.h: one message as the classes of its listeners hear it. Immutable, counted atomically:
 * each worker's mail has a ref. */
#ifndef TW_BROKER_VARIANTS_H
#define TW_BROKER_VARIANTS_H

#include "broker/message.h"

struct tw_variants {
    atomic_uint refs;
    unsigned count;                /* of the classes, 0 (none) included */
    struct tw_message *messages[]; /* by number of the class; refs; NULL: it hears nothing */
};

/* One ref, owned; each is `message` at first. */
struct tw_variants *tw_variants_new(struct tw_message *message, unsigned count);
struct tw_variants *tw_variants_ref(struct tw_variants *variants);
void tw_variants_unref(struct tw_variants **variants);

#endif
