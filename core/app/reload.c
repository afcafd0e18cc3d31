/* reload.c: a new generation: loaded on libuv's pool, swapped in by each worker, the old VMs freed.
 *
 *   idle -> loading (pool) -> swapping (each worker, until it needs its old VM no more) -> idle
 *
 * When only the file watch asks and the files say what they said before, nothing is swapped; nor if
 * they say what was rolled back from.
 *
 * Jobs wait in a row. Who asks for a load while one is under way gets the next one, which sees the
 * files as they are at the request or later. A rollback is a load from the bytes of the generation
 * before. rollback.c decides about those that nobody asked for. */
#include <stdio.h>
#include <string.h>

#include "app/admin.h"
#include "app/reload.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/status.h"

struct job {
    struct tw_list node;
    bool is_asked;          /* a load: by a person, not by the watch */
    char *why;              /* of a rollback; NULL: a load */
    unsigned from;          /* of a rollback that nobody asked for: of this generation only; or 0 */
    struct tw_list waiters; /* struct tw_pending */
};

static void start(struct tw_reload *reload);

void tw_reload_init(struct tw_server *server) {
    struct tw_reload *reload = TW_NEW(struct tw_reload);
    reload->server = server;
    tw_list_init(&reload->jobs);
    tw_past_init(&reload->past, server->workers[0].vm);
    server->reload = reload;
    tw_asking_init(reload);
}

void tw_reload_close(struct tw_server *server) {
    tw_asking_close(server->reload);
}

void tw_reload_deinit(struct tw_server *server) {
    tw_past_deinit(&server->reload->past);
    tw_asking_deinit(server->reload);
    tw_free(server->reload->last.why);
    tw_free(server->reload);
    server->reload = NULL;
}

bool tw_server_is_reloading(const struct tw_server *server) {
    return server->reload->is_busy;
}

void tw_server_log_errors(const struct tw_load_errors *errors) {
    for (size_t i = 0; i < errors->count; i++) {
        const struct tw_load_error *error = &errors->items[i];
        char line[16] = "";
        if (error->line > 0) snprintf(line, sizeof line, ":%d", error->line);
        tw_log(TW_LOG_ERROR, "load", "%s%s: %s", error->file, line, error->message);
    }
}

static struct job *current(struct tw_reload *reload) {
    return TW_CONTAINER(reload->jobs.next, struct job, node);
}

/* --- after the load --- */

/* VMs that nobody uses any more. A large one takes long to free, so that is done off the loop. */
struct burial {
    uv_work_t work;
    struct tw_vm **vms;
    size_t count;
};

static void bury(uv_work_t *work) {
    struct burial *burial = TW_CONTAINER(work, struct burial, work);
    for (size_t i = 0; i < burial->count; i++)
        tw_vm_free(burial->vms[i]);
    tw_free(burial->vms);
}

static void after_burial(uv_work_t *work, int cancelled) {
    (void)cancelled;
    tw_free(TW_CONTAINER(work, struct burial, work));
}

static void free_vms(struct tw_reload *reload) {
    if (!reload->vms) return;
    struct burial *burial = TW_NEW(struct burial);
    burial->vms = reload->vms;
    burial->count = reload->vm_count;
    uv_queue_work(&tw_server_control(reload->server)->loop, &burial->work, bury, after_burial);
    reload->vms = NULL;
    reload->vm_count = 0;
}

static void end_job(struct tw_reload *reload, int status) {
    struct job *job = current(reload);
    struct tw_list *node;
    while ((node = tw_list_shift(&job->waiters)))
        tw_admin_answer_reload(tw_pending_of(node), status, reload->number,
                               job->why ? reload->last.to : 0, &reload->errors);
    tw_list_remove(&job->node);
    tw_free(job->why);
    tw_free(job);
}

