/* watch.h: tells when files below a folder have changed, once they have been quiet for a moment.
 *
 * Folders are watched, not files, so that editors which write a new file and rename it are seen.
 * Hidden files, editors' backups, and the folders named in `skip` do not count. */
#ifndef TW_NET_WATCH_H
#define TW_NET_WATCH_H

#include <uv.h>

struct tw_watch;

/* `path`: a folder, or one file (then only that file counts). `skip`: names of folders directly
 * below, ended by NULL; borrowed. Owned; NULL with *status if the path cannot be watched. */
struct tw_watch *tw_watch_open(uv_loop_t *loop, const char *path, const char *const *skip,
                               void (*on_change)(void *data), void *data, int *status);
/* Asynchronous; frees itself when its handles are closed. NULL is allowed. */
void tw_watch_close(struct tw_watch *watch);

#endif
