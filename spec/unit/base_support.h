/* base_support.h: what the tests of core/base share: cmocka with the headers it wants, and a way to
 * see that something aborts, and what it says before. */
#ifndef BASE_SUPPORT_H
#define BASE_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

/* Runs `body` in a child. Did it die by SIGABRT? Its stderr is in `said`. */
static inline bool aborts(void (*body)(void), char *said, size_t size) {
    int ends[2];
    size_t length = 0;
    int status = 0;
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        body();
        _exit(0);
    }
    close(ends[1]);
    for (;;) {
        ssize_t got = read(ends[0], said + length, size - 1 - length);
        if (got <= 0) break;
        length += (size_t)got;
    }
    said[length] = 0;
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

/* A copy in a block of exactly its size, so that the sanitizer sees one byte too far. free() it. */
static inline char *exact_copy(const void *bytes, size_t length) {
    char *copy = (char *)malloc(length > 0 ? length : 1);
    assert_non_null(copy);
    if (length > 0) memcpy(copy, bytes, length);
    return copy;
}

#endif
