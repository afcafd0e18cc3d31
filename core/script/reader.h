/* reader.h: looking at the tables that an app's files returned. What is wrong becomes a load error
 * that names the key by its full path, says what is expected, and where.
 *
 * All functions take absolute stack indices, leave the stack as it was, and may raise only when
 * memory is out. */
#ifndef TW_SCRIPT_READER_H
#define TW_SCRIPT_READER_H

#include <lua.h>

#include "base/str.h"
#include "script/script.h"

struct tw_reader {
    lua_State *L;
    struct tw_load_errors *errors;
    const char *file;         /* where errors are */
    struct tw_str text;       /* of the file, to find lines in */
    const char *prefix;       /* in front of paths when looking for lines: "channels.market." */
    const struct tw_app *app; /* for overrides; may be NULL */
    struct tw_generation *generation; /* notes the settings that differ; may be NULL */
    size_t found;                     /* errors of this reader */
};

/* "heartbeat.interval: expected ..." */
void tw_reader_error(struct tw_reader *reader, const char *path, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* "path: expected WHAT, got THE VALUE"; an empty path means what the file returns */
void tw_reader_expected(struct tw_reader *reader, const char *path, int index, const char *what);
/* Reports each key of the table that is not among `names` (ends with NULL). `path`: of the table;
 * "" for the outermost. */
void tw_reader_check_keys(struct tw_reader *reader, int table, const char *path,
                          const char *const *names);
/* A number from `least` to `most`; whole if asked. False: reported. */
bool tw_reader_number(struct tw_reader *reader, const char *path, int index, double least,
                      double most, bool is_whole, double *out);
/* Seconds, as milliseconds. */
bool tw_reader_seconds(struct tw_reader *reader, const char *path, int index, double least,
                       double most, uint64_t *out_ms);
bool tw_reader_boolean(struct tw_reader *reader, const char *path, int index, bool *out);
/* A text without NUL bytes. Borrows. */
bool tw_reader_text(struct tw_reader *reader, const char *path, int index, const char *what,
                    struct tw_str *out);
/* One of the texts in `choices` (ends with NULL). */
bool tw_reader_choice(struct tw_reader *reader, const char *path, int index,
                      const char *const *choices, int *out);
/* A list: a table with the keys 1..n and no others. */
bool tw_reader_list(struct tw_reader *reader, const char *path, int index, const char *what,
                    size_t *count);

#endif
