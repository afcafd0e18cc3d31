/* watch.c: one uv_fs_event per folder and one timer. The folders are looked up anew after each
 * change, so that new ones are watched too. */
#include "net/watch.h"

#include <dirent.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"

#define QUIET_MS 100
#define MAX_WAIT_MS 1000 /* for a folder that is never quiet */
#define MAX_DEPTH 8
#define MAX_FOLDERS 1000

struct folder {
    uv_fs_event_t event;
    struct tw_list node;
    struct tw_watch *watch;
    char *path;
};

struct tw_watch {
    uv_timer_t timer;
    uv_loop_t *loop;
    char *path, *file; /* file: the only name that counts, or NULL */
    const char *const *skip;
    void (*on_change)(void *data);
    void *data;
    struct tw_list folders;
    size_t folder_count;
    uint64_t since_ms; /* the first change that was not told yet; 0: none */
    unsigned open_handles;
};

static void release(struct tw_watch *watch) {
    if (--watch->open_handles > 0) return;
    tw_free(watch->path);
    tw_free(watch->file);
    tw_free(watch);
}

static void on_folder_closed(uv_handle_t *handle) {
    struct folder *folder = TW_CONTAINER(handle, struct folder, event);
    struct tw_watch *watch = folder->watch;
    tw_free(folder->path);
    tw_free(folder);
    release(watch);
}

static void close_folder(struct folder *folder) {
    tw_list_remove(&folder->node);
    folder->watch->folder_count--;
    uv_close((uv_handle_t *)&folder->event, on_folder_closed);
}

static bool counts(const struct tw_watch *watch, const char *name) {
    size_t length = strlen(name);
    if (watch->file) return strcmp(name, watch->file) == 0;
    /* 4913 is the name vim tries first to see whether it can write. */
    return length > 0 && name[0] != '.' && name[0] != '#' && name[length - 1] != '~' &&
           strcmp(name, "4913") != 0;
}

static bool is_skipped(const struct tw_watch *watch, const char *name) {
    for (const char *const *skip = watch->skip; skip && *skip; skip++)
        if (strcmp(*skip, name) == 0) return true;
    return false;
}

static void on_timer(uv_timer_t *timer);

static void on_event(uv_fs_event_t *event, const char *name, int events, int status) {
    struct folder *folder = TW_CONTAINER(event, struct folder, event);
    struct tw_watch *watch = folder->watch;
    (void)events;
    if (status < 0 || !name || !counts(watch, name)) return;
    if (strcmp(folder->path, watch->path) == 0 && is_skipped(watch, name)) return;
    uint64_t now_ms = uv_now(watch->loop);
    if (!watch->since_ms) watch->since_ms = now_ms;
    if (now_ms - watch->since_ms < MAX_WAIT_MS)
        uv_timer_start(&watch->timer, on_timer, QUIET_MS, 0);
}

static void watch_folder(struct tw_watch *watch, const char *path) {
    struct folder *folder = TW_NEW(struct folder);
    folder->watch = watch;
    folder->path = tw_format("%s", path);
    uv_fs_event_init(watch->loop, &folder->event);
    tw_list_append(&watch->folders, &folder->node);
    watch->folder_count++;
    watch->open_handles++;
    int status = uv_fs_event_start(&folder->event, on_event, path, 0);
    if (status < 0)
        tw_log(TW_LOG_WARN, "watch", "folder not watched path=%s error=%s", path,
               uv_strerror(status));
}

static void scan(struct tw_watch *watch, const char *path, unsigned depth) {
    if (watch->folder_count >= MAX_FOLDERS) return;
    watch_folder(watch, path);
    DIR *dir = depth < MAX_DEPTH && !watch->file ? opendir(path) : NULL;
    struct dirent *entry;
    while (dir && (entry = readdir(dir))) {
        struct stat info;
        if (!counts(watch, entry->d_name)) continue;
        if (depth == 0 && is_skipped(watch, entry->d_name)) continue;
        char *below = tw_format("%s/%s", path, entry->d_name);
        if (stat(below, &info) == 0 && S_ISDIR(info.st_mode)) scan(watch, below, depth + 1);
        tw_free(below);
    }
    if (dir) closedir(dir);
}

static void close_folders(struct tw_watch *watch) {
    while (!tw_list_is_empty(&watch->folders))
        close_folder(TW_CONTAINER(watch->folders.next, struct folder, node));
}

/* Watches everything anew: a folder that was replaced keeps its path, but not its watch. */
static void on_timer(uv_timer_t *timer) {
    struct tw_watch *watch = TW_CONTAINER(timer, struct tw_watch, timer);
    watch->since_ms = 0;
    close_folders(watch);
    scan(watch, watch->path, 0);
    watch->on_change(watch->data);
}

static void on_timer_closed(uv_handle_t *handle) {
    release(TW_CONTAINER(handle, struct tw_watch, timer));
}

struct tw_watch *tw_watch_open(uv_loop_t *loop, const char *path, const char *const *skip,
                               void (*on_change)(void *data), void *data, int *status) {
    struct stat info;
    if (stat(path, &info) < 0) {
        *status = UV_ENOENT;
        return NULL;
    }
    struct tw_watch *watch = TW_NEW(struct tw_watch);
    const char *slash = strrchr(path, '/');
    watch->loop = loop;
    watch->skip = skip;
    watch->on_change = on_change;
    watch->data = data;
    watch->open_handles = 1;
    tw_list_init(&watch->folders);
    if (S_ISDIR(info.st_mode)) {
        watch->path = tw_format("%s", path);
    } else {
        watch->path = slash ? tw_format("%.*s", (int)(slash - path), path) : tw_format(".");
        watch->file = tw_format("%s", slash ? slash + 1 : path);
    }
    uv_timer_init(loop, &watch->timer);
    scan(watch, watch->path, 0);
    *status = 0;
    return watch;
}

void tw_watch_close(struct tw_watch *watch) {
    if (!watch) return;
    close_folders(watch);
    uv_close((uv_handle_t *)&watch->timer, on_timer_closed);
}
