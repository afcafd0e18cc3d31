/* shutdown.c: signals, and the way from RUNNING to ENDED (see server.h). */
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "app/admin.h"
#include "app/server.h"
#include "base/check.h"
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

/* One each time: the first may close the descriptor. */
static void on_signal(uv_poll_t *poll, int status, int ready) {
    struct tw_server *server = poll->data;
    struct signalfd_siginfo info;
    (void)status, (void)ready;
    if (read(server->signal_fd, &info, sizeof info) != sizeof info) return;
    if (info.ssi_signo == SIGHUP)
        tw_server_reload(server, true, NULL);
    else
        tw_server_stop(server);
}

/* Blocked, in all threads that are started from here on, and for good: when all is said and nobody
 * reads them any more, one more must not make a failure of it. */
void tw_server_open_signals(struct tw_server *server) {
    uv_loop_t *loop = &tw_server_control(server)->loop;
    sigset_t set;
    uv_timer_init(loop, &server->drain_timer);
    if (!server->want_signals) return;
    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    server->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    TW_REQUIRE(server->signal_fd >= 0 &&
               uv_poll_init(loop, &server->signals, server->signal_fd) == 0);
    server->signals.data = server;
    uv_poll_start(&server->signals, UV_READABLE, on_signal);
}

void tw_server_close_signals(struct tw_server *server) {
    uv_close((uv_handle_t *)&server->drain_timer, NULL);
    if (!server->want_signals) return;
    uv_close((uv_handle_t *)&server->signals, NULL);
    close(server->signal_fd);
}
