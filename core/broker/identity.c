/* identity.c: counted identities, one allocation each. */
#include "broker/identity.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/status.h"

struct tw_identity *tw_identity_try_new(uint64_t id, unsigned worker, const struct tw_ip *ip,
                                        struct tw_str user, struct tw_str claims) {
    if (user.length > UINT32_MAX || claims.length > UINT32_MAX) return NULL;
    struct tw_identity *identity = tw_try_alloc(sizeof *identity + user.length + claims.length);
    if (!identity) return NULL;
    atomic_init(&identity->refs, 1);
    identity->id = id;
    identity->worker = (uint16_t)worker;
    identity->ip = *ip;
    identity->has_user = user.data != NULL;
    identity->user_length = (uint32_t)user.length;
    identity->claims_length = (uint32_t)claims.length;
    if (user.data) memcpy(identity->bytes, user.data, user.length);
    if (claims.data) memcpy(identity->bytes + user.length, claims.data, claims.length);
    return identity;
}

struct tw_identity *tw_identity_ref(struct tw_identity *identity) {
    atomic_fetch_add_explicit(&identity->refs, 1, memory_order_relaxed);
    return identity;
}

void tw_identity_unref(struct tw_identity **slot) {
    struct tw_identity *identity = *slot;
    *slot = NULL;
    if (identity && atomic_fetch_sub_explicit(&identity->refs, 1, memory_order_acq_rel) == 1)
        tw_free(identity);
}

void tw_client_id_format(uint64_t id, char out[TW_CLIENT_ID_SIZE]) {
    snprintf(out, TW_CLIENT_ID_SIZE, "%016" PRIx64, id);
}

int tw_client_id_parse(struct tw_str text, uint64_t *out) {
    uint64_t id = 0;
    if (text.length != TW_CLIENT_ID_SIZE - 1) return TW_EPARSE;
    for (size_t i = 0; i < text.length; i++) {
        char c = text.data[i];
        int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (digit < 0) return TW_EPARSE;
        id = id << 4 | (uint64_t)digit;
    }
    *out = id;
    return 0;
}
