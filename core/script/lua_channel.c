/* lua_channel.c */
#include "script/lua_channel.h"

#include <string.h>

#include "script/lua_effects.h"
#include "script/text.h"

struct channel {
    struct tw_object head;
    struct tw_channel *channel; /* borrowed */
};

static struct tw_channel *of(void *object) {
    return ((struct channel *)object)->channel;
}

static tw_ref state_of(const struct tw_channel *channel) {
    return (tw_ref)(intptr_t)channel->script;
}

static void push_str(lua_State *L, struct tw_str text) {
    lua_pushlstring(L, text.data, text.length);
}

static void get_name(lua_State *L, void *object) {
    push_str(L, of(object)->name->text);
}

static void get_params(lua_State *L, void *object) {
    const struct tw_channel *channel = of(object);
    struct tw_param params[TW_MAX_PARAMS];
    size_t count = tw_definition_params(channel->definition, channel->name->text, params);
    lua_createtable(L, 0, (int)count);
    for (size_t i = 0; i < count; i++) {
        push_str(L, params[i].name);
        push_str(L, params[i].value);
        lua_rawset(L, -3);
    }
}

static void get_state(lua_State *L, void *object) {
    tw_lua_channel_push_state(L, of(object));
}

static void get_offset(lua_State *L, void *object) {
    lua_pushnumber(L, (lua_Number)of(object)->offset);
}

static void get_subscribers(lua_State *L, void *object) {
    lua_pushnumber(L, (lua_Number)of(object)->subscribers);
}

static bool set(lua_State *L, void *object, const char *field) {
    if (strcmp(field, "state") != 0) return false;
    if (!lua_istable(L, 3)) luaL_error(L, "channel.state is a table, not %s", luaL_typename(L, 3));
    lua_settop(L, 3);
    tw_lua_channel_set_state(L, of(object));
    return true;
}

static int l_publish(lua_State *L) {
    struct tw_channel *channel = of(tw_object_check(L, 1, &tw_lua_channel_class));
    luaL_checkany(L, 2);
    tw_lua_effects_publish(L, "channel:publish", channel->name->text, 2);
    return 0;
}

static const struct tw_field fields[] = {
    {"name", get_name},     {"params", get_params},           {"state", get_state},
    {"offset", get_offset}, {"subscribers", get_subscribers}, {NULL, NULL}};
static const luaL_Reg methods[] = {{"publish", l_publish}, {NULL, NULL}};

const struct tw_class tw_lua_channel_class = {TW_CLASS_CHANNEL, "channel", fields, methods, set};

void tw_lua_channel_push(lua_State *L, struct tw_channel *channel) {
    struct channel *self =
        (struct channel *)tw_object_new(L, &tw_lua_channel_class, sizeof(struct channel));
    self->channel = channel;
}

static bool has_state(const struct tw_channel *channel) {
    return state_of(channel) > 0; /* not NULL, not LUA_NOREF */
}

void tw_lua_channel_push_state(lua_State *L, struct tw_channel *channel) {
    if (!has_state(channel)) {
        lua_newtable(L);
        tw_lua_channel_set_state(L, channel);
    }
    tw_vm_push(L, state_of(channel));
}

void tw_lua_channel_set_state(lua_State *L, struct tw_channel *channel) {
    if (has_state(channel)) {
        lua_rawseti(L, LUA_REGISTRYINDEX, state_of(channel));
    } else {
        channel->script = (void *)(intptr_t)tw_vm_keep(L);
    }
}

void tw_lua_channel_begin_state(struct tw_channel *channel) {
    channel->script = (void *)(intptr_t)LUA_NOREF;
}

void tw_lua_channel_drop_state(lua_State *L, struct tw_channel *channel) {
    if (has_state(channel)) luaL_unref(L, LUA_REGISTRYINDEX, state_of(channel));
    channel->script = NULL;
}
