/* log.h: one line per event: `time level group generation=N message key=value ...` on stderr.
 *
 * Levels: error: something of ours or of the app's scripts is broken and needs a person.
 *         warn:  it works, but a person should know (a setting without effect, a restart needed).
 *         info:  life of the broker; also every mistake of a peer that ends its connection.
 *         debug: life of a connection.
 * An event is logged once, where it is decided. */
#ifndef TW_BASE_LOG_H
#define TW_BASE_LOG_H

#include <stddef.h>

enum tw_log_level { TW_LOG_ERROR, TW_LOG_WARN, TW_LOG_INFO, TW_LOG_DEBUG };

/* Writes one line; control characters in the text become spaces but for "\n\t" of tracebacks,
 * which become "\n    "; U+0080 to U+009F, U+2028 and U+2029 count as such. A line over 8 KiB is
 * cut and ends with "...". Lines of several threads do not mix; errno stays as it was. */
void tw_log(enum tw_log_level level, const char *group, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The scripts that this thread works for: each of its lines says so from now on. 0: none yet. */
void tw_log_set_generation(unsigned number);

/* The least important level written; info at first. */
void tw_log_set_level(enum tw_log_level level);
/* 0 and the level, or TW_EPARSE. Names: error warn info debug. */
int tw_log_level_parse(const char *name, enum tw_log_level *out);

/* Gets each line whole, without its newline, under the log's lock. NULL: back to stderr. What a
 * sink logs itself goes to stderr. */
typedef void tw_log_sink(void *data, enum tw_log_level level, const char *line, size_t length);
void tw_log_set_sink(tw_log_sink *sink, void *data);

#endif
