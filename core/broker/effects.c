/* effects.c: the effects buffer. */
#include "broker/effects.h"

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "base/status.h"
#include "broker/hooks.h"

static size_t bytes_of(const struct tw_effect *effect) {
    return (effect->channel ? effect->channel->text.length : 0) +
           (effect->message ? effect->message->length : 0);
}

static void drop(struct tw_effect *effect) {
    tw_name_unref(&effect->channel);
    tw_message_unref(&effect->message);
    tw_identity_unref(&effect->client);
}

/* Takes what the effect holds, whatever comes of it. */
static int try_add(struct tw_effects *effects, struct tw_effect effect) {
    int status = TW_EFULL;
    if (effects->count >= TW_MAX_EFFECTS) goto refused;
    if (effects->count == effects->capacity) {
        size_t capacity = effects->capacity ? effects->capacity * 2 : 8;
        void *items = tw_try_realloc(effects->items, capacity * sizeof *effects->items);
        status = -ENOMEM;
        if (!items) goto refused;
        effects->items = items;
        effects->capacity = capacity;
    }
    effects->items[effects->count++] = effect;
    effects->bytes += bytes_of(&effect);
    return 0;
refused:
    drop(&effect);
    return status;
}

/* Before anything is copied. */
static bool has_room(const struct tw_effects *effects, size_t name, size_t payload) {
    size_t room = TW_MAX_EFFECT_BYTES - effects->bytes;
    return effects->count < TW_MAX_EFFECTS && name <= room && payload <= room - name;
}

int tw_effects_try_publish(struct tw_effects *effects, struct tw_str channel, struct tw_str payload,
                           bool binary) {
    if (!has_room(effects, channel.length, payload.length)) return TW_EFULL;
    struct tw_message *message = tw_message_try_new(payload.data, payload.length, binary);
    struct tw_name *name = message ? tw_name_try_new(channel) : NULL;
    if (!name) {
        tw_message_unref(&message);
        return -ENOMEM;
    }
    return try_add(effects, (struct tw_effect){
                                .kind = TW_EFFECT_PUBLISH, .channel = name, .message = message});
}

int tw_effects_try_send(struct tw_effects *effects, struct tw_identity *client,
                        struct tw_str payload, bool binary) {
    if (!has_room(effects, 0, payload.length)) return TW_EFULL;
    struct tw_message *message = tw_message_try_new(payload.data, payload.length, binary);
    if (!message) return -ENOMEM;
    return try_add(effects, (struct tw_effect){.kind = TW_EFFECT_SEND,
                                               .client = tw_identity_ref(client),
                                               .message = message});
}

int tw_effects_try_disconnect(struct tw_effects *effects, struct tw_identity *client, unsigned code,
                              struct tw_str reason) {
    struct tw_effect effect = {.kind = TW_EFFECT_DISCONNECT, .code = code};
    effect.client = tw_identity_ref(client);
    size_t length = reason.length < sizeof effect.reason ? reason.length : sizeof effect.reason - 1;
    if (length) memcpy(effect.reason, reason.data, length);
    return try_add(effects, effect);
}

int tw_effects_try_subscription(struct tw_effects *effects, enum tw_effect_kind kind,
                                struct tw_identity *client, struct tw_str channel) {
    if (!has_room(effects, channel.length, 0)) return TW_EFULL;
    struct tw_name *name = tw_name_try_new(channel);
    if (!name) return -ENOMEM;
    return try_add(effects, (struct tw_effect){
                                .kind = kind, .channel = name, .client = tw_identity_ref(client)});
}

int tw_effects_try_after(struct tw_effects *effects, uint64_t timer, uint64_t delay_ms) {
    return try_add(
        effects, (struct tw_effect){.kind = TW_EFFECT_AFTER, .timer = timer, .delay_ms = delay_ms});
}

int tw_effects_try_cancel(struct tw_effects *effects, uint64_t timer) {
    return try_add(effects, (struct tw_effect){.kind = TW_EFFECT_CANCEL, .timer = timer});
}

void tw_effects_rewind(struct tw_effects *effects, size_t count) {
    while (effects->count > count) {
        struct tw_effect *effect = &effects->items[--effects->count];
        effects->bytes -= bytes_of(effect);
        drop(effect);
    }
}

void tw_effects_deinit(struct tw_effects *effects) {
    tw_effects_rewind(effects, 0);
    tw_free(effects->items);
    memset(effects, 0, sizeof *effects);
}

void tw_auth_deinit(struct tw_auth *auth) {
    tw_buf_deinit(&auth->user);
    tw_buf_deinit(&auth->claims);
}
