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
    };
}

static void free_texts(char **texts, size_t count) {
    for (size_t i = 0; i < count; i++)
        tw_free(texts[i]);
    tw_free(texts);
}

void tw_settings_deinit(struct tw_settings *settings) {
    free_texts(settings->listen, settings->listen_count);
    free_texts(settings->allowed_origins, settings->allowed_origin_count);
    tw_free(settings->trusted_proxies);
    memset(settings, 0, sizeof *settings);
}
