/* heap.c: a binary heap in an array of pointers. Each node knows its place, so removing one from
 * the middle costs no search. */
#include "base/heap.h"

#include "base/check.h"
#include "base/mem.h"

enum { FIRST_CAPACITY = 16 };

static void put(struct tw_heap *heap, size_t at, struct tw_heap_node *node);
static void rise(struct tw_heap *heap, size_t at, struct tw_heap_node *node);
static void sink(struct tw_heap *heap, size_t at, struct tw_heap_node *node);

void tw_heap_deinit(struct tw_heap *heap) {
    for (size_t i = 0; i < heap->count; i++)
        heap->nodes[i]->place = 0;
    tw_free(heap->nodes);
    *heap = (struct tw_heap){0};
}

void tw_heap_add(struct tw_heap *heap, struct tw_heap_node *node, uint64_t at_ms) {
    TW_REQUIRE(node->place == 0);
    if (heap->count == heap->capacity) {
        heap->capacity = heap->capacity > 0 ? heap->capacity * 2 : FIRST_CAPACITY;
        size_t size = heap->capacity * sizeof(struct tw_heap_node *);
        heap->nodes = (struct tw_heap_node **)tw_realloc(heap->nodes, size);
    }
    node->at_ms = at_ms;
    rise(heap, heap->count++, node);
}

void tw_heap_remove(struct tw_heap *heap, struct tw_heap_node *node) {
    if (node->place == 0) return;
    size_t at = node->place - 1;
    TW_REQUIRE(at < heap->count && heap->nodes[at] == node);
    node->place = 0;
    struct tw_heap_node *last = heap->nodes[--heap->count];
    if (last == node) return;
    /* The last node fills the hole. It may be too early or too late for that branch. */
    if (at > 0 && last->at_ms < heap->nodes[(at - 1) / 2]->at_ms) {
        rise(heap, at, last);
    } else {
        sink(heap, at, last);
    }
}

struct tw_heap_node *tw_heap_first(const struct tw_heap *heap) {
    return heap->count > 0 ? heap->nodes[0] : NULL;
}

static void put(struct tw_heap *heap, size_t at, struct tw_heap_node *node) {
    heap->nodes[at] = node;
    node->place = at + 1;
}

/* Puts `node` at the free place `at` or nearer to the root. */
static void rise(struct tw_heap *heap, size_t at, struct tw_heap_node *node) {
    while (at > 0) {
        size_t parent = (at - 1) / 2;
        if (heap->nodes[parent]->at_ms <= node->at_ms) break;
        put(heap, at, heap->nodes[parent]);
        at = parent;
    }
    put(heap, at, node);
}

/* Puts `node` at the free place `at` or farther from the root. */
static void sink(struct tw_heap *heap, size_t at, struct tw_heap_node *node) {
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= heap->count) break;
        if (child + 1 < heap->count && heap->nodes[child + 1]->at_ms < heap->nodes[child]->at_ms) {
            child++;
        }
        if (heap->nodes[child]->at_ms >= node->at_ms) break;
        put(heap, at, heap->nodes[child]);
        at = child;
    }
    put(heap, at, node);
}
