/* worker.c: drives a hub by a libuv loop: one turn of the hub before the loop sleeps, each time. */
#include "app/worker.h"

#include <poll.h>

#include "app/conn.h"
#include "app/server.h"
#include "app/static.h"
#include "base/check.h"
#include "base/mem.h"

#define READERS_KEPT 16

/* --- the turn --- */

static void on_timer(uv_timer_t *timer) {
    TW_CONTAINER(timer, struct tw_worker, timer)->timer_at_ms = UINT64_MAX;
}

/* The loop is awake, so a turn follows; unless there are no turns any more. */
static void on_wake(uv_async_t *wake) {
    struct tw_worker *worker = TW_CONTAINER(wake, struct tw_worker, wake);
    tw_worker_note_awake(worker);
    if (atomic_load(&worker->server->is_ended)) tw_worker_end(worker);
}

static void sleep_until(struct tw_worker *worker, uint64_t at_ms, uint64_t now_ms) {
    if (at_ms == worker->timer_at_ms) return;
    worker->timer_at_ms = at_ms;
    if (at_ms == UINT64_MAX)
        uv_timer_stop(&worker->timer);
    else
        uv_timer_start(&worker->timer, on_timer, at_ms > now_ms ? at_ms - now_ms : 0, 0);
}

/* Scripts' garbage is collected while there is nothing else to do: no mail, and nothing at the
 * sockets. One slice; true: there may be more to collect. */
static bool collect_if_idle(struct tw_worker *worker) {
    struct pollfd sockets = {.fd = uv_backend_fd(&worker->loop), .events = POLLIN};
    if (!worker->vm || !tw_vm_wants_collecting(worker->vm)) return false;
    if (poll(&sockets, 1, 0) != 0) return false;
    tw_vm_collect_some(worker->vm);
    return true;
}

static void on_prepare(uv_prepare_t *prepare) {
    struct tw_worker *worker = TW_CONTAINER(prepare, struct tw_worker, prepare);
    if (worker->is_quiet) return;
    tw_worker_note_awake(worker);
    uint64_t now_ms = uv_now(&worker->loop);
    uint64_t next_ms = tw_hub_turn(&worker->hub, now_ms);
    if (worker->is_quiet)
        next_ms = UINT64_MAX;
    else if (next_ms > now_ms && collect_if_idle(worker))
        next_ms = now_ms;
    sleep_until(worker, next_ms, now_ms);
    tw_pauses_stop(&worker->pauses, uv_hrtime());
}

/* --- life --- */

static void on_accept(struct tw_listener *listener, int fd, const struct sockaddr *peer) {
    tw_conn_accept(listener->poll.loop->data, fd, peer);
}

static int open_listeners(struct tw_worker *worker, const int *fds, size_t count) {
    worker->listeners = tw_alloc((count + 1) * sizeof *worker->listeners);
    for (size_t i = 0; i < count; i++) {
        int status = tw_listener_open(&worker->listeners[i], &worker->loop, fds[i], on_accept);
        if (status < 0) return status;
        worker->listener_count++;
    }
    return 0;
}

int tw_worker_init(struct tw_worker *worker, struct tw_server *server, unsigned index,
                   struct tw_vm *vm, const int *fds, size_t fd_count) {
    struct tw_rand rand;
    tw_rand_seed_system(&rand);
    *worker = (struct tw_worker){.server = server, .index = index, .vm = vm};
    int status = uv_loop_init(&worker->loop);
    if (status < 0) return status;
    worker->loop.data = worker;
    worker->send_buffer = (int)server->generation->settings.socket_buffer;
    tw_list_init(&worker->conns);
    tw_pauses_init(&worker->pauses, NULL);
    worker->timer_at_ms = UINT64_MAX;
    uv_async_init(&worker->loop, &worker->wake, on_wake);
    uv_prepare_init(&worker->loop, &worker->prepare);
    uv_timer_init(&worker->loop, &worker->timer);
    uv_prepare_start(&worker->prepare, on_prepare);
    status = tw_poller_open(&worker->poller, &worker->loop, &tw_conn_streams);
    if (status < 0) return status;
    tw_hub_init(&worker->hub, &server->hubs, index, server->generation, vm, tw_rand_next(&rand),
                uv_now(&worker->loop));
    worker->hub.owner = worker;
    worker->pool = tw_ws_pool_new(READERS_KEPT);
    worker->service = tw_static_service(worker);
    worker->sessions = (struct tw_session_config){
        .hub = &worker->hub,
        .pool = worker->pool,
        .service = &worker->service,
        .transport = &tw_conn_transport,
    };
    return open_listeners(worker, fds, fd_count);
}

void tw_worker_run(struct tw_worker *worker) {
    uv_run(&worker->loop, UV_RUN_DEFAULT);
}

void tw_worker_deinit(struct tw_worker *worker) {
    tw_hub_deinit(&worker->hub);
    tw_ws_pool_free(worker->pool);
    if (worker->vm) tw_vm_free(worker->vm);
    tw_free(worker->listeners);
    TW_CHECK(uv_loop_close(&worker->loop) == 0);
}

/* --- the end --- */

void tw_worker_close_listeners(struct tw_worker *worker) {
    for (size_t i = 0; i < worker->listener_count; i++)
        tw_listener_close(&worker->listeners[i], NULL);
}

static void tell_if_empty(struct tw_worker *worker) {
    if (!worker->is_draining || worker->is_empty || worker->conn_count > 0) return;
    worker->is_empty = true;
    tw_server_on_worker_empty(worker);
}

void tw_worker_drain(struct tw_worker *worker, uint64_t window_ms) {
    tw_hub_drain(&worker->hub, window_ms);
    tw_conn_end_idle(worker);
    worker->is_draining = true;
    tell_if_empty(worker);
}

void tw_worker_abort(struct tw_worker *worker) {
    tw_worker_close_listeners(worker);
    tw_conn_abort_all(worker);
    tw_worker_drain(worker, 0);
}

void tw_worker_on_conn_closed(struct tw_worker *worker) {
    worker->conn_count--;
    tell_if_empty(worker);
}

void tw_worker_end(struct tw_worker *worker) {
    if (uv_is_closing((uv_handle_t *)&worker->wake)) return;
    tw_worker_close_listeners(worker);
    uv_close((uv_handle_t *)&worker->wake, NULL);
    uv_close((uv_handle_t *)&worker->prepare, NULL);
    uv_close((uv_handle_t *)&worker->timer, NULL);
    tw_poller_close(&worker->poller);
}
