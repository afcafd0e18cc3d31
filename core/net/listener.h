/* listener.h: a listening socket on a loop. The owner embeds it. */
#ifndef TW_NET_LISTENER_H
#define TW_NET_LISTENER_H

#include <stdbool.h>
#include <sys/socket.h>
#include <uv.h>

#define TW_ADDRESS_TEXT_SIZE 128

struct tw_listener;

/* Takes the accepted, non-blocking descriptor; of TCP with TCP_NODELAY. */
typedef void tw_on_accept(struct tw_listener *listener, int fd, const struct sockaddr *peer);

struct tw_listener {
    uv_poll_t poll;
    tw_on_accept *on_accept;
    void (*on_closed)(struct tw_listener *listener);
    int fd, reserve; /* reserve: a descriptor to give up when there are none left */
    bool is_closing;
};

/* Binds and listens: "host:port" (numeric or a name, "[::1]:80", "*:80"; port 0: any) or
 * "unix:path". 0 with *fd (owned) and the address as it came out in `text`; or an error and, in
 * `text`, what is wrong. A stale unix socket that nobody listens on is replaced. `is_shared`:
 * further ones follow; a TCP address that another process listens on is refused all the same.
 * `send_buffer`: of TCP connections, as in tw_listener_bound_sends. */
int tw_listener_bind(const char *address, bool is_shared, int send_buffer, int *fd,
                     char text[TW_ADDRESS_TEXT_SIZE]);
/* A further descriptor for a text that tw_listener_bind gave: a socket of its own with
 * SO_REUSEPORT, or, of a unix socket, the same one again. */
int tw_listener_bind_again(const char *text, int first, int send_buffer, int *fd);
/* Takes the descriptor. 0 or a uv error. */
int tw_listener_open(struct tw_listener *listener, uv_loop_t *loop, int fd,
                     tw_on_accept *on_accept);
/* Bounds what the kernel keeps of a socket's unread writes, in bytes; 0: by the system's choice. */
void tw_listener_bound_sends(int fd, int bytes);
/* Accepts what has arrived, then closes. Idempotent, asynchronous; `on_closed` may be NULL. */
void tw_listener_close(struct tw_listener *listener, void (*on_closed)(struct tw_listener *));

#endif
