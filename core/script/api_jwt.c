/* api_jwt.c: tidewire.jwt: verify, sign, jwks. A token is never believed before its signature is
 * checked: of its header only alg, kid and crit are looked at.
 *
 *   options (raises what is wrong) -> split -> header -> algorithm, key -> signature -> claims
 *
 * What a bad token gets is nil and a reason. Keys are in the VM (jwt_keys.h); the object that jwks
 * gives is a number, so it may go with its VM. */
#include <lauxlib.h>
#include <math.h>
#include <string.h>

#include "base/base64.h"
#include "base/json.h"
#include "base/utf8.h"
#include "script/api.h"
#include "script/jwt_keys.h"
#include "script/lua_json.h"
#include "script/require.h"
#include "script/source.h"
#include "script/text.h"
#include "script/vm.h"

enum { MOST_TOKEN = 65536, MOST_KID = 256, MOST_NAMES = 16 };

#define JWKS "tidewire.jwks"

struct names {
    struct tw_str items[MOST_NAMES];
    size_t count;
};

struct options {
    const char *what; /* who asks, for errors */
    struct tw_jwt_key key;
    const struct tw_jwk_set *set; /* instead of `key` */
    unsigned algorithms;          /* bits; what is allowed */
    struct names audience, issuer;
    double leeway;
    struct tw_str kid; /* of sign */
};

struct token {
    struct tw_str signed_text, header, payload, signature; /* the latter three decoded */
};

static int l_verify(lua_State *L);
static int l_sign(lua_State *L);
static int l_jwks(lua_State *L);
static void read_options(lua_State *L, int index, bool is_sign, struct options *out);
static const char *split(lua_State *L, struct tw_str text, struct token *out);
static const char *check_signature(const struct options *options, const struct token *token);
static const char *check_claims(lua_State *L, int claims, const struct options *options);

static const luaL_Reg functions[] = {
    {"verify", l_verify}, {"sign", l_sign}, {"jwks", l_jwks}, {NULL, NULL}};

void tw_api_push_jwt(lua_State *L) {
    luaL_newmetatable(L, JWKS);
    lua_pushliteral(L, "jwks");
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
    lua_newtable(L);
    luaL_setfuncs(L, functions, 0);
}

/* verify(token, options): the claims; or nil, why. */
static int l_verify(lua_State *L) {
    struct options options = {.what = "tidewire.jwt.verify"};
    struct token token;
    lua_settop(L, 2);
    read_options(L, 2, false, &options);
    const char *why = "not a JWT";
    if (lua_type(L, 1) == LUA_TSTRING) why = split(L, tw_text_at(L, 1), &token);
    if (!why) why = check_signature(&options, &token);
    if (!why && tw_json_check(token.payload, NULL) != 0) why = "not a JWT";
    if (!why) {
        /* From a copy on the stack, since reading JSON uses the scratch. */
        lua_pushlstring(L, token.payload.data, token.payload.length);
        tw_lua_json_push(L, tw_text_at(L, 3));
        why = lua_istable(L, 4) && !tw_lua_json_is_array(L, 4) ? check_claims(L, 4, &options)
                                                               : "not a JWT";
    }
    if (!why) {
        lua_settop(L, 4);
        return 1;
    }
    lua_pushnil(L);
    lua_pushstring(L, why);
    return 2;
}

static void append_base64(lua_State *L, struct tw_buf *out, struct tw_str bytes) {
    if (tw_buf_try_reserve(out, TW_BASE64_SIZE(bytes.length)) != 0)
        luaL_error(L, "not enough memory");
    out->length += tw_base64_encode(TW_BASE64_URL, bytes, out->data + out->length);
}

