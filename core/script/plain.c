/* plain.c: one tag byte per value, then its bytes in the machine's own order.
 *
 *   n t f 0          nil true false null
 *   d 8 bytes        number
 *   s size_t, bytes  string
 *   { ... }          table: key, value, key, value ...; [ ... } the same, marked as an array
 *   r size_t         the n-th table again
 */
#include "script/plain.h"

#include <lauxlib.h>
#include <string.h>

#include "script/lua_json.h"
#include "script/path.h"
#include "script/vm.h"

struct writer {
    lua_State *L;
    struct tw_buf *out;
    int seen; /* index of a table: table -> its number */
    size_t count;
    int depth;
};

struct reader {
    lua_State *L;
    const char *p, *end;
    int seen; /* index of a table: number -> table */
    int count;
    int depth;
};

static void write_value(struct writer *w, int index, struct tw_path *path);
static void write_table(struct writer *w, int index, struct tw_path *path);
static struct tw_path place_of_key(struct writer *w, int index, const struct tw_path *path);
static void put(struct writer *w, const void *bytes, size_t length);
static void put_tag(struct writer *w, char tag);
static void refuse(struct writer *w, const struct tw_path *path, const char *what);
static void read_value(struct reader *r);
static void read_table(struct reader *r, bool is_array);
static void take(struct reader *r, void *out, size_t length);

void tw_plain_write(lua_State *L, int index, const char *name, struct tw_buf *out) {
    struct tw_path root = {.key = tw_str_of(name)};
    if (index < 0) index = lua_gettop(L) + index + 1;
    lua_newtable(L);
    struct writer w = {.L = L, .out = out, .seen = lua_gettop(L)};
    write_value(&w, index, &root);
    lua_pop(L, 1);
}

void tw_plain_push(lua_State *L, const struct tw_buf *bytes) {
    lua_newtable(L);
    struct reader r = {
        .L = L, .p = bytes->data, .end = bytes->data + bytes->length, .seen = lua_gettop(L)};
    read_value(&r);
    lua_remove(L, r.seen);
}

/* The guard's hook is not called while nothing but C runs. To end by an error now is better than to
 * be killed a little later, with the VM and the states of all other channels. */
static void check_deadline(lua_State *L) {
    if (lua_gethookmask(L) == 0) return;
    lua_sethook(L, NULL, 0, 0); /* or it would raise in the error's handler */
    luaL_error(L, "to copy it takes longer than script.deadline");
}

static void write_value(struct writer *w, int index, struct tw_path *path) {
    lua_State *L = w->L;
    switch (lua_type(L, index)) {
    case LUA_TNIL:
        put_tag(w, 'n');
        break;
    case LUA_TBOOLEAN:
        put_tag(w, lua_toboolean(L, index) ? 't' : 'f');
        break;
    case LUA_TNUMBER: {
        lua_Number number = lua_tonumber(L, index);
        put_tag(w, 'd');
        put(w, &number, sizeof number);
        break;
    }
    case LUA_TSTRING: {
        size_t length;
        const char *text = lua_tolstring(L, index, &length);
        put_tag(w, 's');
        put(w, &length, sizeof length);
        put(w, text, length);
        break;
    }
    case LUA_TTABLE:
        write_table(w, index, path);
        break;
    default:
        if (tw_lua_is_null(L, index)) {
            put_tag(w, '0');
        } else {
            luaL_error(L, "%s is a %s", tw_path_push(L, path), luaL_typename(L, index));
        }
    }
}

