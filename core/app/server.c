/* server.c: the broker from its options to its end; the public API. */
#include "app/server.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "app/admin.h"
#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/status.h"
#include "proto/handshake.h"
#include "proto/raw.h"

#define MAILBOX_BOUND 8192
#define DEFAULT_ADMIN "127.0.0.1:8081"

const char *tidewire_strerror(int status) {
    return tw_strerror(status);
}

const char *tidewire_version(void) {
    return TW_VERSION;
}

struct tw_app tw_server_app(const struct tw_server *server) {
    return (struct tw_app){.path = server->app_path,
                           .overrides = (const char *const *)server->overrides,
                           .override_count = server->override_count,
                           .scripts_dir = TW_SCRIPTS_DIR,
                           .common = server->common};
}

double tw_server_wall(struct tw_server *server) {
    const struct tw_hub *control = &tw_server_control(server)->hub;
    return (double)((int64_t)control->now_ms + server->hubs.wall_offset_ms) / 1000.0;
}

/* --- new and free --- */

static char *copy_or(const char *text, const char *otherwise) {
    return text || otherwise ? tw_format("%s", text ? text : otherwise) : NULL;
}

static int load_first(struct tw_server *server) {
    struct tw_app app = tw_server_app(server);
    struct tw_load_errors errors = {0};
    size_t count = 0;
    int status = tw_app_load(&app, 1, 0, &server->generation, &server->vms, &count, &errors);
    if (status != 0) tw_server_log_errors(&errors);
    tw_load_errors_deinit(&errors);
    server->hubs.workers = (unsigned)count;
    return status;
}

int tidewire_new(struct tidewire **out, const struct tidewire_options *options) {
    struct tw_server *server = TW_NEW(struct tw_server);
    server->app_path = copy_or(options->app, TW_SCRIPTS_DIR "/default");
    server->admin = copy_or(options->admin, DEFAULT_ADMIN);
    server->admin_key = copy_or(options->admin_key, NULL);
    server->override_count = options->override_count;
    server->overrides = tw_alloc((options->override_count + 1) * sizeof(char *));
    for (size_t i = 0; i < options->override_count; i++)
        server->overrides[i] = copy_or(options->overrides[i], "");
    server->want_signals = options->signals;
    server->want_watch = options->watch;
    server->on_ready = options->on_ready;
    server->on_ready_data = options->data;
    server->common = tw_common_new(NULL, NULL);
    tw_list_init(&server->pending);
    pthread_mutex_init(&server->outside, NULL);
    int status = load_first(server);
    if (status != 0) {
        tidewire_free((struct tidewire *)server);
        return status;
    }
    *out = (struct tidewire *)server;
    return 0;
}

void tidewire_free(struct tidewire *broker) {
    struct tw_server *server = (struct tw_server *)broker;
    for (size_t i = 0; i < server->override_count; i++)
        tw_free(server->overrides[i]);
    for (unsigned i = 0; server->vms && i < server->hubs.workers; i++)
        if (server->vms[i]) tw_vm_free(server->vms[i]);
    tw_free(server->vms);
    tw_free(server->overrides);
    tw_free(server->app_path);
    tw_free(server->admin);
    tw_free(server->admin_key);
    tw_free(server->listen_text);
    tw_free(server->admin_text);
    tw_free(server->workers);
    tw_generation_unref(&server->generation);
    tw_common_unref(&server->common);
    pthread_mutex_destroy(&server->outside);
    tw_free(server);
}

/* --- listening --- */

/* Sockets to listen on: `count` for each worker, in rows. */
struct sockets {
    int *fds;
    size_t count;
};

static void close_sockets(struct sockets *sockets, unsigned rows) {
    for (size_t i = 0; i < sockets->count * rows; i++)
        if (sockets->fds[i] >= 0) close(sockets->fds[i]);
}

static void remember_socket(struct tw_server *server, const char *text) {
    if (strncmp(text, "unix:", 5) != 0) return;
    server->sockets =
        tw_realloc(server->sockets, (server->socket_count + 1) * sizeof *server->sockets);
    server->sockets[server->socket_count++] = tw_format("%s", text + 5);
}

