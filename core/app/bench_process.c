/* bench_process.c: proc(5). */
#include "app/bench_process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/status.h"

/* A whole small file with a NUL behind it: 0 or a negative errno. */
static int read_file(pid_t pid, const char *name, char *out, size_t size) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%ld/%s", (long)pid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return errno == ENOENT ? -ESRCH : -errno;
    ssize_t length = read(fd, out, size - 1);
    int status = length < 0 ? -errno : 0;
    out[length < 0 ? 0 : length] = '\0';
    close(fd);
    return status;
}

/* The second field is the program's name in parentheses, and may hold anything. */
int tw_bench_stat_parse(const char *text, uint64_t *user_ticks, uint64_t *system_ticks) {
    const char *at = strrchr(text, ')');
    unsigned long long user, system;
    if (!at) return TW_EPARSE;
    int read =
        sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user, &system);
    if (read != 2) return TW_EPARSE;
    *user_ticks = user;
    *system_ticks = system;
    return 0;
}

int tw_bench_process_usage(pid_t pid, struct tw_bench_usage *usage) {
    char text[1024];
    uint64_t user, system;
    int status = read_file(pid, "stat", text, sizeof text);
    if (status == 0) status = tw_bench_stat_parse(text, &user, &system);
    if (status != 0) return status;
    double ticks = (double)sysconf(_SC_CLK_TCK);
    *usage = (struct tw_bench_usage){(double)user / ticks, (double)system / ticks};
    return 0;
}

int64_t tw_bench_process_memory(pid_t pid) {
    char text[4096];
    int status = read_file(pid, "smaps_rollup", text, sizeof text);
    if (status != 0) return status;
    const char *line = strstr(text, "\nPss_Anon:");
    if (!line) line = strstr(text, "\nPss:"); /* an old kernel */
    return line ? strtoll(strchr(line, ':') + 1, NULL, 10) * 1024 : TW_EPARSE;
}

int64_t tw_bench_process_rss(pid_t pid) {
    char text[256], *pages;
    int status = read_file(pid, "statm", text, sizeof text);
    if (status != 0) return status;
    pages = strchr(text, ' ');
    return pages ? strtoll(pages, NULL, 10) * sysconf(_SC_PAGESIZE) : TW_EPARSE;
}

struct tw_bench_usage tw_bench_own_usage(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (struct tw_bench_usage){
        (double)usage.ru_utime.tv_sec + (double)usage.ru_utime.tv_usec / 1e6,
        (double)usage.ru_stime.tv_sec + (double)usage.ru_stime.tv_usec / 1e6};
}
