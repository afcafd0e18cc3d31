/* trial.c: see trial.h. */
#include "broker/trial.h"

#include <stdio.h>

/* How often to ask: some ten times in the window. */
enum { ASK_LEAST_MS = 20, ASK_MOST_MS = 500, ASK_PARTS = 10 };

bool tw_trial_start(struct tw_trial *trial, const struct tw_rollback_settings *settings,
                    unsigned generation, struct tw_trial_counts before, uint64_t now_ms) {
    tw_trial_stop(trial);
    if (settings->window_ms == 0) return false;
    trial->generation = generation;
    trial->until_ms = now_ms + settings->window_ms;
    trial->before = before;
    trial->every_ms = settings->window_ms / ASK_PARTS;
    if (trial->every_ms < ASK_LEAST_MS) trial->every_ms = ASK_LEAST_MS;
    if (trial->every_ms > ASK_MOST_MS) trial->every_ms = ASK_MOST_MS;
    return true;
}

void tw_trial_stop(struct tw_trial *trial) {
    trial->generation = 0;
}

bool tw_trial_is_on(struct tw_trial *trial, uint64_t now_ms) {
    if (now_ms >= trial->until_ms) tw_trial_stop(trial);
    return trial->generation != 0;
}

bool tw_trial_judge(const struct tw_trial *trial, const struct tw_rollback_settings *settings,
                    struct tw_trial_counts now, char why[TW_TRIAL_REASON]) {
    if (!tw_trial_is_lost(settings, trial->before, now)) return false;
    snprintf(why, TW_TRIAL_REASON,
             "%llu of %llu hook calls failed after the reload, %llu of %llu before",
             (unsigned long long)now.failures, (unsigned long long)now.calls,
             (unsigned long long)trial->before.failures, (unsigned long long)trial->before.calls);
    return true;
}

static double share(struct tw_trial_counts counts) {
    return counts.calls ? (double)counts.failures / (double)counts.calls : 0;
}

bool tw_trial_is_lost(const struct tw_rollback_settings *settings, struct tw_trial_counts before,
                      struct tw_trial_counts now) {
    if (now.calls == 0 || now.calls < settings->calls || now.failures == 0) return false;
    return share(now) >= settings->share && share(now) >= 2 * share(before);
}
