/* session_parts.h: what the files of the session know of each other. Private to session*.c. */
#ifndef TW_PROTO_SESSION_PARTS_H
#define TW_PROTO_SESSION_PARTS_H

#include "base/mem.h"
#include "proto/session.h"

enum tw_session_state {
    TW_SESSION_HTTP,
    TW_SESSION_SERVING,
    TW_SESSION_ASKING,
    TW_SESSION_OPEN,
    TW_SESSION_CLOSING,
    TW_SESSION_LINGER,
    TW_SESSION_DONE
};

/* What only the HTTP part of a life needs; freed when the WebSocket is open. */
struct tw_exchange {
    struct tw_http_reader *reader;
    struct tw_http_request request;
    struct tw_ip peer;
    struct tw_buf out;            /* the response, or the next piece of it */
    size_t sent;                  /* of `out` */
    struct tw_http_source source; /* of the rest; length: what is left */
    bool has_answer, close_after;
};

struct tw_session {
    const struct tw_session_config *config;
    void *transport;
    struct tw_client client;
    struct tw_exchange *http;
    struct tw_ws_reader *reader;
    struct tw_name *channel; /* ref: where its messages go */
    struct tw_buf *input;    /* bytes that wait: the home is asked, or the client is paused */
    enum tw_session_state state;
    bool has_place;       /* of hubs->admission */
    bool is_paused;       /* no reading until on_resume */
    bool is_feeding;      /* tw_session_on_read is on the stack */
    bool has_their_close; /* the peer's close frame is here */
};

static inline struct tw_session *tw_session_of(struct tw_client *client) {
    return TW_CONTAINER(client, struct tw_session, client);
}

extern const struct tw_client_ops tw_session_client_ops;

/* session.c */
void tw_session_set_state(struct tw_session *session, enum tw_session_state to);
/* All is written: shuts our side down and waits for the peer to hang up. */
void tw_session_linger(struct tw_session *session);
/* Has these bytes wait; without the memory the connection is broken off. */
void tw_session_keep(struct tw_session *session, const char *bytes, size_t length);
/* Goes on with the bytes that waited. */
void tw_session_read_on(struct tw_session *session);
void tw_session_give_place_back(struct tw_session *session);

/* session_http.c: all of it, and how much was used. */
size_t tw_session_read_http(struct tw_session *session, const char *bytes, size_t length);
/* Writes on; on the whole response being gone, goes on. */
void tw_session_flush_http(struct tw_session *session);
void tw_session_free_http(struct tw_session *session);

/* session_handshake.c */
/* Ends an unanswered handshake as the close code says, by HTTP or by that code. */
void tw_session_refuse_handshake(struct tw_session *session, unsigned code, const char *reason);
bool tw_session_is_ws_path(const struct tw_http_request *request);
void tw_session_handshake(struct tw_session *session, const struct tw_http_request *request);
void tw_session_on_subscribed(struct tw_client *client, struct tw_sub *sub,
                              const struct tw_mail *answer);

/* session_ws.c */
void tw_session_read_ws(struct tw_session *session, const char *bytes, size_t length);
void tw_session_close(struct tw_client *client, unsigned code, const char *reason, bool discard);

#endif
