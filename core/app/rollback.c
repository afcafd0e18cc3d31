/* rollback.c: script.rollback: for a while after a reload each worker is asked how many of its
 * hooks failed; if that is far more than before, the control worker goes back by itself. */
#include <stdio.h>

#include "app/reload.h"
#include "base/mem.h"

/* How often to ask: some ten times in the window. */
enum { ASK_LEAST_MS = 20, ASK_MOST_MS = 500, ASK_PARTS = 10 };

static const struct tw_rollback_settings *settings_of(const struct tw_reload *reload) {
    return &reload->server->generation->settings.rollback;
}

static void on_timer(uv_timer_t *timer);

void tw_trial_init(struct tw_reload *reload) {
    struct tw_worker *control = tw_server_control(reload->server);
    uv_timer_init(&control->loop, &reload->trial.timer);
    reload->trial.counts = tw_alloc(reload->server->hubs.workers * sizeof *reload->trial.counts);
}

void tw_trial_close(struct tw_reload *reload) {
    uv_close((uv_handle_t *)&reload->trial.timer, NULL);
}

void tw_trial_deinit(struct tw_reload *reload) {
    tw_free(reload->trial.counts);
}

void tw_trial_start(struct tw_reload *reload, struct tw_vm *const *old, size_t count) {
    struct tw_trial *trial = &reload->trial;
    const struct tw_rollback_settings *settings = settings_of(reload);
    tw_trial_stop(reload);
    if (settings->window_ms == 0) return;
    trial->generation = reload->server->generation->number;
    trial->until_ms = uv_now(trial->timer.loop) + settings->window_ms;
    trial->before = (struct tw_trial_counts){0};
    for (size_t i = 0; i < count; i++) {
        struct tw_hook_counts counts = tw_vm_recent_hook_counts(old[i]);
        trial->before.calls += counts.calls;
        trial->before.failures += counts.failures;
    }
    uint64_t every_ms = settings->window_ms / ASK_PARTS;
    if (every_ms < ASK_LEAST_MS) every_ms = ASK_LEAST_MS;
    if (every_ms > ASK_MOST_MS) every_ms = ASK_MOST_MS;
    uv_timer_start(&trial->timer, on_timer, every_ms, every_ms);
}

void tw_trial_stop(struct tw_reload *reload) {
    reload->trial.generation = 0;
    uv_timer_stop(&reload->trial.timer);
}

/* --- asking --- */

static void judge(struct tw_reload *reload) {
    struct tw_trial *trial = &reload->trial;
    struct tw_trial_counts now = {0};
    char why[160];
    for (unsigned i = 0; i < reload->server->hubs.workers; i++) {
        now.calls += trial->counts[i].calls;
        now.failures += trial->counts[i].failures;
    }
    if (!tw_trial_is_lost(settings_of(reload), trial->before, now)) return;
    snprintf(why, sizeof why,
             "%llu of %llu hook calls failed after the reload, %llu of %llu before",
             (unsigned long long)now.failures, (unsigned long long)now.calls,
             (unsigned long long)trial->before.failures, (unsigned long long)trial->before.calls);
    tw_server_rollback(reload->server, trial->generation, why, NULL);
    tw_trial_stop(reload);
}

static void on_counted(struct tw_hub *control, struct tw_mail *mail) {
    struct tw_reload *reload = mail->request;
    struct tw_trial *trial = &reload->trial;
    (void)control;
    if (--trial->missing > 0 || trial->generation == 0) return;
    if (trial->asked_for == trial->generation) judge(reload);
}

/* On each worker. */
static void count(struct tw_hub *hub, struct tw_mail *mail) {
    struct tw_reload *reload = mail->request;
    struct tw_hook_counts counts = tw_vm_hook_counts(tw_worker_of(hub)->vm);
    reload->trial.counts[hub->index] = (struct tw_trial_counts){counts.calls, counts.failures};
    tw_server_call(hub, hub->hubs->workers, false, on_counted, reload);
}

static void on_timer(uv_timer_t *timer) {
    struct tw_trial *trial = TW_CONTAINER(timer, struct tw_trial, timer);
    struct tw_reload *reload = TW_CONTAINER(trial, struct tw_reload, trial);
    struct tw_server *server = reload->server;
    bool is_over = uv_now(timer->loop) >= trial->until_ms;
    if (server->state != TW_SERVER_RUNNING || is_over) {
        tw_trial_stop(reload);
        return;
    }
    if (trial->missing > 0) return; /* a worker is busy */
    trial->asked_for = trial->generation;
    trial->missing = server->hubs.workers;
    tw_server_call_all(server, false, count, reload);
}
