/* quarantine.h: a channel whose hooks keep failing is set aside for a while, as a circuit breaker
 * does, so that it costs the others no time and nobody trusts what it says.
 *
 *   OPEN -> QUARANTINED   `failures` of its hooks within `window`; a window begins with the first
 *   QUARANTINED -> OPEN   after `retry`, one call is let through and succeeds; or a reload
 *   QUARANTINED (again)   ... or it fails
 *
 * The call on trial is of the part that failed last: a tick that works says nothing of a transform
 * that does not. If that part is not called for another `retry`, any will do. */
#ifndef TW_BROKER_QUARANTINE_H
#define TW_BROKER_QUARANTINE_H

#include "broker/hooks.h"

/* What a home does for a channel, as far as it needs the channel's hooks. */
enum tw_quarantine_part {
    TW_PART_PUBLISH,   /* authorize, transform, queue.key, views */
    TW_PART_SUBSCRIBE, /* authorize, audience, on_subscribe */
    TW_PART_UNSUBSCRIBE,
    TW_PART_TICK,
    TW_PART_TIMER,
    TW_PART_STATE /* init, migrate; any other is its trial */
};

/* All zero: open, nothing failed. */
struct tw_quarantine {
    uint32_t failures; /* in the window */
    enum tw_quarantine_part part;
    uint64_t window_ms;          /* when the window began */
    uint64_t since_ms, until_ms; /* until_ms 0: not quarantined; then: a trial may begin */
    struct tw_failure *last;     /* owned; why; NULL: not quarantined */
};

void tw_quarantine_deinit(struct tw_quarantine *quarantine);

static inline bool tw_quarantine_is_on(const struct tw_quarantine *quarantine) {
    return quarantine->last != NULL;
}

/* May that part's hooks run now? While quarantined, true makes the call one on trial: report how it
 * went by tw_quarantine_fail or tw_quarantine_pass (or neither: the next one is on trial). */
bool tw_quarantine_may_run(const struct tw_quarantine *quarantine,
                           const struct tw_quarantine_settings *settings,
                           enum tw_quarantine_part part, uint64_t now_ms);
/* A hook failed that might run. True: the quarantine begins with that, or goes on for another
 * `retry`. */
bool tw_quarantine_fail(struct tw_quarantine *quarantine,
                        const struct tw_quarantine_settings *settings, enum tw_quarantine_part part,
                        const struct tw_failure *failure, uint64_t now_ms);
/* The hooks that might run went well. True: the quarantine has ended with that. */
bool tw_quarantine_pass(struct tw_quarantine *quarantine);

#endif
