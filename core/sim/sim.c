/* sim.c: the loop that is not a loop: picks what happens next. */
#include "sim/sim.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/status.h"
#include "proto/raw.h"
#include "script/past.h"

#define MAILBOX_BOUND 8192
#define START_US 3600000000u                  /* one hour after boot */
#define WALL_OFFSET_MS INT64_C(1767222000000) /* the clock starts at 2026-01-01T00:00:00Z */
#define RECEIVE_BUFFER 65536u
#define ASKED "asked for" /* the reason of a rollback that somebody wants */

struct node {
    struct tw_sim *sim;
    struct tw_hub hub;
    struct tw_vm *vm;
    struct tw_vm *next_vm, *past_vm; /* one that is to be swapped in; one with states still in it */
    struct tw_ws_pool *pool;
    struct tw_session_config sessions;
    uint64_t due_ms;
    bool is_awake;
};

struct tw_sim {
    struct tw_app app; /* its texts are the caller's, and outlive the sim */
    struct tw_hubs hubs;
    struct tw_generation *generation, *next_generation;
    struct node *nodes; /* hubs.workers, and control */
    struct tw_http_service service;
    struct tw_rand rand;
    struct tw_rand script_rand; /* of tidewire.random: draws change nothing else */
    struct tw_common *common;   /* ref */
    uint64_t now_us;
    struct tw_list ready;   /* links */
    struct tw_list changed; /* links */
    struct tw_heap events;  /* links */
    struct tw_link **links;
    size_t link_count;
    struct tw_mail *answer; /* to the publish under way */
    struct tw_past past;
    bool is_rollback; /* next_generation is that before */
    bool is_draining;
    struct tw_trial trial;
    uint64_t asked_ms;             /* ... how its hooks do; the last time */
    struct tw_trial_counts before; /* of the VMs that go, while workers swap */
    struct tw_sim_rollback last;   /* why: also of the one under way */
};

uint64_t tw_sim_now_us(const struct tw_sim *sim) {
    return sim->now_us;
}

static uint64_t now_ms(const struct tw_sim *sim) {
    return sim->now_us / 1000;
}

double tw_sim_wall(const struct tw_sim *sim) {
    return (double)WALL_OFFSET_MS / 1000.0 + (double)sim->now_us / 1e6;
}

static double script_now(void *data) {
    return tw_sim_wall((const struct tw_sim *)data);
}

static void script_random(void *data, void *bytes, size_t length) {
    struct tw_sim *sim = (struct tw_sim *)data;
    for (size_t at = 0; at < length; at += sizeof(uint64_t)) {
        uint64_t word = tw_rand_next(&sim->script_rand);
        size_t left = length - at;
        memcpy((char *)bytes + at, &word, left < sizeof word ? left : sizeof word);
    }
}

uint64_t tw_sim_random(struct tw_sim *sim) {
    return tw_rand_next(&sim->rand);
}

unsigned tw_sim_workers(const struct tw_sim *sim) {
    return sim->hubs.workers;
}

struct tw_hub *tw_sim_hub(struct tw_sim *sim, unsigned index) {
    return &sim->nodes[index].hub;
}

struct tw_vm *tw_sim_vm(struct tw_sim *sim, unsigned index) {
    return sim->nodes[index].vm;
}

void tw_sim_ready(struct tw_link *link) {
    if (!tw_list_is_linked(&link->ready)) tw_list_append(&link->sim->ready, &link->ready);
    if (!tw_list_is_linked(&link->changed)) tw_list_append(&link->sim->changed, &link->changed);
}

size_t tw_sim_next_changed(struct tw_sim *sim) {
    struct tw_list *node = tw_list_shift(&sim->changed);
    return node ? TW_CONTAINER(node, struct tw_link, changed)->number : 0;
}

static void wake(void *driver, unsigned index) {
    struct tw_sim *sim = driver;
    if (sim->nodes) sim->nodes[index].is_awake = true;
}

/* There are no files here: public/ is the live broker's. */
static void on_request(void *data, struct tw_session *session,
                       const struct tw_http_request *request) {
    (void)data, (void)request;
    tw_session_refuse(session, 404, "not found");
}

