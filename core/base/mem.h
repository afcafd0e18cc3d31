/* mem.h: allocation. Our own small structs abort when memory is out; sizes that a peer or a script
 * chooses go through the try_ functions, which return NULL. */
#ifndef TW_BASE_MEM_H
#define TW_BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>

#define TW_CACHE_LINE 64

/* Return owned, zeroed memory; never NULL. Freed by tw_free. */
void *tw_alloc(size_t size);
void *tw_try_alloc(size_t size);
/* The same on cache lines of its own: what one thread writes there, no other has to wait for. */
void *tw_alloc_lines(size_t size);
/* `size` bytes at a multiple of `alignment`, a power of 2; not zeroed. Not counted by
 * tw_mem_fail_after. */
void *tw_try_alloc_aligned(size_t alignment, size_t size);
/* Like realloc; new bytes are not zeroed. */
void *tw_realloc(void *p, size_t size);
void *tw_try_realloc(void *p, size_t size);
/* Gives memory that was freed back to the system: the C library keeps up to 64 MB of it. Takes
 * milliseconds when there is much of it. */
void tw_mem_trim(void);
void tw_free(void *p);
/* Returns an owned copy of `length` bytes with a NUL behind it. */
char *tw_memdup(const void *bytes, size_t length);
char *tw_try_memdup(const void *bytes, size_t length);
/* Returns an owned text; aborts when memory is out. */
char *tw_format(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* For tests: the n-th try_ allocation of this thread from now (1: the next) fails, once; -1: off.
 * The aborting functions are not counted. Returns what was left of the n before: 0 if it has
 * failed, -1 if it was off. */
long tw_mem_fail_after(long n);
/* For allocators that stand on this one: counts as a try_ allocation; true: it is to fail. */
bool tw_mem_fails_now(void);
/* No memory: says so and aborts. */
_Noreturn void tw_mem_die(size_t size);

#define TW_NEW(type) ((type *)tw_alloc(sizeof(type)))
#define TW_CONTAINER(pointer, type, member)                                                        \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#endif
