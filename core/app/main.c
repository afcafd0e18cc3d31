/* main.c: the tidewire binary: a thin layer over include/tidewire/tidewire.h.
 *
 * Exit codes: 0 well; 1 it does not load, listen or run; 2 wrong usage. */
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>

#include "app/bench.h"
#include "app/check.h"
#include "app/options.h"
#include "app/specs.h"

static void on_ready(void *data, const char *listen, const char *admin, unsigned workers,
                     unsigned generation) {
    (void)data;
    printf("tidewire ready listen=%s admin=%s workers=%u generation=%u\n", listen, admin, workers,
           generation);
    fflush(stdout);
}

/* As many descriptors as the system lets us have: one per client. */
static void raise_descriptor_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

/* What a turn's messages took is needed again in the next one: given back to the system by default
 * (128 KiB), it would be faulted in page by page each time; and a mail, of 128 bytes, is just too
 * large by default to be kept as it is, without being joined with its neighbours. */
static void keep_memory(void) {
    mallopt(M_MXFAST, 160); /* the most there is */
    mallopt(M_TRIM_THRESHOLD, 8 << 20);
    mallopt(M_TOP_PAD, 1 << 20);
}

static int run(struct tw_options *options) {
    struct tidewire *broker;
    raise_descriptor_limit();
    keep_memory();
    signal(SIGPIPE, SIG_IGN); /* a closed stdout is no reason to die */
    options->broker.on_ready = on_ready;
    int status = tidewire_new(&broker, &options->broker);
    if (status != 0) {
        fprintf(stderr, "tidewire: cannot serve %s: %s\n",
                options->broker.app ? options->broker.app : "the default app",
                tidewire_strerror(status));
        return 1;
    }
    status = tidewire_run(broker);
    if (status != 0) fprintf(stderr, "tidewire: %s\n", tidewire_strerror(status));
    tidewire_free(broker);
    return status == 0 ? 0 : 1;
}

int main(int argc, char **argv) {
    struct tw_options options;
    int code = 2;
    if (tw_options_parse(&options, argc, argv, stderr) == 0) {
        code = 0;
        switch (options.command) {
        case TW_COMMAND_RUN:
            code = run(&options);
            break;
        case TW_COMMAND_CHECK:
            code = tw_check_app(&options.broker, options.json, options.strict, stdout);
            break;
        case TW_COMMAND_TEST:
            code = tw_run_specs(options.broker.app, options.rest);
            break;
        case TW_COMMAND_BENCH:
            code = tw_bench_command(options.rest, stdout, stderr);
            break;
        case TW_COMMAND_VERSION:
            printf("tidewire %s\n", tidewire_version());
            break;
        case TW_COMMAND_HELP:
            tw_options_help(stdout);
            break;
        }
    }
    tw_options_deinit(&options);
    return code;
}
