/* text.c */
#include "script/text.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

void tw_text_copy(char *out, size_t size, struct tw_str text) {
    size_t length = text.length < size ? text.length : size - 1;
    if (length < text.length) {
        while (length > 0 && ((unsigned char)text.data[length] & 0xC0) == 0x80)
            length--;
    }
    if (length > 0) memcpy(out, text.data, length);
    out[length] = 0;
}

void tw_text_of_value(lua_State *L, int index, char out[80]) {
    enum { SIZE = 80 };
    switch (lua_type(L, index)) {
    case LUA_TNONE:
    case LUA_TNIL:
        snprintf(out, SIZE, "nil");
        break;
    case LUA_TBOOLEAN:
        snprintf(out, SIZE, "%s", lua_toboolean(L, index) ? "true" : "false");
        break;
    case LUA_TNUMBER:
        snprintf(out, SIZE, "%.14g", lua_tonumber(L, index));
        break;
    case LUA_TSTRING: {
        char cut[48];
        tw_text_copy(cut, sizeof cut, tw_text_at(L, index));
        snprintf(out, SIZE, "the text \"%s\"", cut);
        break;
    }
    default:
        snprintf(out, SIZE, "a %s", luaL_typename(L, index));
    }
}

void tw_text_push(lua_State *L, int index) {
    switch (lua_type(L, index)) {
    case LUA_TSTRING:
    case LUA_TNUMBER:
        lua_pushvalue(L, index);
        lua_tostring(L, -1); /* makes a number a text, in the copy */
        break;
    case LUA_TBOOLEAN:
        lua_pushstring(L, lua_toboolean(L, index) ? "true" : "false");
        break;
    case LUA_TNIL:
        lua_pushliteral(L, "nil");
        break;
    default:
        if (luaL_callmeta(L, index, "__tostring") && lua_type(L, -1) == LUA_TSTRING) break;
        lua_pushfstring(L, "%s: %p", luaL_typename(L, index), lua_topointer(L, index));
    }
}

struct tw_str tw_text_at(lua_State *L, int index) {
    struct tw_str text;
    text.data = lua_tolstring(L, index, &text.length);
    return text;
}
