/* reload_load.c: reloads under load, on the real binary: is anything lost, doubled or reordered,
 * and what becomes of the latency? Runs a broker of its own on loopback, and publishes at an even
 * rate to all subscribers of one channel. In SLICES slices, so that what else the machine does hits
 * both:
 *
 *   without  `seconds` of it
 *   with     `reloads` changed versions of the channel's file, one each `every` ms (later if one
 *            takes longer), each asked for over HTTP
 *
 * Each reload carries the states of `channels` more channels, some 300 bytes each, too. At the end,
 * the longest pause of each worker before and after, in processor time (/v1/stats).
 *
 * One publisher, which is a subscriber too. A message counts from the moment at which it was due,
 * not from when we came to send it. Prints a line for each phase and one for the whole; exits with
 * 1 if a subscriber saw anything but every message once, in order, by scripts that grow no older.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/histogram.h"
#include "base/mem.h"

#define SLICES 10
#define SECOND UINT64_C(1000000000)
#define PATIENCE (60 * SECOND) /* for one reload, and for what is still to come at the end */

static struct {
    const char *binary, *workers;
    unsigned long reloads, every_ms, deliveries, subscribers, seconds, channels;
} options = {NULL, "1", 50, 10, 5000, 50, 1, 0};

struct subscriber {
    int fd;
    unsigned long got, version;
    struct tw_buf in;
};

static char folder[] = "/tmp/tidewire-reload-XXXXXX";
static pid_t broker;
static unsigned port, admin_port;
static struct subscriber *subscribers;
static int epoll, admin = -1;
static uint64_t begun_ns;
static unsigned long sent, lost, again, older;
static struct tw_histogram *latency; /* of the phase */
static struct tw_buf answer;

__attribute__((noreturn, format(printf, 1, 2))) static void die(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "reload_load: ");
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\n");
    va_end(arguments);
    if (broker > 0) kill(broker, SIGKILL);
    exit(2);
}

static uint64_t now_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * SECOND + (uint64_t)time.tv_nsec;
}

static double ms(uint64_t ns) {
    return (double)ns / 1e6;
}

/* --- the broker --- */