/* sign(claims, options): the token. */
static int l_sign(lua_State *L) {
    struct options options = {.what = "tidewire.jwt.sign"};
    struct tw_vm *vm = tw_vm_of(L);
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 2);
    read_options(L, 2, true, &options);
    int algorithm = __builtin_ctz(options.algorithms);
    lua_pushfstring(L, "{\"alg\":\"%s\",\"typ\":\"JWT\"", tw_jwt_algorithms[algorithm].name);
    if (options.kid.data) {
        lua_pushlstring(L, options.kid.data, options.kid.length);
        struct tw_str kid = tw_lua_json_text(L, -1, "kid");
        lua_pop(L, 1);
        lua_pushliteral(L, ",\"kid\":");
        lua_pushlstring(L, kid.data, kid.length);
        lua_concat(L, 3);
    }
    lua_pushliteral(L, "}");
    lua_concat(L, 2);
    struct tw_str claims = tw_lua_json_text(L, 1, "claims");
    luaL_argcheck(L, claims.data[0] == '{', 1, "claims have names");
    vm->keys.length = 0;
    append_base64(L, &vm->keys, tw_text_at(L, -1));
    tw_vm_append(L, &vm->keys, ".", 1);
    append_base64(L, &vm->keys, claims);
    unsigned char signature[TW_JWT_MAX_SIGNATURE];
    size_t length = tw_jwt_sign(&tw_jwt_algorithms[algorithm], &options.key,
                                (struct tw_str){vm->keys.data, vm->keys.length}, signature);
    if (length == 0) return luaL_error(L, "%s: OpenSSL could not sign", options.what);
    tw_vm_append(L, &vm->keys, ".", 1);
    append_base64(L, &vm->keys, (struct tw_str){(const char *)signature, length});
    lua_pushlstring(L, vm->keys.data, vm->keys.length);
    return 1;
}

/* --- jwks --- */

static struct tw_str member(lua_State *L, int jwk, const char *name) {
    lua_pushstring(L, name);
    lua_rawget(L, jwk);
    struct tw_str text = {NULL, 0};
    if (lua_type(L, -1) == LUA_TSTRING) text = tw_text_at(L, -1);
    lua_pop(L, 1); /* the table keeps it */
    return text;
}

static void read_jwk(lua_State *L, int jwk, const char *file, int number, struct tw_jwk_set *set) {
    struct tw_jwk_text text = {.kty = member(L, jwk, "kty"),
                               .crv = member(L, jwk, "crv"),
                               .n = member(L, jwk, "n"),
                               .e = member(L, jwk, "e"),
                               .x = member(L, jwk, "x"),
                               .y = member(L, jwk, "y"),
                               .kid = member(L, jwk, "kid"),
                               .alg = member(L, jwk, "alg"),
                               .use = member(L, jwk, "use")};
    const char *why = NULL;
    if (tw_jwk_set_add(set, &text, &why) < 0)
        luaL_error(L, "tidewire.jwt.jwks(\"%s\"): keys[%d]: %s", file, number, why);
}

/* jwks(path): an object for `jwks =`. */
static int l_jwks(lua_State *L) {
    struct tw_vm *vm = tw_vm_of(L);
    luaL_checktype(L, 1, LUA_TSTRING);
    lua_settop(L, 1);
    size_t place = tw_require_read(L, "tidewire.jwt.jwks", 1), *object;
    const char *file = lua_tostring(L, 1);
    object = (size_t *)lua_newuserdata(L, sizeof *object);
    *object = place;
    luaL_getmetatable(L, JWKS);
    lua_setmetatable(L, 2);
    struct tw_jwk_set *set = tw_jwt_keys_set(&vm->jwt, place);
    if (set->is_complete) return 1;
    tw_jwk_set_clear(set);
    struct tw_str text = tw_source_text(vm->source, place);
    if (tw_json_check(text, NULL) != 0)
        return luaL_error(L, "tidewire.jwt.jwks(\"%s\"): not JSON", file);
    tw_lua_json_push(L, text);
    if (lua_istable(L, 3)) {
        lua_pushliteral(L, "keys");
        lua_rawget(L, 3);
    }
    if (lua_gettop(L) != 4 || !lua_istable(L, 4) || !tw_lua_json_is_array(L, 4))
        return luaL_error(L, "tidewire.jwt.jwks(\"%s\"): expected an object with a list of keys",
                          file);
    for (int i = 1; i <= (int)lua_objlen(L, 4); i++) {
        lua_rawgeti(L, 4, i);
        if (!lua_istable(L, 5))
            return luaL_error(L, "tidewire.jwt.jwks(\"%s\"): keys[%d] is no object", file, i);
        read_jwk(L, 5, file, i, set);
        lua_settop(L, 4);
    }
    if (set->count == 0)
        return luaL_error(L, "tidewire.jwt.jwks(\"%s\"): no key in it that can be used", file);
    set->is_complete = true;
    lua_settop(L, 2);
    return 1;
}

