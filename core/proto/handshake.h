/* handshake.h: the opening handshake of RFC 6455 section 4, the server's side. */
#ifndef TW_PROTO_HANDSHAKE_H
#define TW_PROTO_HANDSHAKE_H

#include "proto/http.h"

/* Has OpenSSL read its settings and load its algorithms now, for milliseconds, instead of in the
 * first handshake. */
void tw_handshake_prepare(void);
/* Is this a WebSocket handshake at all (an Upgrade that lists "websocket")? */
bool tw_handshake_is_wanted(const struct tw_http_request *request);
/* Checks 4.2.1 point by point: 0, or 400 or 426 (version; answer with "Sec-WebSocket-Version: 13"
 * and, by RFC 9110 15.5.22, "Upgrade: websocket") or 405, with *why a static text. */
int tw_handshake_check(const struct tw_http_request *request, const char **why);
/* Appends the 101 answer. `protocol`: the chosen subprotocol, or NULL. */
void tw_handshake_accept(struct tw_buf *out, const struct tw_http_request *request,
                         const char *protocol);
/* The 28 characters of Sec-WebSocket-Accept and a NUL. */
void tw_handshake_key(struct tw_str key, char out[29]);
/* Is the request's Origin allowed? No list: every origin. No Origin header (not a browser): yes.
 * An entry is an origin ("https://example.com", case aside, default ports equal), or one whose host
 * begins with "*." and stands for every host below, at any depth. */
bool tw_handshake_origin_allowed(struct tw_str origin, char *const *allowed, size_t count);
/* The client's address: the peer's, or, if that is a trusted proxy, the last address of
 * X-Forwarded-For that is not one. A malformed entry ends the search: the last good one counts. */
struct tw_ip tw_handshake_client_ip(const struct tw_http_request *request, const struct tw_ip *peer,
                                    const struct tw_cidr *trusted, size_t count);

#endif
