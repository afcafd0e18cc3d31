/* settings.c: the defaults; broker.lua is read by core/script. */
#include "broker/settings.h"

#include <string.h>

#include "base/mem.h"

void tw_settings_init(struct tw_settings *settings) {
    *settings = (struct tw_settings){
        .workers = 1,
        .heartbeat_interval_ms = 25000,
        .heartbeat_timeout_ms = 10000,
        .limits =
            {
                .connections = 100000,
                .messages = {.rate = 100, .burst = 200},
                .bytes = {.rate = 1048576, .burst = 4194304},
                .message_size = 65536,
                .header_size = 8192,
                .handshake_timeout_ms = 10000,
                .channels_per_client = 100,
                .violations = 20,
            },
        .queue = {.size = 256, .overflow = TW_DROP_OLDEST},
        .queue_bytes = 1048576,
        .socket_buffer = 65536,
        .drain_window_ms = 5000,
        .drain_timeout_ms = 30000,
        .script_deadline_ms = 100,
        .script_memory = 67108864,
        .shared_memory = TW_SHARED_MEMORY,
        .quarantine = {.failures = 200, .window_ms = 60000, .retry_ms = 30000},
        .rollback = {.calls = 20, .share = 0.5},
    };
}

bool tw_settings_allow_env(const struct tw_settings *settings, struct tw_str name) {
    static const char *const usual[] = {"WS_TOKEN", "TIDEWIRE_*"};
    bool has_own = settings && settings->has_env;
    const char *const *list = has_own ? (const char *const *)settings->env : usual;
    size_t count = has_own ? settings->env_count : sizeof usual / sizeof *usual;
    bool is_secret = tw_str_eq(name, TW_STR("TIDEWIRE_ADMIN_KEY")); /* only by its whole name */
    for (size_t i = 0; i < count; i++) {
        struct tw_str pattern = tw_str_of(list[i]);
        bool is_prefix = pattern.length > 0 && pattern.data[pattern.length - 1] == '*';
        if (is_prefix) pattern.length--;
        if (is_prefix ? tw_str_starts(name, pattern) && !is_secret : tw_str_eq(name, pattern))
            return true;
    }
    return false;
}

static void free_texts(char **texts, size_t count) {
    for (size_t i = 0; i < count; i++)
        tw_free(texts[i]);
    tw_free(texts);
}

void tw_settings_deinit(struct tw_settings *settings) {
    free_texts(settings->listen, settings->listen_count);
    free_texts(settings->allowed_origins, settings->allowed_origin_count);
    free_texts(settings->env, settings->env_count);
    tw_free(settings->trusted_proxies);
    memset(settings, 0, sizeof *settings);
}
