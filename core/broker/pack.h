/* pack.h: spans for one write, where runs of small ones are copied together, so that the write
 * carries few of them; longer ones stay where they are. */
#ifndef TW_BROKER_PACK_H
#define TW_BROKER_PACK_H

#include <stdbool.h>
#include <string.h>
#include <sys/uio.h>

#define TW_PACK_ROOM 65536 /* bytes of copies */
#define TW_PACK_MAX 2048   /* bytes; a longer span is not copied */

struct tw_pack {
    struct iovec *spans; /* as many as are added, at most; may be what is added from */
    char *room;          /* TW_PACK_ROOM bytes */
    int count;
    size_t used;
    bool is_run; /* the last span is in `room` and can grow */
};

static inline void tw_pack_add(struct tw_pack *pack, struct iovec span) {
    bool is_small = span.iov_len <= TW_PACK_MAX && pack->used + span.iov_len <= TW_PACK_ROOM;
    if (is_small) {
        memcpy(pack->room + pack->used, span.iov_base, span.iov_len);
        span.iov_base = pack->room + pack->used;
        pack->used += span.iov_len;
    }
    if (is_small && pack->is_run)
        pack->spans[pack->count - 1].iov_len += span.iov_len;
    else
        pack->spans[pack->count++] = span;
    pack->is_run = is_small;
}

#endif