static const struct tw_jwk_set *check_set(lua_State *L, int index, const char *what) {
    bool is_set = lua_getmetatable(L, index) != 0;
    if (is_set) {
        luaL_getmetatable(L, JWKS);
        is_set = lua_rawequal(L, -1, -2);
        lua_pop(L, 2);
    }
    if (!is_set) luaL_error(L, "%s: jwks: expected what tidewire.jwt.jwks(path) gives", what);
    return tw_jwt_keys_set(&tw_vm_of(L)->jwt, *(const size_t *)lua_touserdata(L, index));
}

/* --- options --- */

/* The option's value on the stack, or nothing and false. */
static bool push_option(lua_State *L, int index, const char *name) {
    lua_pushstring(L, name);
    lua_rawget(L, index);
    if (!lua_isnil(L, -1)) return true;
    lua_pop(L, 1);
    return false;
}

/* Texts stay in place, since the table of options holds them. */
static struct tw_str text_option(lua_State *L, int index, const char *name, const char *what) {
    struct tw_str text = {NULL, 0};
    if (!push_option(L, index, name)) return text;
    if (lua_type(L, -1) != LUA_TSTRING || lua_objlen(L, -1) == 0)
        luaL_error(L, "%s: %s: expected a text that is not empty", what, name);
    text = tw_text_at(L, -1);
    lua_pop(L, 1);
    return text;
}

/* A text, or a list of texts. */
static void names_option(lua_State *L, int index, const char *name, const char *what,
                         struct names *out) {
    if (!push_option(L, index, name)) return;
    int value = lua_gettop(L);
    size_t count = lua_istable(L, value) ? lua_objlen(L, value) : 0;
    if (lua_type(L, value) == LUA_TSTRING) out->items[out->count++] = tw_text_at(L, value);
    if (count > MOST_NAMES) luaL_error(L, "%s: %s: more than %d", what, name, MOST_NAMES);
    for (size_t i = 1; i <= count; i++) {
        lua_rawgeti(L, value, (int)i);
        if (lua_type(L, -1) != LUA_TSTRING) break;
        out->items[out->count++] = tw_text_at(L, -1);
        lua_pop(L, 1);
    }
    if (out->count == 0 || lua_gettop(L) != value)
        luaL_error(L, "%s: %s: expected a text or a list of texts", what, name);
    lua_pop(L, 1);
}

static void check_names(lua_State *L, int index, bool is_sign, const char *what) {
    static const char *const of_verify[] = {"key",      "secret", "jwks",   "algorithms",
                                            "audience", "issuer", "leeway", NULL};
    static const char *const of_sign[] = {"key", "secret", "algorithm", "kid", NULL};
    const char *const *names = is_sign ? of_sign : of_verify;
    lua_pushnil(L);
    while (lua_next(L, index)) {
        lua_pop(L, 1);
        const char *key = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "?";
        size_t i = 0;
        while (names[i] && strcmp(names[i], key) != 0)
            i++;
        if (names[i]) continue;
        const char *near = tw_str_nearest(key, names);
        if (near) luaL_error(L, "%s: unknown option '%s'; did you mean '%s'?", what, key, near);
        luaL_error(L, "%s: unknown option '%s'", what, key);
    }
}

static void read_key(lua_State *L, int index, bool is_sign, struct options *out) {
    const char *what = out->what, *why;
    struct tw_str pem = text_option(L, index, "key", what);
    struct tw_str secret = text_option(L, index, "secret", what);
    bool has_set = !is_sign && push_option(L, index, "jwks");
    if ((pem.data != NULL) + (secret.data != NULL) + has_set != 1)
        luaL_error(
            L, is_sign ? "%s: give one of secret and key" : "%s: give one of secret, key and jwks",
            what);
    if (has_set) {
        out->set = check_set(L, lua_gettop(L), what);
        lua_pop(L, 1);
    } else if (secret.data) {
        /* The public half of a key pair is no secret: who took it for one would let all in. */
        if (memmem(secret.data, secret.length, "-----BEGIN ", 11))
            luaL_error(L, "%s: secret: a key in PEM is given as `key`", what);
        out->key = (struct tw_jwt_key){.kind = TW_JWT_SECRET, .secret = secret};
    } else {
        const struct tw_jwt_key *key = tw_jwt_keys_of_pem(&tw_vm_of(L)->jwt, pem, &why);
        if (!key) {
            luaL_error(L, "%s: key: %s", what, why);
            return; /* not reached, but who reads this may not know */
        }
        if (is_sign && !key->is_private) luaL_error(L, "%s: key: not a private key", what);
        out->key = *key;
    }
}

