/* listener.c: binding and accepting. */
#include "net/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/status.h"
#include "base/str.h"

#define BACKLOG 4096
#define ACCEPTS_A_TURN 256

/* --- binding --- */

void tw_listener_bound_sends(int fd, int bytes) {
    int none = 0;
    if (bytes > 0)
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    else
        setsockopt(fd, SOL_SOCKET, SO_BUF_LOCK, &none, sizeof none);
}

static void describe(int fd, char text[TW_ADDRESS_TEXT_SIZE]) {
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof address;
    char host[64] = "", port[16] = "";
    getsockname(fd, (struct sockaddr *)&address, &size);
    getnameinfo((struct sockaddr *)&address, size, host, sizeof host, port, sizeof port,
                NI_NUMERICHOST | NI_NUMERICSERV);
    snprintf(text, TW_ADDRESS_TEXT_SIZE, address.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host,
             port);
}

/* Connections inherit the options of the socket that they come by (Linux). */
static int bind_one(const struct addrinfo *info, bool is_shared, int send_buffer, int *out) {
    int one = 1;
    int fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    tw_listener_bound_sends(fd, send_buffer);
    if ((is_shared && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one) < 0) ||
        bind(fd, info->ai_addr, info->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0) {
        int status = -errno;
        close(fd);
        return status;
    }
    *out = fd;
    return 0;
}

/* "host:port" into its parts; false if it is not of that form. */
static bool split(const char *address, char host[64], char port[16]) {
    const char *colon = strrchr(address, ':');
    if (!colon || strlen(colon + 1) == 0 || strlen(colon + 1) > 5) return false;
    if (strspn(colon + 1, "0123456789") != strlen(colon + 1)) return false;
    struct tw_str text = {address, (size_t)(colon - address)};
    if (text.length >= 2 && text.data[0] == '[' && text.data[text.length - 1] == ']') {
        text.data++;
        text.length -= 2;
    } else if (memchr(text.data, ':', text.length)) {
        return false;
    }
    if (text.length == 0 || text.length >= 64) return false;
    if (tw_str_eq_nocase(text, TW_STR("localhost")))
        text = TW_STR("127.0.0.1"); /* RFC 6761 6.3: without asking anybody */
    snprintf(host, 64, "%.*s", TW_STR_ARG(text));
    snprintf(port, 16, "%s", colon + 1);
    return true;
}

/* SO_REUSEPORT would let a second broker take a share of the first one's connections, unnoticed. So
 * the address is bound once without it. */
static int bind_first(const struct addrinfo *info, bool is_shared, int send_buffer, int *fd) {
    int status = bind_one(info, false, send_buffer, fd);
    if (status < 0 || !is_shared) return status;
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    struct addrinfo again = *info;
    getsockname(*fd, (struct sockaddr *)&address, &size);
    again.ai_addr = (struct sockaddr *)&address;
    close(*fd);
    return bind_one(&again, true, send_buffer, fd);
}

enum { BIND_ALONE, BIND_FIRST, BIND_AGAIN };

static int bind_tcp(const char *address, int how, int send_buffer, int *fd,
                    char text[TW_ADDRESS_TEXT_SIZE]) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *list = NULL;
    char host[64], port[16];
    if (!split(address, host, port) || atoi(port) > 65535) {
        snprintf(text, TW_ADDRESS_TEXT_SIZE, "not host:port, [v6]:port or unix:path");
        return TW_EPARSE;
    }
    int problem = getaddrinfo(strcmp(host, "*") == 0 ? NULL : host, port, &hints, &list);
    if (problem != 0) {
        snprintf(text, TW_ADDRESS_TEXT_SIZE, "%s", gai_strerror(problem));
        return TW_EPARSE;
    }
    int status = how == BIND_AGAIN ? bind_one(list, true, send_buffer, fd)
                                   : bind_first(list, how == BIND_FIRST, send_buffer, fd);
    freeaddrinfo(list);
    if (status < 0)
        snprintf(text, TW_ADDRESS_TEXT_SIZE, "%s", tw_strerror(status));
    else
        describe(*fd, text);
    return status;
}

