/* sim.h: a whole broker in one thread, in virtual time: the same hubs, sessions and scripts as in
 * the binary, over simulated links. The order in which workers take their turns, links move their
 * bytes and a reload reaches the workers is picked by the seed; the same seed gives the same run.
 *
 * The clock stands still while anything can happen, and then moves to what is due next. */
#ifndef TW_SIM_SIM_H
#define TW_SIM_SIM_H

#include "broker/trial.h"
#include "script/script.h"
#include "sim/link.h"

struct tw_sim;

/* 0 and *out owned, or TW_ELOAD with `errors`. `app->clock` is set here. */
int tw_sim_new(struct tw_sim **out, const struct tw_app *app, uint64_t seed,
               struct tw_load_errors *errors);
void tw_sim_free(struct tw_sim *sim);

/* A client connects; `request` is what it says first. The link lives as long as the sim. NULL:
 * nobody listens any more. */
struct tw_link *tw_sim_connect(struct tw_sim *sim, const struct tw_ip *ip,
                               const struct tw_link_options *options, struct tw_str request);
/* The number of a link on which something may have happened since this last named it; 0: there is
 * no such link any more. */
size_t tw_sim_next_changed(struct tw_sim *sim);
struct tw_link_options tw_sim_link_defaults(const struct tw_sim *sim);

/* Lets everything happen that can happen without the clock moving on. */
void tw_sim_settle(struct tw_sim *sim);
/* Moves the clock on by so much, through all that is due on the way. */
void tw_sim_advance(struct tw_sim *sim, uint64_t us);

/* Moves the clock on to what is due next, but by no more than `us`; returns by how much. */
uint64_t tw_sim_advance_next(struct tw_sim *sim, uint64_t us);

/* The answer to a publish from outside, as a mail (owned, tw_mail_free); NULL with *status when it
 * is refused at once. Settles. */
struct tw_mail *tw_sim_publish(struct tw_sim *sim, struct tw_str channel, struct tw_str payload,
                               bool binary, int *status);
/* Loads the app anew; the workers swap one by one as the sim goes on. 0, or TW_ELOAD. */
int tw_sim_reload(struct tw_sim *sim, struct tw_load_errors *errors);
/* The same from the files of the generation before; 0, TW_ENOGENERATION or TW_ELOAD. (By
 * script.rollback the sim does it by itself.) */
int tw_sim_rollback(struct tw_sim *sim, struct tw_load_errors *errors);

/* A rollback that was made, as /v1/stats tells of it. */
struct tw_sim_rollback {
    unsigned count; /* of all; the rest is of the last */
    unsigned from, to, generation;
    double at; /* unix seconds */
    char why[TW_TRIAL_REASON];
};
const struct tw_sim_rollback *tw_sim_last_rollback(const struct tw_sim *sim);
/* As SIGTERM does: goodbyes over the drain window. */
void tw_sim_drain(struct tw_sim *sim);

unsigned tw_sim_workers(const struct tw_sim *sim);
struct tw_hub *tw_sim_hub(struct tw_sim *sim,
                          unsigned index); /* 0 .. workers: the last is control */
struct tw_vm *tw_sim_vm(struct tw_sim *sim, unsigned index);
uint64_t tw_sim_now_us(const struct tw_sim *sim);
double tw_sim_wall(const struct tw_sim *sim); /* unix seconds */

/* For links. */
uint64_t tw_sim_random(struct tw_sim *sim);
void tw_sim_ready(struct tw_link *link);

#endif
