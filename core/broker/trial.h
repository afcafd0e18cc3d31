/* trial.h: is a new generation so much worse than the one before that it should go? */
#ifndef TW_BROKER_TRIAL_H
#define TW_BROKER_TRIAL_H

#include "broker/settings.h"

/* Hook calls, and those of them that failed. */
struct tw_trial_counts {
    uint64_t calls, failures;
};

/* True if at least settings->calls were made, at least settings->share of them failed, and that is
 * at least twice the share of `before`: what failed all the time is not the reload's fault. */
bool tw_trial_is_lost(const struct tw_rollback_settings *settings, struct tw_trial_counts before,
                      struct tw_trial_counts now);

#endif
