/* client.c: what a client does with its outbox and its hub. */
#include "broker/client.h"

#include <string.h>

#include "base/log.h"
#include "broker/hub.h"

void tw_client_init(struct tw_client *client, struct tw_hub *hub, const struct tw_client_ops *ops) {
    memset(client, 0, sizeof *client);
    client->hub = hub;
    client->ops = ops;
    tw_list_init(&client->dirty);
    tw_list_init(&client->other);
    tw_wait_init(&client->wait);
    tw_outbox_init(&client->outbox);
}

void tw_client_deinit(struct tw_client *client) {
    tw_list_remove(&client->dirty);
    tw_list_remove(&client->other);
    tw_wait_stop(&client->wait);
    tw_outbox_deinit(&client->outbox);
    tw_identity_unref(&client->identity);
}

int tw_client_try_control(struct tw_client *client, const void *bytes, size_t length) {
    int status = tw_outbox_try_control(&client->outbox, bytes, length);
    if (status == 0) tw_client_mark_dirty(client);
    return status;
}

void tw_client_close(struct tw_client *client, unsigned code, const char *reason, bool discard) {
    if (!discard) tw_hub_catch_up(client->hub, client);
    if (client->is_closing) return; /* catching up found it broken, or too slow */
    client->ops->on_close(client, code, reason, discard);
}

void tw_client_mark_dirty(struct tw_client *client) {
    if (!tw_list_is_linked(&client->dirty)) tw_list_append(&client->hub->dirty, &client->dirty);
}

void tw_client_retire(struct tw_client *client) {
    if (client->is_closing) return;
    client->is_closing = true;
    tw_list_remove(&client->other);
    tw_list_append(&client->hub->retiring, &client->other);
}

void tw_client_violate(struct tw_client *client, const char *reason) {
    client->hub->stats.refused++;
    if (client->is_closing) return;
    if (++client->violations < client->hub->generation->settings.limits.violations) return;
    tw_client_close(client, 4429, reason, false);
}
