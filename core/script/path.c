/* path.c */
#include "script/path.h"

#include <stdio.h>
#include <string.h>

enum { TEXT_SIZE = 240 };

static void put(char out[TEXT_SIZE], const char *text);
static void write_path(const struct tw_path *path, char out[TEXT_SIZE]);
static bool is_name(struct tw_str key);

const char *tw_path_push(lua_State *L, const struct tw_path *path) {
    char text[TEXT_SIZE] = "";
    write_path(path, text);
    lua_pushstring(L, text);
    return lua_tostring(L, -1);
}

bool tw_path_has(const struct tw_path *path, const void *table) {
    for (; path; path = path->parent) {
        if (path->table == table) return true;
    }
    return false;
}

static void write_path(const struct tw_path *path, char out[TEXT_SIZE]) {
    char part[80];
    if (path->parent) write_path(path->parent, out);
    if (!path->key.data) {
        snprintf(part, sizeof part, "[%.14g]", path->index);
    } else if (!path->parent) {
        snprintf(part, sizeof part, "%.60s", path->key.data);
    } else if (is_name(path->key)) {
        snprintf(part, sizeof part, ".%.*s", TW_STR_ARG(path->key));
    } else {
        int length = path->key.length < 60 ? (int)path->key.length : 60;
        snprintf(part, sizeof part, "[\"%.*s\"]", length, path->key.data);
    }
    put(out, part);
}

static bool is_name(struct tw_str key) {
    if (key.length == 0 || key.length > 60) return false;
    for (size_t i = 0; i < key.length; i++) {
        char c = key.data[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!is_letter && !(i > 0 && c >= '0' && c <= '9')) return false;
    }
    return true;
}

/* Once it is cut, nothing more is added: the end is "...". */
static void put(char out[TEXT_SIZE], const char *text) {
    size_t length = strlen(out), more = strlen(text);
    if (length >= 3 && strcmp(out + length - 3, "...") == 0) return;
    if (length + more + 4 < TEXT_SIZE) {
        memcpy(out + length, text, more + 1);
    } else {
        memcpy(out + length, "...", 4);
    }
}
