/* jwt_keys.h: the keys that a VM has parsed. They hang off the VM in C, since a VM is thrown away
 * without running any of its finalizers. Knows no Lua. */
#ifndef TW_SCRIPT_JWT_KEYS_H
#define TW_SCRIPT_JWT_KEYS_H

#include "script/jwt.h"

struct tw_jwt_keys;

enum { TW_JWT_MAX_PEMS = 64 }; /* parsed ones kept; the one not used for longest goes */

/* One of a file of JWKs (RFC 7517). */
struct tw_jwk {
    struct tw_jwt_key key;
    char *kid;     /* owned; NULL: it has none */
    int algorithm; /* the only one that it is for; -1: any of its kind */
};

struct tw_jwk_set {
    size_t file; /* index in the source */
    bool is_complete;
    struct tw_jwk *items; /* owned */
    size_t count;
};

/* What is written in a JWK; data NULL: not there. */
struct tw_jwk_text {
    struct tw_str kty, crv, n, e, x, y, kid, alg, use;
};

void tw_jwt_keys_free(struct tw_jwt_keys **keys);
/* The key of a PEM text: a public key, a certificate, or a private key. Borrows, until the next
 * call; NULL with *why. Makes *keys when it is NULL. */
const struct tw_jwt_key *tw_jwt_keys_of_pem(struct tw_jwt_keys **keys, struct tw_str pem,
                                            const char **why);
/* The set of that file, or a new one that is empty and not complete. Borrows. */
struct tw_jwk_set *tw_jwt_keys_set(struct tw_jwt_keys **keys, size_t file);
/* Without its keys. */
void tw_jwk_set_clear(struct tw_jwk_set *set);
/* 0; 1: a key for something else, which is left out; TW_EPARSE with *why. */
int tw_jwk_set_add(struct tw_jwk_set *set, const struct tw_jwk_text *text, const char **why);
/* The key for a token: by `kid`, or without one (data NULL) the only one that fits. NULL: none. */
const struct tw_jwt_key *tw_jwk_set_find(const struct tw_jwk_set *set, struct tw_str kid,
                                         int algorithm);

#endif
