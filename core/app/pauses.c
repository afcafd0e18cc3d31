/* pauses.c: two histograms, and the worst of each of the last slots of ten seconds. */
#include "app/pauses.h"

#include <time.h>

static uint64_t thread_cpu_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

void tw_pauses_init(struct tw_pauses *pauses, uint64_t (*cpu_ns)(void)) {
    *pauses = (struct tw_pauses){.cpu_ns = cpu_ns ? cpu_ns : thread_cpu_ns};
}

void tw_pauses_start(struct tw_pauses *pauses, uint64_t now_ns) {
    if (pauses->since_ns == 0) pauses->since_ns = now_ns;
}

/* A short turn used no more than it lasted; and what was used since the last sample, of which there
 * is one in each while of work, is not much more than what this turn used. */
static uint64_t cpu_of_turn(struct tw_pauses *pauses, uint64_t now_ns, uint64_t clock_ns) {
    if (now_ns - pauses->sampled_ns < TW_PAUSES_SAMPLE_NS) return clock_ns;
    uint64_t cpu_ns = pauses->cpu_ns(), used_ns = cpu_ns - pauses->sampled_cpu_ns;
    bool is_first = pauses->sampled_ns == 0;
    pauses->sampled_ns = now_ns;
    pauses->sampled_cpu_ns = cpu_ns;
    return !is_first && used_ns < clock_ns ? used_ns : clock_ns;
}

static void raise(uint64_t *most, uint64_t value) {
    if (value > *most) *most = value;
}

void tw_pauses_stop(struct tw_pauses *pauses, uint64_t now_ns) {
    uint64_t clock_ns = now_ns - pauses->since_ns, number = now_ns / TW_PAUSES_SLOT_NS;
    uint64_t cpu_ns = cpu_of_turn(pauses, now_ns, clock_ns);
    struct tw_pause_slot *slot = &pauses->slots[number % TW_PAUSES_SLOTS];
    if (slot->number != number) *slot = (struct tw_pause_slot){.number = number};
    raise(&slot->clock_ns, clock_ns);
    raise(&slot->cpu_ns, cpu_ns);
    tw_histogram_add(&pauses->clock, clock_ns);
    tw_histogram_add(&pauses->cpu, cpu_ns);
    pauses->turns++;
    pauses->since_ns = 0;
}

static void print(struct tw_buf *json, const struct tw_histogram *all, uint64_t recent_ns) {
    tw_buf_print(json, "\"p99\":%.9f,\"max\":%.9f,\"recent\":%.9f",
                 (double)tw_histogram_quantile(all, 0.99) / 1e9, (double)all->max / 1e9,
                 (double)recent_ns / 1e9);
}

void tw_pauses_print(const struct tw_pauses *pauses, unsigned worker, uint64_t now_ns,
                     struct tw_buf *json) {
    uint64_t number = now_ns / TW_PAUSES_SLOT_NS, clock_ns = 0, cpu_ns = 0;
    for (unsigned i = 0; i < TW_PAUSES_SLOTS; i++) {
        const struct tw_pause_slot *slot = &pauses->slots[i];
        if (slot->number + TW_PAUSES_SLOTS <= number) continue;
        raise(&clock_ns, slot->clock_ns);
        raise(&cpu_ns, slot->cpu_ns);
    }
    tw_buf_print(json, "{\"worker\":%u,\"turns\":%llu,", worker, (unsigned long long)pauses->turns);
    print(json, &pauses->clock, clock_ns);
    tw_buf_print(json, ",\"cpu\":{");
    print(json, &pauses->cpu, cpu_ns);
    tw_buf_print(json, "}}");
}
