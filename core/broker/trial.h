/* trial.h: script.rollback: for a while after a reload the new generation is on trial; is it so
 * much worse than the one before that it should go? Whoever drives the hubs asks them how their
 * hooks do, every every_ms, and goes back if the trial is lost. */
#ifndef TW_BROKER_TRIAL_H
#define TW_BROKER_TRIAL_H

#include "broker/settings.h"

enum { TW_TRIAL_REASON = 160 };

/* Hook calls, and those of them that failed. */
struct tw_trial_counts {
    uint64_t calls, failures;
};

struct tw_trial {
    unsigned generation; /* 0: none is on trial */
    uint64_t until_ms, every_ms;
    struct tw_trial_counts before; /* of the generation before */
};

/* The generation has just taken over; false if the settings want no trial. */
bool tw_trial_start(struct tw_trial *trial, const struct tw_rollback_settings *settings,
                    unsigned generation, struct tw_trial_counts before, uint64_t now_ms);
void tw_trial_stop(struct tw_trial *trial);
/* Is there one on trial? It is won when its time is over. */
bool tw_trial_is_on(struct tw_trial *trial, uint64_t now_ms);
/* True, and `why` for people, if it is lost. */
bool tw_trial_judge(const struct tw_trial *trial, const struct tw_rollback_settings *settings,
                    struct tw_trial_counts now, char why[TW_TRIAL_REASON]);

/* True if at least settings->calls were made, at least settings->share of them failed, and that is
 * at least twice the share of `before`: what failed all the time is not the reload's fault. */
bool tw_trial_is_lost(const struct tw_rollback_settings *settings, struct tw_trial_counts before,
                      struct tw_trial_counts now);

#endif