void tw_server_unlink_sockets(struct tw_server *server) {
    for (size_t i = 0; i < server->socket_count; i++) {
        unlink(server->sockets[i]);
        tw_free(server->sockets[i]);
    }
    tw_free(server->sockets);
    server->sockets = NULL;
    server->socket_count = 0;
}

static int bind_all(struct tw_server *server, struct sockets *sockets) {
    const struct tw_settings *settings = &server->generation->settings;
    int send_buffer = (int)settings->socket_buffer;
    struct tw_buf texts = {0};
    int status = 0;
    sockets->count = settings->listen_count;
    sockets->fds = tw_alloc((sockets->count * server->hubs.workers + 1) * sizeof(int));
    memset(sockets->fds, 0xff, sockets->count * server->hubs.workers * sizeof(int));
    for (size_t i = 0; i < sockets->count && status == 0; i++) {
        char text[TW_ADDRESS_TEXT_SIZE];
        status = tw_listener_bind(settings->listen[i], server->hubs.workers > 1, send_buffer,
                                  &sockets->fds[i], text);
        if (status < 0) {
            tw_log(TW_LOG_ERROR, "listen", "cannot listen address=%s error=\"%s\"",
                   settings->listen[i], text);
            break;
        }
        for (unsigned row = 1; row < server->hubs.workers && status == 0; row++)
            status = tw_listener_bind_again(text, sockets->fds[i], send_buffer,
                                            &sockets->fds[row * sockets->count + i]);
        remember_socket(server, text);
        tw_buf_print(&texts, "%s%s", i ? "," : "", text);
    }
    if (status != 0) close_sockets(sockets, server->hubs.workers);
    tw_buf_append(&texts, "", 1);
    server->listen_text = texts.data;
    return status;
}

static bool is_local(const char *text) {
    return strncmp(text, "127.", 4) == 0 || strncmp(text, "[::1]", 5) == 0 ||
           strncmp(text, "unix:", 5) == 0;
}

/* *fd stays -1 when there is to be no admin listener. */
static int bind_admin(struct tw_server *server, int *fd) {
    char text[TW_ADDRESS_TEXT_SIZE] = "off";
    if (strcmp(server->admin, "off") != 0) {
        int status = tw_listener_bind(server->admin, false,
                                      (int)server->generation->settings.socket_buffer, fd, text);
        if (status < 0) {
            tw_log(TW_LOG_ERROR, "listen", "cannot listen admin=%s error=\"%s\"", server->admin,
                   text);
            return status;
        }
        if (!is_local(text) && (!server->admin_key || !*server->admin_key)) {
            tw_log(TW_LOG_ERROR, "listen",
                   "the admin address %s can be reached from elsewhere and has no key: set "
                   "TIDEWIRE_ADMIN_KEY or --admin-key, or take an address like 127.0.0.1:8081",
                   text);
            close(*fd);
            *fd = -1;
            return TW_EADMINKEY;
        }
    }
    remember_socket(server, text);
    server->admin_text = tw_format("%s", text);
    return 0;
}

/* --- workers --- */

static void wake(void *driver, unsigned index) {
    struct tw_server *server = driver;
    /* Mail of hubs that are still being made: every loop begins with a turn. */
    if (!atomic_load_explicit(&server->is_started, memory_order_acquire)) return;
    uv_async_send(&server->workers[index].wake);
}

