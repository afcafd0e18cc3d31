/* read_lists.c: the settings that are lists: listen, trusted_proxies, allowed_origins, env. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "script/read_settings.h"
#include "script/text.h"

static void read_listener(struct tw_reader *reader, const char *path, int index,
                          struct tw_settings *out);
static bool is_variable(struct tw_str text);
static bool is_address(struct tw_str text);

/* One address, one { address =, tls = }, or a list of them. */
void tw_read_listen(struct tw_reader *reader, int index, struct tw_settings *out) {
    lua_State *L = reader->L;
    size_t count;
    if (lua_istable(L, index)) {
        lua_pushliteral(L, "address");
        lua_rawget(L, index);
        bool is_list = lua_isnil(L, -1);
        lua_pop(L, 1);
        if (is_list) {
            if (!tw_reader_list(reader, "listen", index, "an address or a list of addresses",
                                &count))
                return;
            if (count == 0) tw_reader_error(reader, "listen", "the list is empty");
            for (size_t i = 1; i <= count; i++) {
                char path[32];
                snprintf(path, sizeof path, "listen[%zu]", i);
                lua_rawgeti(L, index, (int)i);
                read_listener(reader, path, lua_gettop(L), out);
                lua_pop(L, 1);
            }
            return;
        }
    }
    read_listener(reader, "listen", index, out);
}

void tw_read_proxies(struct tw_reader *reader, int index, struct tw_settings *out) {
    static const char what[] = "a network such as \"10.0.0.0/8\", or an address";
    size_t count;
    if (!tw_reader_list(reader, "trusted_proxies", index, "a list of networks", &count)) return;
    out->trusted_proxies = (struct tw_cidr *)tw_alloc(count * sizeof *out->trusted_proxies);
    for (size_t i = 1; i <= count; i++) {
        char path[40];
        struct tw_str text;
        snprintf(path, sizeof path, "trusted_proxies[%zu]", i);
        lua_rawgeti(reader->L, index, (int)i);
        int value = lua_gettop(reader->L);
        if (tw_reader_text(reader, path, value, what, &text)) {
            if (tw_cidr_parse(text, &out->trusted_proxies[out->trusted_proxy_count]) == 0) {
                out->trusted_proxy_count++;
            } else {
                tw_reader_expected(reader, path, value, what);
            }
        }
        lua_pop(reader->L, 1);
    }
}

void tw_read_origins(struct tw_reader *reader, int index, struct tw_settings *out) {
    static const char what[] = "an origin such as \"https://example.com\" or "
                               "\"https://*.example.com\"";
    size_t count;
    if (!tw_reader_list(reader, "allowed_origins", index, "a list of origins", &count)) return;
    for (size_t i = 1; i <= count; i++) {
        char path[40];
        struct tw_str text;
        snprintf(path, sizeof path, "allowed_origins[%zu]", i);
        lua_rawgeti(reader->L, index, (int)i);
        int value = lua_gettop(reader->L);
        if (tw_reader_text(reader, path, value, what, &text)) {
            const char *mark = (const char *)memmem(text.data, text.length, "://", 3);
            if (mark && mark > text.data && text.data + text.length > mark + 3) {
                tw_read_add_text(&out->allowed_origins, &out->allowed_origin_count, text);
            } else {
                tw_reader_expected(reader, path, value, what);
            }
        }
        lua_pop(reader->L, 1);
    }
}

void tw_read_env(struct tw_reader *reader, int index, struct tw_settings *out) {
    static const char what[] = "a variable's name such as \"WS_TOKEN\", or a beginning and a star "
                               "such as \"APP_*\"";
    size_t count;
    if (!tw_reader_list(reader, "env", index, "a list of variables' names", &count)) return;
    out->has_env = true;
    for (size_t i = 1; i <= count; i++) {
        char path[24];
        struct tw_str text;
        snprintf(path, sizeof path, "env[%zu]", i);
        lua_rawgeti(reader->L, index, (int)i);
        int value = lua_gettop(reader->L);
        if (tw_reader_text(reader, path, value, what, &text)) {
            if (is_variable(text)) {
                tw_read_add_text(&out->env, &out->env_count, text);
            } else {
                tw_reader_expected(reader, path, value, what);
            }
        }
        lua_pop(reader->L, 1);
    }
}

void tw_read_add_text(char ***list, size_t *count, struct tw_str text) {
    *list = (char **)tw_realloc(*list, (*count + 1) * sizeof **list);
    (*list)[(*count)++] = tw_memdup(text.data, text.length);
}

static void read_listener(struct tw_reader *reader, const char *path, int index,
                          struct tw_settings *out) {
    static const char what[] = "an address such as \"127.0.0.1:8080\", \"[::1]:8080\" or "
                               "\"unix:/run/tw.sock\"";
    static const char *const names[] = {"address", "tls", NULL};
    lua_State *L = reader->L;
    int top = lua_gettop(L);
    struct tw_str text;
    if (lua_istable(L, index)) {
        size_t found = reader->found;
        tw_reader_check_keys(reader, index, path, names);
        if (reader->found > found) return;
        lua_pushliteral(L, "tls");
        lua_rawget(L, index);
        if (!lua_isnil(L, -1)) tw_reader_error(reader, path, "tls is not supported yet");
        lua_pushliteral(L, "address");
        lua_rawget(L, index);
        index = lua_gettop(L);
    }
    if (tw_reader_text(reader, path, index, what, &text)) {
        if (is_address(text)) {
            tw_read_add_text(&out->listen, &out->listen_count, text);
        } else {
            tw_reader_expected(reader, path, index, what);
        }
    }
    lua_settop(L, top);
}

/* The look of one only; whether it exists shows when it is opened. */
static bool is_address(struct tw_str text) {
    enum { MOST_UNIX = 107 }; /* sun_path */
    struct tw_str prefix = TW_STR("unix:");
    if (tw_str_starts(text, prefix)) {
        return text.length > prefix.length && text.length - prefix.length <= MOST_UNIX;
    }
    const char *colon = (const char *)memrchr(text.data, ':', text.length);
    if (!colon || colon == text.data) return false;
    unsigned port = 0;
    const char *end = text.data + text.length;
    if (end - colon < 2 || end - colon > 6) return false;
    for (const char *p = colon + 1; p < end; p++) {
        if (*p < '0' || *p > '9') return false;
        port = port * 10 + (unsigned)(*p - '0');
    }
    bool has_more = memchr(text.data, ':', (size_t)(colon - text.data)) != NULL;
    return port <= 65535 && (!has_more || (text.data[0] == '[' && colon[-1] == ']'));
}

/* Letters, digits and '_'; a star at the end only. */
static bool is_variable(struct tw_str text) {
    for (size_t i = 0; i < text.length; i++) {
        char c = text.data[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        bool is_digit = c >= '0' && c <= '9' && i > 0;
        if (!is_letter && !is_digit && !(c == '*' && i + 1 == text.length)) return false;
    }
    return text.length > 0;
}
