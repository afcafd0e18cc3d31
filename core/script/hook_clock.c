/* hook_clock.c: two readings of the clock for each call, and a row of counters for each hook. The
 * clock is the real one, also in the simulator, where time stands still while a hook runs. */
#include "script/hook_clock.h"

#include <time.h>

#include "base/mem.h"
#include "base/status.h"
#include "broker/channel.h"

#define RECENT_NS UINT64_C(60000000000)

static uint64_t now_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

struct tw_hook_clock tw_hook_clock_start(const struct tw_vm *vm) {
    return (struct tw_hook_clock){now_ns(), vm->allocated};
}

/* NULL: not counted. */
static struct tw_hook_stats *stats_of(struct tw_vm *vm, const struct tw_call *call) {
    struct tw_hook_stats **place = &vm->auth_stats;
    if (call->hook == TW_HOOK_LOAD || call->hook == TW_HOOK_STATE) return NULL;
    if (call->hook != TW_HOOK_AUTH) {
        if (!call->channel || call->channel->definition->index >= vm->definition_count) return NULL;
        place = &vm->definitions[call->channel->definition->index].stats[call->hook];
    }
    if (!*place) *place = TW_NEW(struct tw_hook_stats);
    return *place;
}

static void count(struct tw_hook_counts *counts, bool failed) {
    counts->calls++;
    counts->failures += failed;
}

static void count_recent(struct tw_vm *vm, uint64_t at_ns, bool failed) {
    if (at_ns >= vm->recent_until_ns) {
        bool is_next = at_ns - vm->recent_until_ns < RECENT_NS;
        vm->recent[1] = is_next ? vm->recent[0] : (struct tw_hook_counts){0};
        vm->recent[0] = (struct tw_hook_counts){0};
        vm->recent_until_ns = at_ns + RECENT_NS;
    }
    count(&vm->recent[0], failed);
}

void tw_hook_clock_stop(const struct tw_hook_clock *clock, struct tw_vm *vm,
                        const struct tw_call *call, int status, enum tw_guard_end end) {
    struct tw_hook_stats *stats = stats_of(vm, call);
    if (!stats) return;
    bool failed = status == TW_ESCRIPT;
    uint64_t at_ns = now_ns(), ns = at_ns - clock->ns, bytes = vm->allocated - clock->allocated;
    stats->calls++;
    stats->failures += failed;
    stats->interrupted += end == TW_GUARD_INTERRUPTED;
    stats->killed += end == TW_GUARD_KILLED;
    stats->ns += ns;
    stats->bytes += bytes;
    if (bytes > stats->max_bytes) stats->max_bytes = bytes;
    tw_histogram_add(&stats->times, ns);
    count(&vm->total, failed);
    count_recent(vm, at_ns, failed);
}

struct tw_hook_counts tw_vm_hook_counts(const struct tw_vm *vm) {
    return vm->total;
}

struct tw_hook_counts tw_vm_recent_hook_counts(const struct tw_vm *vm) {
    uint64_t at_ns = now_ns();
    if (at_ns >= vm->recent_until_ns + RECENT_NS) return (struct tw_hook_counts){0};
    if (at_ns >= vm->recent_until_ns) return vm->recent[0];
    return (struct tw_hook_counts){vm->recent[0].calls + vm->recent[1].calls,
                                   vm->recent[0].failures + vm->recent[1].failures};
}
