/* reload.c: a new generation: loaded on libuv's pool, swapped in by each worker, the old VMs freed.
 *
 *   idle -> loading (pool) -> swapping (each worker, between two messages) -> idle
 *
 * When only the file watch asks and the files say what they said before, nothing is swapped.
 *
 * A request that comes while one is under way is answered by the load after it, which sees the
 * files as they were at the request or later. */
#include <stdio.h>
#include <string.h>

#include "app/admin.h"
#include "app/server.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/status.h"

struct tw_reload {
    struct tw_server *server;
    uv_work_t work;
    bool is_busy, is_wanted;
    bool is_asked, is_asked_next; /* by a person, not by the watch: this load, the next one */
    struct tw_list waiters, next_waiters; /* struct tw_pending: of this load, of the next one */
    /* What is being loaded. */
    unsigned number;
    int status;
    struct tw_generation *generation;
    struct tw_vm **vms; /* new ones; then, as the workers swap, the old ones */
    size_t vm_count, swapped;
    struct tw_load_errors errors;
};

static void start(struct tw_reload *reload);

void tw_reload_init(struct tw_server *server) {
    struct tw_reload *reload = TW_NEW(struct tw_reload);
    reload->server = server;
    tw_list_init(&reload->waiters);
    tw_list_init(&reload->next_waiters);
    server->reload = reload;
}

void tw_reload_deinit(struct tw_server *server) {
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

/* --- after the load --- */

static void free_vms(struct tw_reload *reload) {
    for (size_t i = 0; i < reload->vm_count; i++)
        if (reload->vms[i]) tw_vm_free(reload->vms[i]);
    tw_free(reload->vms);
    reload->vms = NULL;
    reload->vm_count = 0;
}

static void answer_all(struct tw_reload *reload) {
    struct tw_list *node;
    while ((node = tw_list_shift(&reload->waiters)))
        tw_admin_answer_reload(tw_pending_of(node), reload->status, reload->number,
                               &reload->errors);
}

static void finish(struct tw_reload *reload) {
    answer_all(reload);
    free_vms(reload);
    tw_generation_unref(&reload->generation);
    tw_load_errors_deinit(&reload->errors);
    reload->is_busy = false;
    if (reload->is_wanted && reload->server->state == TW_SERVER_RUNNING) {
        reload->is_wanted = false;
        start(reload);
        return;
    }
    tw_list_move(&reload->waiters, &reload->next_waiters);
    reload->status = TW_EDRAINING; /* for those who asked for a load that will not be */
    answer_all(reload);
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

static void on_swapped(struct tw_hub *control, struct tw_mail *mail) {
    struct tw_reload *reload = mail->request;
    struct tw_server *server = tw_worker_of(control)->server;
    if (++reload->swapped < reload->vm_count) return;
    warn_of_restarts(server, reload->generation);
    tw_hub_swap(control, reload->generation, NULL);
    tw_generation_unref(&server->generation);
    server->generation = tw_generation_ref(reload->generation);
    tw_log(TW_LOG_INFO, "reload", "done");
    finish(reload);
}

/* On each worker. The old VM goes where the new one was, for the control worker to free. */
static void swap(struct tw_hub *hub, struct tw_mail *mail) {
    struct tw_reload *reload = mail->request;
    struct tw_worker *worker = tw_worker_of(hub);
    struct tw_vm *old = worker->vm;
    tw_hub_swap(hub, reload->generation, reload->vms[worker->index]);
    worker->vm = reload->vms[worker->index];
    reload->vms[worker->index] = old;
    tw_server_call(hub, hub->hubs->workers, false, on_swapped, reload);
}

static void after_load(uv_work_t *work, int cancelled) {
    struct tw_reload *reload = TW_CONTAINER(work, struct tw_reload, work);
    struct tw_server *server = reload->server;
    if (cancelled || (reload->status == 0 && server->state != TW_SERVER_RUNNING))
        reload->status = TW_EDRAINING;
    if (reload->status != 0) {
        tw_server_log_errors(&reload->errors);
        tw_log(TW_LOG_INFO, "reload", "refused, this generation stays error=\"%s\"",
               tw_strerror(reload->status));
        finish(reload);
        return;
    }
    if (!reload->is_asked && reload->generation->print == server->generation->print) {
        finish(reload);
        return;
    }
    reload->swapped = 0;
    tw_server_call_all(server, false, swap, reload);
}

/* --- the load --- */

static void load(uv_work_t *work) {
    struct tw_reload *reload = TW_CONTAINER(work, struct tw_reload, work);
    struct tw_app app = tw_server_app(reload->server);
    tw_log_set_generation(reload->number - 1); /* until the swap */
    reload->status =
        tw_app_load(&app, reload->number, reload->server->hubs.workers, &reload->generation,
                    &reload->vms, &reload->vm_count, &reload->errors);
    tw_log_set_generation(0);
}

static void start(struct tw_reload *reload) {
    struct tw_worker *control = tw_server_control(reload->server);
    reload->is_busy = true;
    reload->number = reload->server->generation->number + 1;
    reload->is_asked = reload->is_asked_next;
    reload->is_asked_next = false;
    tw_list_move(&reload->waiters, &reload->next_waiters);
    uv_queue_work(&control->loop, &reload->work, load, after_load);
}

void tw_server_reload(struct tw_server *server, bool is_asked, struct tw_pending *pending) {
    struct tw_reload *reload = server->reload;
    if (server->state != TW_SERVER_RUNNING) return;
    reload->is_asked_next |= is_asked;
    if (pending) tw_list_append(&reload->next_waiters, tw_pending_node(pending));
    if (reload->is_busy)
        reload->is_wanted = true;
    else
        start(reload);
}
