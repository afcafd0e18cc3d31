/* bench_run.c: the workloads, each as a line of steps: connect, warm up, measure, wait for the
 * rest. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "app/bench_parts.h"

#define TICK_NS 100000000u     /* progress is looked at so often */
#define PROGRESS_NS 500000000u /* and shown */

static uint64_t ns(double seconds) {
    return (uint64_t)(seconds * 1e9);
}

/* ---- what people see meanwhile ---- */

struct watch {
    uint64_t began_ns, shown_ns, moved_ns; /* moved: when something came last */
    uint64_t seen, shown;                  /* what has come, then */
    bool is_shown;
};

static void watch_begin(struct watch *watch, const struct tw_bench *bench) {
    uint64_t now_ns = tw_bench_clock();
    *watch = (struct watch){.began_ns = now_ns, .shown_ns = now_ns, .moved_ns = now_ns};
    watch->is_shown = !bench->options->quiet && bench->err == stderr && isatty(STDERR_FILENO);
}

/* True when nothing came for the timeout although something is awaited. */
static bool watch_tick(struct watch *watch, const struct tw_bench *bench, const char *doing,
                       uint64_t come, bool is_awaiting) {
    uint64_t now_ns = bench->now_ns;
    if (come != watch->seen || !is_awaiting) {
        watch->seen = come;
        watch->moved_ns = now_ns;
    }
    if (watch->is_shown && now_ns > watch->shown_ns + PROGRESS_NS) {
        fprintf(bench->err, "\r%-10s %5.1f s  %10.0f/s  missing %llu, clients %u   ", doing,
                (double)(now_ns - watch->began_ns) / 1e9,
                (double)(come - watch->shown) * 1e9 / (double)(now_ns - watch->shown_ns),
                (unsigned long long)bench->losses.missing, bench->open);
        fflush(bench->err);
        watch->shown_ns = now_ns;
        watch->shown = come;
    }
    return now_ns > watch->moved_ns && now_ns - watch->moved_ns > ns(bench->options->timeout_s);
}

static void watch_end(const struct watch *watch, const struct tw_bench *bench) {
    if (watch->is_shown) fprintf(bench->err, "\r%-70s\r", "");
}

/* ---- connections ---- */

static const char *open_error(int status) {
    switch (-status) {
    case EADDRNOTAVAIL:
        return "no local port is left (net.ipv4.ip_local_port_range)";
    case EMFILE:
    case ENFILE:
        return "too few file descriptors";
    default:
        return strerror(-status);
    }
}

void tw_bench_client_lost(struct tw_bench *bench, struct tw_bench_client *client, const char *why) {
    if (!bench->closing[0]) snprintf(bench->closing, sizeof bench->closing, "%s", why);
    if (bench->is_churning) {
        bench->connect_failures++;
        return;
    }
    if (bench->is_connecting) {
        tw_bench_fail(bench, "%s: client %u: %s", bench->options->url_text,
                      (unsigned)(client - bench->clients) + 1, why);
        return;
    }
    bench->closed++;
    tw_bench_give_up(bench, client);
    bool is_publisher = (uint32_t)(client - bench->clients) < bench->channel_count &&
                        bench->options->workload != TW_BENCH_IDLE;
    if (is_publisher && !bench->options->publish_text)
        tw_bench_fail(bench, "%s: the client that publishes was lost: %s", bench->options->url_text,
                      why);
}

static bool open_client(struct tw_bench *bench, uint32_t index) {
    struct tw_bench_client *client = &bench->clients[index];
    client->carried = 0;
    client->skip = 0;
    int status = tw_bench_peer_open(bench, &client->peer, TW_BENCH_SOCKET, index);
    if (status != 0)
        tw_bench_fail(bench, "%s: client %u: %s", bench->options->url_text, index + 1,
                      open_error(status));
    return status == 0;
}

static struct tw_bench_usage server_usage(const struct tw_bench *bench) {
    struct tw_bench_usage usage = {0};
    if (bench->options->pid) tw_bench_process_usage(bench->options->pid, &usage);
    return usage;
}

