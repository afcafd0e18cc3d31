/* where.h: places in source texts. */
#ifndef TW_SCRIPT_WHERE_H
#define TW_SCRIPT_WHERE_H

#include "script/vm.h"

/* If `message` begins with the place of a file of the app ("channels/market.lua:12: "), its file
 * (borrowed from the source), line, and the length of that beginning. */
bool tw_where_split(const struct tw_source *source, struct tw_str message, const char **file,
                    int *line, size_t *length);
/* The line on which the key is set that `path` leads to ("limits.messages.rate"); the nearest
 * parent's line if it is not found; 0: not known. A look at the text, not a parser. */
int tw_where_key(struct tw_str text, const char *path);
/* The column on `line` of what a message speaks of: the last key of a path in front of it, what it
 * quotes ("near 'x'"), else the first word. From 1, in bytes; *length is the word's. 0: no
 * line. A look, too. */
int tw_where_column(struct tw_str text, int line, const char *message, int *length);
/* Line `line` of the text, without its end; empty if there is none. */
struct tw_str tw_where_line(struct tw_str text, int line);

#endif
