/* link.h: a simulated connection between a client and a session: two pipes with a speed, a delay
 * and a buffer, and the client's end (peer.h).
 *
 * A pipe is a TCP direction seen from afar: bytes written are accepted as far as the buffer has
 * room, arrive in order after their time, and wait there while the reader does not read. */
#ifndef TW_SIM_LINK_H
#define TW_SIM_LINK_H

#include "base/heap.h"
#include "proto/session.h"
#include "sim/peer.h"

struct tw_sim;

/* What a link is like. Times in microseconds. */
struct tw_link_options {
    double up_speed, down_speed;   /* bytes a second; 0: at once */
    uint64_t delay_us;             /* each way */
    size_t up_buffer, down_buffer; /* bytes under way and unread */
    bool is_split;                 /* what arrives is read in pieces of random sizes */
};

struct tw_pipe_chunk {
    size_t length;
    uint64_t at_us; /* when it arrives, with its last byte */
};

struct tw_pipe {
    double speed;
    uint64_t delay_us, busy_until_us;
    size_t capacity;
    struct tw_buf bytes;  /* accepted, not yet read */
    struct tw_buf chunks; /* struct tw_pipe_chunk, in order: how the bytes arrive */
    size_t chunk_at;      /* the first chunk, of those in `chunks` */
    bool is_ended;        /* the writer says no more */
    bool is_end_read;     /* ... and the reader knows */
};

struct tw_link {
    struct tw_sim *sim;
    unsigned node;              /* the worker that accepted it */
    size_t number;              /* of the sim's links: 1, 2, 3 ... */
    struct tw_session *session; /* NULL: gone */
    struct tw_peer peer;
    struct tw_pipe up, down;   /* client to broker, broker to client */
    struct tw_list ready;      /* of the sim: something may happen now */
    struct tw_list changed;    /* of the sim: something may have, see tw_sim_next_changed */
    struct tw_heap_node event; /* of the sim: something happens then */
    bool is_reading;           /* the session reads */
    bool is_stalled;           /* the client does not */
    bool is_split;
    bool wants_writable; /* a write was short */
    bool is_closed;      /* transport->close was called: free the session */
    bool is_broken_off;  /* ... without a shutdown before: what was half-written stays so */
    bool is_reset;       /* one side broke it off */
};

extern const struct tw_transport_ops tw_link_transport;

void tw_link_init(struct tw_link *link, struct tw_sim *sim, unsigned node,
                  const struct tw_link_options *options);
void tw_link_deinit(struct tw_link *link);
/* Does what is due now, once; true if something happened. */
bool tw_link_step(struct tw_link *link);
/* When something is due without anyone's doing; UINT64_MAX: never. */
uint64_t tw_link_next_us(const struct tw_link *link);
/* The client: writes what its outbox holds, as far as there is room. */
void tw_link_pump(struct tw_link *link);
void tw_link_end_up(struct tw_link *link); /* half-close, behind what was written */
void tw_link_reset(struct tw_link *link);
void tw_link_configure(struct tw_link *link, const struct tw_link_options *options);

#endif
