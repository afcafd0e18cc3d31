/* quarantine.c: the counting; what a quarantined channel does stands in hub_quarantine.c. */
#include "broker/quarantine.h"

#include "base/mem.h"

void tw_quarantine_deinit(struct tw_quarantine *quarantine) {
    tw_free(quarantine->last);
    *quarantine = (struct tw_quarantine){0};
}

bool tw_quarantine_may_run(const struct tw_quarantine *quarantine,
                           const struct tw_quarantine_settings *settings,
                           enum tw_quarantine_part part, uint64_t now_ms) {
    if (!tw_quarantine_is_on(quarantine)) return true;
    if (now_ms < quarantine->until_ms) return false;
    if (part == quarantine->part || quarantine->part == TW_PART_STATE) return true;
    return now_ms - quarantine->until_ms >= settings->retry_ms;
}

static bool is_one_too_many(struct tw_quarantine *quarantine,
                            const struct tw_quarantine_settings *settings, uint64_t now_ms) {
    bool is_first = quarantine->failures == 0;
    if (is_first || now_ms - quarantine->window_ms >= settings->window_ms) {
        quarantine->failures = 0;
        quarantine->window_ms = now_ms;
    }
    return ++quarantine->failures >= settings->failures;
}

bool tw_quarantine_fail(struct tw_quarantine *quarantine,
                        const struct tw_quarantine_settings *settings, enum tw_quarantine_part part,
                        const struct tw_failure *failure, uint64_t now_ms) {
    bool is_on = tw_quarantine_is_on(quarantine);
    if (!is_on && settings->failures == 0) return false;
    if (!is_on && !is_one_too_many(quarantine, settings, now_ms)) return false;
    if (!is_on) {
        quarantine->last = TW_NEW(struct tw_failure);
        quarantine->since_ms = now_ms;
    }
    *quarantine->last = *failure;
    quarantine->part = part;
    quarantine->until_ms = now_ms + settings->retry_ms;
    return true;
}

bool tw_quarantine_pass(struct tw_quarantine *quarantine) {
    if (!tw_quarantine_is_on(quarantine)) return false;
    tw_quarantine_deinit(quarantine);
    return true;
}
