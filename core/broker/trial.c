/* trial.c: see trial.h. */
#include "broker/trial.h"

static double share(struct tw_trial_counts counts) {
    return counts.calls ? (double)counts.failures / (double)counts.calls : 0;
}

bool tw_trial_is_lost(const struct tw_rollback_settings *settings, struct tw_trial_counts before,
                      struct tw_trial_counts now) {
    if (now.calls == 0 || now.calls < settings->calls || now.failures == 0) return false;
    return share(now) >= settings->share && share(now) >= 2 * share(before);
}
