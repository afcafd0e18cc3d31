/* bench_url.c: RFC 3986 as far as a load tool needs it. */
#include "app/bench_url.h"

#include <netdb.h>
#include <string.h>

#include "base/status.h"

/* The port's text is 1 to 5 digits up to 65535. */
static bool is_port(const char *text, size_t length) {
    unsigned value = 0;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9') return false;
        value = value * 10 + (unsigned)(text[i] - '0');
    }
    return length > 0 && length < 6 && value > 0 && value < 65536;
}

static const char *skip_scheme(const char *scheme, const char *text, const char **why) {
    size_t length = strlen(scheme);
    if (strncasecmp(text, scheme, length) == 0 && strncmp(text + length, "://", 3) == 0)
        return text + length + 3;
    if (strncasecmp(text, scheme, length) == 0 && strncasecmp(text + length, "s://", 4) == 0)
        *why = "TLS is not supported; measure behind the proxy that ends it";
    else
        *why = *scheme == 'w' ? "it must begin with ws://" : "it must begin with http://";
    return NULL;
}

int tw_bench_url_parse(struct tw_bench_url *url, const char *scheme, const char *text,
                       const char **why) {
    *url = (struct tw_bench_url){.port = "80"};
    const char *host = skip_scheme(scheme, text, why);
    if (!host) return TW_EUSAGE;
    for (const char *c = host; *c; c++) {
        if (*c > ' ' && *c < 0x7F) continue;
        *why = "it holds a space, or a character that is not ASCII";
        return TW_EUSAGE;
    }
    size_t length = strcspn(host, "/?#"), host_length = strcspn(host, ":/?#");
    url->target = host + length;
    if (*host == '[') {
        const char *end = memchr(host, ']', length);
        host_length = end ? (size_t)(end - host) + 1 : length;
        url->is_v6 = true;
    }
    const char *port = host + host_length;
    if (host_length < length) {
        if (*port != ':' || !is_port(port + 1, length - host_length - 1)) {
            *why = "the port must be a number from 1 to 65535";
            return TW_EUSAGE;
        }
        memcpy(url->port, port + 1, length - host_length - 1);
        url->port[length - host_length - 1] = '\0';
    }
    size_t brackets = url->is_v6 ? 1 : 0;
    if (host_length <= 2 * brackets || host_length >= sizeof url->host) {
        *why = "it has no host";
        return TW_EUSAGE;
    }
    if (memchr(host, '@', host_length) || strchr(url->target, '#')) {
        *why = "no user and no fragment, please";
        return TW_EUSAGE;
    }
    memcpy(url->host, host + brackets, host_length - 2 * brackets);
    return 0;
}

bool tw_bench_url_is_numbered(const struct tw_bench_url *url) {
    return strstr(url->target, "{n}") != NULL;
}

void tw_bench_url_target(const struct tw_bench_url *url, size_t n, struct tw_buf *out) {
    const char *rest = url->target, *mark;
    if (*rest != '/') tw_buf_append(out, "/", 1);
    while ((mark = strstr(rest, "{n}"))) {
        tw_buf_append(out, rest, (size_t)(mark - rest));
        tw_buf_print(out, "%zu", n);
        rest = mark + 3;
    }
    tw_buf_append(out, rest, strlen(rest));
}

void tw_bench_url_host(const struct tw_bench_url *url, struct tw_buf *out) {
    tw_buf_print(out, url->is_v6 ? "[%s]:%s" : "%s:%s", url->host, url->port);
}

int tw_bench_url_resolve(const struct tw_bench_url *url, struct sockaddr_storage *address,
                         socklen_t *length) {
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *found;
    int status = getaddrinfo(url->host, url->port, &hints, &found);
    if (status != 0) return status;
    memcpy(address, found->ai_addr, found->ai_addrlen);
    *length = found->ai_addrlen;
    freeaddrinfo(found);
    return 0;
}
