/* hub_quarantine.c: what a quarantined channel does, and what it does not; the log lines at both
 * ends. The counting is in quarantine.c. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/status.h"
#include "broker/hub_parts.h"

static const struct tw_quarantine_settings *settings_of(const struct tw_hub *hub) {
    return &hub->generation->settings.quarantine;
}

static void log_end(const struct tw_hub *hub, const struct tw_channel *channel, uint64_t since_ms,
                    const char *reason) {
    tw_log(TW_LOG_INFO, "hub", "quarantine ended channel=%.*s after=%.3f reason=%s",
           TW_STR_ARG(channel->name->text), (double)(hub->now_ms - since_ms) / 1000.0, reason);
}

static void log_begin(const struct tw_hub *hub, const struct tw_channel *channel) {
    const struct tw_failure *last = channel->quarantine.last;
    const struct tw_quarantine_settings *settings = settings_of(hub);
    bool passes = channel->definition->quarantine == TW_QUARANTINE_PASS;
    tw_log(TW_LOG_ERROR, "hub",
           "channel quarantined channel=%.*s publishes=%s failures=%u window=%.3f retry=%.3f "
           "hook=%s error=%s",
           TW_STR_ARG(channel->name->text), passes ? "pass" : "refused", settings->failures,
           (double)settings->window_ms / 1000.0, (double)settings->retry_ms / 1000.0, last->hook,
           last->message);
}

/* A VM that was built anew has opened the channel without its init (tw_hub_check_vm); the call on
 * trial finds the state as others would. */
static bool complete_state(struct tw_hub *hub, struct tw_channel *channel) {
    struct tw_failure failure = {0};
    if (!channel->lacks_init) return true;
    channel->lacks_init = false;
    if (channel->script) hub->hubs->hooks->close(hub->vm, channel);
    int status = hub->hubs->hooks->open(hub->vm, channel, &hub->effects, &failure);
    tw_hub_settle(hub, status, 0);
    if (status != TW_ESCRIPT) return true;
    channel->lacks_init = true;
    tw_hub_report(hub, channel, channel->quarantine.part, status, &failure);
    return false;
}

bool tw_hub_may_run(struct tw_hub *hub, struct tw_channel *channel, enum tw_quarantine_part part) {
    if (channel->lacks_state) tw_hub_complete_channel(hub, channel);
    if (!tw_quarantine_is_on(&channel->quarantine)) return true;
    if (!tw_quarantine_may_run(&channel->quarantine, settings_of(hub), part, hub->now_ms))
        return false;
    return complete_state(hub, channel);
}

int tw_hub_refuse_quarantined(const struct tw_hub *hub, const struct tw_channel *channel,
                              struct tw_failure *failure) {
    uint64_t until_ms = channel->quarantine.until_ms;
    *failure = *channel->quarantine.last;
    failure->retry_ms = until_ms > hub->now_ms ? until_ms - hub->now_ms : 1;
    return TW_EQUARANTINED;
}

void tw_hub_report(struct tw_hub *hub, struct tw_channel *channel, enum tw_quarantine_part part,
                   int status, const struct tw_failure *failure) {
    struct tw_quarantine *quarantine = &channel->quarantine;
    bool was_on = tw_quarantine_is_on(quarantine);
    if (status == TW_ESCRIPT) {
        if (channel->definition->quarantine == TW_QUARANTINE_NEVER) return;
        if (!tw_quarantine_fail(quarantine, settings_of(hub), part, failure, hub->now_ms)) return;
        if (!was_on) log_begin(hub, channel);
        return;
    }
    /* Who was refused has not come to the hooks behind. */
    bool is_done = status == 0 || status == TW_EDROPPED ||
                   (status == TW_EREFUSED && part == TW_PART_SUBSCRIBE);
    uint64_t since_ms = quarantine->since_ms;
    if (is_done && was_on && tw_quarantine_pass(quarantine))
        log_end(hub, channel, since_ms, "trial");
}

void tw_hub_end_quarantine(struct tw_hub *hub, struct tw_channel *channel) {
    if (tw_quarantine_is_on(&channel->quarantine))
        log_end(hub, channel, channel->quarantine.since_ms, "reload");
    tw_quarantine_deinit(&channel->quarantine);
    channel->lacks_init = false;
}
