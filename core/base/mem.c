/* mem.c: the C library's allocator, made to abort or to fail on demand.
 *
 * Sizes above PTRDIFF_MAX are refused here: no allocator can serve them, and sanitizers would abort
 * where a peer's size has to fail. */
#include "base/mem.h"

#include <malloc.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

enum { SMALL = 1024 };

/* Counts down to the failure; 0 or less: off. Per thread, so that a test's count is exact. */
static _Thread_local long fail_after = -1;

static void *zeroed(size_t size);
static void *resized(void *p, size_t size);

void *tw_alloc(size_t size) {
    void *p = zeroed(size);
    if (!p) tw_mem_die(size);
    return p;
}

void *tw_alloc_lines(size_t size) {
    size_t whole = (size + TW_CACHE_LINE - 1) / TW_CACHE_LINE * TW_CACHE_LINE;
    void *p = size <= PTRDIFF_MAX ? aligned_alloc(TW_CACHE_LINE, whole) : NULL;
    if (!p) tw_mem_die(size);
    return memset(p, 0, whole);
}

void *tw_try_alloc(size_t size) {
    return tw_mem_fails_now() ? NULL : zeroed(size);
}

void *tw_try_alloc_aligned(size_t alignment, size_t size) {
    void *p;
    return posix_memalign(&p, alignment, size) == 0 ? p : NULL;
}

void *tw_realloc(void *p, size_t size) {
    void *moved = resized(p, size);
    if (!moved) tw_mem_die(size);
    return moved;
}

void *tw_try_realloc(void *p, size_t size) {
    return tw_mem_fails_now() ? NULL : resized(p, size);
}

void tw_free(void *p) {
    free(p);
}

void tw_mem_trim(void) {
    malloc_trim(0);
}

char *tw_memdup(const void *bytes, size_t length) {
    char *copy = (char *)tw_alloc(length < SIZE_MAX ? length + 1 : length);
    if (length > 0) memcpy(copy, bytes, length);
    return copy;
}

char *tw_try_memdup(const void *bytes, size_t length) {
    char *copy = (char *)tw_try_alloc(length < SIZE_MAX ? length + 1 : length);
    if (copy && length > 0) memcpy(copy, bytes, length);
    return copy;
}

char *tw_format(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length < 0) tw_mem_die(0);
    char *text = (char *)tw_alloc((size_t)length + 1);
    va_start(arguments, format);
    vsnprintf(text, (size_t)length + 1, format, arguments);
    va_end(arguments);
    return text;
}

long tw_mem_fail_after(long n) {
    long left = fail_after;
    fail_after = n;
    return left;
}

/* At least one byte: calloc(0) and realloc(p, 0) may return NULL without being out of memory. Small
 * ones by malloc, since glibc's calloc passes its per-thread cache by; large ones may come as pages
 * that are zero already. */
static void *zeroed(size_t size) {
    if (size > PTRDIFF_MAX) return NULL;
    if (size > SMALL) return calloc(1, size);
    void *p = malloc(size > 0 ? size : 1);
    return p ? memset(p, 0, size) : NULL;
}

static void *resized(void *p, size_t size) {
    if (size > PTRDIFF_MAX) return NULL;
    return realloc(p, size > 0 ? size : 1);
}

bool tw_mem_fails_now(void) {
    if (__builtin_expect(fail_after <= 0, 1)) return false;
    return --fail_after == 0;
}

_Noreturn void tw_mem_die(size_t size) {
    tw_log(TW_LOG_ERROR, "mem", "out of memory bytes=%zu", size);
    abort();
}
