/* bench_post.c: publishes by HTTP/1.1, one request at a time and connection, so that the messages
 * of a channel keep their order. Reads answers with a Content-Length only; any but 200 ends the
 * run. */
#include <stdlib.h>
#include <string.h>

#include "app/bench_parts.h"
#include "base/str.h"

static struct tw_bench_poster *poster_of(const struct tw_bench *bench, uint32_t channel) {
    return &bench->posters[channel % bench->poster_count];
}

bool tw_bench_post_is_busy(const struct tw_bench *bench, uint32_t channel) {
    return poster_of(bench, channel)->is_busy;
}

void tw_bench_post(struct tw_bench *bench, uint32_t channel) {
    const struct tw_bench_options *options = bench->options;
    struct tw_bench_poster *poster = poster_of(bench, channel);
    struct tw_buf *out = &poster->peer.out;
    tw_buf_print(out, "POST ");
    tw_bench_url_target(&options->publish_url, channel, out);
    tw_buf_print(out, " HTTP/1.1\r\nHost: ");
    tw_bench_url_host(&options->publish_url, out);
    tw_buf_print(out, "\r\nContent-Type: application/json\r\nContent-Length: %u\r\n",
                 options->size);
    for (size_t i = 0; i < options->publish_header_count; i++)
        tw_buf_print(out, "%s\r\n", options->publish_headers[i]);
    tw_buf_append(out, "\r\n", 2);
    tw_buf_append(out, bench->payload, options->size);
    poster->is_busy = true;
    tw_bench_peer_mark(bench, &poster->peer);
}

/* The body's length by the head, which ends at `end`; -1 if it has none. */
static long body_length(const char *head, const char *end) {
    static const char name[] = "content-length:";
    struct tw_str rest = {head, (size_t)(end - head)};
    while (rest.data) {
        struct tw_str line = tw_str_cut(&rest, '\n');
        if (line.length < sizeof name ||
            !tw_str_eq_nocase((struct tw_str){line.data, sizeof name - 1}, tw_str_of(name)))
            continue;
        return strtol(line.data + sizeof name - 1, NULL, 10);
    }
    return -1;
}

void tw_bench_poster_read(struct tw_bench *bench, struct tw_bench_poster *poster, const char *bytes,
                          size_t length) {
    const char *where = bench->options->publish_text;
    struct tw_buf *in = &poster->peer.in;
    tw_buf_append(in, bytes, length);
    const char *end = memmem(in->data, in->length, "\r\n\r\n", 4);
    if (!end) return;
    long body = body_length(in->data, end);
    if (in->length < 12 || memcmp(in->data, "HTTP/1.1 ", 9) != 0 || body < 0 || body > 1 << 20) {
        tw_bench_fail(bench, "%s: the answer is not HTTP/1.1 with a Content-Length", where);
        return;
    }
    end += 4;
    if (in->length < (size_t)(end - in->data) + (size_t)body) return;
    if (memcmp(in->data + 9, "200", 3) != 0)
        tw_bench_fail(bench, "%s refuses to publish: %.3s %.*s", where, in->data + 9,
                      (int)(body > 200 ? 200 : body), end);
    else if (memmem(end, (size_t)body, "\"dropped\":true", 14))
        tw_bench_fail(bench, "%s: the server drops the message: %.*s", where,
                      (int)(body > 200 ? 200 : body), end);
    poster->is_busy = false;
    in->length = 0;
}
