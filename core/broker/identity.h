/* identity.h: who a client is. Immutable, counted atomically: the client's worker, its channels'
 * homes and mails under way share one. */
#ifndef TW_BROKER_IDENTITY_H
#define TW_BROKER_IDENTITY_H

#include <stdatomic.h>

#include "base/ip.h"
#include "base/str.h"

#define TW_CLIENT_ID_SIZE 17 /* 16 hex digits and a NUL */

struct tw_identity {
    atomic_uint refs;
    uint16_t worker; /* where the client lives */
    bool has_user;
    uint64_t id; /* unique in the process */
    struct tw_ip ip;
    uint32_t user_length, claims_length; /* there is one per client: 40 bytes */
    char bytes[];                        /* user, claims */
};

static inline struct tw_str tw_identity_user(const struct tw_identity *identity) {
    return (struct tw_str){identity->bytes, identity->user_length};
}
/* JSON of an object; empty: none. */
static inline struct tw_str tw_identity_claims(const struct tw_identity *identity) {
    return (struct tw_str){identity->bytes + identity->user_length, identity->claims_length};
}

/* Copies user (data NULL: none) and claims. One ref, owned. NULL when memory is out. */
struct tw_identity *tw_identity_try_new(uint64_t id, unsigned worker, const struct tw_ip *ip,
                                        struct tw_str user, struct tw_str claims);
struct tw_identity *tw_identity_ref(struct tw_identity *identity);
void tw_identity_unref(struct tw_identity **identity);
void tw_client_id_format(uint64_t id, char out[TW_CLIENT_ID_SIZE]);
/* 0 or TW_EPARSE. */
int tw_client_id_parse(struct tw_str text, uint64_t *out);

#endif
