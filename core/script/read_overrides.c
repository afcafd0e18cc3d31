/* read_overrides.c: -D KEY=VALUE, put into the table that broker.lua returned, before it is
 * checked: so an override is checked like what is written there. */
#include <lauxlib.h>
#include <string.h>

#include "script/errors.h"
#include "script/read_settings.h"
#include "script/text.h"

enum { PATH_SIZE = 120 };

static void read_override(struct tw_reader *reader, int index, const char *text);
static bool push_literal(struct tw_reader *reader, const char *path, const char *text);
static void wrong(struct tw_reader *reader, const char *path, const char *what);

void tw_read_overrides(struct tw_reader *reader, int index) {
    for (size_t i = 0; i < reader->app->override_count; i++)
        read_override(reader, index, reader->app->overrides[i]);
}

static void read_override(struct tw_reader *reader, int index, const char *text) {
    lua_State *L = reader->L;
    int top = lua_gettop(L);
    char path[PATH_SIZE];
    const char *equals = strchr(text, '=');
    if (!equals || equals == text || equals - text >= PATH_SIZE) {
        wrong(reader, text, "expected KEY=VALUE, as in limits.connections_per_ip=2");
        return;
    }
    tw_text_copy(path, sizeof path, (struct tw_str){text, (size_t)(equals - text)});
    struct tw_str rest = tw_str_of(path);
    lua_pushvalue(L, index);
    for (;;) {
        struct tw_str part = tw_str_cut(&rest, '.');
        if (!lua_istable(L, -1)) {
            wrong(reader, path, "there is a value that is not a table on the way");
            break;
        }
        lua_pushlstring(L, part.data, part.length);
        if (!rest.data) {
            if (push_literal(reader, path, equals + 1)) lua_rawset(L, -3);
            break;
        }
        lua_pushvalue(L, -1);
        lua_rawget(L, -3);
        if (lua_isnil(L, -1)) {
            lua_pop(L, 1);
            lua_newtable(L);
            lua_pushvalue(L, -2);
            lua_pushvalue(L, -2);
            lua_rawset(L, -5);
        }
        lua_remove(L, -2);
        lua_remove(L, -2);
    }
    lua_settop(L, top);
}

/* A number, true, false, a table's literal; all else is text. */
static bool push_literal(struct tw_reader *reader, const char *path, const char *text) {
    lua_State *L = reader->L;
    if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0) {
        lua_pushboolean(L, text[0] == 't');
        return true;
    }
    if (text[0] != '{') {
        lua_pushstring(L, text);
        if (text[0] && lua_isnumber(L, -1)) {
            lua_pushnumber(L, lua_tonumber(L, -1));
            lua_remove(L, -2);
        }
        return true;
    }
    lua_pushfstring(L, "return %s", text);
    struct tw_str chunk = tw_text_at(L, -1);
    bool is_good = luaL_loadbufferx(L, chunk.data, chunk.length, "=-D", "t") == 0;
    if (is_good) {
        lua_newtable(L); /* no globals: a literal needs none */
        lua_setfenv(L, -2);
        is_good = lua_pcall(L, 0, 1, 0) == 0 && lua_istable(L, -1);
    }
    lua_remove(L, -2);
    if (!is_good) {
        wrong(reader, path, "not a table literal, as in {rate=1}");
        lua_pop(L, 1);
    }
    return is_good;
}

static void wrong(struct tw_reader *reader, const char *path, const char *what) {
    reader->found++;
    tw_errors_add(reader->errors, "-D", 0, "%s: %s", path, what);
}