static void finish(struct tw_reload *reload, int status) {
    end_job(reload, status);
    free_vms(reload);
    tw_generation_unref(&reload->generation);
    tw_load_errors_deinit(&reload->errors);
    reload->is_busy = false;
    if (!tw_list_is_empty(&reload->jobs) && reload->server->state == TW_SERVER_RUNNING) {
        start(reload);
        return;
    }
    while (!tw_list_is_empty(&reload->jobs))
        end_job(reload, TW_EDRAINING);
    tw_server_on_load_ended(reload->server);
}

static bool same_texts(char *const *a, size_t a_count, char *const *b, size_t b_count) {
    if (a_count != b_count) return false;
    for (size_t i = 0; i < a_count; i++)
        if (strcmp(a[i], b[i]) != 0) return false;
    return true;
}

static void warn_of_restarts(const struct tw_server *server, const struct tw_generation *next) {
    const struct tw_settings *new = &next->settings, *old = &server->generation->settings;
    if (!same_texts(new->listen, new->listen_count, old->listen, old->listen_count))
        tw_log(TW_LOG_WARN, "reload", "a change of this setting needs a restart setting=listen");
    if (new->workers != old->workers)
        tw_log(TW_LOG_WARN, "reload", "a change of this setting needs a restart setting=workers");
}

static void remember_rollback(struct tw_reload *reload, struct job *job) {
    struct tw_server *server = reload->server;
    tw_past_on_rollback(&reload->past, server->generation);
    reload->rollbacks++;
    tw_free(reload->last.why);
    reload->last = (struct tw_rollback){.why = tw_format("%s", job->why),
                                        .from = server->generation->number,
                                        .to = reload->past.before_number,
                                        .generation = reload->number,
                                        .at = tw_server_wall(server)};
}

static void log_done(const struct tw_reload *reload, const struct job *job) {
    if (!job->why)
        tw_log(TW_LOG_INFO, "reload", "done");
    else
        tw_log(job->from ? TW_LOG_ERROR : TW_LOG_INFO, "reload",
               "rolled back from=%u to=%u reason=\"%s\"", reload->last.from, reload->last.to,
               job->why);
}

static void on_swapped(struct tw_hub *control, struct tw_mail *mail) {
    struct tw_reload *reload = mail->request;
    struct tw_server *server = reload->server;
    struct job *job = current(reload);
    if (++reload->swapped < reload->vm_count) return;
    warn_of_restarts(server, reload->generation);
    tw_hub_swap(control, reload->generation, NULL);
    bool is_new = reload->generation->print != server->generation->print;
    if (job->why)
        remember_rollback(reload, job);
    else
        tw_past_on_reload(&reload->past, server->generation, reload->generation, reload->source_vm);
    tw_generation_unref(&server->generation);
    server->generation = tw_generation_ref(reload->generation);
    log_done(reload, job);
    /* The old VMs still know how they did. */
    if (!job->why && is_new)
        tw_asking_start(reload, reload->vms, reload->vm_count);
    else
        tw_asking_stop(reload);
    finish(reload, 0);
}

/* On each worker. The old VM goes where the new one was, for the control worker to free. */
static void after_swap(struct tw_hub *hub, void *old_vm) {
    const struct tw_worker *worker = tw_worker_of(hub);
    struct tw_reload *reload = worker->server->reload;
    reload->vms[worker->index] = old_vm;
    tw_server_call(hub, hub->hubs->workers, false, on_swapped, reload);
}

static void swap(struct tw_hub *hub, struct tw_mail *mail) {
    struct tw_reload *reload = mail->request;
    struct tw_worker *worker = tw_worker_of(hub);
    worker->vm = reload->vms[worker->index];
    hub->on_swapped = after_swap;
    tw_hub_swap(hub, reload->generation, worker->vm);
}

/* The watch has seen a change that is none, or is back at what did not work. */
static bool is_old_news(const struct tw_reload *reload, const struct job *job) {
    if (job->is_asked || job->why) return false;
    if (reload->generation->print == reload->server->generation->print) return true;
    if (reload->generation->print != reload->past.left_print) return false;
    tw_log(TW_LOG_INFO, "reload", "not loaded: these files were rolled back from");
    return true;
}

