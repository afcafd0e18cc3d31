/* slab.c: slabs are aligned to their size, so a block's address says where its slab begins. A slab
 * is carved from its front as blocks are asked for, so its last pages cost nothing until then. */
#include "base/slab.h"

#include <stdint.h>
#include <string.h>

#include "base/mem.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, size) ((void)(at), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(at, size) ((void)(at), (void)(size))
#endif

/* malloc's own bytes behind a slab must not push the next one a whole slab further. */
enum { SLAB = 16384, BEHIND = 64 };

/* A block that is free. */
struct hole {
    struct hole *next;
};

struct slab {
    _Alignas(TW_SLAB_STEP) struct tw_list all, usable; /* usable: none when it is full */
    struct hole *holes;
    char *fresh; /* from here on nothing was asked for yet */
    uint32_t live, size;
};
_Static_assert(sizeof(struct slab) % TW_SLAB_STEP == 0, "blocks must be aligned");

/* In front of each large block. Keeps malloc's alignment. */
struct large {
    struct tw_list node;
};
_Static_assert(sizeof(struct large) % TW_SLAB_STEP == 0, "blocks must stay aligned");

static bool is_small(size_t size) {
    return size <= TW_SLAB_MOST;
}

static size_t class_of(size_t size) {
    return (size - 1) / TW_SLAB_STEP;
}

static struct slab *slab_of(void *block) {
    return (struct slab *)((uintptr_t)block & ~(uintptr_t)(SLAB - 1));
}

static char *end_of(struct slab *slab) {
    return (char *)slab + SLAB - BEHIND;
}

static bool has_room(struct slab *slab) {
    return slab->holes || slab->fresh + slab->size <= end_of(slab);
}

void tw_slabs_init(struct tw_slabs *slabs) {
    for (size_t i = 0; i < TW_SLAB_CLASSES; i++)
        tw_list_init(&slabs->usable[i]);
    tw_list_init(&slabs->all);
    tw_list_init(&slabs->large);
}

static void free_slab(struct slab *slab) {
    tw_list_remove(&slab->all);
    tw_list_remove(&slab->usable);
    ASAN_UNPOISON_MEMORY_REGION(slab, SLAB - BEHIND);
    tw_free(slab);
}

void tw_slabs_clear(struct tw_slabs *slabs) {
    while (!tw_list_is_empty(&slabs->all))
        free_slab(TW_CONTAINER(slabs->all.next, struct slab, all));
    for (struct tw_list *node; (node = tw_list_shift(&slabs->large));)
        tw_free(TW_CONTAINER(node, struct large, node));
}

size_t tw_slabs_cost(size_t size) {
    if (!is_small(size)) return size + sizeof(struct large);
    return (size + TW_SLAB_STEP - 1) / TW_SLAB_STEP * TW_SLAB_STEP;
}

/* --- small ones --- */

static struct slab *new_slab(struct tw_slabs *slabs, size_t class) {
    struct slab *slab = (struct slab *)tw_try_alloc_aligned(SLAB, SLAB - BEHIND);
    if (!slab) return NULL;
    *slab =
        (struct slab){.fresh = (char *)(slab + 1), .size = (uint32_t)((class + 1) * TW_SLAB_STEP)};
    tw_list_init(&slab->all);
    tw_list_init(&slab->usable);
    tw_list_append(&slabs->all, &slab->all);
    tw_list_append(&slabs->usable[class], &slab->usable);
    ASAN_POISON_MEMORY_REGION(slab + 1, SLAB - BEHIND - sizeof *slab);
    return slab;
}

static void *take_small(struct tw_slabs *slabs, size_t size) {
    size_t class = class_of(size);
    struct tw_list *usable = &slabs->usable[class];
    struct slab *slab = tw_list_is_empty(usable) ? new_slab(slabs, class)
                                                 : TW_CONTAINER(usable->next, struct slab, usable);
    if (!slab) return NULL;
    void *block = slab->holes;
    if (block) {
        slab->holes = slab->holes->next;
    } else {
        block = slab->fresh;
        slab->fresh += slab->size;
    }
    slab->live++;
    if (!has_room(slab)) tw_list_remove(&slab->usable);
    ASAN_UNPOISON_MEMORY_REGION(block, size);
    return block;
}

/* The only slab of its size with room stays, empty or not, so that a block that comes and goes does
 * not take its slab along each time. */
static void give_small(struct tw_slabs *slabs, void *block) {
    struct slab *slab = slab_of(block);
    struct tw_list *usable = &slabs->usable[class_of(slab->size)];
    struct hole *hole = (struct hole *)block;
    bool was_full = !has_room(slab);
    ASAN_UNPOISON_MEMORY_REGION(hole, sizeof *hole);
    hole->next = slab->holes;
    ASAN_POISON_MEMORY_REGION(hole + 1, slab->size - sizeof *hole);
    slab->holes = hole;
    slab->live--;
    if (was_full) tw_list_append(usable, &slab->usable);
    if (slab->live == 0 && usable->next != usable->prev) free_slab(slab);
}

/* --- large ones --- */

static void *resize_large(struct tw_slabs *slabs, void *p, size_t size, bool may_fail) {
    struct large *large = p ? (struct large *)p - 1 : NULL;
    size_t whole = size + sizeof *large;
    if (whole < size) return NULL;
    if (large) tw_list_remove(&large->node); /* it may move */
    struct large *moved =
        (struct large *)(may_fail ? tw_try_realloc(large, whole) : tw_realloc(large, whole));
    if (!moved) {
        if (large) tw_list_append(&slabs->large, &large->node);
        return NULL;
    }
    tw_list_init(&moved->node);
    tw_list_append(&slabs->large, &moved->node);
    return moved + 1;
}

static void give(struct tw_slabs *slabs, void *p, size_t size) {
    if (is_small(size)) {
        give_small(slabs, p);
        return;
    }
    struct large *large = (struct large *)p - 1;
    tw_list_remove(&large->node);
    tw_free(large);
}

/* --- both --- */

static void *take(struct tw_slabs *slabs, size_t size, bool may_fail) {
    if (!is_small(size)) return resize_large(slabs, NULL, size, may_fail);
    if (may_fail && tw_mem_fails_now()) return NULL;
    void *block = take_small(slabs, size);
    if (!block && !may_fail) tw_mem_die(size);
    return block;
}

void *tw_slabs_resize(struct tw_slabs *slabs, void *p, size_t old_size, size_t size,
                      bool may_fail) {
    if (size == 0) {
        if (p) give(slabs, p, old_size);
        return NULL;
    }
    if (!p) return take(slabs, size, may_fail);
    if (size < old_size) may_fail = false;
    bool both_large = !is_small(old_size) && !is_small(size);
    if (both_large) return resize_large(slabs, p, size, may_fail);
    if (is_small(old_size) && is_small(size) && class_of(old_size) == class_of(size)) {
        ASAN_UNPOISON_MEMORY_REGION(p, size);
        return p;
    }
    void *moved = take(slabs, size, may_fail);
    if (!moved) return NULL;
    memcpy(moved, p, old_size < size ? old_size : size);
    give(slabs, p, old_size);
    return moved;
}
