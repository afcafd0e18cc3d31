/* limit.c: the floor: what a broker cannot do without, and nothing else.
 *
 * A WebSocket on any path hears what is sent on that path, its own frames included. No limits, no
 * queues, no JSON, no timeouts, no TLS, one thread: accept, shake hands, unmask, encode one frame,
 * write() it to each. Frames that came in one read are written together, once per subscriber.
 * A subscriber whose socket is full keeps the rest of its write and misses what comes meanwhile.
 * It trusts its clients; it is a measuring device, and listens on loopback only.
 *
 *   bench_limit [PORT [MS]]   (0 or none: any) prints "limit ready port=N", ends with SIGTERM.
 *
 * MS: a ping to each client in so many milliseconds, a 64th of them at a time; pongs are read. */
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define READ_SIZE 65536
#define MAX_MESSAGE (1 << 20)
#define DESCRIPTORS (1 << 17)
#define GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

struct bytes {
    char *data;
    size_t length, capacity;
};

struct topic {
    struct topic *next; /* of the same bucket */
    struct client **clients;
    size_t count, capacity;
    char path[];
};

struct client {
    int fd;
    bool is_writable_wanted;
    uint32_t place;      /* in topic->clients */
    struct topic *topic; /* NULL: before the handshake */
    struct bytes in;     /* a frame or a handshake that has not arrived whole */
    struct bytes out;    /* the rest of a write */
};

static int loop;
static struct topic *topics[4096];
static struct bytes batch;        /* frames for the topic of the client that is being read */
static struct client *dead;       /* freed at the end of the turn; linked by `topic` */
static unsigned long interval_ms; /* of pings; 0: none */
static struct client *clients[DESCRIPTORS]; /* by descriptor, if there are pings */

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static void append(struct bytes *to, const void *data, size_t length) {
    if (to->length + length > to->capacity) {
        to->capacity = (to->length + length) * 2;
        to->data = realloc(to->data, to->capacity);
        if (!to->data) abort();
    }
    if (length) memcpy(to->data + to->length, data, length);
    to->length += length;
}

static void forget(struct bytes *bytes) {
    free(bytes->data);
    *bytes = (struct bytes){0};
}

/* ---- topics ---- */

static struct topic *topic_of(const char *path, size_t length) {
    size_t hash = 5381;
    for (size_t i = 0; i < length; i++)
        hash = hash * 33 + (unsigned char)path[i];
    struct topic **at = &topics[hash % 4096];
    for (; *at; at = &(*at)->next)
        if (strlen((*at)->path) == length && memcmp((*at)->path, path, length) == 0) return *at;
    *at = calloc(1, sizeof **at + length + 1);
    if (!*at) abort();
    memcpy((*at)->path, path, length);
    return *at;
}

static void join(struct client *client, struct topic *topic) {
    if (topic->count == topic->capacity) {
        topic->capacity = topic->capacity ? topic->capacity * 2 : 4;
        topic->clients = realloc(topic->clients, topic->capacity * sizeof(struct client *));
        if (!topic->clients) abort();
    }
    client->topic = topic;
    client->place = (uint32_t)topic->count;
    topic->clients[topic->count++] = client;
}

static void leave(struct client *client) {
    struct topic *topic = client->topic;
    struct client *last = topic->clients[--topic->count];
    topic->clients[client->place] = last;
    last->place = client->place;
}

/* ---- clients ---- */

static void end(struct client *client) {
    if (client->fd < 0) return;
    if (client->topic) leave(client);
    if (interval_ms) clients[client->fd] = NULL;
    close(client->fd);
    client->fd = -1;
    forget(&client->in);
    forget(&client->out);
    client->topic = (struct topic *)dead;
    dead = client;
}

static void want_writable(struct client *client, bool wanted) {
    struct epoll_event event = {.events = EPOLLIN | (wanted ? EPOLLOUT : 0u), .data.ptr = client};
    if (wanted == client->is_writable_wanted) return;
    client->is_writable_wanted = wanted;
    epoll_ctl(loop, EPOLL_CTL_MOD, client->fd, &event);
}

