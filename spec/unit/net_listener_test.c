/* What a connection gets from the socket that it came by, without a system call of its own. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/listener.h"

static int option(int fd, int level, int name) {
    int value = -1;
    socklen_t size = sizeof value;
    assert_int_equal(getsockopt(fd, level, name, &value, &size), 0);
    return value;
}

/* A connection by way of `listener`: its end here. */
static int connection(int listener) {
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    int peer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fd;
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    assert_int_equal(connect(peer, (struct sockaddr *)&address, size), 0);
    while ((fd = accept(listener, NULL, NULL)) < 0)
        ; /* it does not block */
    close(peer);
    return fd;
}

static void gives_its_options_to_connections(void **state) {
    (void)state;
    char text[TW_ADDRESS_TEXT_SIZE];
    int listeners[2];
    assert_int_equal(tw_listener_bind("127.0.0.1:0", true, 20000, &listeners[0], text), 0);
    assert_int_equal(tw_listener_bind_again(text, listeners[0], 20000, &listeners[1]), 0);
    close(listeners[0]);
    int fd = connection(listeners[1]);
    assert_int_equal(option(fd, IPPROTO_TCP, TCP_NODELAY), 1);
    assert_int_equal(option(fd, SOL_SOCKET, SO_SNDBUF), 2 * 20000); /* the kernel counts double */
    close(fd);
    close(listeners[1]);
}

static void bounds_sends_anew_or_not_at_all(void **state) {
    (void)state;
    enum { SEND_LOCK = 1 }; /* SOCK_SNDBUF_LOCK: the kernel does not grow it */
    char text[TW_ADDRESS_TEXT_SIZE];
    int listener;
    assert_int_equal(tw_listener_bind("127.0.0.1:0", false, 20000, &listener, text), 0);
    int fd = connection(listener);
    assert_int_equal(option(fd, SOL_SOCKET, SO_BUF_LOCK), SEND_LOCK);
    tw_listener_bound_sends(fd, 30000);
    assert_int_equal(option(fd, SOL_SOCKET, SO_SNDBUF), 2 * 30000);
    tw_listener_bound_sends(fd, 0);
    assert_int_equal(option(fd, SOL_SOCKET, SO_BUF_LOCK), 0);
    close(fd);
    close(listener);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_its_options_to_connections),
        cmocka_unit_test(bounds_sends_anew_or_not_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
