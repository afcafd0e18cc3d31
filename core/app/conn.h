/* conn.h: glue between a socket (net/stream) and a session (proto/session). Nothing is decided
 * here. */
#ifndef TW_APP_CONN_H
#define TW_APP_CONN_H

#include "app/worker.h"

extern const struct tw_transport_ops tw_conn_transport;
extern const struct tw_stream_ops tw_conn_streams;

/* Takes the accepted descriptor. */
void tw_conn_accept(struct tw_worker *worker, int fd, const struct sockaddr *peer);
void tw_conn_abort_all(struct tw_worker *worker);
/* Ends those that wait for a request. */
void tw_conn_end_idle(struct tw_worker *worker);

#endif