static void on_answer(struct tw_hub *hub, const struct tw_mail *mail) {
    struct tw_sim *sim = ((struct node *)hub->owner)->sim;
    sim->answer = tw_mail_new(TW_MAIL_PUBLISHED);
    sim->answer->channel = tw_name_ref(mail->channel);
    sim->answer->status = mail->status;
    sim->answer->offset = mail->offset;
    memcpy(sim->answer->epoch, mail->epoch, sizeof mail->epoch);
    if (!mail->failure) return;
    sim->answer->failure = TW_NEW(struct tw_failure);
    *sim->answer->failure = *mail->failure;
}

static void on_swapped(struct tw_hub *hub, void *old_vm) {
    struct node *node = hub->owner;
    struct tw_hook_counts counts = tw_vm_recent_hook_counts(old_vm);
    node->sim->before.calls += counts.calls;
    node->sim->before.failures += counts.failures;
    node->past_vm = NULL;
    tw_vm_free(old_vm);
}

/* --- new and free --- */

static void init_nodes(struct tw_sim *sim, struct tw_vm **vms) {
    unsigned count = sim->hubs.workers + 1;
    struct node *nodes = tw_alloc(count * sizeof *nodes);
    sim->hubs.boxes = tw_alloc_lines(count * sizeof *sim->hubs.boxes);
    for (unsigned i = 0; i < count; i++)
        tw_mailbox_init(&sim->hubs.boxes[i], MAILBOX_BOUND);
    for (unsigned i = 0; i < count; i++) {
        struct node *node = &nodes[i];
        node->sim = sim;
        node->vm = i < sim->hubs.workers ? vms[i] : NULL;
        node->is_awake = true;
        tw_hub_init(&node->hub, &sim->hubs, i, sim->generation, node->vm, tw_sim_random(sim),
                    now_ms(sim));
        node->hub.owner = node;
        node->hub.on_answer = on_answer;
        node->hub.on_swapped = on_swapped;
        node->pool = tw_ws_pool_new(16);
        node->sessions = (struct tw_session_config){.hub = &node->hub,
                                                    .pool = node->pool,
                                                    .service = &sim->service,
                                                    .transport = &tw_link_transport};
    }
    sim->nodes = nodes;
}

int tw_sim_new(struct tw_sim **out, const struct tw_app *app, uint64_t seed,
               struct tw_load_errors *errors) {
    struct tw_sim *sim = TW_NEW(struct tw_sim);
    struct tw_vm **vms = NULL;
    size_t count = 0;
    sim->now_us = START_US;
    sim->app = *app;
    sim->app.clock = (struct tw_script_clock){script_now, sim};
    tw_rand_seed(&sim->rand, seed);
    tw_rand_seed(&sim->script_rand, ~seed);
    sim->common = sim->app.common = tw_common_new(script_random, sim);
    tw_list_init(&sim->ready);
    tw_list_init(&sim->changed);
    tw_log_set_generation(0);
    int status = tw_app_load(&sim->app, 1, 0, &sim->generation, &vms, &count, errors);
    if (status != 0) {
        tw_common_unref(&sim->common);
        tw_free(sim);
        return status;
    }
    sim->service = (struct tw_http_service){.on_request = on_request, .websocket = true};
    sim->hubs.workers = (unsigned)count;
    sim->hubs.wake = wake;
    sim->hubs.driver = sim;
    sim->hubs.hooks = &tw_script_hooks;
    sim->hubs.dialect = &tw_dialect_raw;
    sim->hubs.common = sim->common;
    sim->hubs.wall_offset_ms = WALL_OFFSET_MS;
    sim->hubs.slice = 1; /* all that can happen between two slices, does */
    tw_admission_init(&sim->hubs.admission);
    tw_past_init(&sim->past, vms[0]);
    init_nodes(sim, vms);
    tw_free(vms);
    tw_sim_settle(sim);
    *out = sim;
    return 0;
}

