/* api_crypto.c: tidewire.sha256, hmac, equal, and tidewire.base64. Results are made in the VM's
 * scratch. */
#include <lauxlib.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <string.h>

#include "base/base64.h"
#include "script/api.h"
#include "script/jwt.h"
#include "script/text.h"
#include "script/vm.h"

static int l_encode(lua_State *L);
static int l_decode(lua_State *L);
static int l_encode_url(lua_State *L);
static int l_decode_url(lua_State *L);
static int push_digest(lua_State *L, int format, const unsigned char *bytes, size_t length);

static const char *const formats[] = {"hex", "raw", "base64", "base64url", NULL};
enum { HEX, RAW, BASE64, BASE64_URL };

static const luaL_Reg base64_functions[] = {{"encode", l_encode},
                                            {"decode", l_decode},
                                            {"encode_url", l_encode_url},
                                            {"decode_url", l_decode_url},
                                            {NULL, NULL}};

void tw_api_push_base64(lua_State *L) {
    lua_newtable(L);
    luaL_setfuncs(L, base64_functions, 0);
}

/* sha256(data [, format]) */
int tw_api_sha256(lua_State *L) {
    luaL_checktype(L, 1, LUA_TSTRING);
    int format = luaL_checkoption(L, 2, "hex", formats);
    struct tw_str data = tw_text_at(L, 1);
    unsigned char digest[SHA256_DIGEST_LENGTH];
    SHA256((const unsigned char *)data.data, data.length, digest);
    return push_digest(L, format, digest, sizeof digest);
}

/* hmac(algorithm, key, data [, format]) */
int tw_api_hmac(lua_State *L) {
    static const char *const algorithms[] = {"sha1", "sha256", "sha384", "sha512", NULL};
    static const int bits[] = {1, 256, 384, 512};
    int algorithm = luaL_checkoption(L, 1, NULL, algorithms);
    luaL_checktype(L, 2, LUA_TSTRING);
    luaL_checktype(L, 3, LUA_TSTRING);
    int format = luaL_checkoption(L, 4, "hex", formats);
    unsigned char digest[64];
    size_t length = tw_jwt_hmac(bits[algorithm], tw_text_at(L, 2), tw_text_at(L, 3), digest);
    if (length == 0) return luaL_error(L, "tidewire.hmac: OpenSSL could not make it");
    return push_digest(L, format, digest, length);
}

/* equal(a, b): in a time that says nothing of where they differ. Their lengths are no secret. */
int tw_api_equal(lua_State *L) {
    luaL_checkany(L, 1);
    luaL_checkany(L, 2);
    bool are_texts = lua_type(L, 1) == LUA_TSTRING && lua_type(L, 2) == LUA_TSTRING;
    struct tw_str a = {NULL, 0}, b = {NULL, 0};
    if (are_texts) {
        a = tw_text_at(L, 1);
        b = tw_text_at(L, 2);
    }
    lua_pushboolean(L, are_texts && a.length == b.length &&
                           CRYPTO_memcmp(a.data, b.data, a.length) == 0);
    return 1;
}

static char *reserve(lua_State *L, size_t size) {
    struct tw_buf *scratch = &tw_vm_of(L)->scratch;
    scratch->length = 0;
    if (tw_buf_try_reserve(scratch, size + 1) != 0) luaL_error(L, "not enough memory");
    return scratch->data;
}

static int push_base64(lua_State *L, enum tw_base64 form, struct tw_str bytes) {
    char *out = reserve(L, TW_BASE64_SIZE(bytes.length));
    lua_pushlstring(L, out, tw_base64_encode(form, bytes, out));
    return 1;
}

static int encode(lua_State *L, enum tw_base64 form) {
    luaL_checktype(L, 1, LUA_TSTRING);
    return push_base64(L, form, tw_text_at(L, 1));
}

/* The bytes; or nil, why. */
static int decode(lua_State *L, enum tw_base64 form) {
    luaL_checktype(L, 1, LUA_TSTRING);
    struct tw_str text = tw_text_at(L, 1);
    char *out = reserve(L, text.length);
    int64_t length = tw_base64_decode(form, text, out);
    if (length < 0) {
        lua_pushnil(L);
        lua_pushstring(L, form == TW_BASE64 ? "not base64" : "not base64url");
        lua_pushinteger(L, (lua_Integer)length);
        return 3;
    }
    lua_pushlstring(L, out, (size_t)length);
    return 1;
}

static int l_encode(lua_State *L) {
    return encode(L, TW_BASE64);
}

static int l_decode(lua_State *L) {
    return decode(L, TW_BASE64);
}

static int l_encode_url(lua_State *L) {
    return encode(L, TW_BASE64_URL);
}

static int l_decode_url(lua_State *L) {
    return decode(L, TW_BASE64_URL);
}

static int push_digest(lua_State *L, int format, const unsigned char *bytes, size_t length) {
    static const char digits[] = "0123456789abcdef";
    struct tw_str text = {(const char *)bytes, length};
    char hex[128];
    if (format == BASE64) return push_base64(L, TW_BASE64, text);
    if (format == BASE64_URL) return push_base64(L, TW_BASE64_URL, text);
    if (format == HEX) {
        for (size_t i = 0; i < length; i++) {
            hex[2 * i] = digits[bytes[i] >> 4];
            hex[2 * i + 1] = digits[bytes[i] & 15];
        }
        text = (struct tw_str){hex, 2 * length};
    }
    lua_pushlstring(L, text.data, text.length);
    return 1;
}
