/* read_settings.c: one table says what there is; the rest follows from it. To add a setting: a line
 * in `fields`, a member of struct tw_settings with its default, a line in
 * scripts/tidewire/meta/settings.lua. */
#include "script/read_settings.h"

#include <lauxlib.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "script/lua_json.h"
#include "script/text.h"

enum kind {
    UINT32,
    SIZE,
    NUMBER,
    SECONDS,
    BOOLEAN,
    POLICY,
    REJECT,
    WORKERS,
    LISTEN,
    PROXIES,
    ORIGINS,
    ENV
};

struct field {
    const char *path;
    enum kind kind;
    size_t offset;
    double least, most;
};

enum { MOST_CHILDREN = 32, NAME_SIZE = 32, PATH_SIZE = 120, MOST_WORKERS = 256 };

#define AT(member) offsetof(struct tw_settings, member)
#define DEFAULT_LISTEN "127.0.0.1:8080" /* when the list is empty */
#define MOST_UINT32 4294967295.0
#define DAY 86400.0
#define GIB 1073741824.0
#define RATE(path, member)                                                                         \
    {path ".rate", NUMBER, AT(member.rate), 0, 1e12}, {                                            \
        path ".burst", NUMBER, AT(member.burst), 0, 1e12                                           \
    }

static const struct field fields[] = {
    {"listen", LISTEN, 0, 0, 0},
    {"workers", WORKERS, 0, 1, MOST_WORKERS},
    {"heartbeat.interval", SECONDS, AT(heartbeat_interval_ms), 0, DAY},
    {"heartbeat.timeout", SECONDS, AT(heartbeat_timeout_ms), 0.001, DAY},
    {"limits.connections", UINT32, AT(limits.connections), 1, MOST_UINT32},
    {"limits.connections_per_ip", UINT32, AT(limits.connections_per_ip), 0, MOST_UINT32},
    RATE("limits.handshakes_per_ip", limits.handshakes_per_ip),
    RATE("limits.messages", limits.messages),
    RATE("limits.bytes", limits.bytes),
    {"limits.message_size", UINT32, AT(limits.message_size), 1, GIB},
    {"limits.header_size", UINT32, AT(limits.header_size), 256, 1048576},
    {"limits.handshake_timeout", SECONDS, AT(limits.handshake_timeout_ms), 0.001, DAY},
    {"limits.channels_per_client", UINT32, AT(limits.channels_per_client), 1, 65535},
    {"limits.violations", UINT32, AT(limits.violations), 1, 65535},
    {"queue.size", UINT32, AT(queue.size), 1, 1e9},
    {"queue.bytes", UINT32, AT(queue_bytes), 1, MOST_UINT32},
    {"queue.overflow", POLICY, AT(queue.overflow), 0, 0},
    {"socket_buffer", UINT32, AT(socket_buffer), 0, GIB},
    {"trusted_proxies", PROXIES, 0, 0, 0},
    {"allowed_origins", ORIGINS, 0, 0, 0},
    {"reject_with", REJECT, AT(reject_with_close), 0, 0},
    {"drain.window", SECONDS, AT(drain_window_ms), 0, DAY},
    {"drain.timeout", SECONDS, AT(drain_timeout_ms), 0, DAY},
    {"script.deadline", SECONDS, AT(script_deadline_ms), 0.001, 3600},
    {"script.memory", SIZE, AT(script_memory), 1048576, 64 * GIB},
    {"script.jit", BOOLEAN, AT(script_jit), 0, 0},
    {"env", ENV, 0, 0, 0},
    {"shared.memory", SIZE, AT(shared_memory), 0, 64 * GIB},
    {"script.quarantine.failures", UINT32, AT(quarantine.failures), 0, 1e9},
    {"script.quarantine.window", SECONDS, AT(quarantine.window_ms), 0.001, DAY},
    {"script.quarantine.retry", SECONDS, AT(quarantine.retry_ms), 0.001, DAY},
    {"script.rollback.window", SECONDS, AT(rollback.window_ms), 0, DAY},
    {"script.rollback.calls", UINT32, AT(rollback.calls), 1, 1e9},
    {"script.rollback.share", NUMBER, AT(rollback.share), 0, 1},
};
enum { FIELD_COUNT = sizeof fields / sizeof *fields };

