/* admin.h: the admin listener: HTTP for operators and back ends, on the control worker. */
#ifndef TW_APP_ADMIN_H
#define TW_APP_ADMIN_H

#include "app/server.h"

/* A request that waits for other threads. Lives on when its connection is gone; answering frees it.
 */
struct tw_pending;

struct tw_list *tw_pending_node(struct tw_pending *pending); /* free for the one who answers */
struct tw_pending *tw_pending_of(struct tw_list *node);
void tw_admin_answer(struct tw_pending *pending, int status, const struct tw_buf *json);

/* Makes the control worker's listeners serve the admin API. */
void tw_admin_init(struct tw_server *server);
/* Frees what still waits; the loops have ended. */
void tw_admin_deinit(struct tw_server *server);

/* rolled_back_to 0: it was a reload. */
void tw_admin_answer_reload(struct tw_pending *pending, int status, unsigned generation,
                            unsigned rolled_back_to, const struct tw_load_errors *errors);
/* stats.c: gathers from every worker, then answers. */
void tw_admin_gather_stats(struct tw_server *server, struct tw_pending *pending);

#endif
