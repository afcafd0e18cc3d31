/* peer.h: the client's end of a simulated connection: an HTTP answer, then frames. Strict: what a
 * server must not send is a fault, which the specs look at.
 *
 * RFC 6455 5.1: a server does not mask; 5.4: this one does not fragment. */
#ifndef TW_SIM_PEER_H
#define TW_SIM_PEER_H

#include "base/buf.h"
#include "base/rand.h"
#include "proto/frame.h"

enum tw_peer_state { TW_PEER_HTTP, TW_PEER_OPEN, TW_PEER_ENDED };

struct tw_peer_message {
    struct tw_peer_message *next;
    enum tw_opcode opcode; /* text, binary, ping, pong */
    size_t length;
    char bytes[];
};

struct tw_peer {
    enum tw_peer_state state;
    int status;         /* of the HTTP answer; 0: none yet */
    struct tw_buf head; /* of it */
    struct tw_buf in;   /* bytes not yet understood; of an HTTP answer: the body */
    struct tw_buf out;  /* bytes to write, for which there was no room */
    struct tw_peer_message *first, **last;
    size_t count; /* messages that nobody has taken */
    unsigned close_code;
    char close_reason[124];
    const char *fault;                         /* what the server did wrong; NULL: nothing */
    struct tw_rand rand;                       /* for masks */
    bool no_pong, no_close_reply, keeps_pings; /* keeps_pings: hand pings and pongs out, too */
    bool has_close, has_sent_close, wants_end; /* wants_end: answer the server's end with ours */
    unsigned pings;
};

void tw_peer_init(struct tw_peer *peer, uint64_t seed);
void tw_peer_deinit(struct tw_peer *peer);
/* Bytes from the server. */
void tw_peer_read(struct tw_peer *peer, const char *bytes, size_t length);
/* The server will send no more. */
void tw_peer_end(struct tw_peer *peer);
/* Appends a masked frame to `out`. */
void tw_peer_send(struct tw_peer *peer, unsigned first_byte, struct tw_str payload);
/* The next message; owned by the caller (tw_free), NULL if there is none. */
struct tw_peer_message *tw_peer_take(struct tw_peer *peer);

#endif