/* The keys of one table of settings. */
struct children {
    char texts[MOST_CHILDREN][NAME_SIZE];
    const char *names[MOST_CHILDREN + 1];
    size_t count;
};

static void read_table(struct tw_reader *reader, int index, const char *path, bool is_app,
                       struct tw_settings *out);
static void list_children(const char *path, struct children *out);
static void add_child(struct children *out, const char *name, size_t length);
static const struct field *find_field(const char *path);
static void read_field(struct tw_reader *reader, const struct field *field, int index,
                       struct tw_settings *out);
static void read_noting(struct tw_reader *reader, const struct field *field, int index,
                        struct tw_settings *out);
static int to_json(lua_State *L);
static void read_workers(struct tw_reader *reader, int index, struct tw_settings *out);
static unsigned online_cpus(void);
static void complete_rate(struct tw_rate *rate);

void tw_read_settings(struct tw_reader *reader, int index, bool is_app, struct tw_settings *out) {
    out->workers = online_cpus();
    if (!lua_istable(reader->L, index)) {
        tw_reader_expected(reader, "", index, "that the file returns a table of settings");
        return;
    }
    read_table(reader, index, "", is_app, out);
    if (out->listen_count == 0) {
        tw_read_add_text(&out->listen, &out->listen_count, TW_STR(DEFAULT_LISTEN));
    }
    complete_rate(&out->limits.handshakes_per_ip);
    complete_rate(&out->limits.messages);
    complete_rate(&out->limits.bytes);
}

const char *tw_read_settings_path(size_t i) {
    return i < FIELD_COUNT ? fields[i].path : NULL;
}

static void read_table(struct tw_reader *reader, int index, const char *path, bool is_app,
                       struct tw_settings *out) {
    lua_State *L = reader->L;
    struct children children;
    list_children(path, &children);
    size_t settings = children.count;
    if (is_app) {
        add_child(&children, "auth", 4);
        add_child(&children, "channels", 8);
    }
    luaL_checkstack(L, 8, "settings");
    tw_reader_check_keys(reader, index, path, children.names);
    for (size_t i = 0; i < settings; i++) {
        char full[PATH_SIZE];
        snprintf(full, sizeof full, "%s%s%s", path, path[0] ? "." : "", children.names[i]);
        lua_pushstring(L, children.names[i]);
        lua_rawget(L, index);
        int value = lua_gettop(L);
        const struct field *field = find_field(full);
        if (lua_isnil(L, value)) {
            /* the default stays */
        } else if (field) {
            read_noting(reader, field, value, out);
        } else if (lua_istable(L, value)) {
            read_table(reader, value, full, false, out);
        } else {
            tw_reader_expected(reader, full, value, "a table");
        }
        lua_settop(L, value - 1);
    }
}

static void list_children(const char *path, struct children *out) {
    size_t prefix = strlen(path);
    *out = (struct children){.count = 0};
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        const char *name = fields[i].path;
        if (prefix > 0) {
            if (strncmp(name, path, prefix) != 0 || name[prefix] != '.') continue;
            name += prefix + 1;
        }
        add_child(out, name, strcspn(name, "."));
    }
}

static void add_child(struct children *out, const char *name, size_t length) {
    for (size_t i = 0; i < out->count; i++) {
        if (strncmp(out->names[i], name, length) == 0 && !out->names[i][length]) return;
    }
    tw_text_copy(out->texts[out->count], NAME_SIZE, (struct tw_str){name, length});
    out->names[out->count] = out->texts[out->count];
    out->count++;
}

static const struct field *find_field(const char *path) {
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        if (strcmp(fields[i].path, path) == 0) return &fields[i];
    }
    return NULL;
}

