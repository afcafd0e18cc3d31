/* jwt.h: the signatures of RFC 7518, on OpenSSL. Knows no Lua, so nothing here can be abandoned
 * half-way.
 *
 * Not on libjwt: Debian 12 has 1.10.2, which knows no JWKS and no EdDSA, parses the PEM text anew
 * for each token, and needed a patch for comparing HMACs in a time that tells (CVE-2024-25189).
 * What is left to write beside EVP_DigestVerify is small.
 *
 * A key is of one kind, and an algorithm asks for one kind: a public RSA key cannot be used as the
 * secret of an HMAC, whatever a token says. */
#ifndef TW_SCRIPT_JWT_H
#define TW_SCRIPT_JWT_H

#include <openssl/types.h>
#include <stdbool.h>

#include "base/str.h"

enum tw_jwt_kind { TW_JWT_SECRET, TW_JWT_RSA, TW_JWT_P256, TW_JWT_P384, TW_JWT_ED25519 };

struct tw_jwt_algorithm {
    const char *name;
    enum tw_jwt_kind kind;
    int bits; /* of the hash; 0: the signature has its own */
};

/* HS256 HS384 HS512 RS256 RS384 RS512 ES256 ES384 EdDSA */
enum { TW_JWT_ALGORITHMS = 9, TW_JWT_MAX_SIGNATURE = 2048 };
extern const struct tw_jwt_algorithm tw_jwt_algorithms[TW_JWT_ALGORITHMS];

struct tw_jwt_key {
    enum tw_jwt_kind kind;
    struct tw_str secret; /* SECRET */
    EVP_PKEY *pkey;       /* all others */
    bool is_private;
};

/* Index in the table; -1: none of that name. */
int tw_jwt_find_algorithm(struct tw_str name);
/* The key must be of the algorithm's kind. */
bool tw_jwt_verify(const struct tw_jwt_algorithm *algorithm, const struct tw_jwt_key *key,
                   struct tw_str text, struct tw_str signature);
/* The length of the signature; 0: OpenSSL could not make it. */
size_t tw_jwt_sign(const struct tw_jwt_algorithm *algorithm, const struct tw_jwt_key *key,
                   struct tw_str text, unsigned char out[TW_JWT_MAX_SIGNATURE]);
/* HMAC into `out` of 64 bytes; its length, 0 when it could not be made. bits: 1 (SHA-1), 256, 384,
 * 512. */
size_t tw_jwt_hmac(int bits, struct tw_str key, struct tw_str text, unsigned char *out);

#endif
