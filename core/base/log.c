/* log.c: formats a line on the stack, cleans it, hands it over in one piece.
 *
 * Must work when nothing else does: allocates nothing, and calls nothing that could log or assert.
 * The text may quote a peer, hence: whatever it holds, a reader of the log finds one entry per
 * event (a continued line begins with four spaces, an entry never does), and its length is bounded.
 */
#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/status.h"

enum { LINE_SIZE = 8192 };

static const char *const level_names[] = {"error", "warn", "info", "debug"};

static atomic_int least_important = TW_LOG_INFO;
/* Guards the sink and the order of lines. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static tw_log_sink *current_sink;
static void *current_data;
static _Thread_local bool is_in_sink;
static _Thread_local unsigned generation;

static size_t write_head(char *line, enum tw_log_level level);
static size_t clean(char *line, size_t at, const char *text);
static size_t clean_one(const unsigned char *text, char out[5], size_t *produced);
static void emit(enum tw_log_level level, char *line, size_t length);
static void write_stderr(const char *bytes, size_t length);

void tw_log(enum tw_log_level level, const char *group, const char *format, ...) {
    if ((int)level > atomic_load_explicit(&least_important, memory_order_relaxed)) return;
    int saved_errno = errno;
    char text[LINE_SIZE], line[LINE_SIZE], number[24] = "";
    if (generation > 0) snprintf(number, sizeof number, "generation=%u ", generation);
    int group_length = snprintf(text, sizeof text, "%.32s %s", group, number);
    char *message = text + group_length;
    va_list arguments;
    va_start(arguments, format);
    int wanted = vsnprintf(message, sizeof text - (size_t)group_length, format, arguments);
    if (wanted < 0) *message = 0; /* a wide string without bytes */
    va_end(arguments);
    size_t length = write_head(line, level);
    length = clean(line, length, text);
    emit(level, line, length);
    errno = saved_errno;
}

void tw_log_set_generation(unsigned number) {
    generation = number;
}

void tw_log_set_level(enum tw_log_level level) {
    atomic_store_explicit(&least_important, (int)level, memory_order_relaxed);
}

int tw_log_level_parse(const char *name, enum tw_log_level *out) {
    for (int i = 0; name && i < (int)(sizeof level_names / sizeof *level_names); i++) {
        if (strcmp(name, level_names[i]) != 0) continue;
        *out = (enum tw_log_level)i;
        return 0;
    }
    return TW_EPARSE;
}

void tw_log_set_sink(tw_log_sink *sink, void *data) {
    pthread_mutex_lock(&lock);
    current_sink = sink;
    current_data = data;
    pthread_mutex_unlock(&lock);
}

static size_t write_head(char *line, enum tw_log_level level) {
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    size_t at = strftime(line, 64, "%Y-%m-%dT%H:%M:%S", &utc);
    int more =
        snprintf(line + at, 64, ".%03dZ %s ", (int)(now.tv_nsec / 1000000), level_names[level]);
    return at + (size_t)more;
}

/* Appends the cleaned text behind `at`; leaves room for the newline. Returns the new length. */
static size_t clean(char *line, size_t at, const char *text) {
    const size_t limit = LINE_SIZE - 5; /* "..." and the newline */
    const unsigned char *p = (const unsigned char *)text;
    while (*p) {
        char piece[5];
        size_t produced;
        size_t consumed = clean_one(p, piece, &produced);
        if (at + produced > limit) break;
        memcpy(line + at, piece, produced);
        at += produced;
        p += consumed;
    }
    if (!*p && p - (const unsigned char *)text < LINE_SIZE - 1) return at;
    /* Cut, here or already by vsnprintf; half a character at the end is cut off, too. */
    size_t tail = 0;
    while (tail < 3 && ((unsigned char)line[at - 1 - tail] & 0xC0) == 0x80)
        tail++;
    if ((unsigned char)line[at - 1 - tail] >= 0xC0) at -= tail + 1;
    memcpy(line + at, "...", 3);
    return at + 3;
}

/* What stands for the byte or character at the front of `text`. Returns how many bytes that was. */
static size_t clean_one(const unsigned char *text, char out[5], size_t *produced) {
    *produced = 1;
    out[0] = ' ';
    if (text[0] == '\n' && text[1] == '\t') {
        memcpy(out, "\n    ", 5);
        *produced = 5;
        return 2;
    }
    if (text[0] < 0x20 || text[0] == 0x7F) return 1;
    if (text[0] == 0xC2 && text[1] >= 0x80 && text[1] <= 0x9F) return 2;
    if (text[0] == 0xE2 && text[1] == 0x80 && (text[2] == 0xA8 || text[2] == 0xA9)) return 3;
    out[0] = (char)text[0];
    return 1;
}

static void emit(enum tw_log_level level, char *line, size_t length) {
    if (is_in_sink) { /* this thread holds the lock already */
        line[length] = '\n';
        write_stderr(line, length + 1);
        return;
    }
    pthread_mutex_lock(&lock);
    if (current_sink) {
        is_in_sink = true;
        current_sink(current_data, level, line, length);
        is_in_sink = false;
    } else {
        line[length] = '\n';
        write_stderr(line, length + 1);
    }
    pthread_mutex_unlock(&lock);
}

/* One write(2), unless the system takes only a part. Whom should we tell if it fails? */
static void write_stderr(const char *bytes, size_t length) {
    while (length > 0) {
        ssize_t written = write(STDERR_FILENO, bytes, length);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return;
        bytes += written;
        length -= (size_t)written;
    }
}
