/* bench.c: sets the scene for a run: addresses, descriptors, memory; and says how it ended. */
#include "app/bench.h"

#include <errno.h>
#include <netdb.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "app/bench_parts.h"
#include "base/mem.h"
#include "base/status.h"
#include "proto/handshake.h"

#define MAX_POSTERS 64
#define MAX_AWAITED ((uint64_t)1 << 28) /* numbers in all rings */

static bool resolve(struct tw_bench *bench, const struct tw_bench_url *url,
                    struct sockaddr_storage *address, socklen_t *length) {
    int status = tw_bench_url_resolve(url, address, length);
    if (status != 0) tw_bench_fail(bench, "cannot find %s: %s", url->host, gai_strerror(status));
    return status == 0;
}

/* As many descriptors as the system lets us have. */
static bool raise_descriptor_limit(struct tw_bench *bench, uint64_t needed) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return true;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (needed <= limit.rlim_cur) return true;
    tw_bench_fail(bench,
                  "%llu file descriptors are needed, and the limit is %llu: raise it (ulimit -n, "
                  "or LimitNOFILE=), or take fewer --clients",
                  (unsigned long long)needed, (unsigned long long)limit.rlim_cur);
    return false;
}

static bool check_pid(struct tw_bench *bench) {
    struct tw_bench_usage usage;
    pid_t pid = bench->options->pid;
    int status = pid ? tw_bench_process_usage(pid, &usage) : 0;
    if (status == -ESRCH)
        tw_bench_fail(bench, "--pid %ld: there is no such process", (long)pid);
    else if (status != 0)
        tw_bench_fail(bench, "--pid %ld: cannot read /proc/%ld/stat: %s", (long)pid, (long)pid,
                      tw_strerror(status));
    return status == 0;
}

static bool make_channels(struct tw_bench *bench) {
    const struct tw_bench_options *options = bench->options;
    bool is_echo = options->workload == TW_BENCH_ECHO, is_idle = options->workload == TW_BENCH_IDLE;
    uint64_t ring = 1;
    while (ring < options->window && !is_idle)
        ring *= 2;
    bench->channel_count = is_echo ? options->clients : options->channels;
    bench->is_closed_loop = options->rate == 0;
    bench->left_mask = (uint32_t)(ring - 1);
    if (bench->is_closed_loop && ring * bench->channel_count > MAX_AWAITED) {
        tw_bench_fail(bench, "--window times the number of channels is too much to keep in mind");
        return false;
    }
    bench->channels = tw_alloc(bench->channel_count * sizeof *bench->channels);
    for (uint32_t i = 0; i < bench->channel_count; i++) {
        char digits[9];
        snprintf(digits, sizeof digits, "%08x", i);
        memcpy(&bench->channels[i].sender_digits, digits, 8);
        if (bench->is_closed_loop) bench->channels[i].left = tw_alloc(ring * sizeof(uint32_t));
    }
    return true;
}

/* How many clients are open at once, and which of them are slow: the last ones. */
static void make_clients(struct tw_bench *bench) {
    const struct tw_bench_options *options = bench->options;
    uint32_t count = options->clients, slow = 0;
    if (options->workload == TW_BENCH_CONNECT) count = options->concurrency;
    if (options->workload == TW_BENCH_SLOW) slow = (uint32_t)(options->share * (double)count + 0.5);
    if (slow > count - bench->channel_count) slow = count - bench->channel_count;
    bench->client_count = count;
    bench->slow_count = slow;
    bench->clients = tw_alloc(count * sizeof *bench->clients);
    for (uint32_t i = 0; i < count; i++) {
        struct tw_bench_client *client = &bench->clients[i];
        client->channel = i % bench->channel_count;
        client->is_slow = i >= count - slow;
        if (!client->is_slow) bench->channels[client->channel].listeners++;
    }
}

static void make_posters(struct tw_bench *bench) {
    uint32_t count = bench->options->window;
    if (!bench->options->publish_text) return;
    if (count > bench->channel_count || bench->options->rate > 0) count = bench->channel_count;
    bench->poster_count = count < MAX_POSTERS ? count : MAX_POSTERS;
    bench->posters = tw_alloc(bench->poster_count * sizeof *bench->posters);
}

static bool open_bench(struct tw_bench *bench) {
    const struct tw_bench_options *options = bench->options;
    unsigned char nonce[16];
    tw_rand_seed_system(&bench->rand);
    for (size_t i = 0; i < sizeof nonce; i++)
        nonce[i] = (unsigned char)tw_rand_next(&bench->rand);
    EVP_EncodeBlock((unsigned char *)bench->key, nonce, sizeof nonce);
    tw_handshake_key(tw_str_of(bench->key), bench->accept);
    prctl(PR_SET_TIMERSLACK, 1); /* or each wait of the open loop lasts 50 us more */
    if (!check_pid(bench) ||
        !resolve(bench, &options->url, &bench->address, &bench->address_length) ||
        (options->publish_text && !resolve(bench, &options->publish_url, &bench->post_address,
                                           &bench->post_address_length)) ||
        !make_channels(bench))
        return false;
    make_clients(bench);
    make_posters(bench);
    if (!raise_descriptor_limit(bench, (uint64_t)bench->client_count + bench->poster_count + 16))
        return false;
    bench->buffer = tw_alloc(TW_BENCH_READ_SIZE);
    bench->payload = tw_alloc(options->size);
    tw_bench_payload_write(bench->payload, options->size);
    bench->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (bench->epoll < 0) tw_bench_fail(bench, "epoll: %s", strerror(errno));
    return bench->epoll >= 0;
}

static void free_bench(struct tw_bench *bench) {
    for (uint32_t i = 0; i < bench->client_count; i++)
        tw_bench_peer_close(bench, &bench->clients[i].peer, false);
    for (uint32_t i = 0; i < bench->poster_count; i++)
        tw_bench_peer_close(bench, &bench->posters[i].peer, false);
    for (uint32_t i = 0; bench->channels && i < bench->channel_count; i++)
        tw_free(bench->channels[i].left);
    if (bench->epoll >= 0) close(bench->epoll);
    tw_free(bench->clients);
    tw_free(bench->posters);
    tw_free(bench->channels);
    tw_free(bench->buffer);
    tw_free(bench->payload);
    tw_free(bench);
}

int tw_bench_command(char **args, FILE *out, FILE *err) {
    struct tw_bench_options options;
    int status = tw_bench_options_parse(&options, args, err), code = 0;
    if (status != 0) {
        code = 2;
    } else if (options.help) {
        tw_bench_help(out);
    } else {
        struct tw_bench *bench = TW_NEW(struct tw_bench);
        bench->options = &options;
        bench->err = err;
        bench->epoll = -1;
        if (open_bench(bench)) tw_bench_run(bench);
        if (bench->has_failed)
            fprintf(err, "tidewire: bench: %s\n", bench->error);
        else
            tw_bench_report(bench, out);
        if (bench->is_stalled && !bench->has_failed)
            fprintf(err, "tidewire: bench: gave up: nothing came for %g s\n", options.timeout_s);
        code = bench->has_failed || bench->is_stalled;
        free_bench(bench);
    }
    tw_bench_options_deinit(&options);
    return code;
}
