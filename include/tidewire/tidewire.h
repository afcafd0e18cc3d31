/* tidewire.h: the broker inside another program.
 *
 *   struct tidewire *broker;
 *   struct tidewire_options options = {.app = "examples/stock-tracker"};
 *   if (tidewire_new(&broker, &options) == 0) {
 *       tidewire_run(broker);     // until tidewire_stop, or SIGTERM with .signals
 *       tidewire_free(broker);
 *   }
 *
 * Functions return 0 or a negative code, whose text is tidewire_strerror. What went wrong is
 * logged. */
#ifndef TIDEWIRE_TIDEWIRE_H
#define TIDEWIRE_TIDEWIRE_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TIDEWIRE_API __attribute__((visibility("default")))

struct tidewire;

struct tidewire_options {
    const char *app;              /* a folder or a file; NULL: the built-in default app */
    const char *const *overrides; /* "limits.connections_per_ip=2" */
    size_t override_count;
    const char *admin;     /* "host:port"; NULL: 127.0.0.1:8081; "off": none */
    const char *admin_key; /* bearer token; needed when admin is not on loopback */
    int signals;           /* handle SIGHUP, SIGTERM and SIGINT; ignored when it has run */
    int watch;             /* reload when files of the app change */
    /* Called once on the running thread when every listener is open. Texts are borrowed. */
    void (*on_ready)(void *data, const char *listen, const char *admin, unsigned workers,
                     unsigned generation);
    void *data;
};

/* Loads the app. `*out` is owned by the caller. All of `options` is copied. */
TIDEWIRE_API int tidewire_new(struct tidewire **out, const struct tidewire_options *options);
/* Serves until it was stopped; everything accepted is delivered. Once per broker. */
TIDEWIRE_API int tidewire_run(struct tidewire *broker);
/* From any thread, while it runs: publishes as the HTTP API does. Copies the payload; says 0 when
 * it was handed over, not when it was ordered. `binary` 0: the payload is JSON. */
TIDEWIRE_API int tidewire_publish(struct tidewire *broker, const char *channel, const void *payload,
                                  size_t length, int binary);
/* From any thread: drains as SIGTERM does; the second time it ends at once. Before run: run then
 * ends as soon as it serves. */
TIDEWIRE_API void tidewire_stop(struct tidewire *broker);
/* After run has returned, or if it was never called. */
TIDEWIRE_API void tidewire_free(struct tidewire *broker);

TIDEWIRE_API const char *tidewire_strerror(int status);
TIDEWIRE_API const char *tidewire_version(void);

#ifdef __cplusplus
}
#endif

#endif
