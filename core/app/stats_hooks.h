/* stats_hooks.h: see stats_hooks.c. */
#ifndef TW_APP_STATS_HOOKS_H
#define TW_APP_STATS_HOOKS_H

#include "base/buf.h"
#include "script/hook_stats.h"

/* Merges the table, and appends `"hooks":[...]` with the rows that took most time. */
void tw_stats_print_hooks(struct tw_buf *json, struct tw_hook_table *table);

#endif
