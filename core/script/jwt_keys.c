/* jwt_keys.c */
#include "script/jwt_keys.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>

#include "base/base64.h"
#include "base/mem.h"
#include "base/status.h"

enum { LEAST_RSA_BITS = 2048, MOST_RSA_BITS = 16384, MOST_NUMBER = 3072 };

struct pem {
    char *text; /* owned */
    size_t length;
    struct tw_jwt_key key;
    uint64_t used; /* when, in calls */
};

struct tw_jwt_keys {
    struct pem pems[TW_JWT_MAX_PEMS];
    size_t pem_count;
    uint64_t calls;
    struct tw_jwk_set **sets;
    size_t set_count;
};

static EVP_PKEY *parse_pem(struct tw_str pem, bool *is_private);
static bool judge(EVP_PKEY *pkey, struct tw_jwt_key *out, const char **why);
static EVP_PKEY *rsa_of(const struct tw_jwk_text *text, const char **why);
static EVP_PKEY *ec_of(const struct tw_jwk_text *text, const char *curve, size_t half,
                       const char **why);
static EVP_PKEY *ed25519_of(const struct tw_jwk_text *text, const char **why);

static struct tw_jwt_keys *make(struct tw_jwt_keys **keys) {
    if (!*keys) *keys = TW_NEW(struct tw_jwt_keys);
    return *keys;
}

static void forget_pem(struct pem *pem) {
    EVP_PKEY_free(pem->key.pkey);
    tw_free(pem->text);
    *pem = (struct pem){0};
}

void tw_jwt_keys_free(struct tw_jwt_keys **keys) {
    struct tw_jwt_keys *old = *keys;
    *keys = NULL;
    if (!old) return;
    for (size_t i = 0; i < old->pem_count; i++)
        forget_pem(&old->pems[i]);
    for (size_t i = 0; i < old->set_count; i++) {
        tw_jwk_set_clear(old->sets[i]);
        tw_free(old->sets[i]);
    }
    tw_free(old->sets);
    tw_free(old);
}

/* --- PEM --- */

const struct tw_jwt_key *tw_jwt_keys_of_pem(struct tw_jwt_keys **all, struct tw_str pem,
                                            const char **why) {
    struct tw_jwt_keys *keys = make(all);
    struct pem *oldest = keys->pems;
    keys->calls++;
    for (size_t i = 0; i < keys->pem_count; i++) {
        struct pem *known = &keys->pems[i];
        if (known->used < oldest->used) oldest = known;
        if (known->length != pem.length || memcmp(known->text, pem.data, pem.length) != 0) continue;
        known->used = keys->calls;
        return &known->key;
    }
    struct tw_jwt_key key = {0};
    EVP_PKEY *pkey = parse_pem(pem, &key.is_private);
    ERR_clear_error();
    *why = "not the PEM text of a public key, a certificate or a private key";
    if (!pkey || !judge(pkey, &key, why)) {
        EVP_PKEY_free(pkey);
        return NULL;
    }
    struct pem *place = keys->pem_count < TW_JWT_MAX_PEMS ? &keys->pems[keys->pem_count++] : oldest;
    forget_pem(place);
    *place = (struct pem){tw_memdup(pem.data, pem.length), pem.length, key, keys->calls};
    return &place->key;
}

/* Without this OpenSSL asks on the terminal. */
static int no_password(char *buf, int size, int rwflag, void *data) {
    (void)buf, (void)size, (void)rwflag, (void)data;
    return -1;
}

static EVP_PKEY *parse_pem(struct tw_str pem, bool *is_private) {
    if (pem.length > INT32_MAX) return NULL;
    BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.length);
    if (!bio) return NULL;
    EVP_PKEY *pkey = PEM_read_bio_PUBKEY(bio, NULL, no_password, NULL);
    if (!pkey) {
        (void)BIO_reset(bio);
        pkey = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
        *is_private = pkey != NULL;
    }
    if (!pkey) {
        (void)BIO_reset(bio);
        X509 *certificate = PEM_read_bio_X509(bio, NULL, no_password, NULL);
        if (certificate) pkey = X509_get_pubkey(certificate);
        X509_free(certificate);
    }
    BIO_free(bio);
    return pkey;
}

