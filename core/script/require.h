/* require.h: running the app's files, each once per VM, and `require` and `tidewire.file` for them.
 *
 * While the app is loaded, the chain of files under way is kept in vm->units: it shows cycles, and
 * which file depends on which (the source remembers that). In a hook `require` gives what is loaded
 * already; nothing is read then. */
#ifndef TW_SCRIPT_REQUIRE_H
#define TW_SCRIPT_REQUIRE_H

#include "script/vm.h"

/* Sets the global `require`. May raise. */
void tw_require_open(lua_State *L);
/* Runs the file of the app, unless it ran before, and pushes what it returned, nil if nothing.
 * Raises what it raises, or that it cannot be read. `path` must stay in place meanwhile. */
void tw_require_push(lua_State *L, struct tw_str path);
/* tidewire.file(path): its text. */
int tw_require_file(lua_State *L);
/* Reads the file whose path is the text at `index`, so that the file under way depends on it; the
 * index in the source. Raises in the name of `what` that it cannot be read, or not now. */
size_t tw_require_read(lua_State *L, const char *what, int index);

#endif
