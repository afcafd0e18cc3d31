/* lua_sim.c: a sim is a userdata, a client a number (1, 2, 3 ... in the order of connecting).
 *
 * Errors of use raise; what a spec may want to look at is returned. The log of the broker is kept
 * in memory, for all sims of the process together. */
#include "sim/lua_sim.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/status.h"
#include "sim/lua_stats.h"
#include "sim/sim.h"

#define SIM "tidewire.sim"

struct box {
    struct tw_sim *sim; /* NULL: freed */
    char *app, **overrides;
    size_t override_count;
    struct tw_link **links; /* of the clients; borrowed */
    size_t link_count;
    struct box *next; /* keeps every sim reachable for leak checkers, which do not look into Lua */
};

static struct box *boxes;
static struct tw_buf log_text;

static void on_log(void *data, enum tw_log_level level, const char *line, size_t length) {
    (void)data, (void)level;
    tw_buf_append(&log_text, line, length);
    tw_buf_append(&log_text, "\n", 1);
}

static struct box *check_box(lua_State *L) {
    struct box *box = luaL_checkudata(L, 1, SIM);
    if (!box->sim) luaL_error(L, "this simulation was freed");
    return box;
}

static struct tw_sim *check_sim(lua_State *L) {
    return check_box(L)->sim;
}

static struct tw_link *check_link(lua_State *L) {
    struct box *box = check_box(L);
    lua_Integer number = luaL_checkinteger(L, 2);
    if (number < 1 || (size_t)number > box->link_count) luaL_error(L, "no client %d", (int)number);
    return box->links[number - 1];
}

static struct tw_str check_text(lua_State *L, int index) {
    struct tw_str text;
    text.data = luaL_checklstring(L, index, &text.length);
    return text;
}

/* --- a sim --- */

static void push_errors(lua_State *L, const struct tw_load_errors *errors) {
    lua_createtable(L, (int)errors->count, 0);
    for (size_t i = 0; i < errors->count; i++) {
        lua_createtable(L, 0, 3);
        lua_pushstring(L, errors->items[i].file);
        lua_setfield(L, -2, "file");
        lua_pushinteger(L, errors->items[i].line);
        lua_setfield(L, -2, "line");
        lua_pushstring(L, errors->items[i].message);
        lua_setfield(L, -2, "message");
        lua_rawseti(L, -2, (int)i + 1);
    }
}

static void free_box(struct box *box) {
    struct box **link = &boxes;
    if (box->sim) tw_sim_free(box->sim);
    for (size_t i = 0; i < box->override_count; i++)
        tw_free(box->overrides[i]);
    tw_free(box->overrides);
    tw_free(box->app);
    tw_free(box->links);
    while (*link && *link != box)
        link = &(*link)->next;
    if (*link) *link = box->next;
    *box = (struct box){0};
}

static int sim_free(lua_State *L) {
    free_box(luaL_checkudata(L, 1, SIM));
    return 0;
}

/* new(app, seed, overrides) -> sim | nil, errors */
static int core_new(lua_State *L) {
    const char *app = luaL_checkstring(L, 1);
    double seed = luaL_checknumber(L, 2);
    luaL_checktype(L, 3, LUA_TTABLE);
    size_t count = lua_objlen(L, 3);
    for (size_t i = 1; i <= count; i++) {
        lua_rawgeti(L, 3, (int)i);
        luaL_checkstring(L, -1);
        lua_pop(L, 1);
    }
    struct box *box = lua_newuserdata(L, sizeof *box);
    memset(box, 0, sizeof *box);
    luaL_getmetatable(L, SIM);
    lua_setmetatable(L, -2);
    box->next = boxes;
    boxes = box;
    box->app = tw_format("%s", app);
    box->overrides = tw_alloc((count + 1) * sizeof(char *));
    for (size_t i = 1; i <= count; i++) {
        lua_rawgeti(L, 3, (int)i);
        box->overrides[box->override_count++] = tw_format("%s", lua_tostring(L, -1));
        lua_pop(L, 1);
    }
    struct tw_app options = {.path = box->app,
                             .overrides = (const char *const *)box->overrides,
                             .override_count = count,
                             .scripts_dir = TW_SCRIPTS_DIR};
    struct tw_load_errors errors = {0};
    if (tw_sim_new(&box->sim, &options, (uint64_t)seed, &errors) == 0) return 1;
    free_box(box);
    lua_pushnil(L);
    push_errors(L, &errors);
    tw_load_errors_deinit(&errors);
    return 2;
}

static int core_log(lua_State *L) {
    bool forget = lua_toboolean(L, 1); /* log(true): and forget it */
    lua_pushlstring(L, log_text.data ? log_text.data : "", log_text.length);
    if (forget) log_text.length = 0;
    return 1;
}