/* Errors end nobody here: the read that follows an error ends the client. */
static void send_to(struct client *client, const char *data, size_t length) {
    if (client->out.length > 0) return; /* it misses this one */
    ssize_t wrote = write(client->fd, data, length);
    if (wrote < 0) wrote = 0;
    if (wrote == (ssize_t)length || wrote == 0) return;
    append(&client->out, data + wrote, length - (size_t)wrote);
    want_writable(client, true);
}

static void on_writable(struct client *client) {
    struct bytes *out = &client->out;
    ssize_t wrote = write(client->fd, out->data, out->length);
    if (wrote <= 0) return;
    out->length -= (size_t)wrote;
    memmove(out->data, out->data + wrote, out->length);
    if (out->length > 0) return;
    forget(out);
    want_writable(client, false);
}

/* ---- frames ---- */

static void encode(struct bytes *to, unsigned char first, const char *payload, size_t length) {
    unsigned char head[10] = {first, (unsigned char)length};
    size_t size = 2;
    if (length > 65535) {
        uint64_t big = htobe64(length);
        head[1] = 127;
        memcpy(head + 2, &big, 8);
        size = 10;
    } else if (length > 125) {
        uint16_t big = htobe16((uint16_t)length);
        head[1] = 126;
        memcpy(head + 2, &big, 2);
        size = 4;
    }
    append(to, head, size);
    append(to, payload, length);
}

static void unmask(char *payload, size_t length, const char *key) {
    uint64_t wide, twice;
    memcpy(&twice, key, 4);
    memcpy((char *)&twice + 4, key, 4);
    size_t i = 0;
    for (; i + 8 <= length; i += 8) {
        memcpy(&wide, payload + i, 8);
        wide ^= twice;
        memcpy(payload + i, &wide, 8);
    }
    for (; i < length; i++)
        payload[i] = (char)(payload[i] ^ key[i % 4]);
}

/* Reads one frame; how long it is, 0 if it has not arrived whole, -1 to end the client. */
static ssize_t frame(struct client *client, char *data, size_t length) {
    if (length < 2) return 0;
    unsigned char first = (unsigned char)data[0];
    size_t size = (unsigned char)data[1] & 127u, head = 6;
    if (!(data[1] & 0x80) || !(first & 0x80)) return -1; /* unmasked, fragmented */
    if (size == 126) {
        uint16_t big;
        if (length < 4) return 0;
        memcpy(&big, data + 2, 2);
        size = be16toh(big), head = 8;
    } else if (size == 127) {
        uint64_t big;
        if (length < 10) return 0;
        memcpy(&big, data + 2, 8);
        size = be64toh(big), head = 14;
    }
    if (size > MAX_MESSAGE) return -1;
    if (length < head + size) return 0;
    unmask(data + head, size, data + head - 4);
    switch (first & 15) {
    case 1:
    case 2:
        encode(&batch, first, data + head, size);
        break;
    case 8:
        return -1;
    case 9: {
        struct bytes pong = {0};
        encode(&pong, 0x8A, data + head, size);
        send_to(client, pong.data, pong.length);
        forget(&pong);
        break;
    }
    default:
        break;
    }
    return (ssize_t)(head + size);
}

static void spread(struct topic *topic) {
    for (size_t i = 0; i < topic->count; i++)
        send_to(topic->clients[i], batch.data, batch.length);
    batch.length = 0;
}

/* ---- the handshake ---- */

static ssize_t handshake(struct client *client, char *data, size_t length) {
    char text[sizeof GUID + 64], answer[256], accept[32];
    unsigned char digest[SHA_DIGEST_LENGTH];
    char *stop = memmem(data, length, "\r\n\r\n", 4);
    if (!stop) return length > 8192 ? -1 : 0;
    *stop = 0;
    char *path = strchr(data, ' '), *key = strcasestr(data, "\r\nSec-WebSocket-Key:");
    if (!path++ || !key) return -1;
    key += strlen("\r\nSec-WebSocket-Key:");
    key += strspn(key, " ");
    int size = snprintf(text, sizeof text, "%.*s" GUID, (int)strcspn(key, " \r"), key);
    if (size >= (int)sizeof text) return -1;
    SHA1((unsigned char *)text, (size_t)size, digest);
    EVP_EncodeBlock((unsigned char *)accept, digest, sizeof digest);
    size = snprintf(answer, sizeof answer,
                    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                    "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
                    accept);
    join(client, topic_of(path, strcspn(path, " ?")));
    send_to(client, answer, (size_t)size);
    return stop + 4 - data;
}