/* Not the coarse clock, which may tick every 4 ms only. */
static uint64_t clock_ms(void *driver) {
    struct timespec time;
    (void)driver;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

static uint64_t cpu_ms(void *driver) {
    struct timespec time;
    (void)driver;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

static void init_hubs(struct tw_server *server) {
    unsigned boxes = server->hubs.workers + 1;
    struct timespec wall, mono;
    server->hubs.boxes = tw_alloc_lines(boxes * sizeof *server->hubs.boxes);
    for (unsigned i = 0; i < boxes; i++)
        tw_mailbox_init(&server->hubs.boxes[i], MAILBOX_BOUND);
    server->hubs.wake = wake;
    server->hubs.clock_ms = clock_ms;
    server->hubs.cpu_ms = cpu_ms;
    server->hubs.driver = server;
    server->hubs.hooks = &tw_script_hooks;
    server->hubs.dialect = &tw_dialect_raw;
    server->hubs.common = server->common;
    clock_gettime(CLOCK_REALTIME, &wall);
    clock_gettime(CLOCK_MONOTONIC, &mono);
    server->hubs.wall_offset_ms =
        (int64_t)(wall.tv_sec - mono.tv_sec) * 1000 + (wall.tv_nsec - mono.tv_nsec) / 1000000;
    tw_admission_init(&server->hubs.admission);
}

static void deinit_hubs(struct tw_server *server) {
    for (unsigned i = 0; i <= server->hubs.workers; i++)
        tw_mailbox_deinit(&server->hubs.boxes[i]);
    tw_free(server->hubs.boxes);
    tw_admission_deinit(&server->hubs.admission);
}

/* All hubs exist before any of them runs, since they write to each other. */
static int init_workers(struct tw_server *server, const struct sockets *sockets, int admin_fd) {
    unsigned count = server->hubs.workers;
    server->workers = tw_alloc_lines((count + 1) * sizeof *server->workers);
    for (unsigned i = 0; i <= count; i++) {
        bool is_control = i == count;
        int status =
            tw_worker_init(&server->workers[i], server, i, is_control ? NULL : server->vms[i],
                           is_control ? &admin_fd : &sockets->fds[i * sockets->count],
                           is_control ? admin_fd >= 0 : sockets->count);
        if (!is_control) server->vms[i] = NULL;
        if (status < 0) return status;
    }
    tw_admin_init(server);
    return 0;
}

static void run_worker(void *worker) {
    tw_worker_run(worker);
}

void tw_server_call(struct tw_hub *from, unsigned to, bool up,
                    void (*call)(struct tw_hub *hub, struct tw_mail *mail), void *request) {
    struct tw_mail *mail = tw_mail_new(TW_MAIL_CALL);
    mail->is_up = up;
    mail->call = call;
    mail->request = request;
    tw_hub_post(from, to, mail);
}

void tw_server_call_all(struct tw_server *server, bool up,
                        void (*call)(struct tw_hub *hub, struct tw_mail *mail), void *request) {
    for (unsigned i = 0; i < server->hubs.workers; i++)
        tw_server_call(&tw_server_control(server)->hub, i, up, call, request);
}

/* --- running --- */

static void on_change(void *data) {
    tw_server_reload(data, false, NULL);
}

static void open_control(struct tw_server *server) {
    static const char *const skip[] = {"public", "spec", NULL};
    int status = 0;
    tw_reload_init(server);
    tw_server_open_signals(server);
    if (server->want_watch)
        server->watch = tw_watch_open(&tw_server_control(server)->loop, server->app_path, skip,
                                      on_change, server, &status);
}

/* True if tidewire_stop was there first. */
static bool open_to_outside(struct tw_server *server) {
    pthread_mutex_lock(&server->outside);
    bool is_stopped = server->is_stopped_early;
    server->is_stoppable = true;
    server->is_open = !is_stopped;
    pthread_mutex_unlock(&server->outside);
    return is_stopped;
}

static void serve(struct tw_server *server) {
    server->state = TW_SERVER_RUNNING;
    tw_log_set_generation(server->generation->number);
    server->started_ms = uv_now(&tw_server_control(server)->loop);
    open_control(server);
    tw_handshake_prepare();
    atomic_store(&server->is_started, true);
    for (unsigned i = 0; i < server->hubs.workers; i++)
        TW_REQUIRE(uv_thread_create(&server->workers[i].thread, run_worker, &server->workers[i]) ==
                   0);
    bool is_stopped = open_to_outside(server);
    tw_log(TW_LOG_INFO, "server", "serving app=%s listen=%s admin=%s workers=%u", server->app_path,
           server->listen_text, server->admin_text, server->hubs.workers);
    if (server->on_ready)
        server->on_ready(server->on_ready_data, server->listen_text, server->admin_text,
                         server->hubs.workers, server->generation->number);
    if (is_stopped) tw_server_stop(server);
    tw_worker_run(tw_server_control(server));
    for (unsigned i = 0; i < server->hubs.workers; i++)
        uv_thread_join(&server->workers[i].thread);
}

int tidewire_run(struct tidewire *broker) {
    struct tw_server *server = (struct tw_server *)broker;
    struct sockets sockets = {0};
    int admin_fd = -1;
    if (server->state != TW_SERVER_LOADED) return TW_EUSAGE;
    int status = bind_all(server, &sockets);
    if (status == 0 && (status = bind_admin(server, &admin_fd)) != 0)
        close_sockets(&sockets, server->hubs.workers);
    if (status == 0) {
        init_hubs(server);
        status = init_workers(server, &sockets, admin_fd);
        TW_REQUIRE(status == 0); /* only a system out of descriptors gets here */
        serve(server);
        tw_reload_deinit(server);
        uint32_t left = tw_admission_count(&server->hubs.admission);
        for (unsigned i = 0; i <= server->hubs.workers; i++)
            tw_worker_deinit(&server->workers[i]);
        tw_admin_deinit(server);
        deinit_hubs(server);
        tw_log(TW_LOG_INFO, "server", "stopped connections=%u checks=%lu", left, tw_check_count());
        tw_log_set_generation(0); /* the thread is our caller's */
    }
    tw_server_unlink_sockets(server);
    tw_free(sockets.fds);
    return status;
}

/* --- from outside --- */

struct outside_publish {
    struct tw_message *message;
    char *channel;
};

static void publish_outside(struct tw_hub *hub, struct tw_mail *mail) {
    struct outside_publish *publish = mail->request;
    int status = tw_hub_publish_from_api(hub, tw_str_of(publish->channel), publish->message, NULL);
    if (status != 0)
        tw_log(TW_LOG_WARN, "server", "publish refused channel=%s error=\"%s\"", publish->channel,
               tw_strerror(status));
    tw_free(publish->channel);
    tw_free(publish);
}

/* Hands a call to the control worker, behind those before it. TW_ECLOSED when it no longer runs,
 * or, with `closes`, makes it so for the calls that follow. */
static int call_from_outside(struct tw_server *server, bool closes,
                             void (*call)(struct tw_hub *hub, struct tw_mail *mail),
                             void *request) {
    struct tw_mail *mail = tw_mail_new(TW_MAIL_CALL);
    mail->call = call;
    mail->request = request;
    pthread_mutex_lock(&server->outside);
    bool is_open = closes ? server->is_stoppable : server->is_open;
    if (closes) server->is_open = false;
    if (closes && !is_open) server->is_stopped_early = true; /* unless it has ended */
    if (is_open) {
        tw_mailbox_try_put(&server->hubs.boxes[server->hubs.workers], mail);
        wake(server, server->hubs.workers);
    }
    pthread_mutex_unlock(&server->outside);
    if (!is_open) tw_mail_free(mail);
    return is_open ? 0 : TW_ECLOSED;
}

int tidewire_publish(struct tidewire *broker, const char *channel, const void *payload,
                     size_t length, int binary) {
    struct outside_publish *publish = TW_NEW(struct outside_publish);
    publish->message = tw_message_try_new(payload, length, binary);
    publish->channel = tw_format("%s", channel);
    int status = publish->message ? call_from_outside((struct tw_server *)broker, false,
                                                      publish_outside, publish)
                                  : TW_ETOOBIG;
    if (status != 0) {
        tw_message_unref(&publish->message);
        tw_free(publish->channel);
        tw_free(publish);
    }
    return status;
}

static void stop_outside(struct tw_hub *hub, struct tw_mail *mail) {
    (void)mail;
    tw_server_stop(tw_worker_of(hub)->server);
}

void tidewire_stop(struct tidewire *broker) {
    call_from_outside((struct tw_server *)broker, true, stop_outside, NULL);
}
