/* wait.c: deadlines as lists in the order of their ends. */
#include "broker/wait.h"

#include "base/mem.h"

void tw_waits_init(struct tw_waits *waits) {
    for (size_t i = 0; i < TW_WAIT_KINDS; i++) {
        tw_list_init(&waits->lists[i]);
        waits->duration_ms[i] = 0;
    }
}

void tw_wait_init(struct tw_wait *wait) {
    tw_list_init(&wait->node);
}

void tw_wait_start(struct tw_waits *waits, struct tw_wait *wait, enum tw_wait_kind kind,
                   uint64_t now_ms) {
    tw_list_remove(&wait->node);
    wait->kind = kind;
    wait->since_ms = now_ms & 0xffffffffffffff;
    tw_list_append(&waits->lists[kind], &wait->node);
}

void tw_wait_stop(struct tw_wait *wait) {
    tw_list_remove(&wait->node);
}

/* When the first one of that kind is due; UINT64_MAX: never. */
static uint64_t due_ms(const struct tw_waits *waits, size_t kind) {
    const struct tw_list *list = &waits->lists[kind];
    if (tw_list_is_empty(list) || waits->duration_ms[kind] == 0) return UINT64_MAX;
    return TW_CONTAINER(list->next, struct tw_wait, node)->since_ms + waits->duration_ms[kind];
}

struct tw_wait *tw_waits_expired(struct tw_waits *waits, uint64_t now_ms) {
    for (size_t i = 0; i < TW_WAIT_KINDS; i++)
        if (due_ms(waits, i) <= now_ms)
            return TW_CONTAINER(tw_list_shift(&waits->lists[i]), struct tw_wait, node);
    return NULL;
}

uint64_t tw_waits_next_ms(const struct tw_waits *waits, bool exactly) {
    uint64_t next = UINT64_MAX;
    for (size_t i = 0; i < TW_WAIT_KINDS; i++) {
        uint64_t due = due_ms(waits, i);
        if (!exactly && due != UINT64_MAX) due += waits->duration_ms[i] / TW_WAIT_SLACK;
        if (due < next) next = due;
    }
    return next;
}
