/* bench_traffic.c: what is published, and what is awaited therefore. */
#include <string.h>

#include "app/bench_parts.h"

#define MAX_UNSENT (16 << 20) /* bytes of a publisher that the server does not read */

void tw_bench_publish(struct tw_bench *bench, struct tw_bench_client *client, uint64_t sent_ns) {
    const struct tw_bench_options *options = bench->options;
    struct tw_bench_channel *channel = &bench->channels[client->channel];
    const struct tw_bench_stamp stamp = {client->channel, channel->published, sent_ns};
    tw_bench_stamp_write(bench->payload, &stamp);
    if (bench->is_closed_loop && channel->listeners > 0) {
        channel->left[channel->published & bench->left_mask] = channel->listeners;
        bench->in_flight++;
    }
    channel->published++;
    bench->messages++;
    bench->awaited += channel->listeners;
    if (options->publish_text) {
        tw_bench_post(bench, client->channel);
        return;
    }
    tw_bench_frame_append(&client->peer.out, TW_OP_TEXT, bench->payload, options->size,
                          (uint32_t)tw_rand_next(&bench->rand));
    tw_bench_peer_mark(bench, &client->peer);
}

bool tw_bench_may_publish(const struct tw_bench *bench) {
    const struct tw_bench_options *options = bench->options;
    return bench->is_publishing && (options->count == 0 || bench->messages < options->count);
}

/* The first client of the next channel that can publish now; NULL if there is none. */
static struct tw_bench_client *next_publisher(struct tw_bench *bench) {
    for (uint32_t tried = 0; tried < bench->channel_count; tried++) {
        uint32_t channel = bench->next_channel;
        struct tw_bench_client *client = &bench->clients[channel];
        bench->next_channel = channel + 1 < bench->channel_count ? channel + 1 : 0;
        if (bench->channels[channel].listeners == 0) continue;
        if (bench->options->publish_text
                ? !tw_bench_post_is_busy(bench, channel)
                : client->peer.state == TW_BENCH_OPEN && client->peer.out.length < MAX_UNSENT)
            return client;
    }
    return NULL;
}

void tw_bench_fill(struct tw_bench *bench) {
    struct tw_bench_client *client;
    uint64_t now_ns = tw_bench_clock();
    while (bench->in_flight < bench->options->window && tw_bench_may_publish(bench) &&
           (client = next_publisher(bench)))
        tw_bench_publish(bench, client, now_ns);
}

uint64_t tw_bench_publish_due(struct tw_bench *bench) {
    const double interval_ns = 1e9 / bench->options->rate;
    struct tw_bench_client *client;
    uint64_t now_ns = tw_bench_clock();
    if (!tw_bench_may_publish(bench)) return UINT64_MAX;
    for (;;) {
        uint64_t due_ns = bench->rate_began_ns + (uint64_t)((double)bench->messages * interval_ns);
        if (due_ns > now_ns) return due_ns;
        if (!tw_bench_may_publish(bench) || !(client = next_publisher(bench))) return UINT64_MAX;
        if (bench->lateness) tw_bench_histogram_add(bench->lateness, now_ns - due_ns);
        tw_bench_publish(bench, client, due_ns);
    }
}

void tw_bench_give_up(struct tw_bench *bench, struct tw_bench_client *client) {
    struct tw_bench_channel *channel = &bench->channels[client->channel];
    uint32_t unheard = channel->published - client->track.next;
    if (client->is_slow) {
        bench->slow_losses.missing += unheard;
        return;
    }
    channel->listeners--;
    bench->losses.missing += unheard;
    bench->awaited -= unheard;
    client->track.next = channel->published;
    if (!bench->is_closed_loop) return;
    for (uint32_t i = 1; i <= unheard; i++)
        if (--channel->left[(channel->published - i) & bench->left_mask] == 0) bench->in_flight--;
}
