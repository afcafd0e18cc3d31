/* bench_options.c: one table of options; what one must not be is said in its own words. */
#include "app/bench_options.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "app/bench_wire.h"
#include "base/mem.h"
#include "base/status.h"
#include "base/str.h"

const char *const tw_bench_workload_names[] = {"fanout", "echo", "idle", "connect", "slow", NULL};

enum kind { NUMBER, SECONDS, COUNT, PID, TEXT, LIST, FLAG };

struct option {
    const char *name;
    enum kind kind;
    size_t offset; /* in tw_bench_options; of a LIST's array, whose count is at `count` */
    double min, max;
    size_t count;
};

#define AT(field) offsetof(struct tw_bench_options, field)
static const struct option table[] = {
    {"--clients", COUNT, AT(clients), 1, 1000000, 0},
    {"--channels", COUNT, AT(channels), 1, 1000000, 0},
    {"--window", COUNT, AT(window), 1, 1000000, 0},
    {"--rate", NUMBER, AT(rate), 0.001, 10000000, 0},
    {"--size", COUNT, AT(size), TW_BENCH_MIN_SIZE, 64 << 20, 0},
    {"--duration", SECONDS, AT(duration_s), 0.01, 86400, 0},
    {"--warmup", SECONDS, AT(warmup_s), 0, 3600, 0},
    {"--timeout", SECONDS, AT(timeout_s), 0.1, 3600, 0},
    {"--count", NUMBER, AT(count), 1, 4e9, 0},
    {"--concurrency", COUNT, AT(concurrency), 1, 10000, 0},
    {"--receive-buffer", COUNT, AT(receive_buffer), 1, 1 << 30, 0},
    {"--share", NUMBER, AT(share), 0, 1, 0},
    {"--pid", PID, AT(pid), 1, 4194304, 0},
    {"--dialect", TEXT, AT(dialect), 0, 0, 0},
    {"--publish", TEXT, AT(publish_text), 0, 0, 0},
    {"--header", LIST, AT(headers), 0, 0, AT(header_count)},
    {"--publish-header", LIST, AT(publish_headers), 0, 0, AT(publish_header_count)},
    {"--busy-poll", FLAG, AT(busy_poll), 0, 0, 0},
    {"--touch", FLAG, AT(touch), 0, 0, 0},
    {"--json", FLAG, AT(json), 0, 0, 0},
    {"--quiet", FLAG, AT(quiet), 0, 0, 0},
    {"--help", FLAG, AT(help), 0, 0, 0},
};
#define OPTIONS (sizeof table / sizeof *table)

void tw_bench_help(FILE *out) {
    fputs(
        "usage: tidewire bench WORKLOAD URL [options]\n"
        "  URL is ws://HOST[:PORT]/PATH of any server that sends each message of a client to all\n"
        "  clients of the path, itself included. {n} in it is the channel's number, from 0.\n"
        "\n"
        "workloads:\n"
        "  fanout    one client of each channel publishes, all clients of it listen\n"
        "  echo      each client publishes and hears itself (with {n}: on a channel of its own)\n"
        "  idle      clients connect and stay for a while: memory, CPU per handshake\n"
        "  connect   clients connect and go, again and again\n"
        "  slow      as fanout; a third of the time some clients do not read\n"
        "\n"
        "options:\n"
        "  --clients N          connections in all (100)\n"
        "  --channels N         over which they are spread; more than 1 needs {n} in URL (1)\n"
        "  --window N           messages in flight, in all; with echo, per client (1)\n"
        "  --rate R             messages a second in all, whatever comes back; latency counts "
        "from\n"
        "                       the moment at which a message was due\n"
        "  --size BYTES         of a payload, which is JSON (128)\n"
        "  --duration S         of the measurement (10)    --warmup S   before it (1)\n"
        "  --count N            so many messages (connect: connections), no warm-up\n"
        "  --timeout S          give up after so long without progress (5)\n"
        "  --concurrency N      handshakes at a time (100)\n"
        "  --receive-buffer N   SO_RCVBUF of each client\n"
        "  --busy-poll          never sleep: a server on this machine pays for waking up who "
        "does.\n"
        "                       Needs a core of its own\n"
        "  --share X            slow: which part of the clients stops reading (0.1)\n"
        "  --touch              idle: in the end each client publishes once\n"
        "  --publish URL        publish by POST to http://HOST[:PORT]/PATH, with {n} as above\n"
        "  --dialect raw        what the server speaks: frames that are payloads; no other one "
        "yet\n"
        "  --header LINE, --publish-header LINE   \"Name: value\", for each handshake, each POST\n"
        "  --pid PID            the server's: its CPU time and memory\n"
        "  --json               the result as one line of JSON; --quiet: no progress on stderr\n"
        "\n"
        "A server that limits what a client may send must have these limits lifted.\n",
        out);
}

