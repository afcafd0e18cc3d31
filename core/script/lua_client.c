/* lua_client.c */
#include "script/lua_client.h"

#include <math.h>

#include "base/utf8.h"
#include "script/lua_effects.h"
#include "script/lua_json.h"
#include "script/text.h"

enum { CLOSE_NORMAL = 1000, CLOSE_POLICY = 4403, MOST_REASON = 123 /* RFC 6455 5.5 */ };

struct client {
    struct tw_object head;
    struct tw_identity *identity; /* borrowed */
    bool has_claims;              /* in the cache */
};

static void get_id(lua_State *L, void *object) {
    char id[TW_CLIENT_ID_SIZE];
    tw_client_id_format(((struct client *)object)->identity->id, id);
    lua_pushstring(L, id);
}

static void get_user(lua_State *L, void *object) {
    const struct tw_identity *identity = ((struct client *)object)->identity;
    if (identity->has_user) {
        struct tw_str user = tw_identity_user(identity);
        lua_pushlstring(L, user.data, user.length);
    } else {
        lua_pushnil(L);
    }
}

static void get_claims(lua_State *L, void *object) {
    struct client *self = (struct client *)object;
    if (!self->has_claims) {
        struct tw_str claims = tw_identity_claims(self->identity);
        if (claims.length > 0) {
            tw_lua_json_push(L, claims);
        } else {
            lua_newtable(L);
        }
        tw_object_cache_set(L, 1);
        self->has_claims = true;
    }
    tw_object_cache_get(L, 1);
}

static void get_ip(lua_State *L, void *object) {
    char text[TW_IP_TEXT_SIZE];
    tw_ip_format(&((struct client *)object)->identity->ip, text);
    lua_pushstring(L, text);
}

static struct client *check(lua_State *L) {
    return (struct client *)tw_object_check(L, 1, &tw_lua_client_class);
}

static int l_send(lua_State *L) {
    struct client *self = check(L);
    luaL_checkany(L, 2);
    tw_lua_effects_send(L, "client:send", self->identity, 2);
    return 0;
}

static int l_disconnect(lua_State *L) {
    struct client *self = check(L);
    lua_Number code = luaL_optnumber(L, 2, CLOSE_POLICY);
    struct tw_str reason = TW_STR("");
    if (!lua_isnoneornil(L, 3)) {
        luaL_checktype(L, 3, LUA_TSTRING);
        reason = tw_text_at(L, 3);
    }
    bool is_code = code == CLOSE_NORMAL || (code >= 3000 && code <= 4999 && code == floor(code));
    luaL_argcheck(L, is_code, 2, "a close code is 1000 or 3000 to 4999");
    luaL_argcheck(L, reason.length <= MOST_REASON, 3, "a close reason has at most 123 bytes");
    luaL_argcheck(L, tw_utf8_is_valid(reason.data, reason.length), 3, "not UTF-8");
    tw_lua_effects_disconnect(L, "client:disconnect", self->identity, (unsigned)code, reason);
    return 0;
}

static struct tw_str check_channel(lua_State *L) {
    luaL_checktype(L, 2, LUA_TSTRING);
    struct tw_str name = tw_text_at(L, 2);
    luaL_argcheck(L, tw_channel_name_is_valid(name), 2, tw_channel_name_rule);
    return name;
}

static int l_subscribe(lua_State *L) {
    struct client *self = check(L);
    struct tw_str name = check_channel(L);
    tw_lua_effects_subscription(L, "client:subscribe", TW_EFFECT_SUBSCRIBE, self->identity, name);
    return 0;
}

static int l_unsubscribe(lua_State *L) {
    struct client *self = check(L);
    struct tw_str name = check_channel(L);
    tw_lua_effects_subscription(L, "client:unsubscribe", TW_EFFECT_UNSUBSCRIBE, self->identity,
                                name);
    return 0;
}

static const struct tw_field fields[] = {
    {"id", get_id}, {"user", get_user}, {"claims", get_claims}, {"ip", get_ip}, {NULL, NULL}};
static const luaL_Reg methods[] = {{"send", l_send},
                                   {"disconnect", l_disconnect},
                                   {"subscribe", l_subscribe},
                                   {"unsubscribe", l_unsubscribe},
                                   {NULL, NULL}};

const struct tw_class tw_lua_client_class = {TW_CLASS_CLIENT, "client", fields, methods, NULL};

void tw_lua_client_push(lua_State *L, struct tw_identity *identity) {
    if (!identity) {
        lua_pushnil(L);
        return;
    }
    struct client *self =
        (struct client *)tw_object_new(L, &tw_lua_client_class, sizeof(struct client));
    self->identity = identity;
}