/* What kind it is, and whether it is fit for use. */
static bool judge(EVP_PKEY *pkey, struct tw_jwt_key *out, const char **why) {
    char curve[32] = "";
    out->pkey = pkey;
    switch (EVP_PKEY_get_base_id(pkey)) {
    case EVP_PKEY_RSA:
        out->kind = TW_JWT_RSA;
        *why = "an RSA key needs 2048 to 16384 bits";
        return EVP_PKEY_get_bits(pkey) >= LEAST_RSA_BITS &&
               EVP_PKEY_get_bits(pkey) <= MOST_RSA_BITS;
    case EVP_PKEY_EC:
        EVP_PKEY_get_group_name(pkey, curve, sizeof curve, NULL);
        out->kind = strcmp(curve, "prime256v1") == 0 ? TW_JWT_P256 : TW_JWT_P384;
        *why = "of the elliptic curves only P-256, P-384 and Ed25519 are known here";
        return out->kind == TW_JWT_P256 || strcmp(curve, "secp384r1") == 0;
    case EVP_PKEY_ED25519:
        out->kind = TW_JWT_ED25519;
        return true;
    default:
        *why = "neither an RSA key nor one on P-256, P-384 or Ed25519";
        return false;
    }
}

/* --- JWK --- */

struct tw_jwk_set *tw_jwt_keys_set(struct tw_jwt_keys **all, size_t file) {
    struct tw_jwt_keys *keys = make(all);
    for (size_t i = 0; i < keys->set_count; i++) {
        if (keys->sets[i]->file == file) return keys->sets[i];
    }
    struct tw_jwk_set *set = TW_NEW(struct tw_jwk_set);
    set->file = file;
    keys->sets = (struct tw_jwk_set **)tw_realloc(keys->sets, (keys->set_count + 1) *
                                                                  sizeof(struct tw_jwk_set *));
    keys->sets[keys->set_count++] = set;
    return set;
}

void tw_jwk_set_clear(struct tw_jwk_set *set) {
    for (size_t i = 0; i < set->count; i++) {
        EVP_PKEY_free(set->items[i].key.pkey);
        tw_free(set->items[i].kid);
    }
    tw_free(set->items);
    set->items = NULL;
    set->count = 0;
    set->is_complete = false;
}

int tw_jwk_set_add(struct tw_jwk_set *set, const struct tw_jwk_text *text, const char **why) {
    struct tw_jwk jwk = {.algorithm = -1};
    EVP_PKEY *pkey;
    if (text->use.data && !tw_str_eq(text->use, TW_STR("sig"))) return 1;
    if (text->alg.data) {
        jwk.algorithm = tw_jwt_find_algorithm(text->alg);
        if (jwk.algorithm < 0) return 1;
    }
    if (tw_str_eq(text->kty, TW_STR("RSA"))) {
        pkey = rsa_of(text, why);
    } else if (tw_str_eq(text->kty, TW_STR("EC")) && tw_str_eq(text->crv, TW_STR("P-256"))) {
        pkey = ec_of(text, "P-256", 32, why);
    } else if (tw_str_eq(text->kty, TW_STR("EC")) && tw_str_eq(text->crv, TW_STR("P-384"))) {
        pkey = ec_of(text, "P-384", 48, why);
    } else if (tw_str_eq(text->kty, TW_STR("OKP")) && tw_str_eq(text->crv, TW_STR("Ed25519"))) {
        pkey = ed25519_of(text, why);
    } else {
        return 1;
    }
    ERR_clear_error();
    bool is_fit = pkey && judge(pkey, &jwk.key, why);
    if (is_fit && jwk.algorithm >= 0 && tw_jwt_algorithms[jwk.algorithm].kind != jwk.key.kind) {
        *why = "its alg and its kty do not go together";
        is_fit = false;
    }
    if (!is_fit) {
        EVP_PKEY_free(pkey);
        return TW_EPARSE;
    }
    if (text->kid.data) jwk.kid = tw_memdup(text->kid.data, text->kid.length);
    set->items = (struct tw_jwk *)tw_realloc(set->items, (set->count + 1) * sizeof *set->items);
    set->items[set->count++] = jwk;
    return 0;
}

