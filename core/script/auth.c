/* auth.c: the hooks that decide who comes in, and who stays when the token ends. Fails closed:
 * whatever is not clearly a yes is a no. */
#include <lauxlib.h>
#include <math.h>

#include "base/status.h"
#include "base/utf8.h"
#include "script/hooks.h"
#include "script/lua_client.h"
#include "script/lua_json.h"
#include "script/text.h"

struct arguments {
    const struct tw_auth_request *request;
    struct tw_auth *out;
};

struct expiry {
    struct tw_identity *client;
    double *expires;
};

static int expire_body(lua_State *L, struct tw_call *call);
static int body(lua_State *L, struct tw_call *call);
static void push_request(lua_State *L, const struct tw_auth_request *request);
static void set_text(lua_State *L, const char *name, struct tw_str text);
static void set_pairs(lua_State *L, const char *name, const struct tw_pair *pairs, size_t count,
                      const char *join);
static void read_identity(lua_State *L, int index, struct tw_auth *out);
static void check_keys(lua_State *L, int index);

int tw_script_auth(void *data, const struct tw_auth_request *request, struct tw_auth *out,
                   struct tw_failure *failure) {
    struct tw_vm *vm = (struct tw_vm *)data;
    if (!vm->generation->has_auth) return 0;
    struct arguments arguments = {request, out};
    struct tw_call call = {
        .hook = TW_HOOK_AUTH, .body = body, .data = &arguments, .failure = failure};
    int status = tw_call_run(vm, &call);
    if (status != 0 && status != TW_EREFUSED) tw_auth_deinit(out);
    return status;
}

static int expire_body(lua_State *L, struct tw_call *call) {
    const struct expiry *expiry = (const struct expiry *)call->data;
    tw_call_push_function(L, call);
    tw_lua_client_push(L, expiry->client);
    lua_call(L, 1, 1);
    if (lua_isnil(L, 1) || (lua_isboolean(L, 1) && !lua_toboolean(L, 1))) return TW_EREFUSED;
    double at = lua_type(L, 1) == LUA_TNUMBER ? lua_tonumber(L, 1) : NAN;
    if (!isfinite(at)) {
        char got[80];
        tw_text_of_value(L, 1, got);
        return luaL_error(L,
                          "on_expire returned %s; return a time in unix seconds to let the client "
                          "stay, or nil",
                          got);
    }
    *expiry->expires = at;
    return 0;
}

int tw_script_on_expire(void *data, struct tw_identity *client, double *expires,
                        struct tw_failure *failure) {
    struct tw_vm *vm = (struct tw_vm *)data;
    if (!vm->generation->has_on_expire) return TW_EREFUSED;
    struct expiry expiry = {client, expires};
    struct tw_call call = {
        .hook = TW_HOOK_ON_EXPIRE, .body = expire_body, .data = &expiry, .failure = failure};
    return tw_call_run(vm, &call);
}

static int body(lua_State *L, struct tw_call *call) {
    const struct arguments *arguments = (const struct arguments *)call->data;
    tw_call_push_function(L, call);
    push_request(L, arguments->request);
    lua_call(L, 1, 2);
    if (lua_isnil(L, 1) || (lua_isboolean(L, 1) && !lua_toboolean(L, 1))) {
        bool has_reason = lua_type(L, 2) == LUA_TSTRING;
        tw_text_copy(arguments->out->reason, sizeof arguments->out->reason,
                     has_reason ? tw_text_at(L, 2) : TW_STR("refused"));
        return TW_EREFUSED;
    }
    if (!lua_istable(L, 1)) {
        char got[80];
        tw_text_of_value(L, 1, got);
        return luaL_error(L,
                          "auth returned %s; return a table such as { user = \"alice\" } to let "
                          "the client in, or nil and a reason",
                          got);
    }
    read_identity(L, 1, arguments->out);
    return 0;
}

