/* lua_json_encode.c: Lua values -> JSON text, in the VM's scratch.
 *
 * Raw access only, so no code of the app runs meanwhile and nothing changes under our feet. The
 * keys of an object are collected as spans into its own strings, which it keeps alive. */
#include <lauxlib.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/utf8.h"
#include "script/lua_json.h"
#include "script/path.h"
#include "script/vm.h"

struct writer {
    lua_State *L;
    struct tw_vm *vm;
    struct tw_buf *out;
    int depth;
};

enum shape { SHAPE_OBJECT, SHAPE_ARRAY };

static void value(struct writer *w, int index, struct tw_path *path);
static void number(struct writer *w, int index, const struct tw_path *path);
static void string(struct writer *w, struct tw_str text, const struct tw_path *path);
static void table(struct writer *w, int index, struct tw_path *path);
static enum shape shape_of(struct writer *w, int index, const struct tw_path *path, size_t *count);
static void array(struct writer *w, int index, size_t count, const struct tw_path *path);
static void object(struct writer *w, int index, size_t count, const struct tw_path *path);
static void sort_keys(struct tw_str *keys, size_t count);
static void put(struct writer *w, const char *bytes, size_t length);
static void wrong(struct writer *w, const struct tw_path *path, const char *what);

struct tw_str tw_lua_json_text(lua_State *L, int index, const char *name) {
    struct tw_vm *vm = tw_vm_of(L);
    struct writer w = {L, vm, &vm->scratch, 0};
    struct tw_path root = {.key = tw_str_of(name)};
    vm->scratch.length = 0;
    vm->keys.length = 0;
    if (index < 0) index = lua_gettop(L) + index + 1;
    value(&w, index, &root);
    return (struct tw_str){vm->scratch.data, vm->scratch.length};
}

static void value(struct writer *w, int index, struct tw_path *path) {
    switch (lua_type(w->L, index)) {
    case LUA_TNIL:
        put(w, "null", 4);
        break;
    case LUA_TBOOLEAN:
        if (lua_toboolean(w->L, index)) {
            put(w, "true", 4);
        } else {
            put(w, "false", 5);
        }
        break;
    case LUA_TNUMBER:
        number(w, index, path);
        break;
    case LUA_TSTRING: {
        struct tw_str text;
        text.data = lua_tolstring(w->L, index, &text.length);
        string(w, text, path);
        break;
    }
    case LUA_TTABLE:
        table(w, index, path);
        break;
    default:
        if (tw_lua_is_null(w->L, index)) {
            put(w, "null", 4);
        } else {
            luaL_error(w->L, "%s is a %s, which JSON cannot hold", tw_path_push(w->L, path),
                       luaL_typename(w->L, index));
        }
    }
}

static void number(struct writer *w, int index, const struct tw_path *path) {
    char text[32];
    double number = lua_tonumber(w->L, index);
    if (!isfinite(number)) wrong(w, path, "is not a finite number, which JSON cannot hold");
    put(w, text, tw_lua_json_number(number, text));
}

static void string(struct writer *w, struct tw_str text, const struct tw_path *path) {
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    if (!tw_utf8_is_valid(text.data, text.length)) wrong(w, path, "is not UTF-8");
    put(w, "\"", 1);
    size_t done = 0;
    for (size_t i = 0; i < text.length; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c >= 0x20 && c != '"' && c != '\\') continue;
        if (i > done) put(w, text.data + done, i - done);
        done = i + 1;
        const char *known = c > 0 ? strchr(from, c) : NULL;
        char escape[7];
        if (known) {
            snprintf(escape, sizeof escape, "\\%c", to[known - from]);
        } else {
            snprintf(escape, sizeof escape, "\\u%04x", c);
        }
        put(w, escape, strlen(escape));
    }
    if (text.length > done) put(w, text.data + done, text.length - done);
    put(w, "\"", 1);
}