static int core_checks(lua_State *L) {
    lua_pushinteger(L, (lua_Integer)tw_check_count());
    return 1;
}

/* fail_after(n) -> what was left of the n before: the n-th allocation that may fail from now does,
 * once; -1: none. 0: it has. */
static int core_fail_after(lua_State *L) {
    lua_pushinteger(L, tw_mem_fail_after((long)luaL_checkinteger(L, 1)));
    return 1;
}

static int sim_settle(lua_State *L) {
    tw_sim_settle(check_sim(L));
    return 0;
}

static int sim_advance(lua_State *L) {
    struct tw_sim *sim = check_sim(L);
    double seconds = luaL_checknumber(L, 2);
    luaL_argcheck(L, seconds >= 0 && seconds < 1e9, 2, "seconds, 0 or more");
    tw_sim_advance(sim, (uint64_t)(seconds * 1e6 + 0.5));
    return 0;
}

/* advance_next(seconds) -> by how much */
static int sim_advance_next(lua_State *L) {
    struct tw_sim *sim = check_sim(L);
    double seconds = luaL_checknumber(L, 2);
    luaL_argcheck(L, seconds >= 0 && seconds < 1e9, 2, "seconds, 0 or more");
    lua_pushnumber(L, (double)tw_sim_advance_next(sim, (uint64_t)(seconds * 1e6 + 0.5)) / 1e6);
    return 1;
}

/* now() -> unix seconds */
static int sim_now(lua_State *L) {
    lua_pushnumber(L, tw_sim_wall(check_sim(L)));
    return 1;
}

static int sim_drain(lua_State *L) {
    tw_sim_drain(check_sim(L));
    return 0;
}

/* reload() -> true | false, errors */
static int sim_reload(lua_State *L) {
    struct tw_load_errors errors = {0};
    int status = tw_sim_reload(check_sim(L), &errors);
    lua_pushboolean(L, status == 0);
    push_errors(L, &errors);
    tw_load_errors_deinit(&errors);
    return 2;
}

/* rollback() -> true | false, errors: none if there is nothing to go back to */
static int sim_rollback(lua_State *L) {
    struct tw_load_errors errors = {0};
    int status = tw_sim_rollback(check_sim(L), &errors);
    lua_pushboolean(L, status == 0);
    push_errors(L, &errors);
    tw_load_errors_deinit(&errors);
    return 2;
}

static void set_text(lua_State *L, const char *name, const char *value) {
    lua_pushstring(L, value);
    lua_setfield(L, -2, name);
}

static void set_number(lua_State *L, const char *name, double value) {
    lua_pushnumber(L, value);
    lua_setfield(L, -2, name);
}

/* publish(channel, payload, is_binary) -> { status = "...", channel, epoch, offset, hook ... } */
static int sim_publish(lua_State *L) {
    int status;
    struct tw_mail *answer = tw_sim_publish(check_sim(L), check_text(L, 2), check_text(L, 3),
                                            lua_toboolean(L, 4), &status);
    lua_createtable(L, 0, 8);
    if (!answer) {
        set_text(L, "error", tw_strerror(status));
        return 1;
    }
    lua_pushlstring(L, answer->channel->text.data, answer->channel->text.length);
    lua_setfield(L, -2, "channel");
    if (answer->status == 0) {
        set_text(L, "epoch", answer->epoch);
        set_number(L, "offset", (double)answer->offset);
    } else if (answer->status == TW_EDROPPED) {
        lua_pushboolean(L, 1);
        lua_setfield(L, -2, "dropped");
    } else {
        set_text(L, "error", tw_strerror(answer->status));
    }
    bool is_for_now = answer->failure && answer->failure->retry_ms > 0;
    if (is_for_now) set_number(L, "retry_after", (double)answer->failure->retry_ms / 1000.0);
    if (answer->status == TW_ESCRIPT || is_for_now) {
        set_text(L, "hook", answer->failure->hook);
        set_text(L, "script", answer->failure->script);
        set_number(L, "line", answer->failure->line);
        set_text(L, "message", answer->failure->message);
    }
    tw_mail_free(answer);
    return 1;
}

/* counts() -> what is quick to tell of stats() */
static int sim_counts(lua_State *L) {
    tw_lua_push_counts(L, check_sim(L));
    return 1;
}

static int sim_stats(lua_State *L) {
    tw_lua_push_stats(L, check_sim(L));
    return 1;
}

/* --- its clients --- */

