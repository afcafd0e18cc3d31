/* The broker inside another program, by its public header alone. It runs on a thread of its own;
 * what it has published is seen by an HTTP request for its stats, or by its log, since the API
 * itself gives nothing back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <tidewire/tidewire.h>

#define HANDSHAKE                                                                                  \
    "GET /ws/market HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"          \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"

static const char *const overrides[] = {"listen=127.0.0.1:0", "workers=2", "drain.window=0",
                                        "queue.size=100000"};

static char folder[64];

struct running {
    struct tidewire *broker;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_ready;
    char listen[64], admin[64];
    unsigned workers, generation;
    int status; /* of run */
};

static void write_file(const char *name, const char *text) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static int make_app(void **state) {
    char path[128];
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/tidewire-embed-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    snprintf(path, sizeof path, "%s/channels", folder);
    if (mkdir(path, 0755) != 0) return -1;
    write_file("broker.lua", "return {}\n");
    write_file("channels/market.lua", "return {}\n");
    return 0;
}

static int remove_app(void **state) {
    char path[128];
    (void)state;
    static const char *const names[] = {"broker.lua", "channels/market.lua", "channels", ""};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        if (remove(path) != 0) return -1;
    }
    return 0;
}

static void on_ready(void *data, const char *listen, const char *admin, unsigned workers,
                     unsigned generation) {
    struct running *running = data;
    pthread_mutex_lock(&running->lock);
    snprintf(running->listen, sizeof running->listen, "%s", listen);
    snprintf(running->admin, sizeof running->admin, "%s", admin);
    running->workers = workers;
    running->generation = generation;
    running->is_ready = true;
    pthread_cond_signal(&running->changed);
    pthread_mutex_unlock(&running->lock);
}

static void *run(void *data) {
    struct running *running = data;
    running->status = tidewire_run(running->broker);
    return NULL;
}

static void make(struct running *running, const char *admin) {
    struct tidewire_options options = {.app = folder,
                                       .overrides = overrides,
                                       .override_count = 4,
                                       .admin = admin,
                                       .on_ready = on_ready,
                                       .data = running};
    *running = (struct running){.status = 1};
    pthread_mutex_init(&running->lock, NULL);
    pthread_cond_init(&running->changed, NULL);
    assert_int_equal(tidewire_new(&running->broker, &options), 0);
}

static void start(struct running *running, const char *admin) {
    make(running, admin);
    assert_int_equal(pthread_create(&running->thread, NULL, run, running), 0);
    pthread_mutex_lock(&running->lock);
    while (!running->is_ready)
        pthread_cond_wait(&running->changed, &running->lock);
    pthread_mutex_unlock(&running->lock);
}

static void end(struct running *running) {
    assert_int_equal(pthread_join(running->thread, NULL), 0);
    assert_int_equal(running->status, 0);
    tidewire_free(running->broker);
}

static int dial(const char *address) {
    struct sockaddr_in to = {.sin_family = AF_INET};
    const char *colon = strrchr(address, ':');
    struct timeval limit = {.tv_sec = 30};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0 && colon);
    to.sin_port = htons((uint16_t)atoi(colon + 1));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

/* Subscribes to the channel, and has the answer. */
static int subscribe(const char *address) {
    char answer[512] = "";
    size_t length = 0;
    int fd = dial(address);
    assert_int_equal(send(fd, HANDSHAKE, strlen(HANDSHAKE), MSG_NOSIGNAL), strlen(HANDSHAKE));
    while (!strstr(answer, "\r\n\r\n")) {
        ssize_t got = recv(fd, answer + length, 1, 0);
        assert_true(got == 1 && ++length < sizeof answer - 1);
    }
    assert_memory_equal(answer, "HTTP/1.1 101 ", 13);
    return fd;
}

/* Reads messages "[n]" with n from 1 on, until the server says goodbye; how many. */
static unsigned count_messages(int fd) {
    unsigned count = 0;
    for (;;) {
        unsigned char head[2];
        char payload[126] = "", expected[16];
        assert_int_equal(recv(fd, head, 2, MSG_WAITALL), 2);
        assert_int_equal(recv(fd, payload, head[1], MSG_WAITALL), head[1]);
        if (head[0] == 0x88) { /* close: 1001 */
            assert_memory_equal(payload, "\x03\xe9", 2);
            close(fd);
            return count;
        }
        assert_int_equal(head[0], 0x81);
        snprintf(expected, sizeof expected, "[%u]", ++count);
        assert_string_equal(payload, expected);
    }
}

static int publish(struct tidewire *broker, unsigned n) {
    char text[16];
    int length = snprintf(text, sizeof text, "[%u]", n);
    return tidewire_publish(broker, "market", text, (size_t)length, 0);
}

/* --- tests --- */

static void publishes_all_that_it_accepted_before_it_was_stopped(void **state) {
    enum { COUNT = 20000 };
    struct running running;
    unsigned accepted = 0;
    (void)state;
    start(&running, "off");
    assert_string_equal(running.admin, "off");
    assert_int_equal(running.workers, 2);
    assert_int_equal(running.generation, 1);
    int fd = subscribe(running.listen);
    for (unsigned n = 1; n <= COUNT; n++)
        accepted += publish(running.broker, n) == 0;
    tidewire_stop(running.broker);
    assert_int_not_equal(publish(running.broker, COUNT + 1), 0);
    assert_int_equal(accepted, COUNT);
    assert_int_equal(count_messages(fd), COUNT);
    end(&running);
}

