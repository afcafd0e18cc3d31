/* reload.h: what reload.c and rollback.c share. All of it is of the control worker's thread. */
#ifndef TW_APP_RELOAD_H
#define TW_APP_RELOAD_H

#include "app/server.h"
#include "broker/trial.h"
#include "script/past.h"

/* A rollback that was made. */
struct tw_rollback {
    unsigned from, to;   /* generations: the one that was left, the one whose files run again */
    unsigned generation; /* ... under this number */
    double at;           /* unix seconds */
    char *why;           /* owned */
};

/* A new generation is looked at for a while, see rollback.c. */
struct tw_asking {
    uv_timer_t timer;
    struct tw_trial trial;
    unsigned asked_for;             /* the generation whose counts are under way */
    struct tw_trial_counts *counts; /* owned; of each worker */
    unsigned missing;               /* answers */
};

struct tw_reload {
    struct tw_server *server;
    uv_work_t work;
    bool is_busy;
    struct tw_list jobs; /* while busy, the first is under way */
    /* What is being loaded. */
    unsigned number;
    int status;
    struct tw_generation *generation;
    struct tw_vm **vms;            /* new ones; then, as the workers swap, the old ones */
    const struct tw_vm *source_vm; /* a new one */
    size_t vm_count, swapped;
    struct tw_load_errors errors;
    /* What was. */
    struct tw_past past;
    unsigned rollbacks;
    struct tw_rollback last;
    struct tw_asking asking;
};

/* rollback.c */
void tw_asking_init(struct tw_reload *reload);
void tw_asking_close(struct tw_reload *reload);
void tw_asking_deinit(struct tw_reload *reload);
/* The newest generation is on trial, if the settings say so. `old`: the VMs before it. */
void tw_asking_start(struct tw_reload *reload, struct tw_vm *const *old, size_t count);
void tw_asking_stop(struct tw_reload *reload);

#endif