static void push_request(lua_State *L, const struct tw_auth_request *request) {
    char ip[TW_IP_TEXT_SIZE];
    lua_createtable(L, 0, 7);
    set_text(L, "path", request->path);
    set_pairs(L, "query", request->query, request->query_count, NULL);
    set_pairs(L, "headers", request->headers, request->header_count, ", ");
    set_pairs(L, "cookies", request->cookies, request->cookie_count, NULL);
    tw_ip_format(&request->ip, ip);
    set_text(L, "ip", tw_str_of(ip));
    if (request->origin.data) set_text(L, "origin", request->origin);
    set_text(L, "dialect", tw_str_of(request->dialect));
}

static void set_text(lua_State *L, const char *name, struct tw_str text) {
    lua_pushlstring(L, text.data, text.length);
    lua_setfield(L, -2, name);
}

/* Of a name that stands there twice: all values with `join` between (RFC 9110 5.3), or the first.
 */
static void set_pairs(lua_State *L, const char *name, const struct tw_pair *pairs, size_t count,
                      const char *join) {
    lua_createtable(L, 0, (int)count);
    for (size_t i = 0; i < count; i++) {
        lua_pushlstring(L, pairs[i].name.data, pairs[i].name.length);
        lua_pushvalue(L, -1);
        lua_rawget(L, -3);
        bool is_new = lua_isnil(L, -1);
        if (is_new) {
            lua_pop(L, 1);
        } else if (join) {
            lua_pushstring(L, join);
        }
        if (!is_new && !join) {
            lua_pop(L, 2);
            continue;
        }
        lua_pushlstring(L, pairs[i].value.data, pairs[i].value.length);
        if (!is_new) lua_concat(L, 3);
        lua_rawset(L, -3);
    }
    lua_setfield(L, -2, name);
}

/* Looks at all of it before it takes any. */
static void read_identity(lua_State *L, int index, struct tw_auth *out) {
    check_keys(L, index);
    lua_getfield(L, index, "user");
    lua_getfield(L, index, "expires");
    lua_getfield(L, index, "claims");
    int user = lua_gettop(L) - 2, expires = user + 1, claims = user + 2;
    bool has_user = !lua_isnil(L, user), has_claims = !lua_isnil(L, claims);
    struct tw_str name = {NULL, 0}, text = {NULL, 0};
    if (has_user) {
        if (lua_type(L, user) != LUA_TSTRING) luaL_error(L, "auth: user is a text, or nil");
        name = tw_text_at(L, user);
        if (!tw_utf8_is_valid(name.data, name.length)) luaL_error(L, "auth: user is not UTF-8");
    }
    if (!lua_isnil(L, expires)) {
        double at = lua_type(L, expires) == LUA_TNUMBER ? lua_tonumber(L, expires) : NAN;
        if (!isfinite(at) || at <= 0) luaL_error(L, "auth: expires is a time in unix seconds");
        out->expires = at;
    }
    if (has_claims) {
        if (!lua_istable(L, claims)) luaL_error(L, "auth: claims is a table");
        text = tw_lua_json_text(L, claims, "claims");
        if (text.data[0] != '{') luaL_error(L, "auth: claims is a table with names as keys");
    }
    out->has_user = has_user;
    out->user.length = out->claims.length = 0;
    tw_vm_append(L, &out->user, name.data, name.length);
    tw_vm_append(L, &out->claims, text.data, text.length);
}

static void check_keys(lua_State *L, int index) {
    static const char *const names[] = {"user", "claims", "expires", NULL};
    lua_pushnil(L);
    while (lua_next(L, index)) {
        lua_pop(L, 1);
        const char *key = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "a key";
        bool is_known = false;
        for (size_t i = 0; names[i]; i++)
            is_known = is_known || tw_str_eq(tw_str_of(key), tw_str_of(names[i]));
        if (is_known) continue;
        const char *near = tw_str_nearest(key, names);
        if (near) luaL_error(L, "auth: unknown key '%s'; did you mean '%s'?", key, near);
        luaL_error(L, "auth: unknown key '%s'", key);
    }
}
