/* source.h: the files of an app, each read once. All VMs of a generation load from the same bytes,
 * whatever happens to the files meanwhile.
 *
 * A file is read when it is first asked for, while the app is loaded, by one thread. After
 * tw_source_seal nothing changes any more, and any thread may read. Counted atomically. */
#ifndef TW_SCRIPT_SOURCE_H
#define TW_SCRIPT_SOURCE_H

#include <stdatomic.h>

#include "base/buf.h"
#include "base/str.h"

struct tw_source_file {
    char *path;     /* relative to the app, with '/' */
    char *why;      /* why it cannot be read; NULL: it was */
    bool is_absent; /* because it is not there */
    struct tw_buf text;
    size_t *uses; /* owned: files that it required or read while it was loaded */
    size_t use_count;
};

struct tw_source {
    atomic_uint refs;
    char *root; /* absolute, without links; the folder, or where the file lies */
    char *only; /* owned: the name of a single-file app's file; NULL: a folder */
    struct tw_source_file **files;
    size_t count;
    char **channels; /* owned, each and the array: see tw_source_channels */
    size_t channel_count;
    bool is_sealed;
};

#define TW_SOURCE_MAX_FILE ((size_t)256 << 20)

/* Owned, one ref; NULL if there is nothing at `path`, with *why an owned text. */
struct tw_source *tw_source_open(const char *path, char **why);
struct tw_source *tw_source_ref(struct tw_source *source);
void tw_source_unref(struct tw_source **source);
void tw_source_seal(struct tw_source *source);
/* The index of the file, which may be one that cannot be read: see its `why`. A path that leads out
 * of the app, also by a link, cannot. TW_SOURCE_NONE: sealed, and it was not asked for before. */
#define TW_SOURCE_NONE SIZE_MAX
size_t tw_source_find(struct tw_source *source, struct tw_str path);
const struct tw_source_file *tw_source_file(const struct tw_source *source, size_t index);
struct tw_str tw_source_text(const struct tw_source *source, size_t index);
/* File `user` depends on file `used`. */
void tw_source_add_use(struct tw_source *source, size_t user, size_t used);
/* A fingerprint of the file and of all that it uses, directly or not. Never 0. */
uint64_t tw_source_print(const struct tw_source *source, size_t index);
/* Of all files that the app asked for. */
uint64_t tw_source_print_all(const struct tw_source *source);
/* Looks once which files there are in channels/ that end with ".lua" and do not begin with a dot:
 * source->channels, sorted. */
void tw_source_list_channels(struct tw_source *source);

#endif