void tw_sim_free(struct tw_sim *sim) {
    for (size_t i = 0; i < sim->link_count; i++) {
        tw_heap_remove(&sim->events, &sim->links[i]->event);
        tw_link_deinit(sim->links[i]);
        tw_free(sim->links[i]);
    }
    for (unsigned i = 0; i <= sim->hubs.workers; i++) {
        struct node *node = &sim->nodes[i];
        tw_hub_deinit(&node->hub);
        tw_ws_pool_free(node->pool);
        if (node->vm) tw_vm_free(node->vm);
        tw_vm_free(node->next_vm);
        tw_vm_free(node->past_vm);
        tw_mailbox_deinit(&sim->hubs.boxes[i]);
    }
    TW_CHECK(tw_admission_count(&sim->hubs.admission) == 0);
    tw_admission_deinit(&sim->hubs.admission);
    tw_past_deinit(&sim->past);
    tw_heap_deinit(&sim->events);
    tw_generation_unref(&sim->generation);
    tw_generation_unref(&sim->next_generation);
    tw_common_unref(&sim->common);
    if (sim->answer) tw_mail_free(sim->answer);
    tw_free(sim->hubs.boxes);
    tw_free(sim->nodes);
    tw_free(sim->links);
    tw_free(sim);
}

/* --- clients --- */

struct tw_link_options tw_sim_link_defaults(const struct tw_sim *sim) {
    size_t send_buffer = sim->generation->settings.socket_buffer;
    if (send_buffer == 0) send_buffer = 1u << 20;
    return (struct tw_link_options){.up_buffer = 2 * RECEIVE_BUFFER,
                                    .down_buffer = send_buffer + RECEIVE_BUFFER};
}

struct tw_link *tw_sim_connect(struct tw_sim *sim, const struct tw_ip *ip,
                               const struct tw_link_options *options, struct tw_str request) {
    if (sim->is_draining) return NULL;
    struct tw_link *link = TW_NEW(struct tw_link);
    unsigned index = (unsigned)(tw_sim_random(sim) % sim->hubs.workers);
    struct node *node = &sim->nodes[index];
    tw_link_init(link, sim, index, options);
    node->hub.now_ms = now_ms(sim);
    link->session = tw_session_new(&node->sessions, link, ip);
    sim->links = tw_realloc(sim->links, (sim->link_count + 1) * sizeof(struct tw_link *));
    sim->links[sim->link_count++] = link;
    link->number = sim->link_count;
    node->is_awake = true;
    tw_buf_append(&link->peer.out, request.data, request.length);
    tw_link_pump(link);
    return link;
}

/* --- time --- */

static int load(struct tw_sim *sim, const char *why, struct tw_load_errors *errors);

static void swap(struct node *node) {
    node->past_vm = node->vm;
    node->vm = node->next_vm;
    node->next_vm = NULL;
    node->hub.now_ms = now_ms(node->sim); /* deadlines begin with the swap */
    tw_hub_swap(&node->hub, node->sim->next_generation, node->vm);
}

static bool is_swapping(const struct tw_sim *sim) {
    for (unsigned i = 0; i < sim->hubs.workers; i++)
        if (sim->nodes[i].next_vm || sim->nodes[i].past_vm) return true;
    return false;
}

static void end_rollback(struct tw_sim *sim) {
    struct tw_sim_rollback *last = &sim->last;
    tw_past_on_rollback(&sim->past, sim->generation);
    last->count++;
    last->from = sim->generation->number;
    last->to = sim->past.before_number;
    last->generation = sim->next_generation->number;
    last->at = tw_sim_wall(sim);
    bool is_asked = strcmp(last->why, ASKED) == 0;
    tw_log(is_asked ? TW_LOG_INFO : TW_LOG_ERROR, "reload",
           "rolled back from=%u to=%u reason=\"%s\"", last->from, last->to, last->why);
}

/* The last one that swaps makes the generation the broker's. */
static void end_swap(struct tw_sim *sim) {
    if (!sim->next_generation || is_swapping(sim)) return;
    bool is_new = sim->next_generation->print != sim->generation->print;
    tw_hub_swap(&sim->nodes[sim->hubs.workers].hub, sim->next_generation, NULL);
    if (sim->is_rollback)
        end_rollback(sim);
    else
        tw_past_on_reload(&sim->past, sim->generation, sim->next_generation, sim->nodes[0].vm);
    tw_generation_unref(&sim->generation);
    sim->generation = sim->next_generation;
    sim->next_generation = NULL;
    sim->asked_ms = now_ms(sim);
    tw_trial_stop(&sim->trial);
    if (!sim->is_rollback && is_new)
        tw_trial_start(&sim->trial, &sim->generation->settings.rollback, sim->generation->number,
                       sim->before, now_ms(sim));
}

