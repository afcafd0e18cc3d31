/* rollback.c: asks each worker how many of its hooks failed, while a generation is on trial
 * (broker/trial.h); if it has lost, the control worker goes back by itself. */
#include "app/reload.h"
#include "base/mem.h"

static const struct tw_rollback_settings *settings_of(const struct tw_reload *reload) {
    return &reload->server->generation->settings.rollback;
}

static void on_timer(uv_timer_t *timer);

void tw_asking_init(struct tw_reload *reload) {
    struct tw_worker *control = tw_server_control(reload->server);
    uv_timer_init(&control->loop, &reload->asking.timer);
    reload->asking.counts = tw_alloc(reload->server->hubs.workers * sizeof *reload->asking.counts);
}

void tw_asking_close(struct tw_reload *reload) {
    uv_close((uv_handle_t *)&reload->asking.timer, NULL);
}

void tw_asking_deinit(struct tw_reload *reload) {
    tw_free(reload->asking.counts);
}

void tw_asking_start(struct tw_reload *reload, struct tw_vm *const *old, size_t count) {
    struct tw_asking *asking = &reload->asking;
    struct tw_trial_counts before = {0};
    tw_asking_stop(reload);
    for (size_t i = 0; i < count; i++) {
        struct tw_hook_counts counts = tw_vm_recent_hook_counts(old[i]);
        before.calls += counts.calls;
        before.failures += counts.failures;
    }
    if (tw_trial_start(&asking->trial, settings_of(reload), reload->server->generation->number,
                       before, uv_now(asking->timer.loop)))
        uv_timer_start(&asking->timer, on_timer, asking->trial.every_ms, asking->trial.every_ms);
}

void tw_asking_stop(struct tw_reload *reload) {
    tw_trial_stop(&reload->asking.trial);
    uv_timer_stop(&reload->asking.timer);
}

/* --- asking --- */

static void judge(struct tw_reload *reload) {
    struct tw_asking *asking = &reload->asking;
    struct tw_trial_counts now = {0};
    char why[TW_TRIAL_REASON];
    for (unsigned i = 0; i < reload->server->hubs.workers; i++) {
        now.calls += asking->counts[i].calls;
        now.failures += asking->counts[i].failures;
    }
    if (!tw_trial_judge(&asking->trial, settings_of(reload), now, why)) return;
    tw_server_rollback(reload->server, asking->trial.generation, why, NULL);
    tw_asking_stop(reload);
}

static void on_counted(struct tw_hub *control, struct tw_mail *mail) {
    struct tw_reload *reload = mail->request;
    struct tw_asking *asking = &reload->asking;
    (void)control;
    if (--asking->missing > 0 || asking->trial.generation == 0) return;
    if (asking->asked_for == asking->trial.generation) judge(reload);
}

/* On each worker. */
static void count(struct tw_hub *hub, struct tw_mail *mail) {
    struct tw_reload *reload = mail->request;
    struct tw_hook_counts counts = tw_vm_hook_counts(tw_worker_of(hub)->vm);
    reload->asking.counts[hub->index] = (struct tw_trial_counts){counts.calls, counts.failures};
    tw_server_call(hub, hub->hubs->workers, false, on_counted, reload);
}

static void on_timer(uv_timer_t *timer) {
    struct tw_asking *asking = TW_CONTAINER(timer, struct tw_asking, timer);
    struct tw_reload *reload = TW_CONTAINER(asking, struct tw_reload, asking);
    struct tw_server *server = reload->server;
    if (server->state != TW_SERVER_RUNNING ||
        !tw_trial_is_on(&asking->trial, uv_now(timer->loop))) {
        tw_asking_stop(reload);
        return;
    }
    if (asking->missing > 0) return; /* a worker is busy */
    asking->asked_for = asking->trial.generation;
    asking->missing = server->hubs.workers;
    tw_server_call_all(server, false, count, reload);
}