/* A socket file that nobody answers at is left over from a process that died. */
static void remove_stale(const struct sockaddr_un *address) {
    struct stat info;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return;
    if (stat(address->sun_path, &info) == 0 && S_ISSOCK(info.st_mode) &&
        connect(fd, (const struct sockaddr *)address, sizeof *address) < 0 && errno == ECONNREFUSED)
        unlink(address->sun_path);
    close(fd);
}

static int bind_unix(const char *path, int *out, char text[TW_ADDRESS_TEXT_SIZE]) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int status = 0;
    if (strlen(path) == 0 || strlen(path) >= sizeof address.sun_path) {
        snprintf(text, TW_ADDRESS_TEXT_SIZE, "the path of a unix socket has 1 to 107 bytes");
        return TW_EPARSE;
    }
    memcpy(address.sun_path, path, strlen(path));
    remove_stale(&address);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
        listen(fd, BACKLOG) < 0) {
        status = -errno;
        if (fd >= 0) close(fd);
        snprintf(text, TW_ADDRESS_TEXT_SIZE, "%s", tw_strerror(status));
        return status;
    }
    *out = fd;
    snprintf(text, TW_ADDRESS_TEXT_SIZE, "unix:%s", path);
    return 0;
}

int tw_listener_bind(const char *address, bool is_shared, int send_buffer, int *fd,
                     char text[TW_ADDRESS_TEXT_SIZE]) {
    if (strncmp(address, "unix:", 5) == 0) return bind_unix(address + 5, fd, text);
    return bind_tcp(address, is_shared ? BIND_FIRST : BIND_ALONE, send_buffer, fd, text);
}

int tw_listener_bind_again(const char *text, int first, int send_buffer, int *fd) {
    char again[TW_ADDRESS_TEXT_SIZE];
    if (strncmp(text, "unix:", 5) != 0) return bind_tcp(text, BIND_AGAIN, send_buffer, fd, again);
    *fd = fcntl(first, F_DUPFD_CLOEXEC, 0);
    return *fd < 0 ? -errno : 0;
}

/* --- accepting --- */

/* Out of descriptors: a reserved one is given up for a moment to accept the peer and hang up, which
 * is better than letting it wait and the loop spin. False: nobody waits, which the kernel does not
 * say while there is no descriptor. */
static bool turn_away(struct tw_listener *listener) {
    if (listener->reserve >= 0) close(listener->reserve);
    int fd = accept(listener->fd, NULL, NULL);
    if (fd >= 0) {
        close(fd);
        tw_log(TW_LOG_ERROR, "listen", "out of file descriptors: connection turned away");
    }
    listener->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
    return fd >= 0;
}

static void accept_some(struct tw_listener *listener, int max) {
    for (int i = 0; i < max && !listener->is_closing; i++) {
        struct sockaddr_storage peer = {0};
        socklen_t size = sizeof peer;
        int fd =
            accept4(listener->fd, (struct sockaddr *)&peer, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && (errno == EMFILE || errno == ENFILE)) {
            if (!turn_away(listener)) return;
            continue;
        }
        if (fd < 0 && (errno == EINTR || errno == ECONNABORTED)) continue;
        if (fd < 0) return;
        listener->on_accept(listener, fd, (struct sockaddr *)&peer);
    }
}

static void on_poll(uv_poll_t *poll, int status, int events) {
    (void)status, (void)events;
    accept_some(TW_CONTAINER(poll, struct tw_listener, poll), ACCEPTS_A_TURN);
}

int tw_listener_open(struct tw_listener *listener, uv_loop_t *loop, int fd,
                     tw_on_accept *on_accept) {
    *listener = (struct tw_listener){.on_accept = on_accept, .fd = fd};
    listener->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int status = uv_poll_init(loop, &listener->poll, fd);
    if (status == 0) status = uv_poll_start(&listener->poll, UV_READABLE, on_poll);
    return status;
}

static void on_closed(uv_handle_t *handle) {
    struct tw_listener *listener = TW_CONTAINER(handle, struct tw_listener, poll);
    if (listener->on_closed) listener->on_closed(listener);
}

void tw_listener_close(struct tw_listener *listener, void (*callback)(struct tw_listener *)) {
    if (listener->is_closing) return;
    accept_some(listener, BACKLOG);
    listener->is_closing = true;
    listener->on_closed = callback;
    uv_close((uv_handle_t *)&listener->poll, on_closed);
    close(listener->fd);
    if (listener->reserve >= 0) close(listener->reserve);
}
