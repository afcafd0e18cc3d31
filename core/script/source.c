/* source.c: reading the app's files, inside its folder only. */
#include "script/source.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

static const char *check_path(struct tw_str path);
static void read_inside(struct tw_source *source, struct tw_source_file *file);
static void read_file(struct tw_source_file *file, const char *real);
static uint64_t mix(uint64_t a, uint64_t b);
static void visit(const struct tw_source *source, size_t index, bool *is_seen, uint64_t *sum);
static int compare_names(const void *a, const void *b);

struct tw_source *tw_source_open(const char *path, char **why) {
    char *real = realpath(path, NULL);
    struct stat status;
    if (!real || stat(real, &status) != 0) {
        *why = tw_format("%s", strerror(errno));
        free(real);
        return NULL;
    }
    struct tw_source *source = TW_NEW(struct tw_source);
    atomic_init(&source->refs, 1);
    if (S_ISDIR(status.st_mode)) {
        source->root = tw_format("%s", real);
    } else {
        char *slash = strrchr(real, '/');
        source->only = tw_format("%s", slash + 1);
        source->root = tw_memdup(real, slash == real ? 1 : (size_t)(slash - real));
    }
    free(real);
    return source;
}

struct tw_source *tw_source_ref(struct tw_source *source) {
    atomic_fetch_add_explicit(&source->refs, 1, memory_order_relaxed);
    return source;
}

void tw_source_unref(struct tw_source **slot) {
    struct tw_source *source = *slot;
    *slot = NULL;
    if (!source) return;
    if (atomic_fetch_sub_explicit(&source->refs, 1, memory_order_acq_rel) != 1) return;
    for (size_t i = 0; i < source->count; i++) {
        struct tw_source_file *file = source->files[i];
        tw_buf_deinit(&file->text);
        tw_free(file->path);
        tw_free(file->why);
        tw_free(file->uses);
        tw_free(file);
    }
    for (size_t i = 0; i < source->channel_count; i++)
        tw_free(source->channels[i]);
    tw_free(source->channels);
    tw_free(source->files);
    tw_free(source->root);
    tw_free(source->only);
    tw_free(source);
}

void tw_source_seal(struct tw_source *source) {
    source->is_sealed = true;
}

size_t tw_source_find(struct tw_source *source, struct tw_str path) {
    for (size_t i = 0; i < source->count; i++) {
        if (tw_str_eq(tw_str_of(source->files[i]->path), path)) return i;
    }
    if (source->is_sealed) return TW_SOURCE_NONE;
    struct tw_source_file *file = TW_NEW(struct tw_source_file);
    file->path = tw_memdup(path.data, path.length);
    source->files = (struct tw_source_file **)tw_realloc(
        source->files, (source->count + 1) * sizeof(struct tw_source_file *));
    source->files[source->count++] = file;
    const char *wrong = check_path(path);
    if (wrong) {
        file->why = tw_format("%s", wrong);
    } else if (source->only && !tw_str_eq(path, tw_str_of(source->only))) {
        file->why = tw_format("a single-file app has no other files");
        file->is_absent = true;
    } else {
        read_inside(source, file);
    }
    return source->count - 1;
}

const struct tw_source_file *tw_source_file(const struct tw_source *source, size_t index) {
    return source->files[index];
}

struct tw_str tw_source_text(const struct tw_source *source, size_t index) {
    const struct tw_buf *text = &source->files[index]->text;
    return (struct tw_str){text->data ? text->data : "", text->length};
}

void tw_source_add_use(struct tw_source *source, size_t user, size_t used) {
    struct tw_source_file *file = source->files[user];
    for (size_t i = 0; i < file->use_count; i++) {
        if (file->uses[i] == used) return;
    }
    if (source->is_sealed) return;
    file->uses = (size_t *)tw_realloc(file->uses, (file->use_count + 1) * sizeof *file->uses);
    file->uses[file->use_count++] = used;
}

uint64_t tw_source_print(const struct tw_source *source, size_t index) {
    bool *is_seen = (bool *)tw_alloc(source->count * sizeof *is_seen);
    uint64_t sum = 0;
    visit(source, index, is_seen, &sum);
    tw_free(is_seen);
    return sum ? sum : 1;
}