static int64_t server_memory(const struct tw_bench *bench) {
    return bench->options->pid ? tw_bench_process_memory(bench->options->pid) : -ESRCH;
}

static void open_posters(struct tw_bench *bench) {
    for (uint32_t i = 0; i < bench->poster_count; i++) {
        int status = tw_bench_peer_open(bench, &bench->posters[i].peer, TW_BENCH_POST, 0);
        if (status != 0)
            tw_bench_fail(bench, "%s: %s", bench->options->publish_text, open_error(status));
    }
}

static void connect_all(struct tw_bench *bench) {
    struct watch watch;
    struct tw_bench_usage before = server_usage(bench);
    uint32_t begun = 0;
    bench->memory_before = server_memory(bench);
    bench->is_connecting = true;
    open_posters(bench);
    watch_begin(&watch, bench);
    while (bench->open < bench->client_count && !bench->has_failed) {
        while (bench->opening < bench->options->concurrency && begun < bench->client_count &&
               open_client(bench, begun))
            begun++;
        tw_bench_turn(bench, tw_bench_clock() + TICK_NS);
        if (watch_tick(&watch, bench, "connecting", bench->connects, true))
            tw_bench_fail(bench, "%s: %u of %u clients have connected, and no more for %g s",
                          bench->options->url_text, bench->open, bench->client_count,
                          bench->options->timeout_s);
    }
    watch_end(&watch, bench);
    bench->is_connecting = false;
    bench->connect_s = (double)(tw_bench_clock() - watch.began_ns) / 1e9;
    bench->connect_usage = tw_bench_usage_since(server_usage(bench), before);
    bench->memory_connected = server_memory(bench);
}

/* ---- phases ---- */

struct mark {
    uint64_t at_ns, spun_ns, deliveries, messages, pings;
    struct tw_bench_usage own, server;
};

static struct mark mark_now(const struct tw_bench *bench) {
    return (struct mark){tw_bench_clock(),   bench->spun_ns, bench->deliveries,
                         bench->messages,    bench->pings,   tw_bench_own_usage(),
                         server_usage(bench)};
}

static struct tw_bench_phase *phase_begin(struct tw_bench *bench, const char *name,
                                          struct mark *mark) {
    struct tw_bench_phase *phase = &bench->phases[bench->phase_count++];
    phase->name = name;
    bench->latency = &phase->latency;
    bench->lateness = &phase->lateness;
    *mark = mark_now(bench);
    return phase;
}

static void phase_end(struct tw_bench *bench, struct tw_bench_phase *phase,
                      const struct mark *began) {
    struct mark now = mark_now(bench);
    struct tw_bench_usage own = tw_bench_usage_since(now.own, began->own);
    bench->latency = bench->lateness = NULL;
    phase->seconds = (double)(now.at_ns - began->at_ns) / 1e9;
    double spun_s = (double)(now.spun_ns - began->spun_ns) / 1e9;
    double busy_s = own.user_s + own.system_s - spun_s;
    phase->client_cores = busy_s > 0 ? busy_s / phase->seconds : 0;
    phase->server = tw_bench_usage_since(now.server, began->server);
    phase->deliveries = now.deliveries - began->deliveries;
    phase->messages = now.messages - began->messages;
    phase->pings = now.pings - began->pings;
    phase->rss = bench->options->pid ? tw_bench_process_rss(bench->options->pid) : -ESRCH;
}

/* ---- traffic ---- */

static bool is_done(const struct tw_bench *bench) {
    uint64_t count = bench->options->count;
    return bench->has_failed || bench->is_stalled ||
           (bench->awaited == 0 && count > 0 && bench->messages >= count);
}

static void give_up_waiting(struct tw_bench *bench) {
    bench->is_stalled = true;
    if (bench->deliveries == 0)
        tw_bench_fail(bench,
                      "%s: no message came back in %g s: may clients publish there, and does the "
                      "server send a client what it published?",
                      bench->options->url_text, bench->options->timeout_s);
}

