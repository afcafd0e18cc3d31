/* server.h: the whole broker: workers, the control worker, generations, the end.
 *
 *   LOADED -> RUNNING -> QUIESCING -> SETTLING -> GOODBYES -> QUIET -> CLOSING -> ENDED
 *   QUIESCING: listeners close; what clients have published so far is on its way to its home
 *   SETTLING:  ... has been ordered there
 *   GOODBYES:  every client gets what it was sent, then 1001; over the drain window
 *   QUIET:     no connection is left; the hubs take no more turns
 *   CLOSING:   the admin listener's connections end
 *   ENDED:     handles close, threads are joined
 */
#ifndef TW_APP_SERVER_H
#define TW_APP_SERVER_H

#include <stdatomic.h>

#include "app/worker.h"
#include "net/watch.h"
#include "tidewire/tidewire.h"

enum tw_server_state {
    TW_SERVER_LOADED,
    TW_SERVER_RUNNING,
    TW_SERVER_QUIESCING,
    TW_SERVER_SETTLING,
    TW_SERVER_GOODBYES,
    TW_SERVER_QUIET,
    TW_SERVER_CLOSING,
    TW_SERVER_ENDED
};

struct tw_reload; /* reload.c */

struct tw_server {
    /* What was asked for; owned copies. */
    char *app_path, *admin, *admin_key, **overrides;
    size_t override_count;
    bool want_signals, want_watch;
    void (*on_ready)(void *data, const char *listen, const char *admin, unsigned workers,
                     unsigned generation);
    void *on_ready_data;
    /* What runs. */
    struct tw_generation *generation; /* ref; the newest that every worker has */
    struct tw_vm **vms;               /* of the first generation, until the workers take them */
    struct tw_hubs hubs;
    struct tw_common *common;  /* ref */
    struct tw_worker *workers; /* hubs.workers and the control worker behind them */
    char *listen_text, *admin_text;
    char **sockets; /* paths of unix sockets that we made */
    size_t socket_count;
    uint64_t started_ms;
    /* Of the control worker's thread. */
    enum tw_server_state state;
    struct tw_reload *reload;
    struct tw_watch *watch;
    struct tw_list pending; /* requests to the admin listener that wait (admin.c) */
    unsigned acks;          /* how many workers have done what the state asks for */
    int signal_fd;          /* SIGHUP, SIGTERM, SIGINT; if want_signals */
    uv_poll_t signals;
    uv_timer_t drain_timer;
    unsigned stops_seen;
    bool is_end_due; /* only a load that is under way is waited for */
    /* Of any thread. */
    atomic_bool is_started;     /* loops may be woken */
    atomic_bool is_ended;       /* ... and are to end */
    pthread_mutex_t outside;    /* tidewire_publish and _stop against the end of the loops */
    bool is_open, is_stoppable; /* guarded by it: for publish, for stop */
    bool is_stopped_early;      /* guarded by it: by a stop before the loops ran */
};

static inline struct tw_worker *tw_server_control(struct tw_server *server) {
    return &server->workers[server->hubs.workers];
}

/* Has `call` run on that worker's thread, behind what is in its up or its down lane. */
void tw_server_call(struct tw_hub *from, unsigned to, bool up,
                    void (*call)(struct tw_hub *hub, struct tw_mail *mail), void *request);
/* The same on every worker but the control worker. */
void tw_server_call_all(struct tw_server *server, bool up,
                        void (*call)(struct tw_hub *hub, struct tw_mail *mail), void *request);
/* Unix seconds, of this turn. */
double tw_server_wall(struct tw_server *server);
/* The app as it is now on disk. */
struct tw_app tw_server_app(const struct tw_server *server);

/* Removes the files of unix sockets that we listened on. */
void tw_server_unlink_sockets(struct tw_server *server);

/* shutdown.c, on the control worker's thread unless said otherwise */
void tw_server_open_signals(struct tw_server *server);
void tw_server_close_signals(struct tw_server *server);
/* Drains; the second time ends at once. */
void tw_server_stop(struct tw_server *server);
/* A worker whose last connection is gone, on its thread. */
void tw_server_on_worker_empty(struct tw_worker *worker);

/* reload.c, on the control worker's thread */
void tw_reload_init(struct tw_server *server);
void tw_reload_close(struct tw_server *server); /* its handles; before the loop ends */
void tw_reload_deinit(struct tw_server *server);
struct tw_pending;
/* Loads the app anew, off the loops. is_asked: also if nothing has changed. `pending`: whom to
 * answer, or NULL. */
void tw_server_reload(struct tw_server *server, bool is_asked, struct tw_pending *pending);
/* Loads the files of the generation before (script/past.h) as a new generation. `why`: for log and
 * stats. `from` not 0: nobody asked; only if that generation still runs then. */
void tw_server_rollback(struct tw_server *server, unsigned from, const char *why,
                        struct tw_pending *pending);
/* Appends `"rollbacks":..,` and, after the first, `"last_rollback":{..},` */
void tw_reload_print(const struct tw_server *server, struct tw_buf *json);
bool tw_server_is_reloading(const struct tw_server *server);
/* shutdown.c: no load is under way any more. */
void tw_server_on_load_ended(struct tw_server *server);
/* Logs each mistake. */
void tw_server_log_errors(const struct tw_load_errors *errors);

#endif
