/* api_shared.c: tidewire.shared, on broker/shared.c. Arguments are checked and values made plain
 * before the dictionary is asked, and Lua gets to see the result after its lock is free. Writes are
 * no effects: they are done at once, and stay when the handler fails. */
#include <errno.h>
#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "script/api.h"
#include "script/lua_json.h"
#include "script/text.h"
#include "script/vm.h"

enum { USUAL_KEYS = 1000 };
#define MOST_TTL 1e10 /* seconds */

static int l_get(lua_State *L);
static int l_set(lua_State *L);
static int l_add(lua_State *L);
static int l_incr(lua_State *L);
static int l_expire(lua_State *L);
static int l_delete(lua_State *L);
static int l_keys(lua_State *L);

static const luaL_Reg functions[] = {{"get", l_get},   {"set", l_set},       {"add", l_add},
                                     {"incr", l_incr}, {"expire", l_expire}, {"delete", l_delete},
                                     {"keys", l_keys}, {NULL, NULL}};

void tw_api_push_shared(lua_State *L) {
    lua_newtable(L);
    luaL_setfuncs(L, functions, 0);
}

static struct tw_shared *shared_of(lua_State *L) {
    return tw_vm_of(L)->common->shared;
}

static struct tw_str check_key(lua_State *L) {
    luaL_checktype(L, 1, LUA_TSTRING);
    struct tw_str key = tw_text_at(L, 1);
    luaL_argcheck(L, key.length > 0 && key.length <= TW_SHARED_MAX_KEY, 1,
                  "a key is a text of 1 to 1024 bytes");
    return key;
}

static double check_number(lua_State *L, int index, double otherwise) {
    lua_Number number = luaL_optnumber(L, index, otherwise);
    luaL_argcheck(L, isfinite(number), index, "a finite number");
    return number;
}

/* Seconds; 0 for nil, which is for ever. */
static double check_ttl(lua_State *L, int index) {
    if (lua_isnoneornil(L, index)) return 0;
    lua_Number ttl = luaL_checknumber(L, index);
    luaL_argcheck(L, ttl > 0 && ttl <= MOST_TTL, index, "seconds, more than 0; nil: for ever");
    return ttl;
}

/* The bytes of a text are the Lua string's, those of a table are in the scratch. */
static struct tw_shared_value check_value(lua_State *L, int index) {
    switch (lua_type(L, index)) {
    case LUA_TBOOLEAN:
        return (struct tw_shared_value){.kind = TW_SHARED_BOOLEAN,
                                        .boolean = lua_toboolean(L, index) != 0};
    case LUA_TNUMBER:
        return (struct tw_shared_value){.kind = TW_SHARED_NUMBER, .number = lua_tonumber(L, index)};
    case LUA_TSTRING:
        return (struct tw_shared_value){.kind = TW_SHARED_TEXT, .bytes = tw_text_at(L, index)};
    case LUA_TNONE:
    case LUA_TNIL:
        luaL_argerror(L, index, "a value expected; delete(key) takes one away");
    }
    return (struct tw_shared_value){.kind = TW_SHARED_JSON,
                                    .bytes = tw_lua_json_text(L, index, "value")};
}

/* What a write answers when it is refused: nil, why, code. */
static int refused(lua_State *L, int status) {
    lua_pushnil(L);
    lua_pushstring(L, status == TW_EFULL    ? "full"
                      : status == TW_EPARSE ? "not a number"
                                            : "not enough memory");
    lua_pushinteger(L, status);
    return 3;
}

/* get(key): the value, or nil. */
static int l_get(lua_State *L) {
    struct tw_vm *vm = tw_vm_of(L);
    struct tw_shared_value value;
    int status =
        tw_shared_get(vm->common->shared, check_key(L), tw_api_now(L), &value, &vm->scratch);
    if (status == -ENOMEM) return luaL_error(L, "not enough memory");
    if (status != 0) {
        lua_pushnil(L);
        return 1;
    }
    switch (value.kind) {
    case TW_SHARED_BOOLEAN:
        lua_pushboolean(L, value.boolean);
        break;
    case TW_SHARED_NUMBER:
        lua_pushnumber(L, value.number);
        break;
    case TW_SHARED_TEXT:
    case TW_SHARED_JSON:
        lua_pushlstring(L, value.bytes.data, value.bytes.length);
        /* From the copy on the stack, since reading JSON uses the scratch. */
        if (value.kind == TW_SHARED_JSON) tw_lua_json_push(L, tw_text_at(L, -1));
    }
    return 1;
}

