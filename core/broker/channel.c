/* channel.c: the channel's own data; what happens to it stands in hub*.c. */
#include "broker/channel.h"

#include "base/mem.h"

struct tw_channel *tw_channel_new(struct tw_name *name, unsigned workers, struct tw_rand *rand) {
    struct tw_channel *channel =
        tw_alloc(sizeof *channel + workers * sizeof channel->per_worker[0]);
    channel->name = tw_name_ref(name);
    tw_list_init(&channel->idle);
    tw_list_init(&channel->place);
    for (size_t i = 0; i < TW_EPOCH_SIZE - 1; i++)
        channel->epoch[i] = (char)('a' + tw_rand_below(rand, 26));
    return channel;
}

void tw_channel_free(struct tw_channel *channel) {
    tw_list_remove(&channel->idle);
    tw_list_remove(&channel->place);
    tw_buf_deinit(&channel->carried);
    tw_quarantine_deinit(&channel->quarantine);
    tw_audience_deinit(&channel->audience);
    tw_name_unref(&channel->name);
    tw_free(channel);
}

bool tw_channel_bind(struct tw_channel *channel, const struct tw_generation *generation) {
    channel->definition = tw_generation_match(generation, channel->name->text);
    if (channel->definition) tw_audience_bind(&channel->audience, channel->definition);
    return channel->definition != NULL;
}
