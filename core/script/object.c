/* object.c: metatables, and the way from `object.field` to its getter.
 *
 * A metatable's __index has a table of names as its upvalue: a number is the index of a field, a
 * function is a method. All userdata in a VM are ours (newproxy and io are not there), so the class
 * pointer in front says what one is. */
#include "script/object.h"

#include <string.h>

#include "script/text.h"

enum { MOST_NAMES = 32 };

static const struct tw_class *const classes[TW_CLASSES] = {
    [TW_CLASS_MESSAGE] = &tw_lua_message_class,
    [TW_CLASS_CLIENT] = &tw_lua_client_class,
    [TW_CLASS_CHANNEL] = &tw_lua_channel_class,
};

static int on_index(lua_State *L);
static int on_newindex(lua_State *L);
static int on_tostring(lua_State *L);
static struct tw_object *check_any(lua_State *L, int index);
static int unknown_field(lua_State *L, const struct tw_class *class);

void tw_object_open(lua_State *L) {
    struct tw_vm *vm = tw_vm_of(L);
    for (int id = 0; id < TW_CLASSES; id++) {
        const struct tw_class *class = classes[id];
        lua_newtable(L); /* the metatable */
        lua_newtable(L); /* the names */
        if (class->methods) luaL_setfuncs(L, class->methods, 0);
        for (int i = 0; class->fields[i].name; i++) {
            lua_pushinteger(L, i);
            lua_setfield(L, -2, class->fields[i].name);
        }
        lua_pushcclosure(L, on_index, 1);
        lua_setfield(L, -2, "__index");
        lua_pushcfunction(L, on_newindex);
        lua_setfield(L, -2, "__newindex");
        lua_pushcfunction(L, on_tostring);
        lua_setfield(L, -2, "__tostring");
        lua_pushstring(L, class->name); /* what getmetatable returns; setmetatable refuses */
        lua_setfield(L, -2, "__metatable");
        vm->classes[id] = tw_vm_keep(L);
    }
}

void *tw_object_new(lua_State *L, const struct tw_class *class, size_t size) {
    struct tw_vm *vm = tw_vm_of(L);
    struct tw_object *object = (struct tw_object *)lua_newuserdata(L, size);
    memset(object, 0, size);
    object->class = class;
    object->serial = vm->serial;
    tw_vm_push(L, vm->classes[class->id]);
    lua_setmetatable(L, -2);
    return object;
}

void *tw_object_check(lua_State *L, int index, const struct tw_class *class) {
    struct tw_object *object = check_any(L, index);
    if (!object || object->class != class) {
        luaL_error(L, "%s expected, got %s (a method is called with a colon: %s:name())",
                   class->name, luaL_typename(L, index), class->name);
    }
    return object;
}

void tw_object_cache_get(lua_State *L, int index) {
    lua_getfenv(L, index);
    lua_rawgeti(L, -1, 1);
    lua_remove(L, -2);
}

void tw_object_cache_set(lua_State *L, int index) {
    lua_createtable(L, 1, 0);
    lua_insert(L, -2);
    lua_rawseti(L, -2, 1);
    lua_setfenv(L, index);
}

static int on_index(lua_State *L) {
    struct tw_object *object = check_any(L, 1);
    if (!object) return luaL_error(L, "not an object of tidewire");
    lua_pushvalue(L, 2);
    lua_rawget(L, lua_upvalueindex(1));
    switch (lua_type(L, -1)) {
    case LUA_TFUNCTION:
        return 1;
    case LUA_TNUMBER:
        object->class->fields[lua_tointeger(L, -1)].get(L, object);
        return 1;
    default:
        return unknown_field(L, object->class);
    }
}

static int on_newindex(lua_State *L) {
    struct tw_object *object = check_any(L, 1);
    if (!object) return luaL_error(L, "not an object of tidewire");
    const struct tw_class *class = object->class;
    const char *field = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : NULL;
    if (field && class->set && class->set(L, object, field)) return 0;
    for (int i = 0; field && class->fields[i].name; i++) {
        if (strcmp(class->fields[i].name, field) != 0) continue;
        return luaL_error(L, "%s.%s is read-only", class->name, field);
    }
    return unknown_field(L, class);
}

static int on_tostring(lua_State *L) {
    const struct tw_object *object = (const struct tw_object *)lua_touserdata(L, 1);
    lua_pushstring(L, object ? object->class->name : "?");
    return 1;
}

/* NULL: no userdata of ours. Raises if it is dead. */
static struct tw_object *check_any(lua_State *L, int index) {
    if (lua_type(L, index) != LUA_TUSERDATA) return NULL;
    struct tw_vm *vm = tw_vm_of(L);
    struct tw_object *object = (struct tw_object *)lua_touserdata(L, index);
    if (!object->class) return NULL;
    if (object->serial != vm->serial || !vm->call) {
        luaL_error(L, "%s used after its handler ended", object->class->name);
    }
    return object;
}

static int unknown_field(lua_State *L, const struct tw_class *class) {
    const char *names[MOST_NAMES + 1];
    size_t count = 0;
    if (lua_type(L, 2) != LUA_TSTRING) {
        return luaL_error(L, "%s has no field of type %s", class->name, luaL_typename(L, 2));
    }
    for (size_t i = 0; class->fields[i].name && count < MOST_NAMES; i++)
        names[count++] = class->fields[i].name;
    for (size_t i = 0; class->methods && class->methods[i].name && count < MOST_NAMES; i++)
        names[count++] = class->methods[i].name;
    names[count] = NULL;
    const char *field = lua_tostring(L, 2), *near = tw_str_nearest(field, names);
    if (!near) return luaL_error(L, "%s has no field '%s'", class->name, field);
    return luaL_error(L, "%s has no field '%s'; did you mean '%s'?", class->name, field, near);
}
