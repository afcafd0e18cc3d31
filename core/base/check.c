/* check.c: what happens when an assertion fails.
 *
 * Both kinds go through the log, so that a spec that wants an empty log sees them. */
#include "base/check.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/log.h"

static atomic_ulong failures;

_Noreturn void tw_require_failed(const char *condition, const char *file, int line) {
    tw_log(TW_LOG_ERROR, "check", "cannot go on: %s at=%s:%d", condition, file, line);
    abort();
}

bool tw_check_failed(const char *condition, const char *file, int line) {
    atomic_fetch_add_explicit(&failures, 1, memory_order_relaxed);
    tw_log(TW_LOG_ERROR, "check", "a bug, recovered from: %s at=%s:%d", condition, file, line);
    return false;
}

unsigned long tw_check_count(void) {
    return atomic_load_explicit(&failures, memory_order_relaxed);
}