uint64_t tw_source_print_all(const struct tw_source *source) {
    bool *is_seen = (bool *)tw_alloc((source->count + 1) * sizeof *is_seen);
    uint64_t sum = 0;
    for (size_t i = 0; i < source->count; i++)
        visit(source, i, is_seen, &sum);
    tw_free(is_seen);
    return sum ? sum : 1;
}

void tw_source_list_channels(struct tw_source *source) {
    static const char suffix[] = ".lua";
    if (source->is_sealed || source->only) return;
    char *path = tw_format("%s/channels", source->root);
    DIR *directory = opendir(path);
    size_t count = 0, tail = sizeof suffix - 1;
    char **names = NULL;
    tw_free(path);
    if (!directory) return;
    for (struct dirent *entry; (entry = readdir(directory));) {
        size_t length = strlen(entry->d_name);
        if (entry->d_name[0] == '.' || length <= tail) continue;
        if (strcmp(entry->d_name + length - tail, suffix) != 0) continue;
        names = (char **)tw_realloc(names, (count + 1) * sizeof *names);
        names[count++] = tw_memdup(entry->d_name, length);
    }
    closedir(directory);
    if (count > 1) qsort(names, count, sizeof *names, compare_names);
    source->channels = names;
    source->channel_count = count;
}

/* NULL: fine. */
static const char *check_path(struct tw_str path) {
    if (path.length == 0) return "the path is empty";
    if (memchr(path.data, 0, path.length)) return "the path has a NUL byte";
    if (path.data[0] == '/') return "the path must be relative to the app's folder";
    while (path.data) {
        struct tw_str part = tw_str_cut(&path, '/');
        if (tw_str_eq(part, TW_STR(".."))) return "the path must not leave the app's folder";
    }
    return NULL;
}

/* Links are followed, and what they lead to must be inside, too. */
static void read_inside(struct tw_source *source, struct tw_source_file *file) {
    char *path = tw_format("%s/%s", source->root, file->path);
    char *real = realpath(path, NULL);
    size_t root = strlen(source->root);
    if (root == 1) root = 0; /* "/" */
    if (!real) {
        file->is_absent = errno == ENOENT || errno == ENOTDIR;
        file->why = tw_format("%s", file->is_absent ? "there is no such file" : strerror(errno));
    } else if (strncmp(real, source->root, root) != 0 || real[root] != '/') {
        file->why = tw_format("a link leads out of the app's folder");
    } else {
        read_file(file, real);
    }
    free(real);
    tw_free(path);
}

static void read_file(struct tw_source_file *file, const char *real) {
    /* NONBLOCK: a fifo must not hold us up. */
    int fd = open(real, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat status;
    const char *why = NULL;
    if (fd < 0 || fstat(fd, &status) != 0) {
        why = strerror(errno);
    } else if (!S_ISREG(status.st_mode)) {
        why = "not a regular file";
    } else if ((uint64_t)status.st_size > TW_SOURCE_MAX_FILE) {
        why = "the file is too big";
    }
    for (ssize_t got = 1; !why && got > 0;) {
        if (tw_buf_try_reserve(&file->text, 65536) != 0) {
            why = "not enough memory";
            break;
        }
        got = read(fd, file->text.data + file->text.length, 65536);
        if (got > 0) file->text.length += (size_t)got;
        if (got < 0) why = strerror(errno);
        if (file->text.length > TW_SOURCE_MAX_FILE) why = "the file is too big";
    }
    if (why) {
        tw_buf_deinit(&file->text);
        file->why = tw_format("%s", why);
    }
    if (fd >= 0) close(fd);
}

static uint64_t mix(uint64_t a, uint64_t b) {
    a = (a ^ (b + 0x9E3779B97F4A7C15u)) * 0xBF58476D1CE4E5B9u;
    return a ^ (a >> 29);
}

/* A sum, so that the order in which files were met does not matter. */
static void visit(const struct tw_source *source, size_t index, bool *is_seen, uint64_t *sum) {
    const struct tw_source_file *file = source->files[index];
    if (is_seen[index]) return;
    is_seen[index] = true;
    uint64_t print =
        mix(tw_str_hash(tw_str_of(file->path)), tw_str_hash(tw_source_text(source, index)));
    *sum += mix(print, file->why ? 1 : 2);
    for (size_t i = 0; i < file->use_count; i++)
        visit(source, file->uses[i], is_seen, sum);
}

static int compare_names(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}
