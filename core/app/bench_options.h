/* bench_options.h: the command line of `tidewire bench`. */
#ifndef TW_APP_BENCH_OPTIONS_H
#define TW_APP_BENCH_OPTIONS_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

#include "app/bench_url.h"

enum tw_bench_workload {
    TW_BENCH_FANOUT,
    TW_BENCH_ECHO,
    TW_BENCH_IDLE,
    TW_BENCH_CONNECT,
    TW_BENCH_SLOW
};

extern const char *const tw_bench_workload_names[]; /* by number, ended by NULL */

struct tw_bench_options {
    enum tw_bench_workload workload;
    const char *url_text;
    struct tw_bench_url url;
    const char *dialect;      /* "raw" */
    const char *publish_text; /* NULL: publish by socket */
    struct tw_bench_url publish_url;
    uint32_t clients, channels;
    uint32_t window;   /* messages in flight: in all; echo: per client */
    double rate;       /* messages a second in all; 0: closed loop */
    uint32_t size;     /* bytes of a payload */
    double duration_s; /* of the measurement, at most */
    double warmup_s;
    double timeout_s; /* without progress */
    uint64_t count;   /* messages (connect: connections) in all; 0: as many as the time allows */
    uint32_t concurrency;              /* handshakes at a time */
    uint32_t receive_buffer;           /* SO_RCVBUF; 0: the system's choice */
    double share;                      /* slow: of the clients that stop reading */
    bool touch;                        /* idle: each publishes once at the end */
    bool busy_poll;                    /* wait without sleeping */
    pid_t pid;                         /* the server's; 0: unknown */
    char **headers, **publish_headers; /* "Name: value", borrowed, owned lists */
    size_t header_count, publish_header_count;
    bool json, quiet, help;
};

/* `args`: what follows "bench", ended by NULL. 0, or TW_EUSAGE with one line on `err` that names
 * the mistake. Deinit in either case. */
int tw_bench_options_parse(struct tw_bench_options *options, char **args, FILE *err);
void tw_bench_options_deinit(struct tw_bench_options *options);
void tw_bench_help(FILE *out);

#endif
