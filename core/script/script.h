/* script.h: what the rest of the broker sees of the Lua layer. Lua headers are included in this
 * folder only.
 *
 * Loading is done off the loops: tw_app_load reads every file of the app once, builds one VM per
 * worker from what it read, and checks all of it. A VM is then used by one thread at a time. */
#ifndef TW_SCRIPT_SCRIPT_H
#define TW_SCRIPT_SCRIPT_H

#include "broker/common.h"
#include "broker/hooks.h"
#include "script/hook_stats.h"

struct tw_source;
struct tw_vm;

/* What is wrong with an app; one per mistake found. */
struct tw_load_error {
    char *file; /* relative to the app: "channels/market.lua" */
    int line;   /* 0: not known */
    int column; /* 0: not known, as after tw_app_load; see tw_load_error_column */
    char *message;
};

struct tw_load_errors {
    struct tw_load_error *items;
    size_t count;
    size_t untold; /* those behind the first hundred; the last item says so */
};

void tw_load_errors_deinit(struct tw_load_errors *errors);

/* Where tidewire.now() gets its unix seconds from. All zero: the system's clock. */
struct tw_script_clock {
    double (*now)(void *data);
    void *data;
};

struct tw_app {
    const char *path;             /* a folder, or one .lua file */
    const char *const *overrides; /* "limits.connections_per_ip=2": Lua literals, or text */
    size_t override_count;
    const char *scripts_dir;  /* where scripts/tidewire lives */
    struct tw_source *source; /* borrowed: from these bytes, see past.h; NULL: from the disk */
    struct tw_script_clock clock;
    struct tw_common *common; /* borrowed; NULL: the VMs of this load get one of their own */
};

/* Loads the app. 0 with an owned generation (one ref) and `*vm_count` = settings.workers VMs in an
 * owned array (each freed by tw_vm_free, the array by tw_free), or TW_ELOAD with `errors`. Any
 * thread; reads files, touches nothing else. `workers`: how many VMs to build; 0: as the settings
 * say (after a start, the number of workers cannot change). */
int tw_app_load(const struct tw_app *app, unsigned number, unsigned workers,
                struct tw_generation **generation, struct tw_vm ***vms, size_t *vm_count,
                struct tw_load_errors *errors);
void tw_vm_free(struct tw_vm *vm);
/* Bytes that the VM holds now. */
size_t tw_vm_memory(const struct tw_vm *vm);
/* Was it killed, and do its files not load again? */
bool tw_vm_is_dead(const struct tw_vm *vm);
/* Is there garbage worth a collection, or one under way; or much free memory to give back? */
bool tw_vm_wants_collecting(const struct tw_vm *vm);
/* A slice of it, some 0.2 ms, or the pages back to the system: for when there is nothing else to
 * do. Between calls. */
void tw_vm_collect_some(struct tw_vm *vm);

/* Hook calls of the VM, and those that failed: since it was loaded, or of the last one to two
 * minutes. */
struct tw_hook_counts tw_vm_hook_counts(const struct tw_vm *vm);
struct tw_hook_counts tw_vm_recent_hook_counts(const struct tw_vm *vm);
/* For people: the file that definition `i` of a loaded app stands in, and whether it has hook
 * number `hook`, from 0; *name is that hook's, NULL behind the last. */
const char *tw_vm_definition_file(const struct tw_vm *vm, size_t i);
bool tw_vm_definition_has(const struct tw_vm *vm, size_t i, unsigned hook, const char **name);
/* What may be wrong with a loaded app, found by looking at its files, with scripts_dir's
 * tidewire.check: globals written, hooks that return nothing, patterns that backtrack. 0, or
 * TW_ESCRIPT with *why an owned text: it could not look. Runs nothing of the app. */
int tw_vm_lint(struct tw_vm *vm, const char *scripts_dir, struct tw_load_errors *warnings,
               char **why);
/* The names of enum tw_overflow; ends with NULL. */
extern const char *const tw_reader_overflows[];
/* The line of the file's `text` that an error is on (empty if there is none), the column on it, and
 * the length of the word there: see script/where.h. */
int tw_load_error_column(const struct tw_load_error *error, struct tw_str text, struct tw_str *line,
                         int *length);

/* Implements broker/hooks.h; `vm` is a struct tw_vm. */
extern const struct tw_hooks tw_script_hooks;

#endif