static void write_table(struct writer *w, int index, struct tw_path *path) {
    lua_State *L = w->L;
    const void *identity = lua_topointer(L, index);
    if (tw_path_has(path, identity)) refuse(w, path, "contains itself");
    luaL_checkstack(L, 12, "plain data");
    lua_pushvalue(L, index);
    lua_rawget(L, w->seen);
    if (!lua_isnil(L, -1)) {
        size_t number = (size_t)lua_tonumber(L, -1);
        lua_pop(L, 1);
        put_tag(w, 'r');
        put(w, &number, sizeof number);
        return;
    }
    lua_pop(L, 1);
    if (w->depth++ >= TW_PLAIN_MAX_DEPTH) refuse(w, path, "is nested too deep");
    bool is_array = tw_lua_json_is_array(L, index);
    if (!is_array && lua_getmetatable(L, index)) refuse(w, path, "is a table with a metatable");
    lua_pushvalue(L, index);
    lua_pushnumber(L, (lua_Number)++w->count);
    lua_rawset(L, w->seen);

    path->table = identity;
    put_tag(w, is_array ? '[' : '{');
    lua_pushnil(L);
    while (lua_next(L, index)) {
        int top = lua_gettop(L);
        check_deadline(L);
        struct tw_path place = place_of_key(w, top - 1, path);
        write_value(w, top - 1, &place);
        write_value(w, top, &place);
        lua_pop(L, 1);
    }
    put_tag(w, '}');
    path->table = NULL;
    w->depth--;
}

static struct tw_path place_of_key(struct writer *w, int index, const struct tw_path *path) {
    struct tw_path place = {.parent = path};
    switch (lua_type(w->L, index)) {
    case LUA_TSTRING:
        place.key.data = lua_tolstring(w->L, index, &place.key.length);
        break;
    case LUA_TNUMBER:
        place.index = lua_tonumber(w->L, index);
        break;
    case LUA_TBOOLEAN:
        place.key = lua_toboolean(w->L, index) ? TW_STR("true") : TW_STR("false");
        break;
    default:
        luaL_error(w->L, "%s has a %s as a key", tw_path_push(w->L, path),
                   luaL_typename(w->L, index));
    }
    return place;
}

static void put(struct writer *w, const void *bytes, size_t length) {
    tw_vm_append(w->L, w->out, bytes, length);
}

static void put_tag(struct writer *w, char tag) {
    put(w, &tag, 1);
}

static void refuse(struct writer *w, const struct tw_path *path, const char *what) {
    luaL_error(w->L, "%s %s", tw_path_push(w->L, path), what);
}

static void read_value(struct reader *r) {
    lua_State *L = r->L;
    char tag;
    take(r, &tag, 1);
    switch (tag) {
    case 'n':
        lua_pushnil(L);
        break;
    case 't':
    case 'f':
        lua_pushboolean(L, tag == 't');
        break;
    case '0':
        lua_pushlightuserdata(L, TW_LUA_NULL);
        break;
    case 'd': {
        lua_Number number;
        take(r, &number, sizeof number);
        lua_pushnumber(L, number);
        break;
    }
    case 's': {
        size_t length;
        take(r, &length, sizeof length);
        if (length > (size_t)(r->end - r->p)) luaL_error(L, "plain data is cut off");
        lua_pushlstring(L, r->p, length);
        r->p += length;
        break;
    }
    case 'r': {
        size_t number;
        take(r, &number, sizeof number);
        lua_rawgeti(L, r->seen, (int)number);
        break;
    }
    default:
        read_table(r, tag == '[');
    }
}

static void read_table(struct reader *r, bool is_array) {
    lua_State *L = r->L;
    luaL_checkstack(L, 12, "plain data");
    lua_newtable(L);
    if (is_array) tw_lua_json_mark_array(L, -1);
    lua_pushvalue(L, -1);
    lua_rawseti(L, r->seen, ++r->count);
    while (r->p < r->end && *r->p != '}') {
        check_deadline(L);
        read_value(r);
        read_value(r);
        lua_rawset(L, -3);
    }
    char tag;
    take(r, &tag, 1);
}

static void take(struct reader *r, void *out, size_t length) {
    if (length > (size_t)(r->end - r->p)) luaL_error(r->L, "plain data is cut off");
    memcpy(out, r->p, length);
    r->p += length;
}