struct publisher {
    struct running *running;
    unsigned accepted;
};

static void *publish_until_refused(void *data) {
    struct publisher *publisher = data;
    while (publish(publisher->running->broker, publisher->accepted + 1) == 0)
        publisher->accepted++;
    return NULL;
}

static void a_stop_in_the_midst_of_publishing_loses_nothing(void **state) {
    (void)state;
    for (int round = 0; round < 3; round++) {
        struct running running;
        pthread_t thread;
        struct publisher publisher = {&running, 0};
        char first[3 + 2];
        start(&running, "off");
        int fd = subscribe(running.listen);
        assert_int_equal(pthread_create(&thread, NULL, publish_until_refused, &publisher), 0);
        assert_int_equal(recv(fd, first, sizeof first, MSG_PEEK | MSG_WAITALL), sizeof first);
        tidewire_stop(running.broker);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_true(publisher.accepted > 0);
        assert_int_equal(count_messages(fd), publisher.accepted);
        end(&running);
    }
}

static void a_wrong_app_is_an_error_and_nothing_to_free(void **state) {
    struct tidewire *broker = NULL;
    struct tidewire_options options = {.app = "/no/such/app"};
    (void)state;
    int status = tidewire_new(&broker, &options);
    assert_true(status < 0);
    assert_null(broker);
    assert_true(strlen(tidewire_strerror(status)) > 0);
    const char *wrong[] = {"limits.violations=many"};
    options = (struct tidewire_options){.app = folder, .overrides = wrong, .override_count = 1};
    assert_true(tidewire_new(&broker, &options) < 0);
    assert_null(broker);
}

static void runs_once(void **state) {
    struct running running;
    (void)state;
    start(&running, "127.0.0.1:0");
    assert_int_not_equal(tidewire_run(running.broker), 0);
    tidewire_stop(running.broker);
    assert_int_equal(pthread_join(running.thread, NULL), 0);
    assert_int_equal(running.status, 0);
    assert_int_not_equal(tidewire_run(running.broker), 0);
    assert_int_not_equal(publish(running.broker, 1), 0);
    tidewire_stop(running.broker);
    tidewire_free(running.broker);
}

static void may_be_freed_without_having_run(void **state) {
    struct running running;
    (void)state;
    make(&running, "off");
    assert_int_not_equal(publish(running.broker, 1), 0);
    tidewire_free(running.broker);
}

static void does_not_run_where_it_cannot_listen(void **state) {
    struct running first, second;
    (void)state;
    start(&first, "127.0.0.1:0");
    make(&second, first.admin);
    int status = tidewire_run(second.broker);
    assert_true(status < 0);
    assert_string_equal(tidewire_strerror(status), "Address already in use");
    assert_false(second.is_ready);
    tidewire_free(second.broker);
    tidewire_stop(first.broker);
    end(&first);
}

static void a_stop_said_twice_ends_at_once(void **state) {
    struct running running;
    (void)state;
    start(&running, "off");
    int fd = subscribe(running.listen); /* who never answers the goodbye */
    tidewire_stop(running.broker);
    tidewire_stop(running.broker);
    tidewire_stop(running.broker);
    end(&running);
    close(fd);
}

static void a_stop_said_too_early_is_heard(void **state) {
    struct running running;
    (void)state;
    make(&running, "off");
    tidewire_stop(running.broker);
    assert_int_equal(pthread_create(&running.thread, NULL, run, &running), 0);
    end(&running);
}

static void a_publish_for_no_channel_or_of_no_json_harms_nobody(void **state) {
    struct running running;
    (void)state;
    start(&running, "off");
    int fd = subscribe(running.listen);
    assert_int_equal(tidewire_publish(running.broker, "nowhere", "1", 1, 0), 0);
    assert_int_equal(tidewire_publish(running.broker, "market", "{", 1, 0), 0);
    assert_int_equal(publish(running.broker, 1), 0);
    tidewire_stop(running.broker);
    assert_int_equal(count_messages(fd), 1);
    end(&running);
}

static void says_what_it_is(void **state) {
    (void)state;
    assert_true(strlen(tidewire_version()) >= 5);
    assert_string_equal(tidewire_strerror(0), "ok");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(publishes_all_that_it_accepted_before_it_was_stopped),
        cmocka_unit_test(a_stop_in_the_midst_of_publishing_loses_nothing),
        cmocka_unit_test(a_wrong_app_is_an_error_and_nothing_to_free),
        cmocka_unit_test(runs_once),
        cmocka_unit_test(may_be_freed_without_having_run),
        cmocka_unit_test(does_not_run_where_it_cannot_listen),
        cmocka_unit_test(a_stop_said_twice_ends_at_once),
        cmocka_unit_test(a_stop_said_too_early_is_heard),
        cmocka_unit_test(a_publish_for_no_channel_or_of_no_json_harms_nobody),
        cmocka_unit_test(says_what_it_is),
    };
    return cmocka_run_group_tests(tests, make_app, remove_app);
}
