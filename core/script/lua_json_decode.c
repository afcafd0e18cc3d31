/* lua_json_decode.c: JSON text that tw_json_check has passed -> Lua values.
 *
 * Since the text is good, this only has to find where things end; it still never reads outside of
 * it, and says "not JSON" if it was lied to. */
#include <lauxlib.h>
#include <math.h>
#include <string.h>

#include "base/json.h"
#include "script/lua_json.h"
#include "script/vm.h"

struct reader {
    lua_State *L;
    struct tw_vm *vm;
    const char *p, *end;
    int depth;
};

static void value(struct reader *r);
static void object(struct reader *r);
static void array(struct reader *r);
static void string(struct reader *r);
static void number(struct reader *r);
static double huge_number(struct reader *r, const char *begin);
static bool simple_number(const char *p, const char *end, double *out);
static void literal(struct reader *r, const char *word, size_t length);
static char next(struct reader *r);
static bool take(struct reader *r, char c);
static void must(struct reader *r, bool is_good);

void tw_lua_json_push(lua_State *L, struct tw_str text) {
    struct reader r = {L, tw_vm_of(L), text.data, text.data + text.length, 0};
    value(&r);
}

void tw_lua_json_open(lua_State *L) {
    lua_createtable(L, 0, 2);
    lua_pushliteral(L, "array");
    lua_setfield(L, -2, "__metatable");
    tw_vm_of(L)->array_metatable = tw_vm_keep(L);
}

bool tw_lua_json_is_array(lua_State *L, int index) {
    if (!lua_getmetatable(L, index)) return false;
    tw_vm_push(L, tw_vm_of(L)->array_metatable);
    bool is_array = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return is_array;
}

void tw_lua_json_mark_array(lua_State *L, int index) {
    lua_pushvalue(L, index);
    tw_vm_push(L, tw_vm_of(L)->array_metatable);
    lua_setmetatable(L, -2);
    lua_pop(L, 1);
}

static void value(struct reader *r) {
    switch (next(r)) {
    case '{':
        object(r);
        break;
    case '[':
        array(r);
        break;
    case '"':
        string(r);
        break;
    case 't':
        literal(r, "true", 4);
        lua_pushboolean(r->L, 1);
        break;
    case 'f':
        literal(r, "false", 5);
        lua_pushboolean(r->L, 0);
        break;
    case 'n':
        literal(r, "null", 4);
        lua_pushlightuserdata(r->L, TW_LUA_NULL);
        break;
    default:
        number(r);
    }
}

static void enter(struct reader *r) {
    must(r, r->depth++ < TW_JSON_MAX_DEPTH);
    luaL_checkstack(r->L, 8, "JSON");
    r->p++;
}

static void object(struct reader *r) {
    enter(r);
    lua_createtable(r->L, 0, 4);
    if (next(r) != '}') {
        do {
            must(r, next(r) == '"');
            string(r);
            must(r, take(r, ':'));
            value(r);
            lua_rawset(r->L, -3); /* the last one of a name stays, as in tw_json_member */
        } while (take(r, ','));
    }
    must(r, take(r, '}'));
    r->depth--;
}

static void array(struct reader *r) {
    enter(r);
    lua_createtable(r->L, 4, 0);
    tw_lua_json_mark_array(r->L, -1);
    int count = 0;
    if (next(r) != ']') {
        do {
            value(r);
            lua_rawseti(r->L, -2, ++count);
        } while (take(r, ','));
    }
    must(r, take(r, ']'));
    r->depth--;
}

static void string(struct reader *r) {
    const char *begin = ++r->p;
    bool has_escapes = false;
    while (r->p < r->end && *r->p != '"') {
        has_escapes = has_escapes || *r->p == '\\';
        r->p += *r->p == '\\' ? 2 : 1;
    }
    must(r, r->p < r->end);
    size_t length = (size_t)(r->p++ - begin);
    if (!has_escapes) {
        lua_pushlstring(r->L, begin, length);
        return;
    }
    struct tw_buf *scratch = &r->vm->scratch;
    scratch->length = 0;
    if (tw_buf_try_reserve(scratch, length) != 0) luaL_error(r->L, "not enough memory");
    struct tw_str quoted = {begin - 1, length + 2};
    int64_t decoded = tw_json_string_decode(quoted, scratch->data);
    must(r, decoded >= 0);
    lua_pushlstring(r->L, scratch->data, (size_t)decoded);
}

static void number(struct reader *r) {
    const char *begin = r->p;
    while (r->p < r->end && *r->p && strchr("+-.0123456789eE", *r->p))
        r->p++;
    must(r, r->p > begin);
    double result;
    if (simple_number(begin, r->p, &result)) {
        lua_pushnumber(r->L, result);
        return;
    }
    /* LuaJIT's own reader: rounds like strtod, and knows no locale. */
    int is_read;
    lua_pushlstring(r->L, begin, (size_t)(r->p - begin));
    result = lua_tonumberx(r->L, -1, &is_read);
    if (!is_read) result = huge_number(r, begin);
    lua_pop(r->L, 1);
    lua_pushnumber(r->L, result);
}

/* LuaJIT counts no further than to 2^20. An exponent beyond it makes the number as large, or as
 * small, as the largest one within. In place of the text on the stack. */
static double huge_number(struct reader *r, const char *begin) {
    const char *e = begin;
    int is_read = 0;
    while (e < r->p && *e != 'e' && *e != 'E')
        e++;
    lua_pop(r->L, 1);
    lua_pushlstring(r->L, begin, (size_t)(e - begin));
    lua_pushstring(r->L, e == r->p ? "" : e[1] == '-' ? "e-999999" : "e999999");
    lua_concat(r->L, 2);
    double result = lua_tonumberx(r->L, -1, &is_read);
    if (!is_read) luaL_error(r->L, "a number in the JSON has a million digits");
    return result;
}

/* Most numbers: up to 15 digits and a small power of ten, both exact as doubles, so that one
 * division rounds right. */
static bool simple_number(const char *p, const char *end, double *out) {
    static const double tens[] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                  1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    bool is_negative = *p == '-';
    if (is_negative) p++;
    if (end - p > 16) return false;
    int64_t digits = 0;
    int count = 0, decimals = 0;
    bool has_point = false;
    for (; p < end; p++) {
        if (*p == '.') {
            has_point = true;
        } else if (*p >= '0' && *p <= '9') {
            digits = digits * 10 + (*p - '0');
            count++;
            decimals += has_point;
        } else {
            return false;
        }
    }
    if (count > 15) return false;
    double result = (double)digits / tens[decimals];
    *out = is_negative ? -result : result;
    return true;
}

static void literal(struct reader *r, const char *word, size_t length) {
    must(r, (size_t)(r->end - r->p) >= length && memcmp(r->p, word, length) == 0);
    r->p += length;
}

/* The next byte that is not white space, not taken; 0 at the end. */
static char next(struct reader *r) {
    while (r->p < r->end && (*r->p == ' ' || *r->p == '\n' || *r->p == '\r' || *r->p == '\t'))
        r->p++;
    return r->p < r->end ? *r->p : '\0';
}

static bool take(struct reader *r, char c) {
    if (next(r) != c) return false;
    r->p++;
    return true;
}

static void must(struct reader *r, bool is_good) {
    if (!is_good) luaL_error(r->L, "not JSON");
}
