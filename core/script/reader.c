/* reader.c */
#include "script/reader.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "script/errors.h"
#include "script/text.h"
#include "script/where.h"

enum { PATH_SIZE = 300 };

const char *const tw_reader_overflows[] = {"drop_oldest", "drop_newest", "conflate", "disconnect",
                                           NULL};

static bool is_overridden(const struct tw_app *app, const char *path);
static bool has_name(const char *const *names, const char *name);

void tw_reader_error(struct tw_reader *reader, const char *path, const char *format, ...) {
    char text[500], place[PATH_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    reader->found++;
    const char *gap = path[0] ? ": " : "";
    if (reader->app && is_overridden(reader->app, path)) {
        tw_errors_add(reader->errors, "-D", 0, "%s%s%s", path, gap, text);
        return;
    }
    snprintf(place, sizeof place, "%s%s", reader->prefix ? reader->prefix : "", path);
    tw_errors_add(reader->errors, reader->file, tw_where_key(reader->text, place), "%s%s%s", path,
                  gap, text);
}

void tw_reader_expected(struct tw_reader *reader, const char *path, int index, const char *what) {
    char got[80] = "nothing: it ends without `return ...`";
    bool is_file = path[0] == 0;
    if (!is_file || !lua_isnil(reader->L, index)) tw_text_of_value(reader->L, index, got);
    tw_reader_error(reader, path, "expected %s, got %s", what, got);
}

void tw_reader_check_keys(struct tw_reader *reader, int table, const char *path,
                          const char *const *names) {
    lua_State *L = reader->L;
    lua_pushnil(L);
    while (lua_next(L, table)) {
        lua_pop(L, 1);
        if (lua_type(L, -1) != LUA_TSTRING) {
            char key[80];
            tw_text_of_value(L, -1, key);
            tw_reader_error(reader, path, "unknown key (%s)", key);
            continue;
        }
        const char *name = lua_tostring(L, -1);
        if (has_name(names, name)) continue;
        char full[PATH_SIZE];
        snprintf(full, sizeof full, "%s%s%s", path, path[0] ? "." : "", name);
        /* Of a hundred thousand wrong keys nobody reads most: to look for names takes seconds. */
        const char *near = tw_errors_are_full(reader->errors) ? NULL : tw_str_nearest(name, names);
        if (near) {
            tw_reader_error(reader, full, "unknown key; did you mean '%s'?", near);
        } else {
            tw_reader_error(reader, full, "unknown key");
        }
    }
}

bool tw_reader_number(struct tw_reader *reader, const char *path, int index, double least,
                      double most, bool is_whole, double *out) {
    double value = lua_type(reader->L, index) == LUA_TNUMBER ? lua_tonumber(reader->L, index) : NAN;
    if (value >= least && value <= most && (!is_whole || value == floor(value))) {
        *out = value;
        return true;
    }
    char what[100];
    snprintf(what, sizeof what, "a %s from %.15g to %.15g", is_whole ? "whole number" : "number",
             least, most);
    tw_reader_expected(reader, path, index, what);
    return false;
}

bool tw_reader_seconds(struct tw_reader *reader, const char *path, int index, double least,
                       double most, uint64_t *out_ms) {
    double value = lua_type(reader->L, index) == LUA_TNUMBER ? lua_tonumber(reader->L, index) : NAN;
    if (value >= least && value <= most) {
        double ms = round(value * 1000);
        *out_ms = value > 0 && ms < 1 ? 1 : (uint64_t)ms; /* 0 means something else */
        return true;
    }
    char what[100];
    snprintf(what, sizeof what, "seconds from %.15g to %.15g", least, most);
    tw_reader_expected(reader, path, index, what);
    return false;
}

bool tw_reader_boolean(struct tw_reader *reader, const char *path, int index, bool *out) {
    if (lua_type(reader->L, index) == LUA_TBOOLEAN) {
        *out = lua_toboolean(reader->L, index) != 0;
        return true;
    }
    tw_reader_expected(reader, path, index, "true or false");
    return false;
}

bool tw_reader_text(struct tw_reader *reader, const char *path, int index, const char *what,
                    struct tw_str *out) {
    if (lua_type(reader->L, index) == LUA_TSTRING) {
        *out = tw_text_at(reader->L, index);
        if (!memchr(out->data, 0, out->length)) return true;
    }
    tw_reader_expected(reader, path, index, what);
    return false;
}

bool tw_reader_choice(struct tw_reader *reader, const char *path, int index,
                      const char *const *choices, int *out) {
    const char *text =
        lua_type(reader->L, index) == LUA_TSTRING ? lua_tostring(reader->L, index) : NULL;
    char what[200] = "";
    for (int i = 0; choices[i]; i++) {
        if (text && strcmp(text, choices[i]) == 0) {
            *out = i;
            return true;
        }
        size_t length = strlen(what);
        const char *gap = i == 0 ? "" : choices[i + 1] ? ", " : " or ";
        snprintf(what + length, sizeof what - length, "%s\"%s\"", gap, choices[i]);
    }
    const char *near = text ? tw_str_nearest(text, choices) : NULL;
    if (near) {
        tw_reader_error(reader, path, "expected %s, got the text \"%.40s\"; did you mean \"%s\"?",
                        what, text, near);
    } else {
        tw_reader_expected(reader, path, index, what);
    }
    return false;
}

bool tw_reader_list(struct tw_reader *reader, const char *path, int index, const char *what,
                    size_t *count) {
    lua_State *L = reader->L;
    *count = 0;
    if (!lua_istable(L, index)) {
        tw_reader_expected(reader, path, index, what);
        return false;
    }
    size_t keys = 0;
    lua_pushnil(L);
    while (lua_next(L, index)) {
        lua_pop(L, 1);
        keys++;
    }
    *count = lua_objlen(L, index);
    if (keys == *count) return true;
    tw_reader_error(reader, path, "expected %s, got a table with other keys or holes", what);
    return false;
}

/* Does an override set `path`, or something around it, or in it? */
static bool is_overridden(const struct tw_app *app, const char *path) {
    for (size_t i = 0; i < app->override_count; i++) {
        size_t length = strcspn(app->overrides[i], "="), path_length = strlen(path);
        size_t common = length < path_length ? length : path_length;
        if (path_length == 0 || strncmp(app->overrides[i], path, common) != 0) continue;
        if (length == path_length) return true;
        char next = length < path_length ? path[length] : app->overrides[i][path_length];
        if (next == '.' || next == '[') return true;
    }
    return false;
}

static bool has_name(const char *const *names, const char *name) {
    for (; *names; names++) {
        if (strcmp(*names, name) == 0) return true;
    }
    return false;
}