const struct tw_jwt_key *tw_jwk_set_find(const struct tw_jwk_set *set, struct tw_str kid,
                                         int algorithm) {
    const struct tw_jwt_key *found = NULL;
    for (size_t i = 0; i < set->count; i++) {
        const struct tw_jwk *jwk = &set->items[i];
        bool fits = jwk->key.kind == tw_jwt_algorithms[algorithm].kind &&
                    (jwk->algorithm < 0 || jwk->algorithm == algorithm);
        if (!fits) continue;
        if (kid.data && jwk->kid && tw_str_eq(kid, tw_str_of(jwk->kid))) return &jwk->key;
        if (kid.data) continue;
        if (found) return NULL; /* which one? */
        found = &jwk->key;
    }
    return found;
}

/* The bytes of a member, in `out` of MOST_NUMBER; -1: not base64url, or too long. */
static int64_t bytes_of(struct tw_str text, unsigned char out[MOST_NUMBER]) {
    if (!text.data || text.length == 0 || text.length > MOST_NUMBER) return -1;
    return tw_base64_decode(TW_BASE64_URL, text, (char *)out);
}

static EVP_PKEY *from_data(const char *type, OSSL_PARAM_BLD *builder) {
    EVP_PKEY *pkey = NULL;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(builder);
    if (context && params && EVP_PKEY_fromdata_init(context) == 1)
        EVP_PKEY_fromdata(context, &pkey, EVP_PKEY_PUBLIC_KEY, params);
    OSSL_PARAM_free(params);
    EVP_PKEY_CTX_free(context);
    return pkey;
}

static EVP_PKEY *rsa_of(const struct tw_jwk_text *text, const char **why) {
    unsigned char n_bytes[MOST_NUMBER], e_bytes[MOST_NUMBER];
    int64_t n_length = bytes_of(text->n, n_bytes), e_length = bytes_of(text->e, e_bytes);
    *why = "an RSA key needs n and e in base64url";
    if (n_length <= 0 || e_length <= 0) return NULL;
    BIGNUM *n = BN_bin2bn(n_bytes, (int)n_length, NULL);
    BIGNUM *e = BN_bin2bn(e_bytes, (int)e_length, NULL);
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    EVP_PKEY *pkey = NULL;
    if (n && e && builder && BN_is_odd(e) && !BN_is_one(e) &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e) == 1)
        pkey = from_data("RSA", builder);
    OSSL_PARAM_BLD_free(builder);
    BN_free(n);
    BN_free(e);
    return pkey;
}

static EVP_PKEY *ec_of(const struct tw_jwk_text *text, const char *curve, size_t half,
                       const char **why) {
    unsigned char x[MOST_NUMBER], y[MOST_NUMBER],
        point[1 + 2 * 48] = {POINT_CONVERSION_UNCOMPRESSED};
    *why = "an EC key needs x and y in base64url, each as long as its curve asks for";
    if (bytes_of(text->x, x) != (int64_t)half || bytes_of(text->y, y) != (int64_t)half) return NULL;
    memcpy(point + 1, x, half);
    memcpy(point + 1 + half, y, half);
    *why = "x and y are no point of the curve";
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    EVP_PKEY *pkey = NULL;
    if (builder &&
        OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, curve, 0) == 1 &&
        OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * half) ==
            1)
        pkey = from_data("EC", builder);
    OSSL_PARAM_BLD_free(builder);
    return pkey;
}

static EVP_PKEY *ed25519_of(const struct tw_jwk_text *text, const char **why) {
    unsigned char x[MOST_NUMBER];
    *why = "an Ed25519 key needs x, 32 bytes in base64url";
    if (bytes_of(text->x, x) != 32) return NULL;
    return EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, x, 32);
}
