/* bench_parts.h: what the files of `tidewire bench` share.
 *
 *   bench.c          the command: options, limits, exit code
 *   bench_loop.c     peers (sockets with an out buffer), one epoll, connecting
 *   bench_socket.c   a client: the handshake, reading frames; the hot path
 *   bench_post.c     a keep-alive HTTP connection that publishes
 *   bench_traffic.c  publishing, closed and open loop; what is awaited
 *   bench_run.c      the workloads, phase by phase
 *   bench_report.c   the result as a table or as JSON
 *
 * One thread, one epoll, edge-triggered: a read into one shared buffer per readable socket, in
 * which frames are read where they lie. Nothing is allocated or copied per delivery. It uses
 * neither libuv nor the broker's own reading: what is measured must not measure. */
#ifndef TW_APP_BENCH_PARTS_H
#define TW_APP_BENCH_PARTS_H

#include "app/bench_histogram.h"
#include "app/bench_options.h"
#include "app/bench_process.h"
#include "app/bench_track.h"
#include "app/bench_wire.h"
#include "base/rand.h"

#define TW_BENCH_READ_SIZE 262144
#define TW_BENCH_CARRY (10 + TW_BENCH_LOOK) /* enough to know what to do with a frame */
#define TW_BENCH_MAX_PHASES 3

enum tw_bench_peer_kind { TW_BENCH_SOCKET, TW_BENCH_POST };
enum tw_bench_state { TW_BENCH_CLOSED, TW_BENCH_CONNECTING, TW_BENCH_SHAKING, TW_BENCH_OPEN };

struct tw_bench_peer {
    int fd;
    enum tw_bench_peer_kind kind : 8;
    enum tw_bench_state state : 8;
    bool is_dirty, is_writable_wanted, is_stalled;
    struct tw_buf in; /* an HTTP answer that has not arrived whole */
    struct tw_buf out;
    struct tw_bench_peer *next_dirty;
    uint64_t began_ns; /* connecting */
};

struct tw_bench_client {
    struct tw_bench_peer peer;
    struct tw_bench_track track;
    uint64_t skip; /* bytes to come of a payload whose beginning was seen */
    uint32_t channel;
    bool is_slow;             /* one that stops reading: nobody waits for what it hears */
    bool is_final, has_stamp; /* of the message that `skip` belongs to */
    uint16_t carried;         /* bytes in `carry`, the beginning of a frame */
    char stamp[TW_BENCH_STAMP_LENGTH];
    char carry[TW_BENCH_CARRY];
};

struct tw_bench_poster {
    struct tw_bench_peer peer;
    bool is_busy;
};

struct tw_bench_channel {
    uint64_t sender_digits; /* as they lie in the payload */
    uint32_t published;     /* sequence numbers below have been sent */
    uint32_t listeners;     /* clients that are awaited */
    uint32_t touched;       /* idle: how many of its clients have published */
    uint32_t *left;         /* closed loop: ring of deliveries that are awaited, per message */
};

struct tw_bench_phase {
    const char *name;
    double seconds, client_cores; /* cores: without what was spun */
    uint64_t deliveries, messages;
    uint64_t pings;                     /* of the server's, each of which was answered */
    struct tw_bench_usage server;       /* if the pid is known */
    int64_t rss;                        /* bytes at its end; negative: unknown */
    struct tw_bench_histogram latency;  /* ns, of deliveries */
    struct tw_bench_histogram lateness; /* ns, open loop: how late the load tool itself published */
};