static int write_value(lua_State *L, const char *what, bool only_new) {
    tw_api_check_in_hook(L, what);
    struct tw_str key = check_key(L);
    double ttl = check_ttl(L, 3);
    struct tw_shared_value value = check_value(L, 2);
    int status = tw_shared_set(shared_of(L), key, &value, ttl, only_new, tw_api_now(L));
    if (status != 0 && status != -EEXIST) return refused(L, status);
    lua_pushboolean(L, status == 0);
    return 1;
}

/* set(key, value [, ttl]): true; or nil, "full". */
static int l_set(lua_State *L) {
    return write_value(L, "tidewire.shared.set", false);
}

/* add(key, value [, ttl]): true; false: it was there; or nil, "full". */
static int l_add(lua_State *L) {
    return write_value(L, "tidewire.shared.add", true);
}

/* incr(key [, by [, init [, ttl]]]): the sum; or nil, why. */
static int l_incr(lua_State *L) {
    tw_api_check_in_hook(L, "tidewire.shared.incr");
    struct tw_str key = check_key(L);
    double by = check_number(L, 2, 1), init = check_number(L, 3, 0), ttl = check_ttl(L, 4), sum;
    int status = tw_shared_incr(shared_of(L), key, by, init, ttl, tw_api_now(L), &sum);
    if (status != 0) return refused(L, status);
    lua_pushnumber(L, sum);
    return 1;
}

/* expire(key [, ttl]): was it there? */
static int l_expire(lua_State *L) {
    tw_api_check_in_hook(L, "tidewire.shared.expire");
    struct tw_str key = check_key(L);
    lua_pushboolean(L, tw_shared_expire(shared_of(L), key, check_ttl(L, 2), tw_api_now(L)));
    return 1;
}

/* delete(key): was it there? */
static int l_delete(lua_State *L) {
    tw_api_check_in_hook(L, "tidewire.shared.delete");
    lua_pushboolean(L, tw_shared_delete(shared_of(L), check_key(L), tw_api_now(L)));
    return 1;
}

/* keys([prefix [, limit]]): a list, sorted. */
static int l_keys(lua_State *L) {
    struct tw_vm *vm = tw_vm_of(L);
    if (!lua_isnoneornil(L, 1)) luaL_checktype(L, 1, LUA_TSTRING);
    lua_Number limit = luaL_optnumber(L, 2, USUAL_KEYS);
    luaL_argcheck(L, limit >= 0 && limit == floor(limit) && limit <= 1e9, 2, "a whole number");
    struct tw_str prefix = lua_isnoneornil(L, 1) ? TW_STR("") : tw_text_at(L, 1);
    vm->scratch.length = 0;
    if (tw_shared_keys(shared_of(L), prefix, (size_t)limit, tw_api_now(L), &vm->scratch) != 0)
        return luaL_error(L, "not enough memory");
    vm->keys.length = 0;
    for (size_t at = 0, length; at < vm->scratch.length; at += length) {
        memcpy(&length, vm->scratch.data + at, sizeof length);
        at += sizeof length;
        struct tw_str key = {vm->scratch.data + at, length};
        tw_vm_append(L, &vm->keys, &key, sizeof key);
    }
    struct tw_str *keys = (struct tw_str *)(void *)vm->keys.data;
    size_t count = vm->keys.length / sizeof *keys;
    if (count > 1) qsort(keys, count, sizeof *keys, tw_str_sort);
    lua_createtable(L, (int)count, 0);
    for (size_t i = 0; i < count; i++) {
        lua_pushlstring(L, keys[i].data, keys[i].length);
        lua_rawseti(L, -2, (int)i + 1);
    }
    return 1;
}
