/* jwt.c */
#include "script/jwt.h"

#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

const struct tw_jwt_algorithm tw_jwt_algorithms[TW_JWT_ALGORITHMS] = {
    {"HS256", TW_JWT_SECRET, 256}, {"HS384", TW_JWT_SECRET, 384}, {"HS512", TW_JWT_SECRET, 512},
    {"RS256", TW_JWT_RSA, 256},    {"RS384", TW_JWT_RSA, 384},    {"RS512", TW_JWT_RSA, 512},
    {"ES256", TW_JWT_P256, 256},   {"ES384", TW_JWT_P384, 384},   {"EdDSA", TW_JWT_ED25519, 0},
};

enum { MOST_DER = 160 }; /* bytes of a signature on P-384, and more */

static const EVP_MD *hash_of(int bits);
static size_t half_of(const struct tw_jwt_key *key);
static size_t der_of_pair(struct tw_str pair, unsigned char out[MOST_DER]);
static size_t pair_of_der(const unsigned char *der, size_t length, size_t half, unsigned char *out);

int tw_jwt_find_algorithm(struct tw_str name) {
    for (int i = 0; i < TW_JWT_ALGORITHMS; i++) {
        if (tw_str_eq(name, tw_str_of(tw_jwt_algorithms[i].name))) return i;
    }
    return -1;
}

size_t tw_jwt_hmac(int bits, struct tw_str key, struct tw_str text, unsigned char *out) {
    unsigned length = 0;
    if (key.length > INT32_MAX) return 0;
    if (!HMAC(hash_of(bits), key.data, (int)key.length, (const unsigned char *)text.data,
              text.length, out, &length))
        return 0;
    return length;
}

bool tw_jwt_verify(const struct tw_jwt_algorithm *algorithm, const struct tw_jwt_key *key,
                   struct tw_str text, struct tw_str signature) {
    unsigned char bytes[MOST_DER];
    if (algorithm->kind == TW_JWT_SECRET) {
        size_t length = tw_jwt_hmac(algorithm->bits, key->secret, text, bytes);
        return length > 0 && signature.length == length &&
               CRYPTO_memcmp(bytes, signature.data, length) == 0;
    }
    if (half_of(key) > 0) {
        if (signature.length != 2 * half_of(key)) return false;
        signature.length = der_of_pair(signature, bytes);
        signature.data = (const char *)bytes;
    }
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool is_good =
        signature.length > 0 && context &&
        EVP_DigestVerifyInit(context, NULL, hash_of(algorithm->bits), NULL, key->pkey) == 1 &&
        EVP_DigestVerify(context, (const unsigned char *)signature.data, signature.length,
                         (const unsigned char *)text.data, text.length) == 1;
    EVP_MD_CTX_free(context);
    if (!is_good) ERR_clear_error();
    return is_good;
}

size_t tw_jwt_sign(const struct tw_jwt_algorithm *algorithm, const struct tw_jwt_key *key,
                   struct tw_str text, unsigned char out[TW_JWT_MAX_SIGNATURE]) {
    if (algorithm->kind == TW_JWT_SECRET)
        return tw_jwt_hmac(algorithm->bits, key->secret, text, out);
    unsigned char der[TW_JWT_MAX_SIGNATURE];
    size_t length = sizeof der;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool is_good =
        context &&
        EVP_DigestSignInit(context, NULL, hash_of(algorithm->bits), NULL, key->pkey) == 1 &&
        EVP_DigestSign(context, der, &length, (const unsigned char *)text.data, text.length) == 1;
    EVP_MD_CTX_free(context);
    if (!is_good) {
        ERR_clear_error();
        return 0;
    }
    if (half_of(key) > 0) return pair_of_der(der, length, half_of(key), out);
    memcpy(out, der, length);
    return length;
}

/* NULL: Ed25519, which hashes by itself. */
static const EVP_MD *hash_of(int bits) {
    switch (bits) {
    case 1:
        return EVP_sha1();
    case 256:
        return EVP_sha256();
    case 384:
        return EVP_sha384();
    case 512:
        return EVP_sha512();
    default:
        return NULL;
    }
}

/* RFC 7518 3.4: R and S, each as long as the curve's order; OpenSSL wants DER. */
static size_t half_of(const struct tw_jwt_key *key) {
    return key->kind == TW_JWT_P256 ? 32 : key->kind == TW_JWT_P384 ? 48 : 0;
}

static size_t der_of_pair(struct tw_str pair, unsigned char out[MOST_DER]) {
    const unsigned char *bytes = (const unsigned char *)pair.data;
    int half = (int)(pair.length / 2);
    ECDSA_SIG *signature = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(bytes, half, NULL), *s = BN_bin2bn(bytes + half, half, NULL);
    int length = 0;
    if (signature && r && s && ECDSA_SIG_set0(signature, r, s) == 1) {
        r = s = NULL; /* the signature's now */
        if (i2d_ECDSA_SIG(signature, NULL) <= MOST_DER) length = i2d_ECDSA_SIG(signature, &out);
    }
    BN_free(r);
    BN_free(s);
    ECDSA_SIG_free(signature);
    return length > 0 ? (size_t)length : 0;
}

static size_t pair_of_der(const unsigned char *der, size_t length, size_t half,
                          unsigned char *out) {
    ECDSA_SIG *signature = d2i_ECDSA_SIG(NULL, &der, (long)length);
    bool is_good = signature && BN_bn2binpad(ECDSA_SIG_get0_r(signature), out, (int)half) >= 0 &&
                   BN_bn2binpad(ECDSA_SIG_get0_s(signature), out + half, (int)half) >= 0;
    ECDSA_SIG_free(signature);
    return is_good ? 2 * half : 0;
}