static void take_turn(struct node *node) {
    struct tw_sim *sim = node->sim;
    node->is_awake = false;
    if (node->next_vm && tw_sim_random(sim) % 2) swap(node);
    node->due_ms = tw_hub_turn(&node->hub, now_ms(sim));
    if (node->next_vm) node->is_awake = true;
}

static bool can_turn(const struct node *node) {
    return node->is_awake || node->due_ms <= now_ms(node->sim);
}

/* One of the workers that have something to do, by the seed. */
static bool step_nodes(struct tw_sim *sim) {
    unsigned count = sim->hubs.workers + 1, first = (unsigned)(tw_sim_random(sim) % count);
    for (unsigned i = 0; i < count; i++) {
        struct node *node = &sim->nodes[(first + i) % count];
        if (!can_turn(node)) continue;
        take_turn(node);
        return true;
    }
    return false;
}

static void schedule(struct tw_link *link) {
    uint64_t next_us = tw_link_next_us(link);
    tw_heap_remove(&link->sim->events, &link->event);
    if (next_us != UINT64_MAX) tw_heap_add(&link->sim->events, &link->event, next_us);
}

/* A link stays ready as long as something happens on it. Its node takes a turn afterwards, as a
 * loop does after it polled. */
static bool step_links(struct tw_sim *sim) {
    struct tw_list *node = tw_list_shift(&sim->ready);
    if (!node) return false;
    struct tw_link *link = TW_CONTAINER(node, struct tw_link, ready);
    sim->nodes[link->node].hub.now_ms = now_ms(sim);
    tw_log_set_generation(sim->nodes[link->node].hub.generation->number);
    if (tw_link_step(link)) {
        sim->nodes[link->node].is_awake = true;
        tw_sim_ready(link);
    }
    schedule(link);
    return true;
}

void tw_sim_settle(struct tw_sim *sim) {
    bool happened;
    do {
        bool links_first = tw_sim_random(sim) % 4 != 0;
        happened =
            links_first ? step_links(sim) || step_nodes(sim) : step_nodes(sim) || step_links(sim);
        end_swap(sim);
    } while (happened);
}

static uint64_t next_us(const struct tw_sim *sim) {
    const struct tw_heap_node *event = tw_heap_first(&sim->events);
    uint64_t next = event ? event->at_ms : UINT64_MAX;
    for (unsigned i = 0; i <= sim->hubs.workers; i++) {
        uint64_t due_ms = sim->nodes[i].due_ms;
        if (due_ms < UINT64_MAX / 1000 && due_ms * 1000 < next) next = due_ms * 1000;
    }
    uint64_t ask_us = (sim->asked_ms + sim->trial.every_ms) * 1000;
    if (sim->trial.generation && ask_us < next) next = ask_us;
    return next;
}

/* As rollback.c does it on its timer. */
static void ask(struct tw_sim *sim) {
    struct tw_trial_counts now = {0};
    if (!sim->trial.generation || now_ms(sim) < sim->asked_ms + sim->trial.every_ms) return;
    sim->asked_ms = now_ms(sim);
    if (sim->is_draining || !tw_trial_is_on(&sim->trial, now_ms(sim))) return;
    for (unsigned i = 0; i < sim->hubs.workers; i++) {
        struct tw_hook_counts counts = tw_vm_hook_counts(sim->nodes[i].vm);
        now.calls += counts.calls;
        now.failures += counts.failures;
    }
    char why[TW_TRIAL_REASON];
    struct tw_load_errors errors = {0};
    if (!tw_trial_judge(&sim->trial, &sim->generation->settings.rollback, now, why)) return;
    tw_trial_stop(&sim->trial);
    load(sim, why, &errors);
    for (size_t i = 0; i < errors.count; i++)
        tw_log(TW_LOG_ERROR, "load", "%s:%d: %s", errors.items[i].file, errors.items[i].line,
               errors.items[i].message);
    tw_load_errors_deinit(&errors);
    tw_sim_settle(sim);
}

