/* api_random.c: tidewire.random: from the kernel, fit for secrets; in the simulator from the seed.
 */
#include <lauxlib.h>
#include <math.h>
#include <stdio.h>

#include "script/api.h"
#include "script/text.h"
#include "script/vm.h"

enum { MOST_BYTES = 1 << 20 };

static int l_bytes(lua_State *L);
static int l_hex(lua_State *L);
static int l_number(lua_State *L);
static int l_integer(lua_State *L);
static int l_uuid(lua_State *L);

static const luaL_Reg functions[] = {{"bytes", l_bytes},     {"hex", l_hex},   {"number", l_number},
                                     {"integer", l_integer}, {"uuid", l_uuid}, {NULL, NULL}};

void tw_api_push_random(lua_State *L) {
    lua_newtable(L);
    luaL_setfuncs(L, functions, 0);
}

static uint64_t draw(lua_State *L) {
    uint64_t word;
    tw_common_random(tw_vm_of(L)->common, &word, sizeof word);
    return word;
}

/* `count` bytes in the scratch, and room for as many behind them. */
static char *draw_bytes(lua_State *L, size_t *count) {
    struct tw_vm *vm = tw_vm_of(L);
    lua_Number wanted = luaL_checknumber(L, 1);
    luaL_argcheck(L, wanted >= 0 && wanted <= MOST_BYTES && wanted == floor(wanted), 1,
                  "a whole number of bytes up to 1048576");
    *count = (size_t)wanted;
    vm->scratch.length = 0;
    if (tw_buf_try_reserve(&vm->scratch, *count * 3 + 1) != 0) luaL_error(L, "not enough memory");
    tw_common_random(vm->common, vm->scratch.data, *count);
    return vm->scratch.data;
}

/* bytes(n) */
static int l_bytes(lua_State *L) {
    size_t count;
    const char *bytes = draw_bytes(L, &count);
    lua_pushlstring(L, bytes, count);
    return 1;
}

/* hex(n): 2n digits */
static int l_hex(lua_State *L) {
    static const char digits[] = "0123456789abcdef";
    size_t count;
    char *bytes = draw_bytes(L, &count), *text = bytes + count;
    for (size_t i = 0; i < count; i++) {
        text[2 * i] = digits[(unsigned char)bytes[i] >> 4];
        text[2 * i + 1] = digits[(unsigned char)bytes[i] & 15];
    }
    lua_pushlstring(L, text, 2 * count);
    return 1;
}

/* number(): evenly in [0, 1) */
static int l_number(lua_State *L) {
    lua_pushnumber(L, (lua_Number)(draw(L) >> 11) * 0x1p-53);
    return 1;
}

static bool is_integer(lua_Number number) {
    return number == floor(number) && fabs(number) <= 0x1p53;
}

/* integer(a, b): evenly from a to b, both included */
static int l_integer(lua_State *L) {
    lua_Number a = luaL_checknumber(L, 1), b = luaL_checknumber(L, 2);
    luaL_argcheck(L, is_integer(a), 1, "a whole number up to 2^53");
    luaL_argcheck(L, is_integer(b), 2, "a whole number up to 2^53");
    luaL_argcheck(L, a <= b, 2, "not below the first number");
    uint64_t count = (uint64_t)((int64_t)b - (int64_t)a) + 1, drawn;
    uint64_t reject_below = -count % count; /* as tw_rand_below: no remainder is more likely */
    do {
        drawn = draw(L);
    } while (drawn < reject_below);
    lua_pushnumber(L, (lua_Number)((int64_t)a + (int64_t)(drawn % count)));
    return 1;
}

/* uuid(): version 4 of RFC 9562 */
static int l_uuid(lua_State *L) {
    uint64_t high = draw(L), low = draw(L);
    char text[40];
    high = (high & 0xffffffffffff0fffu) | 0x4000;
    low = (low & 0x3fffffffffffffffu) | 0x8000000000000000u;
    snprintf(text, sizeof text, "%08x-%04x-%04x-%04x-%012llx", (unsigned)(high >> 32),
             (unsigned)(high >> 16 & 0xffff), (unsigned)(high & 0xffff), (unsigned)(low >> 48),
             (unsigned long long)(low & 0xffffffffffffu));
    lua_pushstring(L, text);
    return 1;
}
