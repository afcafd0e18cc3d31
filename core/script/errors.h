/* errors.h: the list of what is wrong with an app. C memory only, so it may be filled from inside
 * of a call into Lua. */
#ifndef TW_SCRIPT_ERRORS_H
#define TW_SCRIPT_ERRORS_H

#include "script/script.h"

/* Copies; a mistake that is on the list already is left out, and those behind the first hundred are
 * only counted: nobody reads more, and a file may make a million of them. */
void tw_errors_add(struct tw_load_errors *errors, const char *file, int line, const char *format,
                   ...) __attribute__((format(printf, 4, 5)));
/* Is every further one only counted? */
bool tw_errors_are_full(const struct tw_load_errors *errors);
/* By file, then line; at the end how many more there are. Once, when all are there. */
void tw_errors_sort(struct tw_load_errors *errors);

#endif
