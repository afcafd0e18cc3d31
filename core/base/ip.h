/* ip.h: addresses of peers, and networks.
 *
 * Every address is kept as 16 bytes; IPv4 as v4-mapped (RFC 4291 2.5.5.2), so that ::ffff:1.2.3.4
 * and 1.2.3.4 are the same peer. */
#ifndef TW_BASE_IP_H
#define TW_BASE_IP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/str.h"

#define TW_IP_TEXT_SIZE 46

struct tw_ip {
    uint8_t bytes[16];
};

struct tw_cidr {
    struct tw_ip ip;
    uint8_t bits; /* of the 128 */
};

/* "1.2.3.4", "::1", "[::1]", each also with ":port" where unambiguous (as X-Forwarded-For has them
 * in the wild). 0 or TW_EPARSE. */
int tw_ip_parse(struct tw_str text, struct tw_ip *out);
/* From AF_INET or AF_INET6; any other family (unix sockets) gives 127.0.0.1. */
struct tw_ip tw_ip_of_sockaddr(const struct sockaddr *address);
/* The usual text: dotted for IPv4, RFC 5952 for IPv6. */
void tw_ip_format(const struct tw_ip *ip, char out[TW_IP_TEXT_SIZE]);
bool tw_ip_eq(const struct tw_ip *a, const struct tw_ip *b);
bool tw_ip_is_loopback(const struct tw_ip *ip);
bool tw_ip_is_v4(const struct tw_ip *ip);
/* The unit that limits count: an IPv4 address whole, an IPv6 address cut to its /64. */
struct tw_ip tw_ip_group(const struct tw_ip *ip);
uint64_t tw_ip_hash(const struct tw_ip *ip);
/* "10.0.0.0/8", "::1/128", or an address alone; no ports, no brackets. Bits behind the prefix are
 * cleared. 0 or TW_EPARSE. */
int tw_cidr_parse(struct tw_str text, struct tw_cidr *out);
/* A network wider than the v4-mapped block ("::/0") has no IPv4 address: who trusts every IPv6 peer
 * does not thereby trust every IPv4 peer. */
bool tw_cidr_has(const struct tw_cidr *cidr, const struct tw_ip *ip);

#endif