uint64_t tw_sim_advance_next(struct tw_sim *sim, uint64_t us) {
    uint64_t from_us = sim->now_us, until_us = from_us + us;
    struct tw_heap_node *event;
    tw_sim_settle(sim);
    uint64_t next = next_us(sim);
    if (next <= from_us) next = from_us + 1000; /* what is due now was done just now */
    sim->now_us = next < until_us ? next : until_us;
    while ((event = tw_heap_first(&sim->events)) && event->at_ms <= sim->now_us) {
        tw_heap_remove(&sim->events, event);
        tw_sim_ready(TW_CONTAINER(event, struct tw_link, event));
    }
    tw_sim_settle(sim);
    ask(sim);
    return sim->now_us - from_us;
}

void tw_sim_advance(struct tw_sim *sim, uint64_t us) {
    while (us > 0)
        us -= tw_sim_advance_next(sim, us);
    tw_sim_settle(sim);
}

/* --- operating it --- */

struct tw_mail *tw_sim_publish(struct tw_sim *sim, struct tw_str channel, struct tw_str payload,
                               bool binary, int *status) {
    struct tw_hub *control = &sim->nodes[sim->hubs.workers].hub;
    *status = TW_ETOOBIG;
    if (payload.length > sim->generation->settings.limits.message_size) return NULL;
    struct tw_message *message = tw_message_try_new(payload.data, payload.length, binary);
    *status = -12; /* ENOMEM */
    if (!message) return NULL;
    control->now_ms = now_ms(sim);
    *status = tw_hub_publish_from_api(control, channel, message, sim);
    if (*status != 0) return NULL;
    sim->nodes[sim->hubs.workers].is_awake = true;
    tw_sim_settle(sim);
    struct tw_mail *answer = sim->answer;
    sim->answer = NULL;
    return answer;
}

/* `why`: of a rollback; NULL: from the disk. */
static int load(struct tw_sim *sim, const char *why, struct tw_load_errors *errors) {
    struct tw_vm **vms = NULL;
    size_t count = 0;
    struct tw_app app = sim->app;
    while (sim->next_generation)
        tw_sim_settle(sim);
    if (why && !sim->past.before) return TW_ENOGENERATION;
    if (why) app.source = sim->past.before;
    tw_log_set_generation(sim->generation->number);
    int status = tw_app_load(&app, sim->generation->number + 1, sim->hubs.workers,
                             &sim->next_generation, &vms, &count, errors);
    if (status != 0) return status;
    sim->is_rollback = why != NULL;
    sim->before = (struct tw_trial_counts){0};
    if (why) snprintf(sim->last.why, sizeof sim->last.why, "%s", why);
    for (unsigned i = 0; i < sim->hubs.workers; i++) {
        sim->nodes[i].next_vm = vms[i];
        sim->nodes[i].is_awake = true;
    }
    tw_free(vms);
    return 0;
}

int tw_sim_reload(struct tw_sim *sim, struct tw_load_errors *errors) {
    return load(sim, NULL, errors);
}

int tw_sim_rollback(struct tw_sim *sim, struct tw_load_errors *errors) {
    return load(sim, ASKED, errors);
}

const struct tw_sim_rollback *tw_sim_last_rollback(const struct tw_sim *sim) {
    return &sim->last;
}

void tw_sim_drain(struct tw_sim *sim) {
    tw_sim_settle(sim);
    sim->is_draining = true;
    for (unsigned i = 0; i <= sim->hubs.workers; i++) {
        struct tw_hub *hub = &sim->nodes[i].hub;
        hub->now_ms = now_ms(sim);
        tw_hub_drain(hub, sim->generation->settings.drain_window_ms);
        sim->nodes[i].is_awake = true;
    }
    for (size_t i = 0; i < sim->link_count; i++) {
        struct tw_link *link = sim->links[i];
        if (link->session && !link->is_closed && tw_session_is_idle(link->session))
            tw_session_abort(link->session);
    }
}
