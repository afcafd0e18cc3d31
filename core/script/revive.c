/* revive.c: see revive.h. */
#include "script/revive.h"

#include <math.h>
#include <stdio.h>

#include "base/check.h"
#include "base/log.h"
#include "base/status.h"
#include "script/errors.h"

#define MOST_SECONDS 32.0

/* Of a clock that may be set back. */
static double seconds_left(const struct tw_vm *vm) {
    double left = vm->retry_at - tw_vm_now(vm);
    return left > 0 && left <= vm->retry_after ? left : 0;
}

static int build(struct tw_vm *vm, struct tw_load_errors *errors) {
    vm->is_dead = false; /* or its files could not be run */
    int status = tw_vm_restart(vm);
    if (status != 0)
        tw_errors_add(errors, "", 0, "not enough memory for a new VM");
    else
        status = tw_load_again(vm, errors);
    vm->is_dead |= status != 0;
    return vm->is_dead ? TW_EUNLOADED : 0;
}

static void note_failure(struct tw_vm *vm, const struct tw_load_errors *errors) {
    const struct tw_load_error *items = errors->items;
    bool is_told = vm->retry_at > 0;
    vm->retry_after = is_told ? fmin(2 * vm->retry_after, MOST_SECONDS) : 1;
    vm->retry_at = tw_vm_now(vm) + vm->retry_after;
    vm->unloaded = (struct tw_failure){.hook = "load"};
    if (!TW_CHECK(items)) return;
    snprintf(vm->unloaded.script, sizeof vm->unloaded.script, "%s", items[0].file);
    snprintf(vm->unloaded.message, sizeof vm->unloaded.message, "%s", items[0].message);
    vm->unloaded.line = items[0].line;
    for (size_t i = 0; i < errors->count && !is_told; i++)
        tw_log(TW_LOG_ERROR, "script", "not loaded again %s:%d: %s", items[i].file, items[i].line,
               items[i].message);
}

bool tw_vm_revive(struct tw_vm *vm) {
    struct tw_load_errors errors = {0};
    if (!vm->is_dead) return true;
    if (vm->retry_at > 0 && seconds_left(vm) > 0) return false;
    if (build(vm, &errors) != 0) {
        note_failure(vm, &errors);
    } else {
        if (vm->retry_at > 0) tw_log(TW_LOG_INFO, "script", "loaded again");
        vm->incarnation++;
        vm->retry_at = 0;
    }
    tw_load_errors_deinit(&errors);
    return !vm->is_dead;
}

int tw_vm_refuse(const struct tw_vm *vm, struct tw_failure *failure) {
    *failure = vm->unloaded;
    failure->retry_ms = (uint64_t)fmax(1, ceil(seconds_left(vm) * 1000));
    return TW_EUNLOADED;
}
