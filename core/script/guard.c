/* guard.c: the watchdog, its signal, and the jump.
 *
 * The watchdog looks every 10 ms. When no thread has called Lua for half a second it naps, and the
 * next call wakes it. A call may read that it does not nap just before it does (a thread's store is
 * not seen before its next load is done, and a fence would cost each call more than all the rest):
 * so a nap has an end, and that call is noticed late. */
#include "script/guard.h"

#include <dlfcn.h>
#include <lauxlib.h>
#include <link.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <ucontext.h>

#include "base/check.h"
#include "base/mem.h"

/* The thread sanitizer's sigaction puts off what comes outside of system calls and library calls,
 * which a handler that loops does not make; and where a handler then runs, is not where it was
 * interrupted. So there the C library's own sets the handler, which is not instrumented. */
#if defined(__SANITIZE_THREAD__)
#define SET_ACTION                                                                                 \
    ((int (*)(int, const struct sigaction *, struct sigaction *))dlsym(                            \
        dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD), "sigaction"))
#define NOT_INSTRUMENTED __attribute__((no_sanitize("thread")))
#else
#define SET_ACTION sigaction
#define NOT_INSTRUMENTED
#endif

enum {
    STAGE_1_EVERY_US = 1000,
    STAGE_1_MS = 20,
    STAGE_2_EVERY_US = 200,
    MAX_IDLE_US = 10000,
    QUIET_LOOKS = 50, /* without a call; then it naps */
    NAP_MS = 100
};

/* A thread that calls Lua. Never freed: threads are few and live long. */
struct slot {
    struct slot *next;
    pthread_t thread;
    clockid_t clock;             /* of its processor time */
    atomic_uint_fast64_t serial; /* odd: in Lua. Counts calls. Written by the thread alone. */
    atomic_uint_fast64_t late;   /* the serial that the watchdog's signal is for */
    atomic_bool may_kill;        /* and it is for stage 2 */
    atomic_uint deadline_ms;     /* of this call; 0: none */
    lua_State *L;
    sigjmp_buf back;
    volatile sig_atomic_t is_signalled; /* any taken in this call? */
    /* The watchdog's own. */
    uint64_t seen, since_ms, signalled, signalled_ms;
    uint64_t looked; /* the serial at the last look */
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct slot *slots; /* guarded by lock */
static _Thread_local struct slot *mine;
static atomic_bool is_napping; /* the watchdog; who makes it false posts `woken` */
static sem_t woken;

/* Where code lies that may be left by a jump, and where not. */
struct range {
    uintptr_t from, to;
};
enum { MAX_RANGES = 256 };
static struct range luajit, mapped[MAX_RANGES];
static size_t mapped_count;

/* --- where an instruction is --- */

static int look_at_object(struct dl_phdr_info *info, size_t size, void *data) {
    (void)size, (void)data;
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        if (header->p_type != PT_LOAD || !(header->p_flags & PF_X)) continue;
        struct range range = {info->dlpi_addr + header->p_vaddr,
                              info->dlpi_addr + header->p_vaddr + header->p_memsz};
        uintptr_t call = (uintptr_t)lua_pcall;
        if (call >= range.from && call < range.to && strstr(info->dlpi_name, "luajit"))
            luajit = range;
        else if (mapped_count < MAX_RANGES)
            mapped[mapped_count++] = range;
    }
    return 0;
}

NOT_INSTRUMENTED static bool may_jump_from(uintptr_t at) {
    if (at >= luajit.from && at < luajit.to) return true;
    if (mapped_count == MAX_RANGES) return false;
    for (size_t i = 0; i < mapped_count; i++)
        if (at >= mapped[i].from && at < mapped[i].to) return false;
    return true; /* compiled by LuaJIT */
}

/* --- on the thread that is late --- */

/* Called by LuaJIT, between two instructions of a handler that is late. That is as good a place to
 * jump from as any, and a sure one: pcalls that swallow the error spend their time in the unwinder,
 * where a signal can only wait for a better moment. */
static void raise_late(lua_State *L, lua_Debug *info) {
    struct slot *slot = mine;
    (void)info;
    if (atomic_load(&slot->may_kill) && atomic_load(&slot->late) == atomic_load(&slot->serial))
        siglongjmp(slot->back, 1);
    luaL_error(L, "deadline of %d ms passed", (int)atomic_load(&slot->deadline_ms));
}

NOT_INSTRUMENTED static uintptr_t interrupted_at(const ucontext_t *context) {
#if defined(__x86_64__)
    return (uintptr_t)context->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
    return (uintptr_t)context->uc_mcontext.pc;
#else
#error "where is the program counter?"
#endif
}

NOT_INSTRUMENTED static void on_signal(int number, siginfo_t *info, void *context) {
    struct slot *slot = mine;
    (void)number, (void)info;
    if (!slot) return;
    uint64_t serial = atomic_load_explicit(&slot->serial, memory_order_relaxed);
    /* It may come when the call that it was for is over. */
    if (!(serial & 1) || serial != atomic_load(&slot->late)) return;
    slot->is_signalled = 1;
    if (!atomic_load(&slot->may_kill)) {
        lua_sethook(slot->L, raise_late, LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT,
                    1);
    } else if (may_jump_from(interrupted_at((const ucontext_t *)context))) {
        siglongjmp(slot->back, 1);
    }
}

/* --- the watchdog --- */

/* Of processor time: Lua cannot wait for anything, and a handler whose thread does not run, because
 * the machine is busy with others, is not late. */
