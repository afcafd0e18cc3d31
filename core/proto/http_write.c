/* http_write.c: responses. There is no Date header: this layer has no clock, and RFC 9110 6.6.1
 * excuses a server without one. */
#include "proto/http.h"

#include <math.h>
#include <string.h>

static bool has_content(int status);

void tw_http_write(struct tw_buf *out, const struct tw_http_response *response) {
    tw_buf_print(out, "HTTP/1.1 %d %s\r\n", response->status, tw_http_reason(response->status));
    bool content = has_content(response->status);
    if (content && response->type) tw_buf_print(out, "Content-Type: %s\r\n", response->type);
    if (content) {
        tw_buf_print(out, "Content-Length: %llu\r\n",
                     (unsigned long long)(response->body.length + response->source_length));
    }
    if (response->retry_after > 0) {
        tw_buf_print(out, "Retry-After: %.0f\r\n", ceil(response->retry_after));
    }
    if (response->close) tw_buf_print(out, "Connection: close\r\n");
    if (response->headers) tw_buf_append(out, response->headers, strlen(response->headers));
    tw_buf_append(out, "\r\n", 2);
    if (content && !response->head_only && response->body.length > 0) {
        tw_buf_append(out, response->body.data, response->body.length);
    }
}

void tw_http_error_body(struct tw_buf *out, const char *message) {
    tw_buf_append(out, "{\"error\":", 9);
    tw_buf_json_string(out, message, strlen(message));
    tw_buf_append(out, "}", 1);
}

const char *tw_http_reason(int status) {
    static const struct {
        int status;
        const char *text;
    } reasons[] = {
        {101, "Switching Protocols"},
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {206, "Partial Content"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {304, "Not Modified"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {411, "Length Required"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {416, "Range Not Satisfiable"},
        {422, "Unprocessable Content"},
        {426, "Upgrade Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {503, "Service Unavailable"},
        {505, "HTTP Version Not Supported"},
    };
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++) {
        if (reasons[i].status == status) return reasons[i].text;
    }
    return "Unknown";
}

/* RFC 9110 8.6, 15.4.5: neither a body nor its length. (A 304 may tell the length of what it did
 * not send; ours has no body to measure.) */
static bool has_content(int status) {
    return status >= 200 && status != 204 && status != 304;
}