static void table(struct writer *w, int index, struct tw_path *path) {
    const void *identity = lua_topointer(w->L, index);
    if (tw_path_has(path, identity)) wrong(w, path, "contains itself");
    if (w->depth >= TW_JSON_MAX_DEPTH) wrong(w, path, "is nested too deep");
    path->table = identity;
    w->depth++;
    luaL_checkstack(w->L, 8, "JSON");
    size_t count;
    if (shape_of(w, index, path, &count) == SHAPE_ARRAY) {
        array(w, index, count, path);
    } else {
        object(w, index, count, path);
    }
    w->depth--;
    path->table = NULL;
}

/* Looks at all keys. Those of an object are left behind in vm->keys. */
static enum shape shape_of(struct writer *w, int index, const struct tw_path *path, size_t *count) {
    lua_State *L = w->L;
    size_t numbers = 0, strings = 0;
    double most = 0;
    lua_pushnil(L);
    while (lua_next(L, index)) {
        lua_pop(L, 1);
        if (lua_type(L, -1) == LUA_TNUMBER) {
            double key = lua_tonumber(L, -1);
            if (key < 1 || key != floor(key)) wrong(w, path, "has a key that is no index");
            if (key > most) most = key;
            numbers++;
        } else if (lua_type(L, -1) == LUA_TSTRING) {
            struct tw_str key;
            key.data = lua_tolstring(L, -1, &key.length);
            tw_vm_append(L, &w->vm->keys, &key, sizeof key);
            strings++;
        } else {
            wrong(w, path, "has a key that is neither a string nor an index");
        }
    }
    bool is_array = numbers > 0 || tw_lua_json_is_array(L, index);
    if (is_array && strings > 0) wrong(w, path, "mixes names and indices as keys");
    if (most > (double)numbers) wrong(w, path, "is an array with holes");
    *count = is_array ? numbers : strings;
    return is_array ? SHAPE_ARRAY : SHAPE_OBJECT;
}

static void array(struct writer *w, int index, size_t count, const struct tw_path *path) {
    put(w, "[", 1);
    for (size_t i = 1; i <= count; i++) {
        struct tw_path place = {.parent = path, .index = (double)i};
        if (i > 1) put(w, ",", 1);
        lua_rawgeti(w->L, index, (int)i);
        value(w, lua_gettop(w->L), &place);
        lua_pop(w->L, 1);
    }
    put(w, "]", 1);
}

/* vm->keys may move while a value is written, so it is looked up again each time. */
static void object(struct writer *w, int index, size_t count, const struct tw_path *path) {
    struct tw_buf *keys = &w->vm->keys;
    size_t begin = keys->length - count * sizeof(struct tw_str);
    if (count > 1) sort_keys((struct tw_str *)(void *)(keys->data + begin), count);
    put(w, "{", 1);
    for (size_t i = 0; i < count; i++) {
        struct tw_str key;
        memcpy(&key, keys->data + begin + i * sizeof key, sizeof key);
        struct tw_path place = {.parent = path, .key = key};
        if (i > 0) put(w, ",", 1);
        string(w, key, &place);
        put(w, ":", 1);
        lua_pushlstring(w->L, key.data, key.length);
        lua_rawget(w->L, index);
        value(w, lua_gettop(w->L), &place);
        lua_pop(w->L, 1);
    }
    put(w, "}", 1);
    keys->length = begin;
}

/* By insertion for the few keys that objects have; qsort allocates. */
static void sort_keys(struct tw_str *keys, size_t count) {
    if (count > 24) {
        qsort(keys, count, sizeof *keys, tw_str_sort);
        return;
    }
    for (size_t i = 1; i < count; i++) {
        struct tw_str key = keys[i];
        size_t at = i;
        for (; at > 0 && tw_str_compare(keys[at - 1], key) > 0; at--)
            keys[at] = keys[at - 1];
        keys[at] = key;
    }
}

/* Bounded by the VM's cap: shared tables can make the text far longer than the tables. */
static void put(struct writer *w, const char *bytes, size_t length) {
    if (length > w->vm->cap - w->out->length) luaL_error(w->L, "not enough memory for the JSON");
    tw_vm_append(w->L, w->out, bytes, length);
}

static void wrong(struct writer *w, const struct tw_path *path, const char *what) {
    luaL_error(w->L, "%s %s", tw_path_push(w->L, path), what);
}
