/* hub_views.c: who is of which class, and what each class hears. */
#include "base/log.h"
#include "base/status.h"
#include "broker/hub_parts.h"

int tw_hub_classify(struct tw_hub *hub, struct tw_channel *channel, const struct tw_mail *mail,
                    uint8_t *number, struct tw_failure *failure) {
    *number = 0;
    if (!channel->definition->has_audience) return 0;
    struct tw_buf name = {0};
    int status = hub->hubs->hooks->audience(hub->vm, channel, mail->client, &name, failure);
    if (status == 0) {
        status = tw_audience_hold(&channel->audience, channel->definition,
                                  (struct tw_str){name.data, name.length}, mail->ask_again, number);
        if (status == TW_EFULL)
            tw_log(TW_LOG_ERROR, "hub",
                   "subscriber refused channel=%.*s reason=more-than-%d-classes",
                   TW_STR_ARG(channel->name->text), TW_MAX_CLASSES);
    }
    tw_buf_deinit(&name);
    return status;
}

/* The message for one class; owned. NULL: it may not hear it, or it is not known what it may. */
static struct tw_message *view(struct tw_hub *hub, struct tw_channel *channel, int index,
                               struct tw_message *message, int *worst, struct tw_failure *last) {
    struct tw_message *variant = NULL;
    struct tw_failure failure = {0};
    if (index == TW_VIEW_LOST) return NULL;
    int status =
        hub->hubs->hooks->view(hub->vm, channel, (size_t)index, message, &variant, &failure);
    if (status == TW_ESCRIPT) {
        hub->stats.hook_failures++;
        *worst = status;
        *last = failure;
    }
    if (status != 0 || variant == message) return variant;
    struct tw_str key = {message->key, message->key_length};
    if (tw_message_try_set_key(variant, key) != 0) {
        tw_message_unref(&variant);
        return NULL;
    }
    variant->offset = message->offset;
    hub->hubs->dialect->encode(variant);
    return variant;
}

struct tw_variants *tw_hub_view(struct tw_hub *hub, struct tw_channel *channel,
                                struct tw_message *message, int *status,
                                struct tw_failure *failure) {
    const struct tw_audience *audience = &channel->audience;
    if (!tw_audience_has_views(audience)) return NULL;
    struct tw_variants *variants = tw_variants_new(message, audience->count + 1);
    for (unsigned i = 0; i < audience->count; i++) {
        const struct tw_audience_class *class = &audience->classes[i];
        if (class->held == 0 || class->view == TW_VIEW_NONE) continue;
        tw_message_unref(&variants->messages[i + 1]);
        variants->messages[i + 1] = view(hub, channel, class->view, message, status, failure);
    }
    return variants;
}
