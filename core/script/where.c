/* where.c */
#include "script/where.h"

#include <stdio.h>
#include <string.h>

#include "script/source.h"

/* A chunk's name as Lua writes it into messages (luaconf.h). */
static size_t short_name(const char *path, char out[LUA_IDSIZE]);
static bool is_word(char c);
static const char *skip_comment(const char *p, const char *end);
static const char *find_word(struct tw_str line, struct tw_str word);
static struct tw_str word_of(const char *message);
static struct tw_str key_of(const char *message);
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

struct tw_str tw_where_line(struct tw_str text, int line) {
    struct tw_str found = {"", 0};
    while (line-- > 0) {
        if (!text.data) return TW_STR("");
        found = tw_str_cut(&text, '\n');
    }
    if (found.length > 0 && found.data[found.length - 1] == '\r') found.length--;
    return found;
}

int tw_where_column(struct tw_str text, int line, const char *message, int *length) {
    struct tw_str found = tw_where_line(text, line), word = key_of(message);
    const char *place = find_word(found, word);
    if (!place) {
        word = word_of(message);
        place = find_word(found, word);
    }
    *length = place ? (int)word.length : 1;
    for (size_t i = 0; !place && i < found.length; i++)
        if (found.data[i] != ' ' && found.data[i] != '\t') place = found.data + i;
    if (!place) return line > 0 ? 1 : 0;
    return (int)(place - found.data) + 1;
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

/* Where the word stands by itself. */
static const char *find_word(struct tw_str line, struct tw_str word) {
    bool is_name = word.length > 0 && is_word(word.data[0]);
    for (size_t i = 0; word.length > 0 && i + word.length <= line.length; i++) {
        if (memcmp(line.data + i, word.data, word.length) != 0) continue;
        bool is_begin = i == 0 || !is_word(line.data[i - 1]);
        bool is_end = i + word.length == line.length || !is_word(line.data[i + word.length]);
        if (!is_name || (is_begin && is_end)) return line.data + i;
    }
    return NULL;
}

/* "unexpected symbol near 'x'", "attempt to call field 'x' (a nil value)". */
static struct tw_str word_of(const char *message) {
    const char *near = strstr(message, "near '");
    const char *begin = near ? near + strlen("near") : strchr(message, '\'');
    if (!begin || begin[strspn(begin, " ")] != '\'') return TW_STR("");
    begin += strspn(begin, " ") + 1;
    /* A quote may be what is quoted. */
    const char *end = begin[0] ? strchr(begin + 1, '\'') : NULL;
    return end ? (struct tw_str){begin, (size_t)(end - begin)} : TW_STR("");
}

/* "limits.mesages: unknown key": mesages. */
static struct tw_str key_of(const char *message) {
    size_t length = 0, begin = 0;
    for (; is_word(message[length]) || message[length] == '.'; length++)
        if (message[length] == '.') begin = length + 1;
    if (message[length] != ':' && message[length] != '[') return TW_STR("");
    return (struct tw_str){message + begin, length - begin};
}
