/* variants.c: counted arrays of messages. */
#include "broker/variants.h"

#include "base/mem.h"

struct tw_variants *tw_variants_new(struct tw_message *message, unsigned count) {
    struct tw_variants *variants = tw_alloc(sizeof *variants + count * sizeof(struct tw_message *));
    atomic_init(&variants->refs, 1);
    variants->count = count;
    for (unsigned i = 0; i < count; i++)
        variants->messages[i] = tw_message_ref(message);
    return variants;
}

struct tw_variants *tw_variants_ref(struct tw_variants *variants) {
    atomic_fetch_add_explicit(&variants->refs, 1, memory_order_relaxed);
    return variants;
}

void tw_variants_unref(struct tw_variants **slot) {
    struct tw_variants *variants = *slot;
    *slot = NULL;
    if (!variants) return;
    if (atomic_fetch_sub_explicit(&variants->refs, 1, memory_order_acq_rel) != 1) return;
    for (unsigned i = 0; i < variants->count; i++)
        tw_message_unref(&variants->messages[i]);
    tw_free(variants);
}
