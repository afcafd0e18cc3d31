/* where.c */
#include "script/where.h"

#include <stdio.h>
#include <string.h>

#include "script/source.h"

/* A chunk's name as Lua writes it into messages (luaconf.h). */
static size_t short_name(const char *path, char out[LUA_IDSIZE]);
static bool is_word(char c);
static const char *skip_comment(const char *p, const char *end);
static const char *find_key(const char *p, const char *end, struct tw_str key);

bool tw_where_split(const struct tw_source *source, struct tw_str message, const char **file,
                    int *line, size_t *length) {
    for (size_t i = 0; i < source->count; i++) {
        char name[LUA_IDSIZE];
        size_t at = short_name(source->files[i]->path, name);
        if (at + 2 >= message.length || memcmp(message.data, name, at) != 0) continue;
        if (message.data[at++] != ':') continue;
        int number = 0;
        size_t digits = at;
        while (at < message.length && message.data[at] >= '0' && message.data[at] <= '9' &&
               number < 100000000)
            number = number * 10 + (message.data[at++] - '0');
        if (at == digits || at + 1 >= message.length || message.data[at] != ':') continue;
        if (message.data[at + 1] != ' ') continue;
        *file = source->files[i]->path;
        *line = number;
        *length = at + 2;
        return true;
    }
    return false;
}

int tw_where_key(struct tw_str text, const char *path) {
    const char *p = text.data, *end = text.data + text.length, *found = NULL;
    while (p && *path) {
        size_t length = strcspn(path, ".[");
        struct tw_str key = {path, length};
        path += length;
        if (*path == '[') path += strcspn(path, ".");
        if (*path == '.') path++;
        if (length == 0) continue;
        p = find_key(p, end, key);
        if (p) found = p;
    }
    if (!found) return 0;
    int line = 1;
    for (const char *c = text.data; c < found; c++)
        line += *c == '\n';
    return line;
}

static size_t short_name(const char *path, char out[LUA_IDSIZE]) {
    size_t length = strlen(path), most = LUA_IDSIZE - 1;
    if (length <= most) {
        memcpy(out, path, length);
        return length;
    }
    size_t kept = most - 3;
    memcpy(out, "...", 3);
    memcpy(out + 3, path + length - kept, kept);
    return most;
}

/* Behind the `key =` or `["key"] =` that comes next; NULL: none. */
static const char *find_key(const char *p, const char *end, struct tw_str key) {
    while ((size_t)(end - p) > key.length) {
        if (*p == '-' && p + 1 < end && p[1] == '-') {
            p = skip_comment(p, end);
            continue;
        }
        bool is_it = memcmp(p, key.data, key.length) == 0 && !is_word(p[key.length]);
        if (is_it && is_word(*p)) {
            const char *q = p + key.length;
            while (q < end && strchr("\"'] \t\r\n", *q))
                q++;
            if (q + 1 < end && *q == '=' && q[1] != '=') return p + key.length;
        }
        /* To the end of this word, so that the next try begins with one. */
        if (is_word(*p)) {
            while (p < end && is_word(*p))
                p++;
        } else {
            p++;
        }
    }
    return NULL;
}

static bool is_word(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           (unsigned char)c >= 0x80;
}

static const char *skip_comment(const char *p, const char *end) {
    const char *stop = NULL;
    if (end - p >= 4 && p[2] == '[' && p[3] == '[') {
        stop = (const char *)memmem(p, (size_t)(end - p), "]]", 2);
    } else {
        stop = (const char *)memchr(p, '\n', (size_t)(end - p));
    }
    return stop ? stop + 1 : end;
}
