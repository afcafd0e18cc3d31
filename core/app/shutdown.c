/* shutdown.c: signals, and the way from RUNNING to ENDED (see server.h). */
#include <signal.h>
#include <unistd.h>

#include "app/admin.h"
#include "app/server.h"
#include "base/log.h"
#include "base/mem.h"

/* A worker that does not end when told to at once, ends with the process after this. */
#define AT_ONCE_MS 2000

static struct tw_server *server_of(struct tw_hub *hub) {
    return tw_worker_of(hub)->server;
}

/* --- rounds: something every worker does, and says so --- */

static void next_state(struct tw_server *server);

static void on_ack(struct tw_hub *control, struct tw_mail *mail) {
    struct tw_server *server = server_of(control);
    (void)mail;
    if (++server->acks == server->hubs.workers) next_state(server);
}

static void ack(struct tw_hub *hub) {
    tw_server_call(hub, hub->hubs->workers, false, on_ack, NULL);
}

/* Two rounds of this: after the first no publish waits for room in a mailbox, after the second all
 * are ordered. Each is behind what lay in the up lane, and, by posting itself once more, behind
 * what the hub had put aside for itself. */
static void settle(struct tw_hub *hub, struct tw_mail *mail) {
    tw_worker_close_listeners(tw_worker_of(hub));
    if (mail->from == hub->index && hub->spill_count == 0)
        ack(hub);
    else
        tw_server_call(hub, hub->index, true, settle, NULL);
}

/* Behind all deliveries of what was published before. */
static void say_goodbyes(struct tw_hub *hub, struct tw_mail *mail) {
    (void)mail;
    tw_worker_drain(tw_worker_of(hub), hub->generation->settings.drain_window_ms);
}

void tw_server_on_worker_empty(struct tw_worker *worker) {
    if (worker->index == worker->hub.hubs->workers)
        next_state(worker->server);
    else
        ack(&worker->hub);
}

static void be_quiet(struct tw_hub *hub, struct tw_mail *mail) {
    (void)mail;
    tw_hub_end_swap(hub); /* who loaded waits for it */
    ack(hub);
    tw_worker_of(hub)->is_quiet = true;
}

static void abort_all(struct tw_hub *hub, struct tw_mail *mail) {
    (void)mail;
    tw_worker_abort(tw_worker_of(hub));
}

/* --- the control worker's own end --- */

static void end(struct tw_server *server) {
    struct tw_worker *control = tw_server_control(server);
    server->is_end_due = tw_server_is_reloading(server);
    if (server->is_end_due) return; /* its thread still works for us */
    control->is_quiet = true;
    atomic_store(&server->is_ended, true);
    for (unsigned i = 0; i < server->hubs.workers; i++)
        uv_async_send(&server->workers[i].wake);
    tw_server_close_signals(server);
    tw_reload_close(server);
    tw_worker_end(control);
}

void tw_server_on_load_ended(struct tw_server *server) {
    if (server->is_end_due) end(server);
}

static void close_control(struct tw_server *server) {
    pthread_mutex_lock(&server->outside);
    server->is_open = server->is_stoppable = false;
    pthread_mutex_unlock(&server->outside);
    tw_watch_close(server->watch);
    server->watch = NULL;
    tw_worker_abort(tw_server_control(server));
}

/* Every worker has done what the state asked for. */
static void next_state(struct tw_server *server) {
    server->acks = 0;
    server->state++;
    switch (server->state) {
    case TW_SERVER_SETTLING:
        tw_server_call_all(server, true, settle, NULL);
        return;
    case TW_SERVER_GOODBYES:
        tw_server_call_all(server, false, say_goodbyes, NULL);
        return;
    case TW_SERVER_QUIET:
        tw_server_call_all(server, false, be_quiet, NULL);
        return;
    case TW_SERVER_CLOSING:
        close_control(server);
        return; /* its last connection calls again */
    default:
        end(server);
        return;
    }
}

/* --- being told --- */

/* Nobody is connected any more, and what is left to wait for is a script that is being loaded: then
 * nothing is lost by not waiting. */
static void on_not_ending(uv_timer_t *timer) {
    struct tw_server *server = TW_CONTAINER(timer, struct tw_server, drain_timer);
    if (!server->is_end_due)
        tw_log(TW_LOG_ERROR, "server", "a worker does not end: the process does");
    tw_server_unlink_sockets(server);
    _exit(server->is_end_due ? 0 : 1);
}

static void abort_workers(struct tw_server *server) {
    if (server->want_signals) uv_timer_start(&server->drain_timer, on_not_ending, AT_ONCE_MS, 0);
    tw_server_call_all(server, false, abort_all, NULL);
}

static void on_drain_timeout(uv_timer_t *timer) {
    struct tw_server *server = TW_CONTAINER(timer, struct tw_server, drain_timer);
    tw_log(TW_LOG_INFO, "server", "drain timeout: connections are broken off count=%u",
           tw_admission_count(&server->hubs.admission));
    abort_workers(server);
}

void tw_server_stop(struct tw_server *server) {
    uint64_t timeout_ms = server->generation->settings.drain_timeout_ms;
    if (++server->stops_seen == 1) {
        tw_log(TW_LOG_INFO, "server", "draining connections=%u",
               tw_admission_count(&server->hubs.admission));
        server->state = TW_SERVER_QUIESCING;
        tw_server_control(server)->hub.is_draining = true;
        uv_timer_start(&server->drain_timer, on_drain_timeout, timeout_ms, 0);
        tw_server_call_all(server, true, settle, NULL);
    } else if (server->stops_seen == 2) {
        tw_log(TW_LOG_INFO, "server", "stopping at once");
        abort_workers(server);
    }
}

static void on_signal(uv_signal_t *handle, int number) {
    struct tw_server *server = handle->data;
    if (number == SIGHUP)
        tw_server_reload(server, true, NULL);
    else
        tw_server_stop(server);
}

static void watch_signal(struct tw_server *server, uv_signal_t *handle, int number) {
    uv_signal_init(&tw_server_control(server)->loop, handle);
    handle->data = server;
    if (server->want_signals) uv_signal_start(handle, on_signal, number);
}

void tw_server_open_signals(struct tw_server *server) {
    uv_timer_init(&tw_server_control(server)->loop, &server->drain_timer);
    watch_signal(server, &server->sighup, SIGHUP);
    watch_signal(server, &server->sigterm, SIGTERM);
    watch_signal(server, &server->sigint, SIGINT);
}

void tw_server_close_signals(struct tw_server *server) {
    uv_close((uv_handle_t *)&server->drain_timer, NULL);
    uv_close((uv_handle_t *)&server->sighup, NULL);
    uv_close((uv_handle_t *)&server->sigterm, NULL);
    uv_close((uv_handle_t *)&server->sigint, NULL);
    if (!server->want_signals) return;
    /* libuv has put back the system's ways; but all is said, and one more signal must not make a
     * failure of it. */
    signal(SIGHUP, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGINT, SIG_IGN);
}