static int complain_value(const struct option *option, const char *text, FILE *err) {
    if (option->max > 0)
        fprintf(err, "tidewire: bench %s takes a number from %.10g to %.10g; got: %s\n",
                option->name, option->min, option->max, text);
    else
        fprintf(err, "tidewire: bench %s takes no value; got: %s\n", option->name, text);
    return TW_EUSAGE;
}

static int set_number(const struct option *option, void *field, const char *text, FILE *err) {
    char *end;
    double value = strtod(text, &end);
    bool is_whole = option->kind == COUNT || option->kind == PID || option->offset == AT(count);
    if (end == text || *end || !(value >= option->min && value <= option->max) ||
        (is_whole && value != floor(value)))
        return complain_value(option, text, err);
    if (option->kind == COUNT)
        *(uint32_t *)field = (uint32_t)value;
    else if (option->kind == PID)
        *(pid_t *)field = (pid_t)value;
    else if (option->offset == AT(count))
        *(uint64_t *)field = (uint64_t)value;
    else
        *(double *)field = value;
    return 0;
}

static int add_header(struct tw_bench_options *options, const struct option *option, char *text,
                      FILE *err) {
    char ***list = (char ***)(void *)((char *)options + option->offset);
    size_t *count = (size_t *)(void *)((char *)options + option->count);
    const char *colon = strchr(text, ':');
    if (!colon || colon == text || strpbrk(text, "\r\n")) {
        fprintf(err, "tidewire: bench %s takes \"Name: value\"; got: %s\n", option->name, text);
        return TW_EUSAGE;
    }
    *list = tw_realloc(*list, (*count + 1) * sizeof(char *));
    (*list)[(*count)++] = text;
    return 0;
}

static int set(struct tw_bench_options *options, const struct option *option, char *value,
               FILE *err) {
    void *field = (char *)options + option->offset;
    switch (option->kind) {
    case FLAG:
        if (value) return complain_value(option, value, err);
        *(bool *)field = true;
        return 0;
    case TEXT:
        *(const char **)field = value;
        return 0;
    case LIST:
        return add_header(options, option, value, err);
    default:
        return set_number(option, field, value, err);
    }
}

static int complain_unknown(const char *what, const char *given, const char *const *known,
                            FILE *err) {
    const char *near = tw_str_nearest(given, known);
    fprintf(err, "tidewire: bench has no %s %s", what, given);
    if (near) fprintf(err, " (did you mean %s?)", near);
    fputs("; tidewire bench --help lists them\n", err);
    return TW_EUSAGE;
}

static int parse_option(struct tw_bench_options *options, char ***arg, FILE *err) {
    char *text = **arg, *equals = strchr(text, '=');
    size_t length = equals ? (size_t)(equals - text) : strlen(text);
    const char *names[OPTIONS + 1] = {NULL};
    for (size_t i = 0; i < OPTIONS; i++) {
        names[i] = table[i].name;
        if (strlen(table[i].name) != length || memcmp(table[i].name, text, length) != 0) continue;
        char *value = equals ? equals + 1 : NULL;
        if (!value && table[i].kind != FLAG && !(value = *++*arg)) {
            fprintf(err, "tidewire: bench %s takes a value\n", table[i].name);
            return TW_EUSAGE;
        }
        return set(options, &table[i], value, err);
    }
    char *name = tw_memdup(text, length);
    int status = complain_unknown("option", name, names, err);
    tw_free(name);
    return status;
}

