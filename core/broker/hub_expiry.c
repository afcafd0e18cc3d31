/* hub_expiry.c: clients whose tokens end. With an `on_expire` in auth.lua they are asked for first,
 * a bounded number in one turn: thousands may have logged in in the same second. */
#include <math.h>

#include "base/mem.h"
#include "base/status.h"
#include "broker/hub_parts.h"

/* 285,000 years; what a double says beyond need not fit into 64 bits. */
#define MAX_EXPIRY_MS 9e15
/* A client that stays does so for this long: who returns the time that it is does not mean it. */
#define LEAST_RENEWAL_MS 1000.0

void tw_hub_arm_expiry(struct tw_hub *hub, struct tw_client *client, double expires) {
    double at_ms = ceil(expires * 1000.0) - (double)hub->hubs->wall_offset_ms;
    if (expires > 0 && at_ms < MAX_EXPIRY_MS)
        tw_heap_add(&hub->expiries, &client->expiry, at_ms > 0 ? (uint64_t)at_ms : 0);
}

/* What was allowed for the old token may not be for the new one. */
static bool renew(struct tw_hub *hub, struct tw_client *client) {
    struct tw_failure failure = {0};
    double expires = 0;
    if (!hub->generation->has_on_expire) return false;
    int status = hub->hubs->hooks->on_expire(hub->vm, client->identity, &expires, &failure);
    if (status == TW_ESCRIPT) hub->stats.hook_failures++;
    double now_ms = (double)((int64_t)hub->now_ms + hub->hubs->wall_offset_ms);
    if (status != 0 || expires * 1000.0 < now_ms + LEAST_RENEWAL_MS) return false;
    tw_hub_arm_expiry(hub, client, expires);
    for (struct tw_sub *sub = client->subs; sub; sub = sub->next)
        tw_hub_ask_again(hub, sub);
    return true;
}

void tw_hub_end_tokens(struct tw_hub *hub) {
    struct tw_heap_node *node;
    for (unsigned i = 0; i < TW_HUB_EXPIRIES; i++) {
        node = tw_heap_first(&hub->expiries);
        if (!node || node->at_ms > hub->now_ms) return;
        struct tw_client *client = TW_CONTAINER(node, struct tw_client, expiry);
        tw_heap_remove(&hub->expiries, node);
        if (!client->is_closing && !renew(hub, client))
            tw_client_close(client, 4401, "token expired", false);
        if (tw_hub_is_late(hub)) return;
    }
}