static uint64_t used_ms(const struct slot *slot) {
    struct timespec time;
    if (clock_gettime(slot->clock, &time) != 0) return 0;
    return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

/* Signals the slot if it is late; returns after how many microseconds to look again. */
static unsigned look(struct slot *slot) {
    uint64_t serial = atomic_load_explicit(&slot->serial, memory_order_acquire);
    unsigned deadline_ms = atomic_load_explicit(&slot->deadline_ms, memory_order_relaxed);
    if (!(serial & 1) || deadline_ms == 0) return MAX_IDLE_US;
    uint64_t at_ms = used_ms(slot);
    if (serial != slot->seen) {
        slot->seen = serial;
        slot->since_ms = at_ms;
    }
    uint64_t passed_ms = at_ms - slot->since_ms;
    if (passed_ms < deadline_ms) {
        uint64_t left_us = (deadline_ms - passed_ms) * 1000;
        return left_us < MAX_IDLE_US ? (unsigned)left_us : MAX_IDLE_US;
    }
    if (slot->signalled != serial) slot->signalled_ms = at_ms;
    slot->signalled = serial;
    bool may_kill = at_ms - slot->signalled_ms >= STAGE_1_MS;
    atomic_store(&slot->may_kill, may_kill);
    atomic_store(&slot->late, serial);
    pthread_kill(slot->thread, SIGURG);
    return may_kill ? STAGE_2_EVERY_US : STAGE_1_EVERY_US;
}

/* Looks at all; returns after how many microseconds to look again. */
static unsigned look_at_all(bool *is_quiet) {
    unsigned wait_us = MAX_IDLE_US;
    *is_quiet = true;
    pthread_mutex_lock(&lock);
    for (struct slot *slot = slots; slot; slot = slot->next) {
        uint64_t serial = atomic_load_explicit(&slot->serial, memory_order_relaxed);
        unsigned us = look(slot);
        if (us < wait_us) wait_us = us;
        if (serial & 1 || serial != slot->looked) *is_quiet = false;
        slot->looked = serial;
    }
    pthread_mutex_unlock(&lock);
    return wait_us;
}

static void nap(void) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += NAP_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    atomic_store(&is_napping, true);
    sem_clockwait(&woken, CLOCK_MONOTONIC, &until);
    atomic_store(&is_napping, false);
}

__attribute__((noinline)) static void wake_watchdog(void) {
    if (atomic_exchange(&is_napping, false)) sem_post(&woken);
}

static void *watch(void *data) {
    unsigned quiet_looks = 0;
    (void)data;
    for (;;) {
        bool is_quiet;
        unsigned wait_us = look_at_all(&is_quiet);
        quiet_looks = is_quiet ? quiet_looks + 1 : 0;
        if (quiet_looks > QUIET_LOOKS)
            nap();
        else
            nanosleep(&(struct timespec){.tv_nsec = (long)wait_us * 1000}, NULL);
    }
    return NULL;
}

static void start(void) {
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART};
    int (*set_action)(int, const struct sigaction *, struct sigaction *) = SET_ACTION;
    sigset_t all, before;
    pthread_t thread;
    dl_iterate_phdr(look_at_object, NULL);
    TW_REQUIRE(set_action && set_action(SIGURG, &action, NULL) == 0);
    TW_REQUIRE(sem_init(&woken, 0, 0) == 0);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    TW_REQUIRE(pthread_create(&thread, NULL, watch, NULL) == 0);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_detach(thread);
}

__attribute__((noinline)) static struct slot *slot_of_thread(void) {
    if (mine) return mine;
    pthread_once(&once, start);
    struct slot *slot = TW_NEW(struct slot);
    slot->thread = pthread_self();
    pthread_getcpuclockid(slot->thread, &slot->clock);
    pthread_mutex_lock(&lock);
    slot->next = slots;
    slots = slot;
    pthread_mutex_unlock(&lock);
    return mine = slot;
}

/* --- the call --- */

static void step(struct slot *slot) {
    uint64_t serial = atomic_load_explicit(&slot->serial, memory_order_relaxed);
    atomic_store_explicit(&slot->serial, serial + 1, memory_order_release);
    atomic_signal_fence(memory_order_seq_cst);
}

/* The jump leaves the signal's handler, in which the signal is blocked. (To have sigsetjmp save the
 * mask would be a system call for each handler that runs.) */
static void unblock(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGURG);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

int tw_guard_call(lua_State *L, int handler, unsigned deadline_ms, enum tw_guard_end *end) {
    struct slot *const slot = slot_of_thread();
    *end = TW_GUARD_IN_TIME;
    slot->L = L;
    slot->is_signalled = 0;
    atomic_store_explicit(&slot->deadline_ms, deadline_ms, memory_order_relaxed);
    if (sigsetjmp(slot->back, 0) != 0) {
        step(mine);
        unblock();
        *end = TW_GUARD_KILLED;
        return LUA_ERRRUN;
    }
    step(slot);
    if (atomic_load_explicit(&is_napping, memory_order_relaxed)) wake_watchdog();
    int result = lua_pcall(L, 0, 0, handler);
    step(slot);
    if (slot->is_signalled == 0) return result;
    lua_sethook(L, NULL, 0, 0);
    if (result != 0) *end = TW_GUARD_INTERRUPTED;
    return result;
}

bool tw_guard_is_napping(void) {
    return atomic_load(&is_napping);
}
