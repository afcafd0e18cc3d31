/* hook_stats.h: what each hook of each definition costs: calls, failures, time, memory. Counted per
 * VM, so per worker and generation: a new generation begins with zero. A VM that was killed and
 * built anew goes on counting.
 *
 * A table takes the counts of several VMs together, to be shown. */
#ifndef TW_SCRIPT_HOOK_STATS_H
#define TW_SCRIPT_HOOK_STATS_H

#include <stddef.h>

#include "base/histogram.h"

struct tw_vm;

struct tw_hook_counts {
    uint64_t calls, failures;
};

struct tw_hook_stats {
    uint64_t calls, failures;     /* failures: of these calls, the two below included */
    uint64_t interrupted, killed; /* past the deadline: stopped, or with the VM */
    uint64_t ns;                  /* all calls together, on the clock */
    uint64_t bytes, max_bytes;    /* asked for in Lua, garbage included; of all, of one call */
    struct tw_histogram times;    /* ns */
};

struct tw_hook_row {
    char *channel;    /* owned; the definition's name; NULL: auth */
    const char *hook; /* static */
    struct tw_hook_stats stats;
};

/* All zero is empty. */
struct tw_hook_table {
    struct tw_hook_row *rows;
    size_t count;
};

/* Appends a row for each hook that was called. On the VM's thread. */
void tw_hook_table_add(struct tw_hook_table *table, const struct tw_vm *vm);
/* Moves all rows of `from`; it is empty then. */
void tw_hook_table_take(struct tw_hook_table *table, struct tw_hook_table *from);
/* Rows of the same hook become one; then the one that took most time stands first. */
void tw_hook_table_merge(struct tw_hook_table *table);
void tw_hook_table_deinit(struct tw_hook_table *table);

#endif