static void after_load(uv_work_t *work, int cancelled) {
    struct tw_reload *reload = TW_CONTAINER(work, struct tw_reload, work);
    struct tw_server *server = reload->server;
    int status = reload->status;
    if (cancelled || (status == 0 && server->state != TW_SERVER_RUNNING)) status = TW_EDRAINING;
    if (status != 0) {
        tw_server_log_errors(&reload->errors);
        tw_log(TW_LOG_INFO, "reload", "refused, this generation stays error=\"%s\"",
               tw_strerror(status));
        finish(reload, status);
        return;
    }
    if (is_old_news(reload, current(reload))) {
        finish(reload, 0);
        return;
    }
    reload->swapped = 0;
    reload->source_vm = reload->vms[0];
    tw_server_call_all(server, false, swap, reload);
}

/* --- the load --- */

static void load(uv_work_t *work) {
    struct tw_reload *reload = TW_CONTAINER(work, struct tw_reload, work);
    struct tw_app app = tw_server_app(reload->server);
    if (current(reload)->why) app.source = reload->past.before;
    tw_log_set_generation(reload->number - 1); /* until the swap */
    reload->status =
        tw_app_load(&app, reload->number, reload->server->hubs.workers, &reload->generation,
                    &reload->vms, &reload->vm_count, &reload->errors);
    tw_log_set_generation(0);
}

static void start(struct tw_reload *reload) {
    struct tw_server *server = reload->server;
    const struct job *job = current(reload);
    reload->is_busy = true;
    reload->number = server->generation->number + 1;
    bool is_late = job->from && job->from != server->generation->number;
    if (job->why && (is_late || !reload->past.before)) {
        finish(reload, TW_ENOGENERATION);
        return;
    }
    uv_queue_work(&tw_server_control(server)->loop, &reload->work, load, after_load);
}

/* --- the row of jobs --- */

/* The last job, if it has not begun and is of that kind; or a new one. */
static struct job *find_job(struct tw_reload *reload, const char *why) {
    struct tw_list *last = reload->jobs.prev;
    if (last != &reload->jobs && !(reload->is_busy && last == reload->jobs.next)) {
        struct job *job = TW_CONTAINER(last, struct job, node);
        if (!job->why == !why) return job;
    }
    struct job *job = TW_NEW(struct job);
    tw_list_init(&job->node);
    tw_list_init(&job->waiters);
    job->why = why ? tw_format("%s", why) : NULL;
    tw_list_append(&reload->jobs, &job->node);
    return job;
}

static void add_waiter(struct tw_reload *reload, struct job *job, struct tw_pending *pending) {
    if (pending) tw_list_append(&job->waiters, tw_pending_node(pending));
    if (!reload->is_busy) start(reload);
}

void tw_server_reload(struct tw_server *server, bool is_asked, struct tw_pending *pending) {
    if (server->state != TW_SERVER_RUNNING) return;
    struct job *job = find_job(server->reload, NULL);
    job->is_asked |= is_asked;
    add_waiter(server->reload, job, pending);
}

void tw_server_rollback(struct tw_server *server, unsigned from, const char *why,
                        struct tw_pending *pending) {
    if (server->state != TW_SERVER_RUNNING) return;
    struct job *job = find_job(server->reload, why);
    if (pending || tw_list_is_empty(&job->waiters)) job->from = pending ? 0 : from;
    add_waiter(server->reload, job, pending);
}

void tw_reload_print(const struct tw_server *server, struct tw_buf *json) {
    const struct tw_reload *reload = server->reload;
    const struct tw_rollback *last = &reload->last;
    tw_buf_print(json, "\"rollbacks\":%u,", reload->rollbacks);
    if (reload->rollbacks == 0) return;
    tw_buf_print(json,
                 "\"last_rollback\":{\"from\":%u,\"to\":%u,\"generation\":%u,\"at\":%.3f,"
                 "\"reason\":",
                 last->from, last->to, last->generation, last->at);
    tw_buf_json_string(json, last->why, strlen(last->why));
    tw_buf_print(json, "},");
}