/* Publishes and listens for so long, or until the count is reached. */
static void flow(struct tw_bench *bench, const char *doing, double seconds) {
    struct watch watch;
    watch_begin(&watch, bench);
    bench->now_ns = watch.began_ns;
    uint64_t end_ns = watch.began_ns + ns(seconds), next_ns = UINT64_MAX;
    while (!is_done(bench) && bench->now_ns < end_ns) {
        if (!bench->is_closed_loop)
            next_ns = tw_bench_publish_due(bench);
        else if (!bench->on_complete)
            tw_bench_fill(bench);
        uint64_t until_ns = bench->now_ns + TICK_NS;
        if (until_ns > end_ns) until_ns = end_ns;
        tw_bench_turn(bench, next_ns < until_ns ? next_ns : until_ns);
        if (watch_tick(&watch, bench, doing, bench->deliveries, bench->awaited > 0))
            give_up_waiting(bench);
    }
    watch_end(&watch, bench);
}

/* Waits for what is still awaited; what does not come is missing. */
static void drain(struct tw_bench *bench) {
    struct watch watch;
    watch_begin(&watch, bench);
    bench->is_publishing = false;
    while (bench->awaited > 0 && !bench->has_failed && !bench->is_stalled) {
        tw_bench_turn(bench, bench->now_ns + TICK_NS);
        if (watch_tick(&watch, bench, "waiting", bench->deliveries, true)) give_up_waiting(bench);
    }
    watch_end(&watch, bench);
    for (uint32_t i = 0; i < bench->client_count; i++) {
        struct tw_bench_client *client = &bench->clients[i];
        if (!client->is_slow && client->peer.state == TW_BENCH_OPEN)
            bench->losses.missing +=
                bench->channels[client->channel].published - client->track.next;
    }
}

static void run_fanout(struct tw_bench *bench) {
    struct mark began;
    flow(bench, "warming up", bench->options->warmup_s);
    struct tw_bench_phase *phase = phase_begin(bench, "run", &began);
    flow(bench, "measuring", bench->options->duration_s);
    phase_end(bench, phase, &began);
    drain(bench);
}

static void echo_again(struct tw_bench *bench, uint32_t channel) {
    if (tw_bench_may_publish(bench))
        tw_bench_publish(bench, &bench->clients[channel], bench->now_ns);
}

static void run_echo(struct tw_bench *bench) {
    bench->on_complete = echo_again;
    for (uint32_t window = 0; window < bench->options->window; window++)
        for (uint32_t i = 0; i < bench->client_count; i++)
            if (tw_bench_may_publish(bench))
                tw_bench_publish(bench, &bench->clients[i], tw_bench_clock());
    run_fanout(bench);
}

/* ---- slow ---- */

static void stall(struct tw_bench *bench, bool is_stalled) {
    for (uint32_t i = bench->client_count - bench->slow_count; i < bench->client_count; i++)
        tw_bench_peer_stall(bench, &bench->clients[i].peer, is_stalled);
}

/* Lets the slow ones read until they have all, or nothing comes any more; the rest is missing. */
static void catch_up(struct tw_bench *bench) {
    uint64_t heard, behind;
    do {
        heard = bench->slow_deliveries;
        behind = 0;
        uint64_t end_ns = tw_bench_clock() + 3 * (uint64_t)TICK_NS;
        while (tw_bench_clock() < end_ns)
            tw_bench_turn(bench, end_ns);
        for (uint32_t i = bench->client_count - bench->slow_count; i < bench->client_count; i++) {
            struct tw_bench_client *client = &bench->clients[i];
            if (client->peer.state == TW_BENCH_OPEN)
                behind += bench->channels[client->channel].published - client->track.next;
        }
    } while (behind > 0 && bench->slow_deliveries > heard);
    bench->slow_losses.missing += behind;
}

