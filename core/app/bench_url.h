/* bench_url.h: the addresses that `tidewire bench` is given. */
#ifndef TW_APP_BENCH_URL_H
#define TW_APP_BENCH_URL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/buf.h"

struct tw_bench_url {
    char host[256]; /* without the brackets of IPv6 */
    char port[6];
    const char *target; /* borrows from the text; "" stands for "/" */
    bool is_v6;
};

/* "ws://host[:port][/path][?query]", or with `scheme` "http" the same with http://. The target may
 * hold "{n}", the number of the channel. 0, or TW_EUSAGE with *why what is wrong (static). */
int tw_bench_url_parse(struct tw_bench_url *url, const char *scheme, const char *text,
                       const char **why);
bool tw_bench_url_is_numbered(const struct tw_bench_url *url);
/* Appends the target, with `n` in the place of each {n}. */
void tw_bench_url_target(const struct tw_bench_url *url, size_t n, struct tw_buf *out);
/* Appends host:port, as for a Host header. */
void tw_bench_url_host(const struct tw_bench_url *url, struct tw_buf *out);
/* Looks the host up; blocks. 0, or a negative code of getaddrinfo: text by gai_strerror. */
int tw_bench_url_resolve(const struct tw_bench_url *url, struct sockaddr_storage *address,
                         socklen_t *length);

#endif
