/* check.h: two kinds of assertion.
 *
 * TW_REQUIRE: the process cannot go on: logs the place and aborts.
 * TW_CHECK: a bug that the caller recovers from: logs once per occurrence, counts, and yields the
 * condition's truth. The count must be 0 at the end of every spec. */
#ifndef TW_BASE_CHECK_H
#define TW_BASE_CHECK_H

#include <stdbool.h>

#define TW_REQUIRE(condition)                                                                      \
    ((condition) ? (void)0 : tw_require_failed(#condition, __FILE__, __LINE__))
#define TW_CHECK(condition) tw_check_passed((condition), #condition, __FILE__, __LINE__)

_Noreturn void tw_require_failed(const char *condition, const char *file, int line);
/* Returns false. Safe from any thread. */
bool tw_check_failed(const char *condition, const char *file, int line);
static inline bool tw_check_passed(bool passed, const char *condition, const char *file, int line) {
    return passed || tw_check_failed(condition, file, line);
}
/* How many TW_CHECKs failed since the process began. */
unsigned long tw_check_count(void);

#endif
