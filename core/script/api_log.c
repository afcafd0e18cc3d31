/* api_log.c: tidewire.log.debug, info, warn, error; and print. Each writes one line at once, also
 * if the handler fails later: a log is not an effect. */
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "broker/channel.h"
#include "script/api.h"
#include "script/call.h"
#include "script/text.h"

static int write_line(lua_State *L, enum tw_log_level level);
static bool has_fields(lua_State *L, int index);
static void push_fields(lua_State *L, int index);

static int l_debug(lua_State *L) {
    return write_line(L, TW_LOG_DEBUG);
}

static int l_info(lua_State *L) {
    return write_line(L, TW_LOG_INFO);
}

static int l_warn(lua_State *L) {
    return write_line(L, TW_LOG_WARN);
}

static int l_error(lua_State *L) {
    return write_line(L, TW_LOG_ERROR);
}

static const luaL_Reg functions[] = {
    {"debug", l_debug}, {"info", l_info}, {"warn", l_warn}, {"error", l_error}, {NULL, NULL}};

void tw_api_push_log(lua_State *L) {
    lua_newtable(L);
    luaL_setfuncs(L, functions, 0);
    lua_pushcfunction(L, l_info);
    lua_setglobal(L, "print");
}

/* All arguments as text, with spaces between; a table with names at the end as fields; and who says
 * it. */
static int write_line(lua_State *L, enum tw_log_level level) {
    const struct tw_vm *vm = tw_vm_of(L);
    int count = lua_gettop(L), last = count;
    if (vm->is_mute) return 0;
    luaL_checkstack(L, 2 * count + 16, "too many arguments");
    if (count > 1 && has_fields(L, count)) last--;
    lua_pushliteral(L, "");
    for (int i = 1; i <= last; i++) {
        if (i > 1) lua_pushliteral(L, " ");
        tw_text_push(L, i);
    }
    if (last < count) push_fields(L, count);
    lua_concat(L, lua_gettop(L) - count);
    const struct tw_call *call = vm->call;
    if (call && call->channel) {
        tw_log(level, "script", "%s channel=%.*s hook=%s", lua_tostring(L, -1),
               TW_STR_ARG(call->channel->name->text), tw_hook_name(call->hook));
    } else if (call) {
        tw_log(level, "script", "%s hook=%s", lua_tostring(L, -1), tw_hook_name(call->hook));
    }
    return 0;
}

/* A table of its own kind would want to be shown by its __tostring. */
static bool has_fields(lua_State *L, int index) {
    if (!lua_istable(L, index) || lua_getmetatable(L, index)) {
        lua_settop(L, index);
        return false;
    }
    size_t count = 0;
    lua_pushnil(L);
    while (lua_next(L, index)) {
        lua_pop(L, 1);
        if (lua_type(L, -1) != LUA_TSTRING) {
            lua_settop(L, index);
            return false;
        }
        count++;
    }
    return count > 0;
}

static bool is_plain(struct tw_str text) {
    for (size_t i = 0; i < text.length; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c <= ' ' || c == '"' || c == '=' || c == '\\') return false;
    }
    return text.length > 0;
}

/* With quotes around it, if it could be taken for something else. */
static void append_value(lua_State *L, struct tw_buf *out, int index) {
    char number[40];
    struct tw_str text;
    switch (lua_type(L, index)) {
    case LUA_TSTRING:
        text = tw_text_at(L, index);
        break;
    case LUA_TNUMBER:
        text = (struct tw_str){
            number, (size_t)snprintf(number, sizeof number, "%.14g", lua_tonumber(L, index))};
        break;
    case LUA_TBOOLEAN:
        text = tw_str_of(lua_toboolean(L, index) ? "true" : "false");
        break;
    default: /* no code of the app's may run here, which could use the same buffers */
        text = tw_str_of(luaL_typename(L, index));
    }
    bool is_quoted = !is_plain(text);
    if (is_quoted) tw_vm_append(L, out, "\"", 1);
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] == '"' || text.data[i] == '\\') tw_vm_append(L, out, "\\", 1);
        tw_vm_append(L, out, text.data + i, 1);
    }
    if (is_quoted) tw_vm_append(L, out, "\"", 1);
}

/* " key=value" of each, by name. */
static void push_fields(lua_State *L, int index) {
    struct tw_vm *vm = tw_vm_of(L);
    vm->scratch.length = vm->keys.length = 0;
    lua_pushnil(L);
    while (lua_next(L, index)) {
        struct tw_str key = tw_text_at(L, -2);
        tw_vm_append(L, &vm->keys, &key, sizeof key);
        lua_pop(L, 1);
    }
    struct tw_str *keys = (struct tw_str *)(void *)vm->keys.data;
    size_t count = vm->keys.length / sizeof *keys;
    qsort(keys, count, sizeof *keys, tw_str_sort);
    for (size_t i = 0; i < count; i++) {
        tw_vm_append(L, &vm->scratch, " ", 1);
        for (size_t j = 0; j < keys[i].length; j++) {
            struct tw_str letter = {keys[i].data + j, 1};
            tw_vm_append(L, &vm->scratch, is_plain(letter) ? letter.data : "_", 1);
        }
        tw_vm_append(L, &vm->scratch, "=", 1);
        lua_pushlstring(L, keys[i].data, keys[i].length);
        lua_rawget(L, index);
        append_value(L, &vm->scratch, lua_gettop(L));
        lua_pop(L, 1);
    }
    lua_pushlstring(L, vm->scratch.data, vm->scratch.length);
}
