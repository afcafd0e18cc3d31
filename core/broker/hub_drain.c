/* hub_drain.c: goodbyes, spread over a window so that the clients do not come back all at once. */
#include "base/mem.h"
#include "broker/hub_parts.h"

void tw_hub_drain(struct tw_hub *hub, uint64_t window_ms) {
    size_t at = 0;
    struct tw_client *client;
    if (hub->is_draining) return;
    hub->is_draining = true;
    hub->drain_since_ms = hub->now_ms;
    hub->drain_window_ms = window_ms;
    hub->goodbyes = tw_alloc((hub->clients.count + 1) * sizeof *hub->goodbyes);
    while ((client = tw_map_next(&hub->clients, &at)))
        hub->goodbyes[hub->goodbye_count++] = client->identity->id;
}

/* Evenly, and those of several workers in turn: a worker with one client may not be the first. */
static uint64_t goodbye_at_ms(const struct tw_hub *hub, size_t i) {
    uint64_t steps = 2 * (uint64_t)hub->hubs->workers;
    return hub->drain_since_ms + (steps * i + 2 * (uint64_t)hub->index + 1) * hub->drain_window_ms /
                                     (steps * hub->goodbye_count);
}

void tw_hub_say_goodbyes(struct tw_hub *hub) {
    while (tw_hub_next_goodbye_ms(hub) <= hub->now_ms) {
        struct tw_client *client = tw_hub_find_client(hub, hub->goodbyes[hub->goodbye_next++]);
        if (client && !client->is_closing)
            tw_client_close(client, 1001, "server is going away", false);
        if (hub->goodbye_next % TW_HUB_CLOCK_EVERY == 0 && tw_hub_is_late(hub)) return;
    }
}

uint64_t tw_hub_next_goodbye_ms(const struct tw_hub *hub) {
    if (hub->goodbye_next >= hub->goodbye_count) return UINT64_MAX;
    return goodbye_at_ms(hub, hub->goodbye_next);
}
