/* bench_process.h: what a process has cost, from /proc. Of the process alone, not of its children.
 */
#ifndef TW_APP_BENCH_PROCESS_H
#define TW_APP_BENCH_PROCESS_H

#include <stdint.h>
#include <sys/types.h>

struct tw_bench_usage {
    double user_s, system_s; /* CPU since it began; the kernel counts in hundredths */
};

/* 0, or a negative errno (-ESRCH: no such process). */
int tw_bench_process_usage(pid_t pid, struct tw_bench_usage *usage);
/* Memory of its own in bytes: its proportional set size but for pages of files. Program and
 * libraries are shared with whoever else runs them, so what counts of them changes with that. Takes
 * the process's time, so not while it is measured. A negative errno if it must not be read. */
int64_t tw_bench_process_memory(pid_t pid);
/* Resident set size in bytes, which costs nothing to ask. */
int64_t tw_bench_process_rss(pid_t pid);
/* Our own. */
struct tw_bench_usage tw_bench_own_usage(void);

static inline struct tw_bench_usage tw_bench_usage_since(struct tw_bench_usage now,
                                                         struct tw_bench_usage then) {
    return (struct tw_bench_usage){now.user_s - then.user_s, now.system_s - then.system_s};
}

/* The fields of /proc/PID/stat; for the usage above, and its test. 0 or TW_EPARSE. */
int tw_bench_stat_parse(const char *text, uint64_t *user_ticks, uint64_t *system_ticks);

#endif
