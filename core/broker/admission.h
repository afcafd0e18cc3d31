/* admission.h: who may come in: connections in all and per address group (tw_ip_group), and the
 * rate of handshakes per group. One for the whole process, under a lock, so that the caps are exact
 * on any number of workers. */
#ifndef TW_BROKER_ADMISSION_H
#define TW_BROKER_ADMISSION_H

#include <pthread.h>

#include "base/map.h"
#include "broker/bucket.h"

struct tw_admission {
    pthread_mutex_t lock;
    struct tw_map groups;
    uint32_t connections;
    uint64_t swept_ms;
};

void tw_admission_init(struct tw_admission *admission);
void tw_admission_deinit(struct tw_admission *admission);
/* One handshake: 0, or TW_ERATE and *retry_ms. */
int tw_admission_handshake(struct tw_admission *admission, const struct tw_limits *limits,
                           const struct tw_ip *ip, uint64_t now_ms, uint64_t *retry_ms);
/* Takes a place: 0, TW_EFULL (the process is full), or TW_ERATE (this group's cap). */
int tw_admission_enter(struct tw_admission *admission, const struct tw_limits *limits,
                       const struct tw_ip *ip);
/* Gives it back. */
void tw_admission_leave(struct tw_admission *admission, const struct tw_ip *ip);
uint32_t tw_admission_count(struct tw_admission *admission);

#endif