static unsigned allow(lua_State *L, const struct options *options, struct tw_str name) {
    int algorithm = tw_jwt_find_algorithm(name);
    if (algorithm < 0)
        luaL_error(L,
                   "%s: unknown algorithm '%s': there are HS256, HS384, HS512, RS256, RS384, "
                   "RS512, ES256, ES384 and EdDSA",
                   options->what, name.data);
    enum tw_jwt_kind kind = tw_jwt_algorithms[algorithm].kind;
    if (options->set ? kind == TW_JWT_SECRET : kind != options->key.kind)
        luaL_error(L, "%s: %s does not go with that %s", options->what, name.data,
                   options->set                         ? "jwks"
                   : options->key.kind == TW_JWT_SECRET ? "secret"
                                                        : "key");
    return 1u << algorithm;
}

/* What is not said follows from the kind of the key. */
static void read_algorithms(lua_State *L, int index, bool is_sign, struct options *out) {
    struct names names = {.count = 0};
    if (is_sign) {
        names.items[0] = text_option(L, index, "algorithm", out->what);
        names.count = names.items[0].data ? 1 : 0;
    } else {
        names_option(L, index, "algorithms", out->what, &names);
    }
    for (size_t i = 0; i < names.count; i++)
        out->algorithms |= allow(L, out, names.items[i]);
    for (int i = 0; i < TW_JWT_ALGORITHMS && names.count == 0; i++) {
        enum tw_jwt_kind kind = tw_jwt_algorithms[i].kind;
        if (out->set ? kind != TW_JWT_SECRET : kind == out->key.kind) out->algorithms |= 1u << i;
    }
}

static void read_options(lua_State *L, int index, bool is_sign, struct options *out) {
    if (!lua_istable(L, index))
        luaL_error(L, "%s: the second argument is a table of options", out->what);
    check_names(L, index, is_sign, out->what);
    read_key(L, index, is_sign, out);
    read_algorithms(L, index, is_sign, out);
    if (is_sign) {
        out->kid = text_option(L, index, "kid", out->what);
        return;
    }
    names_option(L, index, "audience", out->what, &out->audience);
    names_option(L, index, "issuer", out->what, &out->issuer);
    if (push_option(L, index, "leeway")) {
        out->leeway = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : -1;
        if (!(out->leeway >= 0 && out->leeway <= 86400))
            luaL_error(L, "%s: leeway: expected seconds from 0 to 86400", out->what);
        lua_pop(L, 1);
    }
}

/* --- the token --- */

/* Cuts it at its dots and decodes the parts, into the scratch. */
static const char *split(lua_State *L, struct tw_str text, struct token *out) {
    struct tw_buf *scratch = &tw_vm_of(L)->scratch;
    struct tw_str *const parts[] = {&out->header, &out->payload, &out->signature};
    struct tw_str rest = text;
    if (text.length > MOST_TOKEN || memchr(text.data, '=', text.length)) return "not a JWT";
    scratch->length = 0;
    if (tw_buf_try_reserve(scratch, text.length + 1) != 0) luaL_error(L, "not enough memory");
    for (size_t i = 0; i < 3; i++) {
        if (!rest.data) return "not a JWT";
        struct tw_str part = tw_str_cut(&rest, '.');
        if (i == 1)
            out->signed_text =
                (struct tw_str){text.data, (size_t)(part.data - text.data) + part.length};
        char *place = scratch->data + scratch->length;
        int64_t length = tw_base64_decode(TW_BASE64_URL, part, place);
        if (length < 0) return "not a JWT";
        scratch->length += (size_t)length;
        *parts[i] = (struct tw_str){place, (size_t)length};
    }
    return rest.data ? "not a JWT" : NULL;
}

