/* lua_message.c: data is decoded when first touched. A table that was handed out may have been
 * changed, so it counts as touched; any other value cannot have been. */
#include "script/lua_message.h"

#include <errno.h>
#include <string.h>

#include "broker/channel.h"
#include "script/lua_json.h"

static void get_data(lua_State *L, void *object) {
    struct tw_lua_message *self = (struct tw_lua_message *)object;
    if (!self->is_decoded) {
        if (self->message->binary) {
            lua_pushnil(L);
            return;
        }
        tw_lua_json_push(L, tw_message_text(self->message));
        tw_object_cache_set(L, 1);
        self->is_decoded = true;
    }
    tw_object_cache_get(L, 1);
    if (lua_istable(L, -1)) self->is_touched = true;
}

static void get_raw(lua_State *L, void *object) {
    struct tw_str text = tw_message_text(((struct tw_lua_message *)object)->message);
    lua_pushlstring(L, text.data, text.length);
}

static void get_binary(lua_State *L, void *object) {
    lua_pushboolean(L, ((struct tw_lua_message *)object)->message->binary);
}

static void get_channel(lua_State *L, void *object) {
    struct tw_str name = ((struct tw_lua_message *)object)->channel->name->text;
    lua_pushlstring(L, name.data, name.length);
}

static bool set(lua_State *L, void *object, const char *field) {
    struct tw_lua_message *self = (struct tw_lua_message *)object;
    if (strcmp(field, "data") != 0) return false;
    lua_settop(L, 3);
    tw_object_cache_set(L, 1);
    self->is_decoded = self->is_touched = true;
    return true;
}

static const struct tw_field fields[] = {{"data", get_data},
                                         {"raw", get_raw},
                                         {"channel", get_channel},
                                         {"binary", get_binary},
                                         {NULL, NULL}};

const struct tw_class tw_lua_message_class = {TW_CLASS_MESSAGE, "message", fields, NULL, set};

struct tw_lua_message *tw_lua_message_push(lua_State *L, struct tw_message *message,
                                           struct tw_channel *channel) {
    struct tw_lua_message *self = (struct tw_lua_message *)tw_object_new(
        L, &tw_lua_message_class, sizeof(struct tw_lua_message));
    self->message = message;
    self->channel = channel;
    return self;
}

int tw_lua_message_result(lua_State *L, int index, struct tw_message **out) {
    struct tw_lua_message *self =
        (struct tw_lua_message *)tw_object_check(L, index, &tw_lua_message_class);
    *out = self->message;
    if (!self->is_touched) return 0;
    tw_object_cache_get(L, index);
    struct tw_str text = tw_lua_json_text(L, -1, "message.data");
    lua_pop(L, 1);
    struct tw_message *message = tw_message_try_new(text.data, text.length, false);
    if (!message) return -ENOMEM;
    *out = message;
    return 0;
}