static void run_slow(struct tw_bench *bench) {
    static const char *const names[] = {"steady", "stalled", "resumed"};
    flow(bench, "warming up", bench->options->warmup_s);
    for (int i = 0; i < 3 && !bench->has_failed && !bench->is_stalled; i++) {
        struct mark began;
        struct tw_bench_phase *phase = phase_begin(bench, names[i], &began);
        stall(bench, i == 1);
        flow(bench, names[i], bench->options->duration_s / 3);
        phase_end(bench, phase, &began);
    }
    stall(bench, false);
    drain(bench);
    if (!bench->has_failed) catch_up(bench);
}

/* ---- idle, connect ---- */

/* The clients of a channel publish one after another, each when the last message was heard by all.
 */
static void touch_next(struct tw_bench *bench, uint32_t channel) {
    uint64_t next = channel + (uint64_t)++bench->channels[channel].touched * bench->channel_count;
    if (next < bench->client_count && bench->clients[next].peer.state == TW_BENCH_OPEN)
        tw_bench_publish(bench, &bench->clients[next], bench->now_ns);
}

static void run_idle(struct tw_bench *bench) {
    struct mark began;
    struct tw_bench_phase *phase = phase_begin(bench, "idle", &began);
    bench->is_publishing = false;
    flow(bench, "idle", bench->options->duration_s);
    phase_end(bench, phase, &began);
    if (!bench->options->touch) return;
    phase = phase_begin(bench, "touch", &began);
    bench->on_complete = touch_next;
    for (uint32_t i = 0; i < bench->channel_count; i++)
        tw_bench_publish(bench, &bench->clients[i], tw_bench_clock());
    drain(bench);
    phase_end(bench, phase, &began);
    bench->memory_touched = server_memory(bench);
}

static void run_connect(struct tw_bench *bench) {
    const struct tw_bench_options *options = bench->options;
    struct watch watch;
    struct mark began;
    struct tw_bench_phase *phase = phase_begin(bench, "connect", &began);
    uint64_t count = options->count > 0 ? options->count : UINT64_MAX, ended = 0, end_ns;
    bench->is_churning = true;
    bench->memory_before = server_memory(bench);
    watch_begin(&watch, bench);
    end_ns = watch.began_ns + ns(options->duration_s);
    while (ended < count && !bench->has_failed && bench->now_ns < end_ns) {
        for (uint32_t i = 0; i < bench->client_count; i++) {
            struct tw_bench_peer *peer = &bench->clients[i].peer;
            if (peer->state == TW_BENCH_OPEN) tw_bench_peer_close(bench, peer, true);
            ended = bench->connects + bench->connect_failures;
            if (peer->state == TW_BENCH_CLOSED && ended + bench->opening < count)
                open_client(bench, i);
        }
        if (ended < count) tw_bench_turn(bench, tw_bench_clock() + TICK_NS);
        bench->is_stalled = watch_tick(&watch, bench, "connecting",
                                       bench->connects + bench->connect_failures, true);
        bool is_hopeless = bench->connects == 0 && bench->connect_failures >= options->concurrency;
        if (bench->is_stalled || is_hopeless) break;
    }
    watch_end(&watch, bench);
    phase_end(bench, phase, &began);
    bench->connect_s = phase->seconds;
    bench->connect_usage = phase->server;
    bench->memory_connected = server_memory(bench);
    if (bench->connects == 0)
        tw_bench_fail(bench, "%s: no client could connect: %s", options->url_text,
                      bench->closing[0] ? bench->closing : "no answer");
}

void tw_bench_run(struct tw_bench *bench) {
    bench->now_ns = tw_bench_clock();
    bench->is_publishing = true;
    bench->memory_before = bench->memory_connected = bench->memory_touched = -ESRCH;
    if (bench->options->workload == TW_BENCH_CONNECT) {
        run_connect(bench);
        return;
    }
    connect_all(bench);
    if (bench->has_failed) return;
    bench->now_ns = bench->rate_began_ns = tw_bench_clock();
    switch (bench->options->workload) {
    case TW_BENCH_ECHO:
        run_echo(bench);
        break;
    case TW_BENCH_IDLE:
        run_idle(bench);
        break;
    case TW_BENCH_SLOW:
        run_slow(bench);
        break;
    default:
        run_fanout(bench);
        break;
    }
}