static void read_options(lua_State *L, int index, struct tw_link_options *options) {
    static const char *const names[] = {"up_speed",  "down_speed",  "delay",
                                        "up_buffer", "down_buffer", NULL};
    double values[] = {options->up_speed, options->down_speed, (double)options->delay_us / 1e6,
                       (double)options->up_buffer, (double)options->down_buffer};
    for (size_t i = 0; names[i]; i++) {
        lua_getfield(L, index, names[i]);
        if (!lua_isnil(L, -1)) values[i] = luaL_checknumber(L, -1);
        if (values[i] < 0 || values[i] > 1e12) luaL_error(L, "%s is out of range", names[i]);
        lua_pop(L, 1);
    }
    options->up_speed = values[0];
    options->down_speed = values[1];
    options->delay_us = (uint64_t)(values[2] * 1e6);
    options->up_buffer = (size_t)values[3];
    options->down_buffer = (size_t)values[4];
    lua_getfield(L, index, "split");
    if (!lua_isnil(L, -1)) options->is_split = lua_toboolean(L, -1);
    lua_pop(L, 1);
}

static void read_flag(lua_State *L, int index, const char *name, bool *flag) {
    lua_getfield(L, index, name);
    if (!lua_isnil(L, -1)) *flag = lua_toboolean(L, -1);
    lua_pop(L, 1);
}

static void read_flags(lua_State *L, int index, struct tw_link *link) {
    read_flag(L, index, "stalled", &link->is_stalled);
    read_flag(L, index, "no_pong", &link->peer.no_pong);
    read_flag(L, index, "no_close_reply", &link->peer.no_close_reply);
    read_flag(L, index, "keeps_pings", &link->peer.keeps_pings);
}

/* connect(ip, request, options) -> number | nil: nobody listens */
static int sim_connect(lua_State *L) {
    struct box *box = check_box(L);
    struct tw_ip ip;
    luaL_argcheck(L, tw_ip_parse(check_text(L, 2), &ip) == 0, 2, "an IP address");
    struct tw_str request = check_text(L, 3);
    luaL_checktype(L, 4, LUA_TTABLE);
    struct tw_link_options options = tw_sim_link_defaults(box->sim);
    read_options(L, 4, &options);
    box->links = tw_realloc(box->links, (box->link_count + 1) * sizeof(struct tw_link *));
    struct tw_link *link = tw_sim_connect(box->sim, &ip, &options, request);
    if (!link) return 0;
    read_flags(L, 4, link);
    box->links[box->link_count++] = link;
    lua_pushinteger(L, (lua_Integer)box->link_count);
    return 1;
}

/* configure(client, options) */
static int sim_configure(lua_State *L) {
    struct tw_link *link = check_link(L);
    luaL_checktype(L, 3, LUA_TTABLE);
    struct tw_link_options options = {.up_speed = link->up.speed,
                                      .down_speed = link->down.speed,
                                      .delay_us = link->up.delay_us,
                                      .up_buffer = link->up.capacity,
                                      .down_buffer = link->down.capacity,
                                      .is_split = link->is_split};
    read_options(L, 3, &options);
    read_flags(L, 3, link);
    tw_link_configure(link, &options);
    return 0;
}

/* write(client, bytes) */
static int sim_write(lua_State *L) {
    struct tw_link *link = check_link(L);
    struct tw_str bytes = check_text(L, 3);
    tw_buf_append(&link->peer.out, bytes.data, bytes.length);
    tw_link_pump(link);
    return 0;
}

/* send(client, first_byte, payload): a masked frame */
static int sim_send(lua_State *L) {
    struct tw_link *link = check_link(L);
    unsigned first = (unsigned)luaL_checkinteger(L, 3);
    tw_peer_send(&link->peer, first, check_text(L, 4));
    if ((first & 0x0f) == TW_OP_CLOSE) link->peer.has_sent_close = true;
    tw_link_pump(link);
    return 0;
}

/* take(client) -> payload, opcode | nothing */
static int sim_take(lua_State *L) {
    struct tw_peer_message *message = tw_peer_take(&check_link(L)->peer);
    if (!message) return 0;
    lua_pushlstring(L, message->bytes, message->length);
    lua_pushinteger(L, message->opcode);
    tw_free(message);
    return 2;
}

/* take_all(client) -> the payloads of all that are there, as a list | nothing */
static int sim_take_all(lua_State *L) {
    struct tw_peer *peer = &check_link(L)->peer;
    if (!peer->first) return 0;
    lua_createtable(L, (int)peer->count, 0);
    for (int i = 1; peer->first; i++) {
        lua_pushlstring(L, peer->first->bytes, peer->first->length);
        tw_free(tw_peer_take(peer));
        lua_rawseti(L, -2, i);
    }
    return 1;
}

/* changed() -> the clients to which something may have happened since the last call, as a list */
static int sim_changed(lua_State *L) {
    struct tw_sim *sim = check_sim(L);
    size_t number;
    lua_newtable(L);
    for (int i = 1; (number = tw_sim_next_changed(sim)) > 0; i++) {
        lua_pushinteger(L, (lua_Integer)number);
        lua_rawseti(L, -2, i);
    }
    return 1;
}

