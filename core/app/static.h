/* static.h: files of an app's public/ folder, on the public port. */
#ifndef TW_APP_STATIC_H
#define TW_APP_STATIC_H

#include "app/worker.h"

/* A service for the worker's sessions: /ws is theirs, the rest are files. */
struct tw_http_service tw_static_service(struct tw_worker *worker);

#endif