static int parse_workload(struct tw_bench_options *options, const char *text, FILE *err) {
    for (int i = 0; tw_bench_workload_names[i]; i++) {
        if (strcmp(text, tw_bench_workload_names[i]) != 0) continue;
        options->workload = (enum tw_bench_workload)i;
        return 0;
    }
    return complain_unknown("workload", text, tw_bench_workload_names, err);
}

static int parse_url(struct tw_bench_url *url, const char *scheme, const char *text, FILE *err) {
    const char *why;
    if (tw_bench_url_parse(url, scheme, text, &why) == 0) return 0;
    fprintf(err, "tidewire: bench cannot use the URL %s: %s\n", text, why);
    return TW_EUSAGE;
}

/* What only shows when all is read. */
static int check(struct tw_bench_options *options, FILE *err) {
    const char *wrong = NULL;
    bool is_echo = options->workload == TW_BENCH_ECHO;
    if (strcmp(options->dialect, "raw") != 0)
        wrong = "--dialect: only raw is spoken, frames that are payloads (tidewire.v1 is not yet)";
    else if (is_echo && options->channels > 1)
        wrong = "echo takes no --channels: each client is one";
    else if (options->channels > 1 && !tw_bench_url_is_numbered(&options->url))
        wrong = "more than one channel needs {n} in the URL, as in /ws/room:{n}";
    else if (options->channels > options->clients)
        wrong = "there must be as many --clients as --channels, or more";
    else if (options->publish_text && options->channels > 1 &&
             !tw_bench_url_is_numbered(&options->publish_url))
        wrong = "more than one channel needs {n} in the URL of --publish";
    else if (options->publish_text && is_echo)
        wrong = "echo publishes by socket: it takes no --publish";
    else if (options->rate > 0 && options->workload != TW_BENCH_FANOUT &&
             options->workload != TW_BENCH_SLOW)
        wrong = "--rate is for fanout and slow";
    else if (options->count > 0 && options->workload == TW_BENCH_SLOW)
        wrong = "slow takes a --duration, not a --count: its thirds are times";
    else if (options->touch && options->workload != TW_BENCH_IDLE)
        wrong = "--touch is for idle";
    if (!wrong) return 0;
    fprintf(err, "tidewire: bench: %s\n", wrong);
    return TW_EUSAGE;
}

int tw_bench_options_parse(struct tw_bench_options *options, char **args, FILE *err) {
    *options = (struct tw_bench_options){.dialect = "raw",
                                         .clients = 100,
                                         .channels = 1,
                                         .window = 1,
                                         .size = 128,
                                         .duration_s = -1,
                                         .warmup_s = 1,
                                         .timeout_s = 5,
                                         .concurrency = 100,
                                         .share = 0.1};
    int words = 0, status = 0;
    for (char **arg = args; *arg && status == 0; arg++) {
        if ((*arg)[0] == '-') {
            status = parse_option(options, &arg, err);
        } else if (words++ == 0) {
            status = parse_workload(options, *arg, err);
        } else if (words == 2) {
            options->url_text = *arg;
        } else {
            fprintf(err, "tidewire: bench takes one URL; got also %s\n", *arg);
            status = TW_EUSAGE;
        }
    }
    if (status != 0 || options->help) return status;
    if (words < 2) {
        fputs(words == 0
                  ? "tidewire: bench takes a workload and a URL, as in tidewire bench fanout "
                    "ws://127.0.0.1:8080/ws/market (tidewire bench --help)\n"
                  : "tidewire: bench takes a URL behind the workload, as in "
                    "ws://127.0.0.1:8080/ws/market\n",
              err);
        return TW_EUSAGE;
    }
    if (options->duration_s < 0) options->duration_s = options->count > 0 ? 60 : 10;
    if (options->count > 0) options->warmup_s = 0;
    status = parse_url(&options->url, "ws", options->url_text, err);
    if (status == 0 && options->publish_text)
        status = parse_url(&options->publish_url, "http", options->publish_text, err);
    return status == 0 ? check(options, err) : status;
}

void tw_bench_options_deinit(struct tw_bench_options *options) {
    tw_free(options->headers);
    tw_free(options->publish_headers);
}
