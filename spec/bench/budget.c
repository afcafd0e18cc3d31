/* budget.c: a fixed piece of work, for counting its instructions (see budget.lua): the broker of
 * one worker, from the bytes that a socket would give to those that it would take, with the app of
 * spec/bench/app and its Lua. The sockets alone are missing.
 *
 *   budget APP WORK ROUNDS
 *
 *   fanout1     a message to 1,000 subscribers in each turn
 *   fanout64    64 messages to 1,000 subscribers in each turn
 *   publish     64 messages to one subscriber in each turn
 *   handshake   one more client
 *   heartbeat   1,000 idle clients: a ping, and the pong
 *   memory      prints the bytes that an idle client holds, counted over so many clients
 *   touched     the same with ten clients on each channel, each of which has published once
 *
 *   budget APP flat ROUNDS SUBSCRIBERS CHANNELS
 *
 * has so many subscribers on each of so many channels, publishes a message to one of them in each
 * turn, ROUNDS times, and prints the nanoseconds of that (`publish_rounds` is what flat.lua counts
 * the instructions of). */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "proto/raw.h"
#include "proto/session.h"
#include "script/script.h"

enum { SUBSCRIBERS = 1000, PAYLOAD = 0x80 };

static struct tw_mailbox boxes[2];
static struct tw_hubs hubs;
static struct tw_hub hub;
static struct tw_session_config config;
static uint64_t now_ms = 1000, next_ms;

/* --- sockets that take everything --- */

static int64_t transport_write(void *data, const struct iovec *spans, int count) {
    int64_t length = 0;
    (void)data;
    for (int i = 0; i < count; i++)
        length += (int64_t)spans[i].iov_len;
    return length;
}

static void transport_set_reading(void *data, bool on) {
    (void)data, (void)on;
}

static void transport_end(void *data) {
    (void)data;
}

static const struct tw_transport_ops transport = {.write = transport_write,
                                                  .set_reading = transport_set_reading,
                                                  .shutdown = transport_end,
                                                  .close = transport_end};
static const struct tw_http_service service = {.websocket = true};

static void wake(void *driver, unsigned index) {
    (void)driver, (void)index;
}

static void turn(void) {
    do
        next_ms = tw_hub_turn(&hub, now_ms);
    while (tw_hub_is_busy(&hub));
}

static void begin(const char *path) {
    struct tw_app app = {.path = path};
    struct tw_load_errors errors;
    struct tw_generation *generation;
    struct tw_vm **vms;
    size_t count;
    if (tw_app_load(&app, 1, 1, &generation, &vms, &count, &errors) != 0) {
        fprintf(stderr, "budget: %s: %s\n", path, errors.items[0].message);
        exit(1);
    }
    hubs = (struct tw_hubs){.workers = 1,
                            .boxes = boxes,
                            .wake = wake,
                            .hooks = &tw_script_hooks,
                            .dialect = &tw_dialect_raw};
    tw_mailbox_init(&boxes[0], 1000);
    tw_mailbox_init(&boxes[1], 1000);
    tw_admission_init(&hubs.admission);
    tw_hub_init(&hub, &hubs, 0, generation, vms[0], 1, now_ms);
    config = (struct tw_session_config){
        .hub = &hub, .pool = tw_ws_pool_new(16), .service = &service, .transport = &transport};
}

/* --- clients --- */

#define REST_OF_REQUEST                                                                            \
    " HTTP/1.1\r\n"                                                                                \
    "Host: 127.0.0.1:8080\r\n"                                                                     \
    "Upgrade: websocket\r\n"                                                                       \
    "Connection: Upgrade\r\n"                                                                      \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"                                              \
    "Sec-WebSocket-Version: 13\r\n\r\n"

static struct tw_session *connect_by(const char *request, size_t length) {
    static char place;
    struct tw_ip ip = {0};
    struct tw_session *session = tw_session_new(&config, &place, &ip);
    tw_session_on_read(session, request, length);
    turn();
    return session;
}

static struct tw_session *connect_one(void) {
    static const char request[] = "GET /ws/bench:1" REST_OF_REQUEST;
    return connect_by(request, sizeof request - 1);
}

static struct tw_session *connect_to(unsigned long channel) {
    char request[300];
    int length = snprintf(request, sizeof request, "GET /ws/bench:%lu" REST_OF_REQUEST, channel);
    return connect_by(request, (size_t)length);
}

/* Frames as a client sends them, masked with zeros. */
static size_t frames(char *out, unsigned count) {
    size_t length = 0;
    for (unsigned i = 0; i < count; i++) {
        static const char header[] = {'\x81', '\xfe', 0, '\x80', 0, 0, 0, 0};
        memcpy(out + length, header, sizeof header);
        memset(out + length + sizeof header, 'x', PAYLOAD);
        memcpy(out + length + sizeof header, "{\"symbol\":\"AAPL\",\"price\":187.31,\"pad\":\"",
               39);
        memcpy(out + length + sizeof header + PAYLOAD - 2, "\"}", 2);
        length += sizeof header + PAYLOAD;
    }
    return length;
}