static void write_file(const char *name, const char *text) {
    char *path = tw_format("%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    if (!file || fputs(text, file) < 0 || fclose(file) != 0) die("cannot write %s", path);
    tw_free(path);
}

static void write_version(unsigned long version) {
    char *text = tw_format("return { publish = true, transform = function(message, channel)\n"
                           "  channel.state.count = (channel.state.count or 0) + 1\n"
                           "  message.data.v = %lu\n"
                           "  return message\nend }\n",
                           version);
    write_file("channels/market.lua", text);
    tw_free(text);
}

static void start_broker(void) {
    int ends[2];
    char *channels = tw_format("%s/channels", mkdtemp(folder)), line[300] = "";
    if (mkdir(channels, 0755) != 0 || pipe(ends) != 0) die("no folder, or no pipe");
    tw_free(channels);
    char *settings =
        tw_format("return { listen = '127.0.0.1:0', workers = %s,\n"
                  "  queue = { size = 1000000, bytes = 1e9 }, heartbeat = { interval = 0 },\n"
                  "  limits = { messages = { rate = 0 }, bytes = { rate = 0 } },\n"
                  "  drain = { window = 0 } }\n",
                  options.workers);
    write_file("broker.lua", settings);
    tw_free(settings);
    write_version(1);
    write_file("channels/room.lua",
               "return { name = 'room:{id}', init = function(channel)\n"
               "  channel.state.title = 'a room for people who like to talk'\n"
               "  channel.state.members = {}\n"
               "  for i = 1, 8 do channel.state.members[i] = { name = 'member' .. i } end\n"
               "end }\n");
    write_file("channels/spawn.lua",
               "local tidewire = require 'tidewire'\n"
               "return { transform = function(message)\n"
               "  for i = 1, 100 do tidewire.publish('room:' .. message.data + i, 0) end\n"
               "  return message\nend }\n");
    broker = fork();
    if (broker == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        execl(options.binary, options.binary, "run", folder, "--admin", "127.0.0.1:0", "--no-watch",
              "--log-level", "warn", (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    FILE *out = fdopen(ends[0], "r");
    if (!out || !fgets(line, sizeof line, out) ||
        sscanf(line, "tidewire ready listen=127.0.0.1:%u admin=127.0.0.1:%u", &port, &admin_port) !=
            2)
        die("the broker does not start: %s", line);
}

static void stop_broker(void) {
    int status;
    char *command = tw_format("rm -rf %s", folder);
    kill(broker, SIGTERM);
    if (waitpid(broker, &status, 0) < 0 || status != 0) die("the broker ended with %d", status);
    if (system(command) != 0) die("cannot remove %s", folder);
    tw_free(command);
}

/* --- sockets --- */

static int dial(unsigned to) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)to)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        die("cannot connect: %s", strerror(errno));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

static void write_all(int fd, const void *bytes, size_t length) {
    const char *at = bytes;
    while (length > 0) {
        ssize_t written = send(fd, at, length, MSG_NOSIGNAL);
        if (written < 0 && errno == EAGAIN) continue;
        if (written <= 0) die("cannot write: %s", strerror(errno));
        at += written;
        length -= (size_t)written;
    }
}

static void watch(int fd, void *data) {
    struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = data}};
    fcntl(fd, F_SETFL, O_NONBLOCK);
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

static void join(struct subscriber *subscriber) {
    static const char hello[] = "GET /ws/market HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
                                "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    char head[1024] = "";
    size_t length = 0;
    subscriber->fd = dial(port);
    write_all(subscriber->fd, hello, sizeof hello - 1);
    while (!strstr(head, "\r\n\r\n")) {
        if (length == sizeof head - 1 || recv(subscriber->fd, head + length, 1, 0) != 1)
            die("the handshake is refused: %s", head);
        length++;
    }
    if (strncmp(head, "HTTP/1.1 101", 12) != 0) die("the handshake is refused: %s", head);
    subscriber->version = 1;
    watch(subscriber->fd, subscriber);
}

/* Appends what is there; false: nothing more for now. */
static bool fill(int fd, struct tw_buf *in) {
    if (tw_buf_try_reserve(in, 65536) != 0) die("out of memory");
    ssize_t got = recv(fd, in->data + in->length, 65536, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return false;
    if (got <= 0) die("the broker hung up");
    in->length += (size_t)got;
    return got == 65536;
}

/* --- messages --- */

/* When message n (1, 2 ...) is due. */
static uint64_t due_ns(unsigned long n) {
    return begun_ns +
           (uint64_t)((double)n * 1e9 * (double)options.subscribers / (double)options.deliveries);
}

static void publish(unsigned long n) {
    unsigned char frame[64] = {0x81};
    int length = snprintf((char *)frame + 6, sizeof frame - 6, "{\"n\":%lu}", n);
    frame[1] = (unsigned char)(0x80 | length); /* masked with zeros */
    write_all(subscribers[0].fd, frame, (size_t)length + 6);
}

static unsigned long number_of(const char *text, size_t length, const char *key) {
    const char *at = memmem(text, length, key, strlen(key));
    if (!at) die("not one of ours: %.*s", (int)length, text);
    return strtoul(at + strlen(key), NULL, 10);
}

static void take(struct subscriber *subscriber, const char *text, size_t length, uint64_t at_ns) {
    unsigned long n = number_of(text, length, "\"n\":"), v = number_of(text, length, "\"v\":");
    if (n <= subscriber->got) {
        again++;
        return;
    }
    lost += n - subscriber->got - 1;
    older += v < subscriber->version;
    subscriber->got = n;
    subscriber->version = v;
    tw_histogram_add(latency, at_ns - due_ns(n));
}

/* Frames of less than 126 bytes, as ours are. */
static void read_frames(struct subscriber *subscriber) {
    bool is_more = fill(subscriber->fd, &subscriber->in);
    uint64_t at_ns = now_ns();
    size_t at = 0;
    const struct tw_buf *in = &subscriber->in;
    while (in->length - at >= 2) {
        size_t length = (unsigned char)in->data[at + 1];
        if ((unsigned char)in->data[at] != 0x81 || length > 125) die("an unexpected frame");
        if (in->length - at < 2 + length) break;
        take(subscriber, in->data + at + 2, length, at_ns);
        at += 2 + length;
    }
    tw_buf_consume(&subscriber->in, at);
    if (is_more) read_frames(subscriber);
}

static void step(void) {
    struct epoll_event events[64];
    while (due_ns(sent + 1) <= now_ns())
        publish(++sent);
    uint64_t at_ns = now_ns(), next_ns = due_ns(sent + 1);
    struct timespec wait = {0};
    if (next_ns > at_ns) wait.tv_nsec = (long)((next_ns - at_ns) % SECOND);
    int count = epoll_pwait2(epoll, events, 64, &wait, NULL);
    for (int i = 0; i < count; i++) {
        if (events[i].data.ptr)
            read_frames(events[i].data.ptr);
        else
            fill(admin, &answer);
    }
}

/* --- the phases --- */

struct phase {
    struct tw_histogram times;
    uint64_t ns;
    unsigned long messages;
};

static void begin(struct phase *phase) {
    latency = &phase->times;
    phase->ns -= now_ns();
    phase->messages -= sent;
}

static void end(struct phase *phase) {
    phase->ns += now_ns();
    phase->messages += sent;
}

static bool has_answer(void) {
    static const char start[] = "HTTP/1.1 200";
    if (answer.length < sizeof start || !memmem(answer.data, answer.length, "}", 1)) return false;
    if (memcmp(answer.data, start, sizeof start - 1) != 0)
        die("a reload failed: %.*s", (int)answer.length, answer.data);
    return true;
}

static void ask(const char *request) {
    answer.length = 0;
    write_all(admin, request, strlen(request));
}

static void reload(unsigned long version) {
    uint64_t until_ns = now_ns() + PATIENCE;
    write_version(version);
    ask("POST /v1/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    while (!has_answer()) {
        if (now_ns() > until_ns) die("a reload does not end");
        step();
    }
}

/* A hundred at a time; all are there when the last request is answered and, behind it, the stats.
 */
static void open_channels(void) {
    for (unsigned long i = 0; i < options.channels; i += 100) {
        char *request = tw_format("POST /v1/channels/spawn/messages HTTP/1.1\r\nHost: x\r\n"
                                  "Content-Length: 8\r\n\r\n%8lu",
                                  i);
        ask(request);
        while (!has_answer())
            step();
        tw_free(request);
    }
}

static void report_pauses(const char *name) {
    const char *at = NULL, *end = NULL;
    double worst;
    ask("GET /v1/stats HTTP/1.1\r\nHost: x\r\n\r\n");
    while (!end) {
        step();
        at = answer.length ? memmem(answer.data, answer.length, "\"pauses\":[", 10) : NULL;
        end = at ? memchr(at, ']', answer.length - (size_t)(at - answer.data)) : NULL;
    }
    printf("%s: longest pauses, of each worker and the control worker:", name);
    char *pauses = tw_memdup(at, (size_t)(end - at));
    for (at = pauses; (at = strstr(at, "\"cpu\":{")); at++)
        if (sscanf(at, "\"cpu\":{\"p99\":%*f,\"max\":%lf", &worst) == 1)
            printf(" %.2fms", worst * 1000);
    tw_free(pauses);
    printf("\n");
}

/* Of the versions, those from `from` to before `to`. */
static void reload_some(unsigned long from, unsigned long to) {
    uint64_t next_ns = now_ns();
    for (unsigned long i = from; i < to; i++) {
        reload(i + 2);
        next_ns += options.every_ms * 1000000;
        while (now_ns() < next_ns)
            step();
    }
}

static void run_slice(unsigned slice, struct phase *without, struct phase *with) {
    uint64_t ends_ns = now_ns() + options.seconds * SECOND / SLICES;
    begin(without);
    while (now_ns() < ends_ns)
        step();
    end(without);
    begin(with);
    reload_some(options.reloads * slice / SLICES, options.reloads * (slice + 1) / SLICES);
    end(with);
}

static void finish(void) {
    uint64_t until_ns = now_ns() + PATIENCE;
    unsigned long last = sent;
    for (unsigned long i = 0; i < options.subscribers;)
        if (subscribers[i].got >= last)
            i++;
        else if (now_ns() > until_ns)
            die("subscriber %lu waits for message %lu in vain", i, subscribers[i].got + 1);
        else
            step();
}

static void report(const char *name, const struct phase *phase) {
    double seconds = (double)phase->ns / 1e9;
    const struct tw_histogram *times = &phase->times;
    printf("%s: seconds=%.2f deliveries_per_second=%.0f p50=%.3fms p99=%.3fms p99.9=%.3fms "
           "max=%.3fms\n",
           name, seconds, (double)(phase->messages * options.subscribers) / seconds,
           ms(tw_histogram_quantile(times, 0.5)), ms(tw_histogram_quantile(times, 0.99)),
           ms(tw_histogram_quantile(times, 0.999)), ms(times->max));
}

static void read_options(int argc, char **argv) {
    int c;
    while ((c = getopt(argc, argv, "r:e:d:s:t:w:c:")) != -1) {
        unsigned long number = optarg ? strtoul(optarg, NULL, 10) : 0;
        if (c == 'r') options.reloads = number;
        if (c == 'e') options.every_ms = number;
        if (c == 'd') options.deliveries = number;
        if (c == 's') options.subscribers = number;
        if (c == 't') options.seconds = number;
        if (c == 'c') options.channels = number;
        if (c == 'w') options.workers = optarg;
    }
    options.binary = argv[optind];
    if (options.binary && options.deliveries > 0 && options.subscribers > 0) return;
    fprintf(stderr, "usage: reload_load [-r RELOADS] [-e EVERY_MS] [-d DELIVERIES_PER_SECOND]\n"
                    "  [-s SUBSCRIBERS] [-t SECONDS_BEFORE] [-w WORKERS] [-c CHANNELS] BINARY\n");
    exit(2);
}

int main(int argc, char **argv) {
    static struct phase before, without, with;
    read_options(argc, argv);
    start_broker();
    epoll = epoll_create1(EPOLL_CLOEXEC);
    subscribers = tw_alloc(options.subscribers * sizeof *subscribers);
    for (unsigned long i = 0; i < options.subscribers; i++)
        join(&subscribers[i]);
    admin = dial(admin_port);
    watch(admin, NULL);
    begun_ns = now_ns();
    begin(&before);
    open_channels();
    report_pauses("before");
    for (unsigned slice = 0; slice < SLICES; slice++)
        run_slice(slice, &without, &with);
    finish();
    report("without", &without);
    report("with", &with);
    report_pauses("after");
    double ratio = (double)tw_histogram_quantile(&with.times, 0.99) /
                   (double)tw_histogram_quantile(&without.times, 0.99);
    printf("reloads=%lu messages=%lu subscribers=%lu lost=%lu again=%lu older=%lu p99_ratio=%.2f\n",
           options.reloads, sent, options.subscribers, lost, again, older, ratio);
    stop_broker();
    for (unsigned long i = 0; i < options.subscribers; i++)
        tw_buf_deinit(&subscribers[i].in);
    tw_free(subscribers);
    tw_buf_deinit(&answer);
    return lost + again + older > 0;
}