struct tw_bench {
    const struct tw_bench_options *options;
    FILE *err;
    /* --- loop --- */
    int epoll;
    uint64_t now_ns;  /* of the monotonic clock, when the last wait ended or the last read */
    uint64_t spun_ns; /* busy poll: in waits that brought nothing */
    char *buffer;
    struct tw_bench_peer *dirty;
    struct sockaddr_storage address, post_address;
    socklen_t address_length, post_address_length;
    char key[25], accept[29];
    struct tw_bench_client *clients;
    uint32_t client_count, slow_count;
    uint32_t opening, open; /* handshakes under way; clients that are open */
    struct tw_bench_poster *posters;
    uint32_t poster_count;
    /* --- traffic --- */
    struct tw_bench_channel *channels;
    uint32_t channel_count, left_mask, next_channel;
    bool is_closed_loop, is_publishing;
    uint64_t rate_began_ns; /* open loop: message n is due n / rate later */
    void (*on_complete)(struct tw_bench *bench, uint32_t channel);
    uint64_t in_flight, awaited; /* messages; deliveries */
    uint64_t messages, deliveries, slow_deliveries, foreign, pings;
    struct tw_bench_losses losses, slow_losses;
    char run_stamp[16]; /* latencies of messages sent at one time and read at another are one run */
    uint64_t run_latency, run_length;
    struct tw_bench_histogram *latency, *lateness; /* of the phase; NULL between phases */
    char *payload;
    struct tw_rand rand;
    /* --- results --- */
    struct tw_bench_histogram connect_latency;
    uint64_t connects, connect_failures, closed;
    double connect_s;
    struct tw_bench_usage connect_usage; /* the server's */
    int64_t memory_before, memory_connected, memory_touched;
    struct tw_bench_phase phases[TW_BENCH_MAX_PHASES];
    unsigned phase_count;
    bool is_connecting, is_churning; /* what it means when a client is lost */
    bool has_failed, is_stalled;
    char error[400];   /* why it has failed */
    char closing[200]; /* why the first client was closed, or refused */
};

/* ---- loop ---- */

uint64_t tw_bench_clock(void);
/* Ends the run: the first mistake is kept. */
void tw_bench_fail(struct tw_bench *bench, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* 0 or a negative errno; `client`: which of them, for its source address. */
int tw_bench_peer_open(struct tw_bench *bench, struct tw_bench_peer *peer,
                       enum tw_bench_peer_kind kind, uint32_t client);
/* Idempotent. `reset`: without a port that waits for two minutes. */
void tw_bench_peer_close(struct tw_bench *bench, struct tw_bench_peer *peer, bool reset);
/* Stops or resumes reading. */
void tw_bench_peer_stall(struct tw_bench *bench, struct tw_bench_peer *peer, bool is_stalled);
/* What is in `out` goes out at the end of the turn. */
void tw_bench_peer_mark(struct tw_bench *bench, struct tw_bench_peer *peer);
/* Writes what is marked, waits at most until then (or for what comes), and handles it. */
void tw_bench_turn(struct tw_bench *bench, uint64_t until_ns);

/* ---- clients and posters: called by the loop ---- */

void tw_bench_client_connected(struct tw_bench *bench, struct tw_bench_client *client);
void tw_bench_client_read(struct tw_bench *bench, struct tw_bench_client *client, const char *bytes,
                          size_t length);
/* The connection has ended, or did not come about; `why` for people. The peer is closed then. */
void tw_bench_client_lost(struct tw_bench *bench, struct tw_bench_client *client, const char *why);
/* Frames, after the handshake, from any splitting of the bytes. */
void tw_bench_client_feed(struct tw_bench *bench, struct tw_bench_client *client, const char *bytes,
                          size_t length);
void tw_bench_poster_read(struct tw_bench *bench, struct tw_bench_poster *poster, const char *bytes,
                          size_t length);
/* Sends one message. The poster of a channel must not be busy. */
void tw_bench_post(struct tw_bench *bench, uint32_t channel);
bool tw_bench_post_is_busy(const struct tw_bench *bench, uint32_t channel);

/* ---- traffic ---- */

/* Stamps the payload with the channel's next number and `sent_ns`, and publishes by `client`, or by
 * POST if the options say so. */
void tw_bench_publish(struct tw_bench *bench, struct tw_bench_client *client, uint64_t sent_ns);
bool tw_bench_may_publish(const struct tw_bench *bench);
/* Closed loop: as many as the window allows, channel by channel in turn. */
void tw_bench_fill(struct tw_bench *bench);
/* Open loop: all that are due, stamped with the time at which they were; when the next one is. */
uint64_t tw_bench_publish_due(struct tw_bench *bench);
/* A client is lost: nobody waits for it any more. */
void tw_bench_give_up(struct tw_bench *bench, struct tw_bench_client *client);
/* Puts the latencies of the present run into the histogram. */
void tw_bench_flush_run(struct tw_bench *bench);

/* ---- run, report ---- */

/* Runs the workload; what it found is in `bench`. */
void tw_bench_run(struct tw_bench *bench);
void tw_bench_report(const struct tw_bench *bench, FILE *out);

#endif
