/* common.h: what the scripts of all workers have in common, and what outlives their VMs: the
 * dictionary tidewire.shared, the metrics, and where random bytes come from. Made by whoever makes
 * the hubs; counted atomically, since every VM keeps a ref. */
#ifndef TW_BROKER_COMMON_H
#define TW_BROKER_COMMON_H

#include <stdatomic.h>

#include "broker/metrics.h"
#include "broker/shared.h"

struct tw_common {
    atomic_uint refs;
    struct tw_shared *shared;   /* owned */
    struct tw_metrics *metrics; /* owned */
    void (*random)(void *data, void *bytes, size_t length);
    void *random_data;
};

/* One ref, owned by the caller. `random` NULL: the kernel's, fit for secrets. */
struct tw_common *tw_common_new(void (*random)(void *data, void *bytes, size_t length), void *data);
struct tw_common *tw_common_ref(struct tw_common *common);
void tw_common_unref(struct tw_common **common);
void tw_common_random(struct tw_common *common, void *bytes, size_t length);

#endif
