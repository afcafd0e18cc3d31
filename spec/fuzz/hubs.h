/* hubs.h: hubs in one process, stepped by hand, under the app of app.h. Of hub.c and session.c. */
#ifndef FUZZ_HUBS_H
#define FUZZ_HUBS_H

#include "app.h"

enum { MOST_TURNS = 100000, FIRST_MS = 100000 };

static void wake(void *driver, unsigned index) {
    ((struct world *)driver)->is_woken[index] = true;
}

static struct vm *vm_new(struct world *world) {
    struct vm *vm = TW_NEW(struct vm);
    vm->world = world;
    vm->number = world->generation->number;
    tw_list_init(&vm->states);
    return vm;
}

/* With the states of channels that went while it lived. */
static void vm_free(struct vm *vm) {
    while (!tw_list_is_empty(&vm->states))
        free_state(TW_CONTAINER(vm->states.next, struct state, node));
    tw_free(vm);
}

static void on_swapped(struct tw_hub *hub, void *old_vm) {
    (void)hub;
    vm_free((struct vm *)old_vm);
}

/* All hubs; the control hub, too. */
#define EACH_HUB(world, i)                                                                         \
    unsigned i = 0;                                                                                \
    i <= (world)->hubs.workers;                                                                    \
    i++

static inline void world_begin(struct world *world, struct fuzz_input *input, unsigned workers,
                               size_t bound, const struct tw_dialect *dialect) {
    memset(world, 0, sizeof *world);
    world->now_ms = FIRST_MS;
    world->hubs = (struct tw_hubs){.workers = workers,
                                   .boxes = world->boxes,
                                   .wake = wake,
                                   .driver = world,
                                   .hooks = &fuzz_hooks,
                                   .dialect = dialect,
                                   .wall_offset_ms = 1000000};
    tw_admission_init(&world->hubs.admission);
    choose_luck(world, input);
    world->generation = choose_generation(world, input);
    world->hubs.slice = 1 + world->luck[0] % 3;
    for (EACH_HUB(world, i))
        tw_mailbox_init(&world->boxes[i], bound);
    for (EACH_HUB(world, i)) {
        if (i < workers) world->vm[i] = vm_new(world);
        tw_hub_init(&world->hub[i], &world->hubs, i, world->generation, world->vm[i], 77 + i,
                    FIRST_MS);
        world->hub[i].on_swapped = on_swapped;
        world->is_woken[i] = true;
    }
}

static inline void world_turn(struct world *world, unsigned i) {
    world->is_woken[i] = false;
    world->next_ms[i] = tw_hub_turn(&world->hub[i], world->now_ms);
}

/* Turns until nobody has anything to do. */
static inline void world_settle(struct world *world) {
    unsigned turns = 0;
    for (bool any = true; any;) {
        any = false;
        for (EACH_HUB(world, i)) {
            struct tw_hub *hub = &world->hub[i];
            bool has_work = world->is_woken[i] || tw_hub_is_busy(hub) ||
                            world->next_ms[i] <= world->now_ms ||
                            hub->retiring.next != &hub->retiring;
            if (!has_work || world->is_asleep[i]) continue;
            world_turn(world, i);
            FUZZ_ASSERT(++turns < MOST_TURNS); /* else the hubs find no rest */
            any = true;
        }
    }
}

/* Time passes; each hub takes its turns when it said it would. */
static inline void world_pass(struct world *world, uint64_t ms) {
    uint64_t end_ms = world->now_ms + ms;
    world_settle(world);
    for (;;) {
        uint64_t next_ms = UINT64_MAX;
        for (EACH_HUB(world, i))
            if (world->next_ms[i] < next_ms && !world->is_asleep[i]) next_ms = world->next_ms[i];
        if (next_ms > end_ms) break;
        world->now_ms = next_ms > world->now_ms ? next_ms : world->now_ms;
        world_settle(world);
    }
    world->now_ms = end_ms;
    for (EACH_HUB(world, i))
        world->is_woken[i] = true;
    world_settle(world);
}

/* The hub takes over the newest generation; its old VM is gone as soon as it may. */
static inline void world_swap(struct world *world, unsigned i) {
    if (world->hub[i].generation == world->generation) return;
    world->hub[i].now_ms = world->now_ms;
    if (world->vm[i]) world->vm[i] = vm_new(world);
    tw_hub_swap(&world->hub[i], world->generation, world->vm[i]);
    world->is_woken[i] = true;
}

/* As a reload does it: no further one until every hub has swapped. */
static inline void world_reload(struct world *world, struct fuzz_input *input) {
    struct tw_generation *old = world->generation;
    for (EACH_HUB(world, i))
        world_swap(world, i);
    world->generation = choose_generation(world, input);
    tw_generation_unref(&old);
}

/* Nothing is on its way any more, wherever it could be. */
static inline void check_rest(struct world *world) {
    for (EACH_HUB(world, i)) {
        struct tw_hub *hub = &world->hub[i];
        FUZZ_ASSERT(!world->boxes[i].up.head && !world->boxes[i].down.head);
        FUZZ_ASSERT(hub->spill_count == 0 && hub->self.count == 0 && hub->taken.count == 0 &&
                    hub->slow.count == 0 && hub->effects.count == 0);
        FUZZ_ASSERT(tw_list_is_empty(&hub->paused) && tw_list_is_empty(&hub->dirty));
        FUZZ_ASSERT(tw_list_is_empty(&hub->retiring));
    }
}

/* Nobody is of any class. */
static inline void check_audiences(const struct tw_hub *hub) {
    const struct tw_channel *channel;
    size_t at = 0;
    while ((channel = (const struct tw_channel *)tw_map_next(&hub->channels, &at)))
        for (unsigned i = 0; i < channel->audience.count; i++)
            FUZZ_ASSERT(channel->audience.classes[i].held == 0);
}

/* All clients have left. */
static inline void world_end(struct world *world) {
    world_settle(world);
    check_rest(world);
    FUZZ_ASSERT(tw_admission_count(&world->hubs.admission) == 0);
    for (EACH_HUB(world, i)) {
        struct tw_hub *hub = &world->hub[i];
        struct tw_channel *channel;
        size_t at = 0;
        FUZZ_ASSERT(hub->topics.count == 0 && hub->clients.count == 0 && hub->expiries.count == 0);
        while ((channel = (struct tw_channel *)tw_map_next(&hub->channels, &at)))
            for (unsigned w = 0; w < world->hubs.workers; w++)
                FUZZ_ASSERT(channel->subscribers == 0 && channel->per_worker[w] == 0);
        check_audiences(hub);
        tw_hub_deinit(hub);
        if (world->vm[i]) {
            FUZZ_ASSERT(tw_list_is_empty(&world->vm[i]->states));
            vm_free(world->vm[i]);
        }
    }
    for (EACH_HUB(world, i))
        tw_mailbox_deinit(&world->boxes[i]);
    tw_admission_deinit(&world->hubs.admission);
    tw_generation_unref(&world->generation);
}

#endif
