/* errors.c */
#include "script/errors.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { MOST_TEXT = 600, MOST = 100 };

static void append(struct tw_load_errors *errors, const char *file, int line, const char *text);
static int compare(const void *a, const void *b);

bool tw_errors_are_full(const struct tw_load_errors *errors) {
    return errors->count >= MOST;
}

void tw_errors_add(struct tw_load_errors *errors, const char *file, int line, const char *format,
                   ...) {
    if (tw_errors_are_full(errors)) {
        errors->untold++;
        return;
    }
    char text[MOST_TEXT];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    for (size_t i = 0; i < errors->count; i++) {
        const struct tw_load_error *other = &errors->items[i];
        if (other->line == line && strcmp(other->file, file) == 0 &&
            strcmp(other->message, text) == 0)
            return;
    }
    append(errors, file, line, text);
}

static void append(struct tw_load_errors *errors, const char *file, int line, const char *text) {
    errors->items = (struct tw_load_error *)tw_realloc(errors->items,
                                                       (errors->count + 1) * sizeof *errors->items);
    errors->items[errors->count++] = (struct tw_load_error){
        .file = tw_memdup(file, strlen(file)),
        .line = line,
        .message = tw_memdup(text, strlen(text)),
    };
}

void tw_errors_sort(struct tw_load_errors *errors) {
    if (errors->count > 1) qsort(errors->items, errors->count, sizeof *errors->items, compare);
    if (errors->untold == 0) return;
    char text[60], *file = errors->items[errors->count - 1].file;
    snprintf(text, sizeof text, "and %zu more mistakes", errors->untold);
    append(errors, file, 0, text);
}

void tw_load_errors_deinit(struct tw_load_errors *errors) {
    for (size_t i = 0; i < errors->count; i++) {
        tw_free(errors->items[i].file);
        tw_free(errors->items[i].message);
    }
    tw_free(errors->items);
    *errors = (struct tw_load_errors){0};
}

static int compare(const void *a, const void *b) {
    const struct tw_load_error *x = (const struct tw_load_error *)a,
                               *y = (const struct tw_load_error *)b;
    int order = strcmp(x->file, y->file);
    if (order == 0) order = (x->line > y->line) - (x->line < y->line);
    if (order == 0) order = (x->column > y->column) - (x->column < y->column);
    return order ? order : strcmp(x->message, y->message);
}
