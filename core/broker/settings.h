/* settings.h: what broker.lua says, checked and complete. Immutable once its generation is built.
 * Durations are in milliseconds here and in seconds in Lua. */
#ifndef TW_BROKER_SETTINGS_H
#define TW_BROKER_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip.h"
#include "base/str.h"

#define TW_SHARED_MEMORY 16777216 /* the default of shared.memory */

/* A token bucket: `rate` tokens a second, at most `burst` at once. rate 0: no limit. */
struct tw_rate {
    double rate, burst;
};

/* What happens to a message for a subscriber whose queue is full. */
enum tw_overflow {
    TW_DROP_OLDEST,
    TW_DROP_NEWEST,
    TW_CONFLATE,  /* of each key only the newest stays, in place; if no room: drop oldest */
    TW_DISCONNECT /* close with 4431 */
};

struct tw_queue_settings {
    uint32_t size; /* messages per subscription, >= 1 */
    enum tw_overflow overflow;
};

/* When a channel's hooks fail too often, see quarantine.h. */
struct tw_quarantine_settings {
    uint32_t failures; /* 0: never */
    uint64_t window_ms, retry_ms;
};

/* When to go back to the generation before by itself, see trial.h. */
struct tw_rollback_settings {
    uint64_t window_ms; /* after a reload; 0: never */
    uint32_t calls;
    double share;
};

struct tw_limits {
    uint32_t connections;        /* WebSocket connections of the whole process */
    uint32_t connections_per_ip; /* 0: no cap */
    struct tw_rate handshakes_per_ip;
    struct tw_rate messages; /* per client */
    struct tw_rate bytes;    /* per client */
    uint32_t message_size, header_size;
    uint64_t handshake_timeout_ms;
    uint32_t channels_per_client;
    uint32_t violations;
};

struct tw_settings {
    char **listen; /* "host:port", "[v6]:port" or "unix:path" */
    size_t listen_count;
    unsigned workers;                                     /* >= 1 */
    uint64_t heartbeat_interval_ms, heartbeat_timeout_ms; /* interval 0: no heartbeat */
    struct tw_limits limits;
    struct tw_queue_settings queue;
    uint32_t queue_bytes;   /* per client */
    uint32_t socket_buffer; /* bytes of SO_SNDBUF; 0: the system's choice */
    struct tw_cidr *trusted_proxies;
    size_t trusted_proxy_count;
    char **allowed_origins; /* none: every origin */
    size_t allowed_origin_count;
    bool reject_with_close; /* reject_with = "close" */
    uint64_t drain_window_ms, drain_timeout_ms;
    uint64_t script_deadline_ms;
    size_t script_memory;
    bool script_jit;
    char **env; /* what tidewire.env may read: names, or beginnings of names and '*' */
    size_t env_count;
    bool has_env;         /* false: the default list */
    size_t shared_memory; /* bytes of tidewire.shared */
    struct tw_quarantine_settings quarantine;
    struct tw_rollback_settings rollback;
};

/* The defaults of DESIGN.md section 4. */
void tw_settings_init(struct tw_settings *settings);
/* May scripts read that variable of the environment? NULL: by the default list. */
bool tw_settings_allow_env(const struct tw_settings *settings, struct tw_str name);
/* Frees what the lists hold. */
void tw_settings_deinit(struct tw_settings *settings);

#endif
