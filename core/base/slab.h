/* slab.h: the blocks of one owner who says how large a block is when it gives it back, and who may
 * throw all of them away at once: a Lua state. Small ones lie in slabs of one size each, and cost a
 * few instructions and no header; large ones come from the C library. */
#ifndef TW_BASE_SLAB_H
#define TW_BASE_SLAB_H

#include <stdbool.h>
#include <stddef.h>

#include "base/list.h"

enum { TW_SLAB_STEP = 16, TW_SLAB_MOST = 512, TW_SLAB_CLASSES = TW_SLAB_MOST / TW_SLAB_STEP };

struct tw_slabs {
    struct tw_list usable[TW_SLAB_CLASSES]; /* slabs with room, by the size of their blocks */
    struct tw_list all, large;
};

void tw_slabs_init(struct tw_slabs *slabs);
/* Frees every block, without looking at the small ones. Empty, and of use, afterwards. */
void tw_slabs_clear(struct tw_slabs *slabs);
/* What a block of `size` bytes takes, in bytes; 0 for 0. */
size_t tw_slabs_cost(size_t size);
/* Like realloc: a block of `size` bytes with what was in `p`, whose `old_size` bytes it takes the
 * place of (NULL, 0: none). `size` 0 frees, and returns NULL. Aligned for every type. NULL, and `p`
 * as it was, when memory is out; aborts instead if it must not fail, or if it would shrink. */
void *tw_slabs_resize(struct tw_slabs *slabs, void *p, size_t old_size, size_t size, bool may_fail);

#endif