static void read_field(struct tw_reader *reader, const struct field *field, int index,
                       struct tw_settings *out) {
    static const char *const rejections[] = {"http", "close", NULL};
    void *place = (char *)out + field->offset;
    double number;
    int choice;
    switch (field->kind) {
    case UINT32:
    case SIZE:
        if (!tw_reader_number(reader, field->path, index, field->least, field->most, true, &number))
            break;
        if (field->kind == SIZE) {
            *(size_t *)place = (size_t)number;
        } else {
            *(uint32_t *)place = (uint32_t)number;
        }
        break;
    case NUMBER:
        tw_reader_number(reader, field->path, index, field->least, field->most, false,
                         (double *)place);
        break;
    case SECONDS:
        tw_reader_seconds(reader, field->path, index, field->least, field->most, (uint64_t *)place);
        break;
    case BOOLEAN:
        tw_reader_boolean(reader, field->path, index, (bool *)place);
        break;
    case POLICY:
        if (tw_reader_choice(reader, field->path, index, tw_reader_overflows, &choice))
            *(enum tw_overflow *)place = (enum tw_overflow)choice;
        break;
    case REJECT:
        if (tw_reader_choice(reader, field->path, index, rejections, &choice))
            *(bool *)place = choice == 1;
        break;
    case WORKERS:
        read_workers(reader, index, out);
        break;
    case LISTEN:
        tw_read_listen(reader, index, out);
        break;
    case PROXIES:
        tw_read_proxies(reader, index, out);
        break;
    case ORIGINS:
        tw_read_origins(reader, index, out);
        break;
    case ENV:
        tw_read_env(reader, index, out);
        break;
    }
}

/* Whatever its kind: if reading it changed anything, it differs from the default. */
static void read_noting(struct tw_reader *reader, const struct field *field, int index,
                        struct tw_settings *out) {
    unsigned char before[sizeof *out];
    size_t found = reader->found;
    memcpy(before, out, sizeof before);
    read_field(reader, field, index, out);
    if (!reader->generation || reader->found != found) return;
    if (memcmp(before, (const void *)out, sizeof before) == 0) return;
    lua_pushcfunction(reader->L, to_json);
    lua_pushvalue(reader->L, index);
    bool is_json = lua_pcall(reader->L, 1, 1, 0) == 0; /* a path need not be UTF-8 */
    struct tw_str text = is_json ? tw_text_at(reader->L, -1) : TW_STR("\"?\"");
    bool is_default = field->kind == LISTEN && tw_str_eq(text, TW_STR("\"" DEFAULT_LISTEN "\""));
    if (!is_default) tw_generation_note(reader->generation, field->path, text);
    lua_pop(reader->L, 1);
}

static int to_json(lua_State *L) {
    struct tw_str text = tw_lua_json_text(L, 1, "value");
    lua_pushlstring(L, text.data, text.length);
    return 1;
}

static void read_workers(struct tw_reader *reader, int index, struct tw_settings *out) {
    double number = lua_type(reader->L, index) == LUA_TNUMBER ? lua_tonumber(reader->L, index) : 0;
    if (number >= 1 && number <= MOST_WORKERS && number == floor(number)) {
        out->workers = (unsigned)number;
    } else if (lua_type(reader->L, index) != LUA_TSTRING ||
               !tw_str_eq(tw_text_at(reader->L, index), TW_STR("auto"))) {
        tw_reader_expected(reader, "workers", index, "\"auto\" or a whole number from 1 to 256");
    }
}

static unsigned online_cpus(void) {
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count < 1 ? 1 : count > MOST_WORKERS ? MOST_WORKERS : (unsigned)count;
}

/* A bucket that cannot hold one token would refuse everything: then it holds a second's worth. */
static void complete_rate(struct tw_rate *rate) {
    if (rate->rate > 0 && rate->burst < 1) rate->burst = rate->rate > 1 ? rate->rate : 1;
}
