/* object.h: what the userdata that handlers get have in common. One object, one file: message.c,
 * client.c, channel.c (lua_*.c, as the broker's own files have those names).
 *
 * An object borrows what it stands for from the call that made it, and is dead when that call ends:
 * its serial differs from the VM's then, and every use raises. It keeps nothing of its own in C, so
 * it has no finalizer. What it caches lies in its environment table. */
#ifndef TW_SCRIPT_OBJECT_H
#define TW_SCRIPT_OBJECT_H

#include <lauxlib.h>

#include "script/vm.h"

struct tw_class;

struct tw_object {
    const struct tw_class *class; /* NULL: a library (globals.h) */
    uint64_t serial;
};

struct tw_field {
    const char *name;
    void (*get)(lua_State *L, void *object); /* pushes one value; the object is at index 1 */
};

struct tw_class {
    enum tw_class_id id;
    const char *name;
    const struct tw_field *fields; /* ends with a NULL name */
    const luaL_Reg *methods;       /* ends with a NULL name; may be NULL */
    /* Assigns the value at index 3 to `field`; false: that field is read-only. May be NULL. */
    bool (*set)(lua_State *L, void *object, const char *field);
};

extern const struct tw_class tw_lua_message_class, tw_lua_client_class, tw_lua_channel_class;

/* Makes the metatables. May raise. */
void tw_object_open(lua_State *L);
/* Pushes a new object of `size` bytes, of the running call, zeroed behind the head. May raise. */
void *tw_object_new(lua_State *L, const struct tw_class *class, size_t size);
/* The live object at `index`; raises if it is none, or dead. */
void *tw_object_check(lua_State *L, int index, const struct tw_class *class);
/* Pushes what is cached in the object at `index` (absolute), or nil; set pops it. */
void tw_object_cache_get(lua_State *L, int index);
void tw_object_cache_set(lua_State *L, int index);

#endif