/* What look() knows of a client; `fault` is nil when there is none. */
enum field {
    STATE,
    STATUS,
    HEAD,
    BODY,
    CLOSE_CODE,
    CLOSE_REASON,
    COUNT,
    PINGS,
    UNSENT,
    WORKER,
    WAS_RESET,
    HAS_SESSION,
    FAULT,
    FIELDS
};
static const char *const field_names[FIELDS + 1] = {
    [STATE] = "state",   [STATUS] = "status",         [HEAD] = "head",
    [BODY] = "body",     [CLOSE_CODE] = "close_code", [CLOSE_REASON] = "close_reason",
    [COUNT] = "count",   [PINGS] = "pings",           [UNSENT] = "unsent",
    [WORKER] = "worker", [WAS_RESET] = "was_reset",   [HAS_SESSION] = "has_session",
    [FAULT] = "fault",
};

static void push_buf(lua_State *L, const struct tw_buf *buf) {
    lua_pushlstring(L, buf->data ? buf->data : "", buf->length);
}

static void push_field(lua_State *L, const struct tw_link *link, enum field field) {
    static const char *const states[] = {"http", "open", "ended"};
    const struct tw_peer *peer = &link->peer;
    switch (field) {
    case STATE:
        lua_pushstring(L, states[peer->state]);
        break;
    case STATUS:
        lua_pushinteger(L, peer->status);
        break;
    case HEAD:
        push_buf(L, &peer->head);
        break;
    case BODY:
        push_buf(L, &peer->in);
        break;
    case CLOSE_CODE:
        lua_pushinteger(L, (lua_Integer)peer->close_code);
        break;
    case CLOSE_REASON:
        lua_pushstring(L, peer->close_reason);
        break;
    case COUNT:
        lua_pushinteger(L, (lua_Integer)peer->count);
        break;
    case PINGS:
        lua_pushinteger(L, (lua_Integer)peer->pings);
        break;
    case UNSENT:
        lua_pushinteger(L, (lua_Integer)(peer->out.length + link->up.bytes.length));
        break;
    case WORKER:
        lua_pushinteger(L, (lua_Integer)link->node);
        break;
    case WAS_RESET:
        lua_pushboolean(L, link->is_reset);
        break;
    case HAS_SESSION:
        lua_pushboolean(L, link->session != NULL);
        break;
    case FAULT:
        lua_pushstring(L, peer->fault);
        break;
    case FIELDS:
        lua_pushnil(L);
        break;
    }
}

/* look(client) -> { state, status, head, body, close_code ... }; look(client, name ...) -> those */
static int sim_look(lua_State *L) {
    const struct tw_link *link = check_link(L);
    int names = lua_gettop(L) - 2;
    luaL_checkstack(L, names, "too many names");
    for (int i = 0; i < names; i++)
        push_field(L, link, (enum field)luaL_checkoption(L, 3 + i, NULL, field_names));
    if (names > 0) return names;
    lua_createtable(L, 0, FIELDS);
    for (int field = 0; field < FIELDS; field++) {
        push_field(L, link, (enum field)field);
        lua_setfield(L, -2, field_names[field]);
    }
    return 1;
}

static int sim_half_close(lua_State *L) {
    tw_link_end_up(check_link(L));
    return 0;
}

static int sim_reset(lua_State *L) {
    tw_link_reset(check_link(L));
    return 0;
}

/* --- the module --- */

static const luaL_Reg methods[] = {
    {"settle", sim_settle},
    {"advance", sim_advance},
    {"advance_next", sim_advance_next},
    {"now", sim_now},
    {"drain", sim_drain},
    {"reload", sim_reload},
    {"rollback", sim_rollback},
    {"publish", sim_publish},
    {"stats", sim_stats},
    {"counts", sim_counts},
    {"changed", sim_changed},
    {"connect", sim_connect},
    {"configure", sim_configure},
    {"write", sim_write},
    {"send", sim_send},
    {"take", sim_take},
    {"take_all", sim_take_all},
    {"look", sim_look},
    {"half_close", sim_half_close},
    {"reset", sim_reset},
    {"free", sim_free},
    {NULL, NULL},
};

static const luaL_Reg functions[] = {
    {"new", core_new}, {"log", core_log}, {"checks", core_checks}, {"fail_after", core_fail_after},
    {NULL, NULL},
};

int luaopen_tidewire_sim_core(lua_State *L) {
    tw_log_set_sink(on_log, NULL);
    luaL_newmetatable(L, SIM);
    lua_pushcfunction(L, sim_free);
    lua_setfield(L, -2, "__gc");
    lua_newtable(L);
    luaL_register(L, NULL, methods);
    lua_setfield(L, -2, "__index");
    lua_newtable(L);
    luaL_register(L, NULL, functions);
    return 1;
}