/* A text of the header; -1: it is no text or too long. Length 0 and data NULL: it is not there. */
static bool header_text(struct tw_str header, struct tw_str name, char out[MOST_KID],
                        struct tw_str *text) {
    struct tw_str value;
    *text = (struct tw_str){NULL, 0};
    if (!tw_json_member(header, name, &value)) return true;
    if (value.length > MOST_KID) return false;
    int64_t length = tw_json_string_decode(value, out);
    if (length < 0) return false;
    *text = (struct tw_str){out, (size_t)length};
    return true;
}

static const char *check_signature(const struct options *options, const struct token *token) {
    char alg_text[MOST_KID], kid_text[MOST_KID];
    struct tw_str alg, kid, crit;
    const struct tw_jwt_key *key = &options->key;
    if (tw_json_check(token->header, NULL) != 0) return "not a JWT";
    if (!header_text(token->header, TW_STR("alg"), alg_text, &alg) || !alg.data) return "not a JWT";
    if (!header_text(token->header, TW_STR("kid"), kid_text, &kid)) return "no such key";
    if (tw_json_member(token->header, TW_STR("crit"), &crit)) return "critical header not known";
    int algorithm = tw_jwt_find_algorithm(alg);
    if (algorithm < 0 || !(options->algorithms >> algorithm & 1)) return "algorithm not allowed";
    if (options->set) key = tw_jwk_set_find(options->set, kid, algorithm);
    if (!key) return "no such key";
    return tw_jwt_verify(&tw_jwt_algorithms[algorithm], key, token->signed_text, token->signature)
               ? NULL
               : "wrong signature";
}

/* --- claims --- */

/* *out stays as it is without one. */
static bool time_claim(lua_State *L, int claims, const char *name, double *out) {
    lua_pushstring(L, name);
    lua_rawget(L, claims);
    int type = lua_type(L, -1);
    if (type == LUA_TNUMBER) *out = lua_tonumber(L, -1);
    lua_pop(L, 1);
    return type == LUA_TNUMBER || type == LUA_TNIL;
}

static bool has_name(lua_State *L, int index, const struct names *names) {
    for (size_t i = 0; i < names->count && lua_type(L, index) == LUA_TSTRING; i++) {
        if (tw_str_eq(tw_text_at(L, index), names->items[i])) return true;
    }
    return false;
}

/* RFC 7519 4.1.3: a token for somebody is for nobody else; who does not say who he is, is not it.
 */
static bool is_for_us(lua_State *L, int claims, const struct names *audience) {
    lua_pushliteral(L, "aud");
    lua_rawget(L, claims);
    int aud = lua_gettop(L);
    bool is_it = lua_isnil(L, aud) ? audience->count == 0 : has_name(L, aud, audience);
    size_t count = lua_istable(L, aud) ? lua_objlen(L, aud) : 0;
    for (size_t i = 1; i <= count && !is_it; i++) {
        lua_rawgeti(L, aud, (int)i);
        is_it = has_name(L, lua_gettop(L), audience);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return is_it;
}

static const char *check_claims(lua_State *L, int claims, const struct options *options) {
    double now = tw_api_now(L), exp = INFINITY, nbf = -INFINITY, iat = -INFINITY;
    if (!time_claim(L, claims, "exp", &exp)) return "exp is not a number";
    if (!time_claim(L, claims, "nbf", &nbf)) return "nbf is not a number";
    if (!time_claim(L, claims, "iat", &iat)) return "iat is not a number";
    if (now >= exp + options->leeway) return "token expired";
    if (now < nbf - options->leeway) return "token not valid yet";
    if (now < iat - options->leeway) return "token issued in the future";
    if (!is_for_us(L, claims, &options->audience)) return "not for this audience";
    if (options->issuer.count == 0) return NULL;
    lua_pushliteral(L, "iss");
    lua_rawget(L, claims);
    bool is_known = has_name(L, lua_gettop(L), &options->issuer);
    lua_pop(L, 1);
    return is_known ? NULL : "wrong issuer";
}
