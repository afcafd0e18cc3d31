/* common.c */
#include "broker/common.h"

#include <errno.h>
#include <sys/random.h>
#include <sys/types.h>

#include "base/check.h"
#include "base/mem.h"
#include "broker/settings.h"

static void kernel_random(void *data, void *bytes, size_t length) {
    (void)data;
    for (char *at = (char *)bytes; length > 0;) {
        ssize_t got = getrandom(at, length, 0);
        TW_REQUIRE(got > 0 || errno == EINTR);
        if (got < 0) continue;
        at += got;
        length -= (size_t)got;
    }
}

struct tw_common *tw_common_new(void (*random)(void *data, void *bytes, size_t length),
                                void *data) {
    struct tw_common *common = TW_NEW(struct tw_common);
    uint64_t seed[2];
    atomic_init(&common->refs, 1);
    common->random = random ? random : kernel_random;
    common->random_data = data;
    tw_common_random(common, seed, sizeof seed);
    common->shared = tw_shared_new(seed, TW_SHARED_MEMORY);
    common->metrics = tw_metrics_new();
    return common;
}

struct tw_common *tw_common_ref(struct tw_common *common) {
    atomic_fetch_add_explicit(&common->refs, 1, memory_order_relaxed);
    return common;
}

void tw_common_unref(struct tw_common **common) {
    struct tw_common *old = *common;
    *common = NULL;
    if (!old || atomic_fetch_sub_explicit(&old->refs, 1, memory_order_acq_rel) > 1) return;
    tw_shared_free(old->shared);
    tw_metrics_free(old->metrics);
    tw_free(old);
}

void tw_common_random(struct tw_common *common, void *bytes, size_t length) {
    common->random(common->random_data, bytes, length);
}
