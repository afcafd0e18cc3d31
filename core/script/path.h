/* path.h: the way from a value's root to what is wrong in it, for messages: state.handlers[3].
 * A chain of places on the C stack, one per nesting level. */
#ifndef TW_SCRIPT_PATH_H
#define TW_SCRIPT_PATH_H

#include <lua.h>

#include "base/str.h"

struct tw_path {
    const struct tw_path *parent; /* NULL: the root, whose name is `key` */
    const void *table;            /* the table that stands here; NULL: none */
    struct tw_str key;            /* data NULL: `index` */
    lua_Number index;
};

/* Pushes the text; long ones are cut. May raise. */
const char *tw_path_push(lua_State *L, const struct tw_path *path);
/* Is the table one of those on the way? */
bool tw_path_has(const struct tw_path *path, const void *table);

#endif
