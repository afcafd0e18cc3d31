/* hook_stats.c: the rows of several VMs together. */
#include "script/hook_stats.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "script/vm.h"

static struct tw_hook_row *add(struct tw_hook_table *table, size_t count) {
    table->rows = tw_realloc(table->rows, (table->count + count) * sizeof *table->rows);
    struct tw_hook_row *rows = &table->rows[table->count];
    table->count += count;
    return rows;
}

static void add_one(struct tw_hook_table *table, const char *channel, enum tw_hook hook,
                    const struct tw_hook_stats *stats) {
    if (!stats) return;
    struct tw_hook_row *row = add(table, 1);
    row->channel = channel ? tw_format("%s", channel) : NULL;
    row->hook = tw_hook_name(hook);
    row->stats = *stats;
}

void tw_hook_table_add(struct tw_hook_table *table, const struct tw_vm *vm) {
    add_one(table, NULL, TW_HOOK_AUTH, vm->auth_stats);
    for (size_t i = 0; i < vm->definition_count; i++)
        for (int hook = 0; hook < TW_HOOKS; hook++)
            add_one(table, vm->generation->definitions[i].name, (enum tw_hook)hook,
                    vm->definitions[i].stats[hook]);
}

void tw_hook_table_take(struct tw_hook_table *table, struct tw_hook_table *from) {
    if (from->count > 0)
        memcpy(add(table, from->count), from->rows, from->count * sizeof *from->rows);
    tw_free(from->rows);
    *from = (struct tw_hook_table){0};
}

static int compare_names(const void *a, const void *b) {
    const struct tw_hook_row *x = a, *y = b;
    int order = strcmp(x->channel ? x->channel : "", y->channel ? y->channel : "");
    return order != 0 ? order : strcmp(x->hook, y->hook);
}

static int compare_times(const void *a, const void *b) {
    const struct tw_hook_row *x = a, *y = b;
    if (x->stats.ns != y->stats.ns) return x->stats.ns < y->stats.ns ? 1 : -1;
    return compare_names(a, b);
}

static void merge(struct tw_hook_stats *to, const struct tw_hook_stats *from) {
    to->calls += from->calls;
    to->failures += from->failures;
    to->interrupted += from->interrupted;
    to->killed += from->killed;
    to->ns += from->ns;
    to->bytes += from->bytes;
    if (from->max_bytes > to->max_bytes) to->max_bytes = from->max_bytes;
    tw_histogram_merge(&to->times, &from->times);
}

void tw_hook_table_merge(struct tw_hook_table *table) {
    size_t kept = 0;
    if (table->count == 0) return;
    qsort(table->rows, table->count, sizeof *table->rows, compare_names);
    for (size_t i = 1; i < table->count; i++) {
        struct tw_hook_row *row = &table->rows[i];
        if (compare_names(&table->rows[kept], row) != 0) {
            table->rows[++kept] = *row;
        } else {
            merge(&table->rows[kept].stats, &row->stats);
            tw_free(row->channel);
        }
    }
    table->count = kept + 1;
    qsort(table->rows, table->count, sizeof *table->rows, compare_times);
}

void tw_hook_table_deinit(struct tw_hook_table *table) {
    for (size_t i = 0; i < table->count; i++)
        tw_free(table->rows[i].channel);
    tw_free(table->rows);
    *table = (struct tw_hook_table){0};
}
