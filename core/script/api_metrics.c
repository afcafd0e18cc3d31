/* api_metrics.c: tidewire.metrics, on broker/metrics.c. Not effects: done at once, and they stay
 * when the handler fails. */
#include <errno.h>
#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>

#include "base/status.h"
#include "base/utf8.h"
#include "script/api.h"
#include "script/text.h"
#include "script/vm.h"

enum { MOST_LABELS = 16, MOST_VALUE = 256 };

static int l_count(lua_State *L);
static int l_gauge(lua_State *L);
static int l_observe(lua_State *L);

static const luaL_Reg functions[] = {
    {"count", l_count}, {"gauge", l_gauge}, {"observe", l_observe}, {NULL, NULL}};

void tw_api_push_metrics(lua_State *L) {
    lua_newtable(L);
    luaL_setfuncs(L, functions, 0);
}

struct label {
    struct tw_str name, value;
};

static int compare_labels(const void *a, const void *b) {
    return tw_str_compare(((const struct label *)a)->name, ((const struct label *)b)->name);
}

/* The table's strings keep the bytes of `labels` alive; numbers and booleans are made texts on the
 * stack. */
static size_t read_labels(lua_State *L, int index, struct label labels[MOST_LABELS]) {
    size_t count = 0;
    luaL_checktype(L, index, LUA_TTABLE);
    luaL_checkstack(L, MOST_LABELS + 8, "labels");
    lua_pushnil(L);
    while (lua_next(L, index)) {
        if (lua_type(L, -2) != LUA_TSTRING || !tw_metrics_is_label(tw_text_at(L, -2)))
            luaL_argerror(L, index,
                          "a label's name is made of letters, digits and '_', and is not 'le'");
        if (count == MOST_LABELS) luaL_argerror(L, index, "more than 16 labels");
        int type = lua_type(L, -1);
        if (type != LUA_TSTRING && type != LUA_TNUMBER && type != LUA_TBOOLEAN)
            luaL_argerror(L, index, "a label's value is a text, a number or a boolean");
        if (type != LUA_TSTRING) {
            tw_text_push(L, lua_gettop(L));
            lua_remove(L, -2);
        }
        struct label *label = &labels[count++];
        *label = (struct label){tw_text_at(L, -2), tw_text_at(L, -1)};
        if (label->value.length > MOST_VALUE ||
            !tw_utf8_is_valid(label->value.data, label->value.length))
            luaL_argerror(L, index, "a label's value is at most 256 bytes of UTF-8");
        lua_insert(L, -2); /* the value stays, below the key that lua_next asks for */
    }
    if (count > 1) qsort(labels, count, sizeof *labels, compare_labels);
    return count;
}

static int record(lua_State *L, enum tw_metric_kind kind, const char *what, double value) {
    struct tw_vm *vm = tw_vm_of(L);
    struct label labels[MOST_LABELS];
    tw_api_check_in_hook(L, what);
    luaL_checktype(L, 1, LUA_TSTRING);
    luaL_argcheck(L, tw_metrics_is_name(tw_text_at(L, 1)), 1,
                  "a metric's name is made of letters, digits, '_' and ':', at most 200, and does "
                  "not begin with tidewire_");
    size_t count = lua_isnoneornil(L, 3) ? 0 : read_labels(L, 3, labels);
    int status = 0;
    vm->scratch.length = 0;
    for (size_t i = 0; i < count && status == 0; i++)
        status = tw_metrics_add_label(&vm->scratch, labels[i].name, labels[i].value);
    struct tw_str name = tw_text_at(L, 1), text = {vm->scratch.data, vm->scratch.length};
    if (status == 0) status = tw_metrics_add(vm->common->metrics, kind, name, text, value);
    if (status == -EEXIST)
        return luaL_error(L, "%s: %s is a metric of another kind already", what, name.data);
    if (status == TW_EFULL)
        return luaL_error(L, "%s: there are %d series of metrics already, which is the most", what,
                          TW_METRICS_MAX_SERIES);
    if (status != 0) return luaL_error(L, "not enough memory");
    return 0;
}

static double check_value(lua_State *L, bool is_any) {
    lua_Number value = luaL_checknumber(L, 2);
    luaL_argcheck(L, isfinite(value) && (is_any || value >= 0), 2,
                  is_any ? "a finite number" : "a finite number, 0 or more");
    return value;
}

/* count(name [, by [, labels]]) */
static int l_count(lua_State *L) {
    double by = lua_isnoneornil(L, 2) ? 1 : check_value(L, false);
    return record(L, TW_METRIC_COUNTER, "tidewire.metrics.count", by);
}

/* gauge(name, value [, labels]) */
static int l_gauge(lua_State *L) {
    double value = check_value(L, true);
    return record(L, TW_METRIC_GAUGE, "tidewire.metrics.gauge", value);
}

/* observe(name, seconds [, labels]) */
static int l_observe(lua_State *L) {
    double seconds = check_value(L, false);
    return record(L, TW_METRIC_HISTOGRAM, "tidewire.metrics.observe", seconds);
}
