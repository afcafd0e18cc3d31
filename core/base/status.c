/* status.c: the texts of the status codes.
 *
 * base must not include libuv, yet its codes pass through here as they are. Those that are negated
 * errno values get the C library's text; the few that libuv made up are listed by number. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* strerrordesc_np: unlike strerror static, safe in threads, not localized */
#endif
#include "base/status.h"

#include <stddef.h>
#include <string.h>

struct text {
    int status;
    const char *text;
};

/* The numbers are part of libuv's ABI (uv/errno.h). */
static const struct text texts[] = {
    {-4095, "end of file"},                             /* UV_EOF */
    {-4094, "unknown error"},                           /* UV_UNKNOWN */
    {-4080, "a character does not translate"},          /* UV_ECHARSET */
    {-3001, "the name does not resolve at the moment"}, /* UV_EAI_AGAIN */
    {-3007, "no such host or service name"},            /* UV_EAI_NODATA */
    {-3008, "no such host or service name"},            /* UV_EAI_NONAME */
    {TW_OK, "ok"},
#define X(name, value, text) {name, text},
    TW_STATUS_TABLE(X)
#undef X
};

const char *tw_strerror(int status) {
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (texts[i].status == status) return texts[i].text;
    }
    if (status <= -3000 && status >= -3014) return "the name does not resolve"; /* UV_EAI_* */
    const char *text = NULL;
    if (status < 0 && status >= -4096) text = strerrordesc_np(-status);
    return text ? text : "unknown status";
}
