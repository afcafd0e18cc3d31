/* heap.h: a binary heap of intrusive nodes, the earliest time first. For timers of unequal lengths
 * (ticks); equal lengths use a list (broker/wait.h). */
#ifndef TW_BASE_HEAP_H
#define TW_BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tw_heap_node {
    uint64_t at_ms;
    size_t place; /* 1 + index; 0: in no heap */
};

struct tw_heap {
    struct tw_heap_node **nodes;
    size_t count, capacity;
};

/* All zero is an empty heap. */
void tw_heap_deinit(struct tw_heap *heap); /* nodes still in it are in no heap then */
/* `node` must be in no heap. */
void tw_heap_add(struct tw_heap *heap, struct tw_heap_node *node, uint64_t at_ms);
/* Idempotent. */
void tw_heap_remove(struct tw_heap *heap, struct tw_heap_node *node);
/* The earliest node, or NULL. Stays in the heap. */
struct tw_heap_node *tw_heap_first(const struct tw_heap *heap);

#endif
