/* ip.c: text and sockaddr to 16 bytes and back.
 *
 * inet_pton does the numbers (strictly: no octal, no short forms, no zone ids); here are the frame
 * around them, ports and brackets, and what a network and a peer are to the limits. */
#include "base/ip.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "base/status.h"

static const uint8_t v4_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};

static struct tw_ip from_v4(const void *four_bytes);
static int parse_v4(struct tw_str text, struct tw_ip *out);
static int parse_v6(struct tw_str text, struct tw_ip *out);
static int parse_number(struct tw_str text, unsigned max, unsigned *out);
static bool has_byte(struct tw_str text, char byte);
static uint8_t mask_of(unsigned byte, unsigned bits);

int tw_ip_parse(struct tw_str text, struct tw_ip *out) {
    struct tw_str host = text, port = {NULL, 0};
    bool is_v6 = true;
    if (text.length > 0 && text.data[0] == '[') {
        port = (struct tw_str){text.data + 1, text.length - 1};
        host = tw_str_cut(&port, ']');
        if (!port.data) return TW_EPARSE;
        if (port.length > 0 && *port.data != ':') return TW_EPARSE;
        if (port.length == 0) port.data = NULL;
        if (port.data) tw_str_cut(&port, ':');
    } else if (has_byte(text, '.')) {
        /* A dot before the first colon: IPv4, perhaps with a port. Else the v4 tail of an IPv6. */
        struct tw_str rest = text;
        struct tw_str front = tw_str_cut(&rest, ':');
        is_v6 = !has_byte(front, '.');
        if (!is_v6) {
            host = front;
            port = rest;
        }
    }
    unsigned ignored;
    if (port.data && parse_number(port, 65535, &ignored) != 0) return TW_EPARSE;
    return is_v6 ? parse_v6(host, out) : parse_v4(host, out);
}

struct tw_ip tw_ip_of_sockaddr(const struct sockaddr *address) {
    struct tw_ip ip;
    if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)address;
        memcpy(ip.bytes, &v6->sin6_addr, 16);
        return ip;
    }
    if (address->sa_family == AF_INET) {
        return from_v4(&((const struct sockaddr_in *)(const void *)address)->sin_addr);
    }
    return from_v4("\x7F\0\0\x01");
}

void tw_ip_format(const struct tw_ip *ip, char out[TW_IP_TEXT_SIZE]) {
    if (tw_ip_is_v4(ip)) {
        inet_ntop(AF_INET, ip->bytes + 12, out, TW_IP_TEXT_SIZE);
    } else {
        inet_ntop(AF_INET6, ip->bytes, out, TW_IP_TEXT_SIZE);
    }
}

bool tw_ip_eq(const struct tw_ip *a, const struct tw_ip *b) {
    return memcmp(a->bytes, b->bytes, 16) == 0;
}

bool tw_ip_is_v4(const struct tw_ip *ip) {
    return memcmp(ip->bytes, v4_prefix, sizeof v4_prefix) == 0;
}

struct tw_ip tw_ip_group(const struct tw_ip *ip) {
    struct tw_ip group = *ip;
    if (!tw_ip_is_v4(ip)) memset(group.bytes + 8, 0, 8);
    return group;
}

uint64_t tw_ip_hash(const struct tw_ip *ip) {
    return tw_str_hash((struct tw_str){(const char *)ip->bytes, 16});
}

int tw_cidr_parse(struct tw_str text, struct tw_cidr *out) {
    struct tw_cidr cidr = {.bits = 128};
    struct tw_str bits = text;
    struct tw_str address = tw_str_cut(&bits, '/');
    bool is_v6 = has_byte(address, ':');
    int status = is_v6 ? parse_v6(address, &cidr.ip) : parse_v4(address, &cidr.ip);
    if (status != 0) return status;
    if (bits.data) {
        unsigned number;
        status = parse_number(bits, is_v6 ? 128 : 32, &number);
        if (status != 0) return status;
        cidr.bits = (uint8_t)(is_v6 ? number : 96 + number);
    }
    for (unsigned i = 0; i < 16; i++)
        cidr.ip.bytes[i] &= mask_of(i, cidr.bits);
    *out = cidr;
    return 0;
}

bool tw_cidr_has(const struct tw_cidr *cidr, const struct tw_ip *ip) {
    if (cidr->bits < 96 && tw_ip_is_v4(ip)) return false;
    for (unsigned i = 0; i < 16; i++) {
        if ((cidr->ip.bytes[i] ^ ip->bytes[i]) & mask_of(i, cidr->bits)) return false;
    }
    return true;
}

static struct tw_ip from_v4(const void *four_bytes) {
    struct tw_ip ip;
    memcpy(ip.bytes, v4_prefix, sizeof v4_prefix);
    memcpy(ip.bytes + 12, four_bytes, 4);
    return ip;
}

static int parse_v4(struct tw_str text, struct tw_ip *out) {
    char copy[TW_IP_TEXT_SIZE];
    struct in_addr parsed;
    if (text.length == 0 || text.length >= sizeof copy || has_byte(text, 0)) return TW_EPARSE;
    memcpy(copy, text.data, text.length);
    copy[text.length] = 0;
    if (inet_pton(AF_INET, copy, &parsed) != 1) return TW_EPARSE;
    *out = from_v4(&parsed);
    return 0;
}

static int parse_v6(struct tw_str text, struct tw_ip *out) {
    char copy[TW_IP_TEXT_SIZE];
    struct in6_addr parsed;
    if (text.length == 0 || text.length >= sizeof copy || has_byte(text, 0)) return TW_EPARSE;
    memcpy(copy, text.data, text.length);
    copy[text.length] = 0;
    if (inet_pton(AF_INET6, copy, &parsed) != 1) return TW_EPARSE;
    memcpy(out->bytes, &parsed, 16);
    return 0;
}

/* Decimal, without sign and leading zeros. */
static int parse_number(struct tw_str text, unsigned max, unsigned *out) {
    if (text.length == 0 || text.length > 5) return TW_EPARSE;
    if (text.data[0] == '0' && text.length > 1) return TW_EPARSE;
    unsigned number = 0;
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') return TW_EPARSE;
        number = number * 10 + (unsigned)(text.data[i] - '0');
    }
    if (number > max) return TW_EPARSE;
    *out = number;
    return 0;
}

static bool has_byte(struct tw_str text, char byte) {
    return text.length > 0 && memchr(text.data, byte, text.length);
}

/* Which bits of the address's byte number `byte` belong to a prefix of `bits` bits. */
static uint8_t mask_of(unsigned byte, unsigned bits) {
    if (bits >= byte * 8 + 8) return 0xFF;
    if (bits <= byte * 8) return 0;
    return (uint8_t)(0xFF00u >> (bits - byte * 8));
}

bool tw_ip_is_loopback(const struct tw_ip *ip) {
    static const uint8_t v6[16] = {[15] = 1};
    return tw_ip_is_v4(ip) ? ip->bytes[12] == 127 : memcmp(ip->bytes, v6, sizeof v6) == 0;
}
