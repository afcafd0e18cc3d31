/* session.h: one connection of the public port, from its first byte to its last: HTTP, the
 * WebSocket handshake, frames, the closing handshake. Bytes in, bytes out: no sockets, no clock, so
 * that the simulator runs the same code.
 *
 *   HTTP ----> SERVING ----> HTTP (keep-alive) or LINGER
 *     |          a request that is no WebSocket, answered by the service
 *     +------> ASKING -----> OPEN -----> CLOSING -----> LINGER -----> DONE
 *              the channel's home is asked; refused: LINGER (or CLOSING with reject_with = "close")
 *
 * LINGER: all is written and our side is shut down; what still comes is thrown away until the peer
 * hangs up or a deadline passes, since closing with unread bytes would reset the connection and
 * take our last words with it. Any state may go to DONE when the connection breaks. */
#ifndef TW_PROTO_SESSION_H
#define TW_PROTO_SESSION_H

#include <sys/uio.h>

#include "broker/hub.h"
#include "proto/http.h"
#include "proto/ws.h"

struct tw_session;

/* What carries the bytes. None of these calls the session back. */
struct tw_transport_ops {
    /* Bytes taken; fewer than offered, or TW_EAGAIN: tw_session_on_writable follows. Otherwise the
     * connection is broken. */
    int64_t (*write)(void *transport, const struct iovec *spans, int count);
    void (*set_reading)(void *transport, bool on);
    void (*shutdown)(void *transport); /* no more writes */
    /* The end: soon, but not from within this call, the owner calls tw_session_free. Idempotent. */
    void (*close)(void *transport);
};

/* Answers requests that are no WebSocket handshakes, now or later, by tw_session_respond. */
struct tw_http_service {
    void (*on_request)(void *data, struct tw_session *session,
                       const struct tw_http_request *request);
    /* The session ends while a request of its is unanswered. */
    void (*on_gone)(void *data, struct tw_session *session);
    void *data;
    bool websocket;   /* are /ws and /ws/... handshakes here? */
    size_t body_size; /* of requests; 0: none */
};

struct tw_session_config {
    struct tw_hub *hub;
    struct tw_ws_pool *pool;
    const struct tw_http_service *service;
    const struct tw_transport_ops *transport;
};

/* `config` outlives the session. `ip`: of the peer. Owned by the caller. */
struct tw_session *tw_session_new(const struct tw_session_config *config, void *transport,
                                  const struct tw_ip *ip);
/* The same in memory of the caller's, zeroed, which has room for tw_session_size() bytes. */
void tw_session_init(struct tw_session *session, const struct tw_session_config *config,
                     void *transport, const struct tw_ip *ip);
size_t tw_session_size(void);
/* Breaks the connection off, at once; transport->close is called. Idempotent. */
void tw_session_abort(struct tw_session *session);
/* Is it an HTTP connection that waits for a request, of which no byte is here? */
bool tw_session_is_idle(const struct tw_session *session);
/* Does it read requests, each of which may be a handshake that runs auth? */
bool tw_session_is_http(const struct tw_session *session);
/* After transport->close was called. Gives back its place, leaves the hub. Not from within the hub
 * or the session. */
void tw_session_deinit(struct tw_session *session);
void tw_session_free(struct tw_session *session); /* the same, of one that tw_session_new made */

/* Bytes have come (borrowed for the call). */
void tw_session_on_read(struct tw_session *session, const void *bytes, size_t length);
/* The peer will send no more. */
void tw_session_on_eof(struct tw_session *session);
void tw_session_on_writable(struct tw_session *session);
/* Answers the request that is being served; borrows. */
void tw_session_respond(struct tw_session *session, const struct tw_http_response *response);
/* The same with a body that is read as it is written. Takes the source. */
void tw_session_respond_from(struct tw_session *session, const struct tw_http_response *response,
                             const struct tw_http_source *source);
/* The same with a JSON body {"error": message}. */
void tw_session_refuse(struct tw_session *session, int status, const char *message);

#endif