static void fan_out(unsigned subscribers, unsigned window, unsigned long rounds) {
    static char bytes[64 * (PAYLOAD + 8)];
    size_t length = frames(bytes, window);
    struct tw_session *publisher = connect_one();
    for (unsigned i = 1; i < subscribers; i++)
        connect_one();
    uint64_t before = hub.stats.messages_out;
    for (unsigned long i = 0; i < rounds; i++) {
        tw_session_on_read(publisher, bytes, length);
        turn();
    }
    if (hub.stats.messages_out - before == rounds * window * subscribers) return;
    fprintf(stderr, "budget: %llu deliveries are missing\n",
            (unsigned long long)(rounds * window * subscribers + before - hub.stats.messages_out));
    exit(1);
}

static void heartbeats(unsigned long rounds) {
    static const char pong[] = {'\x8a', '\x80', 0, 0, 0, 0};
    struct tw_session *sessions[SUBSCRIBERS];
    for (unsigned i = 0; i < SUBSCRIBERS; i++)
        sessions[i] = connect_one();
    for (unsigned long i = 0; i < rounds; i++) {
        now_ms = hub.now_ms = next_ms;
        turn();
        for (unsigned j = 0; j < SUBSCRIBERS; j++)
            tw_session_on_read(sessions[j], pong, sizeof pong);
        turn();
    }
}

__attribute__((noipa)) static void publish_rounds(struct tw_session **publishers,
                                                  unsigned long count, unsigned long rounds,
                                                  const char *bytes, size_t length) {
    for (unsigned long i = 0; i < rounds; i++) {
        tw_session_on_read(publishers[i * 7919 % count], bytes, length);
        turn();
    }
}

static double cpu_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static void flat(unsigned long rounds, unsigned long subscribers, unsigned long channels) {
    static char bytes[PAYLOAD + 8];
    size_t length = frames(bytes, 1);
    struct tw_session **publishers = tw_alloc(channels * sizeof(struct tw_session *));
    for (unsigned long i = 0; i < subscribers; i++)
        for (unsigned long j = 0; j < channels; j++)
            publishers[j] = connect_to(j);
    publish_rounds(publishers, channels, rounds / 10, bytes, length);
    uint64_t before = hub.stats.messages_out;
    double since_ns = cpu_ns();
    publish_rounds(publishers, channels, rounds, bytes, length);
    since_ns = cpu_ns() - since_ns;
    if (hub.stats.messages_out - before != rounds * subscribers) {
        fprintf(stderr, "budget: deliveries are missing\n");
        exit(1);
    }
    printf("ns %.1f\n", since_ns / (double)rounds);
    tw_free(publishers);
}

/* Without the scripts' memory, garbage and all. */
static size_t held(void) {
    return mallinfo2().uordblks + mallinfo2().hblkhd - tw_vm_memory(hub.vm);
}

static void count_memory(unsigned long clients, bool is_touched) {
    static char bytes[PAYLOAD + 8];
    size_t length = frames(bytes, 1);
    tw_session_on_read(connect_to(clients), bytes, length);
    turn();
    size_t before = held();
    for (unsigned long i = 0; i < clients; i++) {
        struct tw_session *session = connect_to(is_touched ? i / 10 : clients);
        if (is_touched) tw_session_on_read(session, bytes, length);
        turn();
    }
    printf("memory %.0f\n", (double)(held() - before) / (double)clients);
}

int main(int argc, char **argv) {
    bool is_flat = argc == 6 && strcmp(argv[2], "flat") == 0;
    const char *work = argc == 4 ? argv[2] : "";
    unsigned long rounds = argc >= 4 ? strtoul(argv[3], NULL, 10) : 0;
    if (argc == 4 || is_flat) begin(argv[1]);
    if (is_flat) {
        flat(rounds, strtoul(argv[4], NULL, 10), strtoul(argv[5], NULL, 10));
    } else if (strcmp(work, "fanout1") == 0) {
        fan_out(SUBSCRIBERS, 1, rounds);
    } else if (strcmp(work, "fanout64") == 0) {
        fan_out(SUBSCRIBERS, 64, rounds);
    } else if (strcmp(work, "publish") == 0) {
        fan_out(1, 64, rounds);
    } else if (strcmp(work, "handshake") == 0) {
        for (unsigned long i = 0; i < rounds; i++)
            connect_one();
    } else if (strcmp(work, "heartbeat") == 0) {
        heartbeats(rounds);
    } else if (strcmp(work, "memory") == 0 || strcmp(work, "touched") == 0) {
        count_memory(rounds, strcmp(work, "touched") == 0);
    } else {
        fprintf(stderr, "usage: budget APP fanout1|fanout64|publish|handshake|heartbeat|memory|"
                        "touched ROUNDS\n       budget APP flat ROUNDS SUBSCRIBERS CHANNELS\n");
        return 2;
    }
    return 0;
}
