/* worker.h: a thread with a libuv loop, a hub, a VM and connections. The control worker, the last
 * one, is home to no channel: it runs the admin listener, signals, reloads and the drain, on the
 * thread that called tidewire_run. */
#ifndef TW_APP_WORKER_H
#define TW_APP_WORKER_H

#include <uv.h>

#include "app/pauses.h"
#include "base/mem.h"
#include "broker/hub.h"
#include "net/listener.h"
#include "net/poller.h"
#include "proto/session.h"
#include "script/script.h"

struct tw_server;

/* They stand in a row: each on cache lines of its own, since its thread writes there all the time
 * (the hub's counts: with each delivery). */
struct tw_worker {
    _Alignas(TW_CACHE_LINE) struct tw_server *server;
    unsigned index;
    uv_loop_t loop;
    uv_thread_t thread;
    uv_async_t wake;
    uv_prepare_t prepare;
    struct tw_poller poller;
    uv_timer_t timer;
    uint64_t timer_at_ms; /* UINT64_MAX: not running */
    struct tw_hub hub;
    struct tw_vm *vm; /* owned; NULL at the control worker */
    struct tw_ws_pool *pool;
    struct tw_http_service service;
    struct tw_session_config sessions;
    struct tw_listener *listeners;
    size_t listener_count;
    int send_buffer; /* that TCP connections inherit from them */
    struct tw_list conns;
    size_t conn_count;
    struct tw_pauses pauses;
    bool is_draining; /* tell the control worker when the last connection is gone */
    bool is_empty;    /* it was told */
    bool is_quiet;    /* the hub takes no turn any more */
};

/* Takes `vm`; `fds` (taken) are listening sockets. 0 or a uv error. */
int tw_worker_init(struct tw_worker *worker, struct tw_server *server, unsigned index,
                   struct tw_vm *vm, const int *fds, size_t fd_count);
/* Runs the loop until tw_worker_stop has closed all its handles. */
void tw_worker_run(struct tw_worker *worker);
void tw_worker_deinit(struct tw_worker *worker);

/* On the worker's own thread: */
void tw_worker_close_listeners(struct tw_worker *worker);
/* Ends idle HTTP connections; the hub says goodbye to the WebSockets. */
void tw_worker_drain(struct tw_worker *worker, uint64_t window_ms);
/* Breaks all connections off; then as drain. */
void tw_worker_abort(struct tw_worker *worker);
/* Closes every handle; the loop ends when they are closed. The worker is quiet, and so are the
 * others: nobody may wake it any more. */
void tw_worker_end(struct tw_worker *worker);
/* A connection is gone (conn.c). */
void tw_worker_on_conn_closed(struct tw_worker *worker);

/* The loop has come back from its sockets, with something. */
static inline void tw_worker_note_awake(struct tw_worker *worker) {
    if (!tw_pauses_is_on(&worker->pauses)) tw_pauses_start(&worker->pauses, uv_hrtime());
}

static inline struct tw_worker *tw_worker_of(struct tw_hub *hub) {
    return hub->owner;
}

#endif