/* ---- the loop ---- */

/* Takes what is whole of `data`; how much, or -1 to end the client. */
static ssize_t take(struct client *client, char *data, size_t length) {
    size_t at = 0;
    ssize_t used = 1;
    while (used > 0 && at < length) {
        used = client->topic ? frame(client, data + at, length - at)
                             : handshake(client, data + at, length - at);
        if (used > 0) at += (size_t)used;
    }
    if (batch.length > 0) spread(client->topic);
    return used < 0 ? -1 : (ssize_t)at;
}

static void on_readable(struct client *client) {
    static char buffer[READ_SIZE];
    struct bytes *in = &client->in;
    ssize_t got = read(client->fd, buffer, sizeof buffer), used;
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
        end(client);
        return;
    }
    if (in->length == 0) {
        used = take(client, buffer, (size_t)got);
        if (used >= 0 && used < got) append(in, buffer + used, (size_t)(got - used));
    } else {
        append(in, buffer, (size_t)got);
        used = take(client, in->data, in->length);
        if (used > 0) {
            in->length -= (size_t)used;
            memmove(in->data, in->data + used, in->length);
            if (in->length == 0) forget(in);
        }
    }
    if (used < 0) end(client);
}

static void on_connection(int listener) {
    for (int i = 0; i < 64; i++) {
        int one = 1, fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 || fd >= DESCRIPTORS) return;
        struct client *client = calloc(1, sizeof *client);
        if (!client) abort();
        client->fd = fd;
        if (interval_ms) clients[fd] = client;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
        if (epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event) < 0) fail("epoll_ctl");
    }
}

/* ---- heartbeats ---- */

enum { SHARES = 64 };

static uint64_t now_ms(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

/* Pings a share if it is due; returns in how many ms to call again. */
static int ping_some(void) {
    static uint64_t next_ms;
    static unsigned share;
    if (!interval_ms) return -1;
    uint64_t now = now_ms();
    if (now >= next_ms) {
        for (int fd = (int)share; fd < DESCRIPTORS; fd += SHARES)
            if (clients[fd] && clients[fd]->topic) send_to(clients[fd], "\x89\0", 2);
        share = (share + 1) % SHARES;
        next_ms = (next_ms ? next_ms : now) + interval_ms / SHARES;
    }
    return next_ms > now ? (int)(next_ms - now) : 0;
}

static int listen_on(uint16_t port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    socklen_t size = sizeof address;
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) fail("socket");
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&address, size) < 0 || listen(fd, 4096) < 0) fail("bind");
    if (getsockname(fd, (struct sockaddr *)&address, &size) < 0) fail("getsockname");
    printf("limit ready port=%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

int main(int argc, char **argv) {
    struct epoll_event events[512] = {{.events = EPOLLIN, .data.ptr = NULL}};
    struct rlimit limit;
    signal(SIGPIPE, SIG_IGN);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    if (argc > 2) interval_ms = strtoul(argv[2], NULL, 10);
    loop = epoll_create1(EPOLL_CLOEXEC);
    int listener = listen_on((uint16_t)(argc > 1 ? atoi(argv[1]) : 0));
    if (loop < 0 || epoll_ctl(loop, EPOLL_CTL_ADD, listener, events) < 0) fail("epoll");
    for (;;) {
        int count = epoll_wait(loop, events, 512, ping_some());
        for (int i = 0; i < count; i++) {
            struct client *client = events[i].data.ptr;
            if (!client) {
                on_connection(listener);
                continue;
            }
            if (client->fd >= 0 && events[i].events & EPOLLOUT) on_writable(client);
            if (client->fd >= 0 && events[i].events & ~(uint32_t)EPOLLOUT) on_readable(client);
        }
        while (dead) {
            struct client *gone = dead;
            dead = (struct client *)gone->topic;
            free(gone);
        }
    }
}
